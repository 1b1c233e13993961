"""Runs: begin one, watch it, stop it, go on; and the report at the end."""

from __future__ import annotations

import json
import math
from typing import Any

from homeroom.core.errors import HomeroomError, RefusedError
from homeroom.core.files import read_record
from homeroom.jobs.queue import Job
from homeroom.models.catalog import read_catalog
from homeroom.models.store import installed
from homeroom.pipeline.run import STAGES
from homeroom.web.asked import Ask, File, Go, NotFound, Page, number
from homeroom.web.desk import CourseEntry, server_options
from homeroom.web.events import Stream
from homeroom.web.page import render
from homeroom.web.translate import translator

STALLED_S = 180.0  # without a word
MAX_POINTS = 400
MAX_LINES = 200  # of the log, and other events among them
SIZES: dict[str, dict[str, Any]] = {
    "try": {
        "options": (
            "train.preset=smoke",
            "samples.teacher_tokens=2500",
            "exam.questions=12",
            "samples.skill_samples=12",
            "evaluate.retention=short",
        ),
        "budget": "",
    },
    "usual": {"options": (), "budget": "45m"},
    "long": {"options": (), "budget": "2h"},
}
REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; sandbox"


def runs(ask: Ask) -> Page:
    """List the runs of a course, and what a new one would take."""
    course = ask.desk.course(ask.path["course"])
    jobs = [job for job in ask.desk.jobs_of(course) if job.kind == "run"]
    values = {"course": course, "jobs": jobs, "sizes": list(SIZES), "leaves": len(ask.desk.tree(course).leaves)}
    active = next((job for job in jobs if job.state in ("queued", "running")), None)
    return Page(template="runs.html", values=values | {"active": active}, only_page=("sizes",))


def start(ask: Ask) -> Go:
    """Begin a run."""
    course = ask.desk.course(ask.path["course"])
    active = [j for j in ask.desk.jobs_of(course) if j.kind == "run" and j.state in ("queued", "running")]
    if active:
        return Go(to=f"/runs/{active[0].id}", said=translator(ask.language)("A run is under way already: here it is."))
    size = SIZES.get(ask.get("size"), SIZES["usual"])
    options = [*size["options"], *server_options(ask.desk)]
    spec = {"course": course.id, "folder": str(course.folder), "size": ask.get("size") or "usual"}
    key = f"{course.id} {ask.get('once')}" if ask.get("once") else ""
    spec |= {"options": options, "budget": size["budget"]}
    job = ask.desk.queue.submit("run", spec, owner=ask.who.name, device="compute", key=key)
    ask.desk.store.note(ask.who.name, "began a run", f"{course.id} {job}")
    return Go(to=f"/runs/{job}", values={"job": job})


def _job(ask: Ask) -> tuple[CourseEntry, Job]:
    job = ask.desk.queue.get(number(ask.path["job"], digits=14))
    if job is None:
        raise NotFound("there is no such run")
    return ask.desk.course(str(job.spec.get("course", ""))), job


def run(ask: Ask) -> Page | Go:
    """Show a run as it is now."""
    course, job = _job(ask)
    if job.kind != "run":
        return _back(job)
    return Page(template="run.html", values=_state(ask, course, job), only_page=("chart",))


def _state(ask: Ask, course: CourseEntry, job: Job) -> dict[str, Any]:
    found = ask.desk.queue.latest(job.id, MAX_LINES) if job.kind == "run" else []
    before = [j for j in ask.desk.queue.jobs(states=("queued", "running"), limit=200) if j.id < job.id]
    return {
        "course": course,
        "job": job,
        "stages": _stages(course, job),
        "lines": [e.data["text"] for e in found if e.kind == "say"],
        "last": found[-1].seq if found else 0,
        "before": len(before),
        "is_stalled": job.state == "running" and _now() - job.told > STALLED_S,
        "silent_s": _now() - job.told,
        "chart": _chart(course),
        "has_report": (course.folder / "out" / "report" / "record.json").is_file(),
    }


def _now() -> float:
    import time

    return time.time()


def _stages(course: CourseEntry, job: Job) -> list[dict[str, Any]]:
    """Return each stage with what is known of it: done, under way with its part and time, or still to come."""
    here = str(job.progress.get("stage", ""))
    rows = []
    for stage in STAGES:
        try:
            record = read_record(course.folder / "out" / stage)
        except HomeroomError:
            record = None
        is_now = job.state == "running" and stage == here
        state = "now" if is_now and record is None else "done" if record else "to come"
        part = job.progress.get("part") if is_now else None
        rows.append(
            {
                "name": stage,
                "state": state,
                "part": part,
                "left_s": job.progress.get("left_s") if is_now else None,
                "note": str(job.progress.get("note", "")) if is_now else "",
                "seconds": record.seconds if record else None,
            }
        )
    return rows


