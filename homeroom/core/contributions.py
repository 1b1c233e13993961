"""A contribution on disk: what somebody wants changed, why, and what it rests on.

    contributions/<id>/contribution.json     who, why, sign-off, leaf, base, evidence, the wrong answer, the check
    contributions/<id>/files/...             the changed files whole, under the names that they have in the course

A page, a bot, a patch and the command line carry the same folder. Nothing in the course changes until `accept` puts
the files where they belong, and it refuses where the course has moved on meanwhile. The id is a hash of the content:
the same contribution twice is one folder.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from homeroom.core.errors import ContentError, RefusedError, UsageError
from homeroom.core.files import from_json, hash_file, read_json, write_json, write_text
from homeroom.core.types import content_id

FOLDER = "contributions"
VERSION = 1
MAX_CONTRIBUTIONS = 100_000
MAX_FILE_BYTES = 2**20
State = Literal["open", "accepted", "rejected"]

_ID = re.compile(r"[0-9a-f]{12}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The words of a document that an answer rests on."""

    leaf: str
    document: str  # its name; "" where the person wrote the passage and no document holds it
    quote: str
    start: int = 0  # bytes of the document's text
    end: int = 0
    heading: str = ""
    page: int = 0  # 0 where the document has none


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """What `contribution.json` holds. Files are named relative to the course, with forward slashes."""

    id: str
    kind: str  # "correction"; others as they come
    title: str  # one line, for a list
    leaf: str
    files: tuple[str, ...]
    base: dict[str, str]  # file -> sha256 of what it replaces; "" where it is new
    base_commit: str = ""  # of the course's git repository; "" without one
    who: str = ""
    email: str = ""
    signed_off: bool = False  # Developer Certificate of Origin 1.1
    why: str = ""
    created: str = ""  # ISO 8601
    question: str = ""
    answer: str = ""  # the right one
    wrong_answer: str = ""
    evidence: Evidence | None = None
    problems: tuple[dict[str, Any], ...] = ()  # of `check`, those that this change brings
    is_draft: bool = False  # it names a leaf that is not complete yet
    state: State = "open"
    note: str = ""  # of who accepted or rejected it
    version: int = VERSION


def contribution_id(kind: str, leaf: str, changes: Mapping[str, str], who: str) -> str:
    """Return the id of somebody's contribution that would leave these files so; nobody else's has the same."""
    return content_id(kind, leaf, sorted(changes.items()), who)


def write_contribution(course: Path, contribution: Contribution, changes: Mapping[str, str]) -> Path:
    """Write a contribution and its files (name -> text) and return its folder; the JSON comes last.

    Raises:
        UsageError: a file's name leads out of the taxonomy, or the id is none.
    """
    folder = _folder(course, contribution.id)
    for name, text in changes.items():
        check_name(name)
        if len(text.encode("utf-8", "surrogatepass")) > MAX_FILE_BYTES:
            raise ContentError(f"larger than {MAX_FILE_BYTES:,} bytes", where=name)
        place = folder / "files" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        write_text(place, text)
    write_json(folder / "contribution.json", dataclasses.asdict(contribution))
    return folder


def read_contribution(course: Path, id: str) -> Contribution:
    """Return one contribution.

    Raises:
        UsageError: it is not there.
        ContentError: its JSON is not that of a contribution.
    """
    path = _folder(course, id) / "contribution.json"
    if not path.is_file():
        raise UsageError(f"there is no contribution {id}", where=str(course / FOLDER), hint="See contributions/.")
    value = read_json(path)
    if isinstance(value, dict) and value.get("version") != VERSION:
        raise ContentError(f"is of version {value.get('version')!r}, not {VERSION}", where=str(path))
    found = from_json(Contribution, value, where=str(path))
    for name in found.files:
        check_name(name)
    return found


