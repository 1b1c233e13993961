"""Trying a contribution out before anybody decides: a few samples of the teacher's, or a small run, as jobs.

A job's key names the course, the contribution and the commit, so what is shown belongs to exactly what is decided on:
after a change there is nothing yet, and a second press of the button is the same job.
"""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Any

from homeroom.community.review import Standing, standing
from homeroom.core.errors import ContentError, HomeroomError
from homeroom.jobs.queue import Job
from homeroom.web.asked import Ask, Go
from homeroom.web.desk import CourseEntry, Desk, server_options

KINDS = ("preview", "trial")


def tried(desk: Desk, course: CourseEntry, found: Standing) -> dict[str, Job | None]:
    """Return the jobs that tried out what is handed in now; None for one that nobody began."""
    return {kind: desk.queue.find(_key(kind, course, found)) if found.commit else None for kind in KINDS}


def try_out(ask: Ask, course: CourseEntry, found: Standing, kind: str) -> Go:
    """Put a preview or a trial in line; one that failed or was stopped goes on."""
    c = found.contribution
    if found.stand != "waiting" or not found.commit:
        raise ContentError("only what waits for a decision can be tried out")
    old = tried(ask.desk, course, found)[kind]
    spec = {
        "course": course.id,
        "contribution": c.id,
        "of": str(course.folder),
        "folder": str(_folder(ask.desk, course, c.id) / found.commit[:12]),
        "leaf": c.leaf,
        "commit": found.commit,
        "options": server_options(ask.desk),
    }
    sweep(ask.desk)
    _forget_older(ask.desk, course, found)
    if old is not None and old.state in ("failed", "cancelled"):
        ask.desk.queue.resume(old.id)
    else:
        ask.desk.queue.submit(kind, spec, owner=ask.who.name, device="compute", key=_key(kind, course, found))
    ask.desk.store.note(ask.who.name, f"began a {kind}", f"{course.id} {c.id} {found.commit}")
    return Go(to=f"/courses/{course.id}/contributions/{c.id}#{kind}")


def decided(desk: Desk, course: CourseEntry, found: Standing) -> None:
    """Stop what is still being tried of a contribution that was decided on, and free its disk."""
    for job in tried(desk, course, found).values():
        if job and job.state in ("queued", "running"):
            desk.queue.cancel(job.id)
    sweep(desk)


def sweep(desk: Desk) -> None:
    """Remove what was tried of contributions that wait for no decision; where a job is still ending, the next time."""
    busy = {Path(str(job.spec.get("folder"))).parent for job in desk.queue.jobs(states=("running",))}
    for folder in (desk.state / "trials").glob("*/*"):
        if folder not in busy and not _waits(desk, folder.parent.name, folder.name):
            shutil.rmtree(folder, ignore_errors=True)


def _waits(desk: Desk, course: str, id: str) -> bool:
    try:
        return standing(desk.course(course).folder, id).stand == "waiting"
    except HomeroomError:  # it is gone
        return False


def _forget_older(desk: Desk, course: CourseEntry, found: Standing) -> None:
    """Remove what a trial of an earlier state left on the disk, unless one is at work there."""
    folder = _folder(desk, course, found.contribution.id)
    busy = {str(job.spec.get("folder")) for job in desk.queue.jobs(states=("running",))}
    with contextlib.suppress(OSError):
        for old in folder.iterdir():
            if old.name != found.commit[:12] and str(old) not in busy:
                shutil.rmtree(old, ignore_errors=True)


def _folder(desk: Desk, course: CourseEntry, id: str) -> Any:
    return desk.state / "trials" / course.id / id


def _key(kind: str, course: CourseEntry, found: Standing) -> str:
    return f"{kind} {course.id} {found.contribution.id} {found.commit}"
