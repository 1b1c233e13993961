"""From handing in to a decision: who may do what to a contribution, and what it is at.

    submit -> waiting -> approve (of exactly one commit) -> accepted
                      -> ask for changes -> wanted -> submit again -> waiting
                      -> reject, with a reason -> rejected

`contributions/<id>/history.jsonl` has a line for everything that was done, in order, each with who did it and which
commit it was about. It is only ever added to.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from homeroom.community import repository
from homeroom.core.contributions import (
    Contribution,
    read_changes,
    read_contribution,
    read_contributions,
    settle,
    write_contribution,
)
from homeroom.core.errors import ContentError, RefusedError, UsageError
from homeroom.core.files import hash_file, lock_folder, read_jsonl
from homeroom.taxonomy.diff import Diff, compare
from homeroom.taxonomy.history import open_commit
from homeroom.taxonomy.snapshot import at_commit

MAX_NOTE = 4_000
WAIT_S = 15.0
Stand = Literal["new", "waiting", "wanted", "accepted", "rejected"]
LICENCE_TERMS = (
    "I wrote this, or have the right to hand it on under the licence named, and it may be used, changed and shared "
    "under that licence, with my name on it (Developer Certificate of Origin 1.1)."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something that was done to a contribution."""

    at: str  # ISO 8601
    who: str
    what: Literal["submitted", "approved", "wanted", "rejected", "withdrawn"]
    note: str = ""
    commit: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A contribution, where it stands, and how it came there."""

    contribution: Contribution
    stand: Stand
    steps: tuple[Step, ...]
    commit: str  # of its branch, "" before it was submitted

    @property
    def since(self) -> str:
        """When it came to where it stands."""
        return self.steps[-1].at if self.steps else self.contribution.created


def submit(course: Path, contribution: Contribution, changes: dict[str, str], *, assisted_by: str = "") -> Standing:
    """Write a contribution, commit it to its branch, and put it in line for review.

    Args:
        assisted_by: The model that drafted part of it, which the commit says.

    Raises:
        RefusedError: the contributor did not sign it off, it was decided already, or it is somebody else's.
        Conflict: a file that it changes is another one by now than the one that it was made from.
    """
    if not contribution.signed_off or not contribution.who.strip():
        raise RefusedError("it is not signed off", hint="Say that you have the right to hand it on.")
    with _alone(course):
        before = _stand_of(course, contribution.id)
        if before in ("accepted", "rejected"):
            raise RefusedError(f"it was {before} already", where=contribution.id, hint="Begin a new one.")
        if before != "new" and read_contribution(course, contribution.id).who != contribution.who:
            raise RefusedError("this is somebody else's", where=contribution.id, hint="Begin a new one.")
        for name, digest in contribution.base.items():
            if digest != (hash_file(course / name) if (course / name).is_file() else ""):
                hint = "Load the page again; a correction is prepared anew."
                raise repository.Conflict("this was changed since it was begun", where=name, hint=hint)
        base = repository.open_repository(course)
        written = dataclasses.replace(contribution, base_commit=contribution.base_commit or base, state="open")
        write_contribution(course, written, changes)
        commit = repository.commit_files(
            course,
            written.id,
            changes,
            message=_message(written, assisted_by),
            name=written.who,
            email=written.email,
        )
        _add(course, written.id, Step(at=_now(), who=written.who, what="submitted", commit=commit))
    return standing(course, written.id)


def approve(course: Path, id: str, *, commit: str, who: str, email: str = "", note: str = "") -> Standing:
    """Put exactly this commit of a contribution into the course.

    Raises:
        RefusedError: it waits for nobody, has errors, or was changed after `commit`.
        Conflict: the course has changed in the same place.
    """
    with _alone(course):
        found = _waiting(course, id)
        faults = [p for p in found.contribution.problems if p.get("severity") == "error"]
        if faults:
            raise RefusedError(f"is not complete: {faults[0].get('message', '')}", where=id, hint="Ask for changes.")
        message = f"Take in {found.contribution.title}\n\n{note}\n\nContribution-Id: {id}\nReviewed-by: {who}\n"
        repository.merge(course, id, commit, message=message, name=who, email=email)
        settle(course, found.contribution, "accepted", note=note[:MAX_NOTE])
        _add(course, id, Step(at=_now(), who=who, what="approved", note=note, commit=commit))
    return standing(course, id)


def want_changes(course: Path, id: str, *, who: str, note: str) -> Standing:
    """Give a contribution back to its author, with what should be different."""
    return _decide(course, id, "wanted", who, note)


def reject(course: Path, id: str, *, who: str, note: str) -> Standing:
    """Decline a contribution, with the reason."""
    return _decide(course, id, "rejected", who, note)


def _decide(course: Path, id: str, what: Literal["wanted", "rejected"], who: str, note: str) -> Standing:
    if not note.strip():
        raise UsageError("say why, so that its author can do something about it")
    with _alone(course):
        found = _waiting(course, id)
        if what == "rejected":
            settle(course, found.contribution, "rejected", note=note[:MAX_NOTE])
        _add(course, id, Step(at=_now(), who=who, what=what, note=note, commit=found.commit))
    return standing(course, id)


def _waiting(course: Path, id: str) -> Standing:
    found = standing(course, id)
    if found.stand != "waiting":
        raise RefusedError("it does not wait for a decision", where=id, hint="Somebody else may have decided just now.")
    return found


# -- looking -----------------------------------------------------------------------------------------------------------


def standing(course: Path, id: str) -> Standing:
    """Return a contribution with its history.

    Raises:
        UsageError: there is no such contribution.
    """
    contribution = read_contribution(course, id)
    steps = _steps(course, id)
    commit = next((s.commit for s in reversed(steps) if s.what == "submitted"), "")
    return Standing(contribution=contribution, stand=_stand(contribution, steps), steps=steps, commit=commit)


def standings(course: Path) -> list[Standing]:
    """Return every contribution of a course: those that wait first, the oldest of them first."""
    found = []
    for contribution in read_contributions(course):
        steps = _steps(course, contribution.id)
        commit = next((s.commit for s in reversed(steps) if s.what == "submitted"), "")
        stand = _stand(contribution, steps)
        found.append(Standing(contribution=contribution, stand=stand, steps=steps, commit=commit))
    order = {"waiting": 0, "new": 1, "wanted": 2, "accepted": 3, "rejected": 4}
    waiting = sorted((f for f in found if f.stand == "waiting"), key=lambda f: f.since)
    others = sorted((f for f in found if f.stand != "waiting"), key=lambda f: f.since, reverse=True)
    return waiting + sorted(others, key=lambda f: order[f.stand])


def usual_days(found: list[Standing]) -> float | None:
    """Return how many days a decision took in the middle; None where fewer than three were made."""
    took = []
    for one in found:
        if one.stand in ("accepted", "rejected") and one.steps:
            began = next((s.at for s in one.steps if s.what == "submitted"), "")
            if began:
                took.append((_time(one.steps[-1].at) - _time(began)).total_seconds() / 86_400)
    return max(0.0, statistics.median(took)) if len(took) >= 3 else None


def difference(course: Path, found: Standing) -> Diff | None:
    """Return what a contribution changes, leaf by leaf; None before it was submitted."""
    base = repository.base_of(course, found.commit) if found.commit else ""
    old, new = (open_commit(course, base), open_commit(course, found.commit)) if base else (None, None)
    if old is None or new is None:
        return None
    return compare(at_commit(old), at_commit(new), base="the course as it was")


def changes_of(course: Path, found: Standing) -> dict[str, str]:
    """Return the files that a contribution brings, name -> text."""
    return read_changes(course, found.contribution)


# -- history -----------------------------------------------------------------------------------------------------------


def _stand_of(course: Path, id: str) -> Stand:
    try:
        return standing(course, id).stand
    except (UsageError, ContentError):
        return "new"


def _stand(contribution: Contribution, steps: tuple[Step, ...]) -> Stand:
    if contribution.state != "open":
        return contribution.state
    last = steps[-1].what if steps else ""
    return {"submitted": "waiting", "wanted": "wanted"}.get(last, "new")  # type: ignore[return-value]


def _steps(course: Path, id: str) -> tuple[Step, ...]:
    path = course / "contributions" / id / "history.jsonl"
    return tuple(read_jsonl(path, Step)) if path.is_file() else ()


def _add(course: Path, id: str, step: Step) -> None:
    step = dataclasses.replace(step, note=step.note[:MAX_NOTE])
    path = course / "contributions" / id / "history.jsonl"
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(dataclasses.asdict(step), ensure_ascii=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


def _message(contribution: Contribution, assisted_by: str) -> str:
    lines = [contribution.title, "", contribution.why or "No reason was given.", ""]
    lines.append(f"Contribution-Id: {contribution.id}")
    lines += [f"Assisted-by: {assisted_by}"] * bool(assisted_by)
    lines.append(f"Signed-off-by: {contribution.who} <{contribution.email or 'nobody@localhost'}>")
    return "\n".join(lines) + "\n"


@contextlib.contextmanager
def _alone(course: Path) -> Iterator[None]:
    """Hold a course's contributions, waiting for others as long as a person would."""
    end = time.monotonic() + WAIT_S
    with contextlib.ExitStack() as held:
        while True:
            try:
                held.enter_context(lock_folder(course / "contributions"))
                break
            except RefusedError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
        yield


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