def _chart(course: CourseEntry) -> dict[str, Any] | None:
    """Return the loss of the phase that learned last, as points of a line, thinned, in a box of 600 by 160."""
    rows = []
    for line in _last_metrics(course):
        try:
            row = json.loads(line)
            rows.append((float(row["tokens"]), float(row["loss"]), float(row.get("tokens_per_second") or 0)))
        except (ValueError, KeyError, TypeError):
            continue
    rows = [r for r in rows if math.isfinite(r[1])]
    if len(rows) < 2:
        return None
    step = max(1, len(rows) // MAX_POINTS)
    kept = [*rows[::step], rows[-1]]
    low, high = min(r[1] for r in kept), max(r[1] for r in kept)
    wide, tall = max(r[0] for r in kept) or 1, (high - low) or 1
    points = " ".join(f"{600 * t / wide:.1f},{150 - 140 * (loss - low) / tall:.1f}" for t, loss, _ in kept)
    return {
        "points": points,
        "low": low,
        "high": high,
        "tokens": int(rows[-1][0]),
        "rate": rows[-1][2],
        "last": rows[-1][1],
    }


def _last_metrics(course: CourseEntry) -> list[bytes]:
    """Return the lines of the metrics that were written last; phases of earlier runs may lie beside them."""
    files = (course.folder / "out" / "runs").glob("*/metrics.jsonl")
    try:
        newest = max(files, key=lambda path: path.stat().st_mtime_ns, default=None)
        return newest.read_bytes().splitlines() if newest else []
    except FileNotFoundError:  # a run begins anew just now
        return []


def follow(ask: Ask) -> Stream:
    """Follow a run as it goes."""
    course, job = _job(ask)
    if job.kind != "run":  # what is tried or drafted is of whoever may see it where it belongs
        raise NotFound("there is no such run")
    session = ask.session
    if session is None:
        raise RefusedError("log in first")

    def since(seen: int) -> tuple[int, str, list[str]]:
        found = ask.desk.queue.events(job.id, after=seen)
        if not found:
            return seen, "", []
        now = ask.desk.queue.get(job.id) or job
        html = render(ask, Page(template="run_part.html", values=_state(ask, course, now)))
        return found[-1].seq, html, [str(e.data["text"]) for e in found if e.kind == "say"]

    return Stream(
        person=ask.who.id,
        since=since,
        state=lambda: (ask.desk.queue.get(job.id) or job).state,
        is_allowed=lambda: ask.desk.store.is_open(session),
        after=ask.after,
    )


def _may_change(ask: Ask, job: Job) -> None:
    if ask.who.role != "maintainer" and job.owner != ask.who.name:
        raise RefusedError("only a maintainer, or who began it, can do this")


def cancel(ask: Ask) -> Go:
    """Stop a run; what it made stays."""
    _, job = _job(ask)
    _may_change(ask, job)
    ask.desk.queue.cancel(job.id)
    ask.desk.store.note(ask.who.name, "stopped a run", str(job.id))
    return _back(job)


def resume(ask: Ask) -> Go:
    """Go on with a run that stopped or failed."""
    _, job = _job(ask)
    _may_change(ask, job)
    ask.desk.queue.resume(job.id)
    ask.desk.store.note(ask.who.name, "went on with a run", str(job.id))
    return _back(job)


def _back(job: Job) -> Go:
    course = job.spec["course"]
    if job.kind == "draft":
        return Go(to=f"/courses/{course}/drafts/{job.spec.get('draft', '')}")
    if "contribution" in job.spec:
        return Go(to=f"/courses/{course}/contributions/{job.spec['contribution']}#{job.kind}")
    return Go(to=f"/runs/{job.id}")


# -- the report, and the models ---------------------------------------------------------------------------------------


def report(ask: Ask) -> Page:
    """Show what the last run moved."""
    course = ask.desk.course(ask.path["course"])
    found = ask.desk.report(course)
    return Page(template="report.html", values={"course": course, "report": found})


def full_report(ask: Ask) -> File:
    """Show the whole report, as the run wrote it."""
    course = ask.desk.course(ask.path["course"])
    path = course.folder / "out" / "report" / "report.html"
    if not path.is_file() or path.is_symlink():
        raise NotFound("there is no report yet")
    return File(content=path.read_bytes(), kind="text/html", policy=REPORT_POLICY)


def models(ask: Ask) -> Page:
    """List the models: what each is for, its licence, and whether it is on this machine."""
    here = {m.model.name for m in installed()}
    rows = [
        {
            "name": name,
            "licence": m.licence,
            "size": m.size_bytes,
            "role": m.role,
            "is_here": name in here,
            "note": m.note,
        }
        for name, m in read_catalog().items()
    ]
    return Page(template="models.html", values={"models": rows})
