"""Asking the student, before and after side by side, and what to do about a wrong answer."""

from __future__ import annotations

from typing import Any

from homeroom.author.correct import NeedsPassage, correct
from homeroom.core.errors import HomeroomError, MachineError
from homeroom.core.files import read_jsonl
from homeroom.core.types import Chunk
from homeroom.generate.checks import content_words
from homeroom.web.answers import has_tuned
from homeroom.web.asked import Ask, Go, Page
from homeroom.web.desk import CourseEntry, server_options
from homeroom.web.translate import translator

MAX_QUESTION = 1_000
SOURCES = 3


def ask_page(ask: Ask) -> Page:
    """Show the form to ask the student."""
    course = ask.desk.course(ask.path["course"])
    is_taught = has_tuned(course.folder)
    values = {"course": course, "question": ask.query.get("question", "")[:MAX_QUESTION], "answers": {}, "sources": []}
    values |= {"has_tuned": is_taught, "wrong": "", "hint": "", "is_teaching": _busy(ask)}
    return Page(template="ask.html", values=values)


def _busy(ask: Ask) -> bool:
    return bool(ask.desk.queue.jobs(states=("running",), limit=1))


def asked(ask: Ask) -> Page:
    """Ask the student, and show both answers and the passages they could rest on."""
    course, question = ask.desk.course(ask.path["course"]), ask.get("question").strip()[:MAX_QUESTION]
    is_taught = has_tuned(course.folder)
    answers: dict[str, str] = {}
    wrong = "" if question else "Ask something first."
    hint = ""
    if question:
        try:
            answers = ask.desk.answers.ask(course.folder, question)
        except MachineError as error:
            wrong, hint = error.message, error.hint
    values = {"course": course, "question": question, "answers": answers, "has_tuned": is_taught}
    values |= {"wrong": wrong, "hint": hint}
    values |= {"sources": _sources(ask, course, question) if answers else [], "is_teaching": _busy(ask)}
    return Page(template="ask_part.html" if ask.is_part else "ask.html", values=values)


def _sources(ask: Ask, course: CourseEntry, question: str) -> list[dict[str, Any]]:
    """Return the passages of the documents that share the most telling words with a question."""
    path = course.folder / "out" / "documents" / "chunks.jsonl"
    if not path.is_file():
        return []

    def read() -> list[tuple[Chunk, set[str]]]:
        return [(c, content_words(f"{c.heading} {c.text}")) for c in read_jsonl(path, Chunk)]

    try:
        chunks = ask.desk.made(course, "chunks", path.stat().st_mtime_ns, read)
    except HomeroomError:
        return []
    asked = content_words(question)
    found = sorted(((len(asked & words), n) for n, (_, words) in enumerate(chunks)), key=lambda f: (-f[0], f[1]))
    rows = [chunks[n][0] for shared, n in found[:SOURCES] if shared >= min(2, len(asked))]
    return [{"title": c.title, "heading": c.heading, "text": c.text, "page": c.page} for c in rows]


def correct_page(ask: Ask) -> Page:
    """Show the form to correct a wrong answer."""
    course = ask.desk.course(ask.path["course"])
    return Page(template="correct.html", values=_values(ask, course))


def _values(ask: Ask, course: CourseEntry, **more: Any) -> dict[str, Any]:
    given = {name: ask.get(name)[:4000] for name in ("question", "wrong", "answer", "passage")}
    return {"course": course, **given, "candidates": [], "problem": "", "hint": "", **more}


def corrected(ask: Ask) -> Page | Go:
    """Make a contribution of the right answer, or ask for the words that it rests on."""
    course = ask.desk.course(ask.path["course"])
    try:
        made = correct(
            course.folder,
            ask.get("question"),
            ask.get("answer"),
            wrong=ask.get("wrong"),
            passage=ask.get("passage"),
            why=ask.get("why"),
            who=ask.who.name,
            email=ask.who.email,
            options=server_options(ask.desk),
        )
    except NeedsPassage as error:
        near = [c.evidence.quote for c in error.candidates[:4]]
        values = _values(ask, course, candidates=near, problem=error.message.split(" The nearest is:")[0])
        return Page(template="correct.html", values=values | {"hint": error.hint}, status=400)
    except HomeroomError as error:
        values = _values(ask, course, problem=error.message, hint=error.hint)
        return Page(template="correct.html", values=values, status=400)
    ask.desk.store.note(ask.who.name, "prepared a correction", f"{course.id} {made.contribution.id}")
    said = translator(ask.language)("Your correction is ready. Look it over, then hand it in.")
    values = {"contribution": made.contribution.id}
    return Go(to=f"/courses/{course.id}/contributions/{made.contribution.id}", said=said, values=values)