def read_contributions(course: Path) -> Iterator[Contribution]:
    """Yield the contributions of a course in the order of their ids; one that cannot be read is passed over."""
    folder = course / FOLDER
    names = sorted(os.listdir(folder))[:MAX_CONTRIBUTIONS] if folder.is_dir() else []
    for name in names:
        if _ID.fullmatch(name) and (folder / name / "contribution.json").is_file():
            try:
                yield read_contribution(course, name)
            except (ContentError, UsageError):
                continue


def read_changes(course: Path, contribution: Contribution) -> dict[str, str]:
    """Return the files that a contribution brings, name -> text.

    Raises:
        ContentError: one is missing, too large, a link, or not UTF-8.
    """
    changes = {}
    for name in contribution.files:
        place = _folder(course, contribution.id) / "files" / name
        if place.is_symlink() or not place.is_file() or place.stat().st_size > MAX_FILE_BYTES:
            raise ContentError("is missing, too large, or no ordinary file", where=str(place))
        try:
            changes[name] = place.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise ContentError("is not UTF-8", where=str(place)) from None
    return changes


def accept(course: Path, id: str, *, note: str = "") -> Contribution:
    """Put a contribution's files into the course and mark it accepted; what a full disk broke off goes on from there.

    Raises:
        RefusedError: it was rejected, `check` found errors in it (a draft that is not complete), or a file that it
            changes is not as it was when the change was made.
    """
    contribution = read_contribution(course, id)
    if contribution.state == "accepted":
        return contribution
    if contribution.state == "rejected":
        raise RefusedError("was rejected", where=id, hint="Make it anew, with what was asked for.")
    faults = [str(p.get("message", "")) for p in contribution.problems if p.get("severity") == "error"]
    if faults:
        raise RefusedError(f"is not complete: {'; '.join(faults[:3])}", where=id, hint="Complete the leaf first.")
    changes = read_changes(course, contribution)
    for name, text in changes.items():
        _check_place(course, name)
        have = hash_file(course / name) if (course / name).is_file() else ""
        if have not in (contribution.base.get(name, ""), hashlib.sha256(text.encode()).hexdigest()):
            raise RefusedError(
                "has changed since this contribution was made",
                where=name,
                hint="Make the correction again: it is then based on what is there now.",
            )
    for name, text in changes.items():
        (course / name).parent.mkdir(parents=True, exist_ok=True)
        write_text(course / name, text)
    return settle(course, contribution, "accepted", note=note)


def settle(course: Path, contribution: Contribution, state: State, *, note: str = "") -> Contribution:
    """Write a contribution's new state, and return it."""
    changed = dataclasses.replace(contribution, state=state, note=note)
    write_json(_folder(course, contribution.id) / "contribution.json", dataclasses.asdict(changed))
    return changed


def remove(course: Path, id: str) -> None:
    """Delete a contribution that is not accepted: its author wants it back."""
    if read_contribution(course, id).state == "accepted":
        raise RefusedError("is accepted: it is part of the course's history", where=id)
    shutil.rmtree(_folder(course, id))


def _folder(course: Path, id: str) -> Path:
    if not _ID.fullmatch(id):
        raise UsageError(f"{id[:40]!r} is no id of a contribution", hint="It has 12 digits, 0-9 and a-f.")
    return course / FOLDER / id


def check_name(name: str) -> None:
    """Refuse the name of a file that lies in no leaf, or leads out of the course.

    Raises:
        UsageError: saying which.
    """
    parts = PurePosixPath(name).parts
    bad = not name.isprintable() or "\\" in name or name.startswith(("/", "-")) or name != "/".join(parts)
    if bad or ".." in parts or any(part.startswith(".") for part in parts) or len(name) > 500:
        raise UsageError(f"{name[:80]!r} is no file of a course")
    if parts[0] not in ("knowledge", "compositional_skills") or len(parts) < 3:
        raise UsageError(f"{name[:80]!r} lies in no leaf", hint="knowledge/... or compositional_skills/...")


def _check_place(course: Path, name: str) -> None:
    place = course / name
    if place.is_symlink() or not place.resolve().is_relative_to(course.resolve()):
        raise RefusedError("leads out of the course", where=str(place), hint="Replace the link by a folder.")
