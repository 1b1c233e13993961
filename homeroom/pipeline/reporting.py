"""The last stage: base and tuned are examined, and the report is written.

exam, dataset, train -> report
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from homeroom.core.contributions import read_contributions
from homeroom.core.errors import ContentError
from homeroom.core.files import read_jsonl
from homeroom.core.types import Answer, Chunk, Message, Question
from homeroom.pipeline.background import background
from homeroom.pipeline.course import Course, exam_of
from homeroom.pipeline.general import once


def make_report(course: Course, out: Path) -> dict[str, Any]:
    """Examine base and tuned, and write the report."""
    from homeroom.evaluate.exam import shipped
    from homeroom.evaluate.stage import Pupil, Suites, evaluate_models
    from homeroom.models.torch_engine import TorchEngine
    from homeroom.pipeline.course import open_judge

    course.rest()
    exam, base = exam_of(course), course.student()
    suites = Suites(
        exam=exam,
        retention=shipped("general"),
        more=shipped("more") if course.recipe.evaluate.retention == "full" else (),
        control=shipped("control"),
        corrections=accepted_corrections(course),
        passages=_passages(course, exam),
        found=_looked_up(course, exam) if course.recipe.evaluate.with_sources else {},
        rubrics=_rubrics(course),
    )
    engines = {"base": TorchEngine(base), "tuned": TorchEngine(course.out / "model")}
    answered, seconds = 0, 0.0

    def counted(engine: TorchEngine) -> Answer:
        def answer(conversations: Sequence[tuple[Message, ...]], **limits: Any) -> list[str]:
            nonlocal answered, seconds
            began = time.monotonic()
            replies = engine.answer(conversations, **limits)
            answered, seconds = answered + len(conversations), seconds + time.monotonic() - began
            return replies

        return answer

    answers = {"base": once(counted(engines["base"]), base), "tuned": counted(engines["tuned"])}
    report = evaluate_models(
        suites,
        **{name: Pupil(answer=answers[name], logprob=engine.logprob) for name, engine in engines.items()},
        config=course.recipe.evaluate,
        out=out,
        facts_about=background(course, base),
        judge=open_judge(course.recipe),
        progress=course.progress,
    )
    told = {name: report[name] for name in ("verdict", "closed_book", "retention")}
    return told | {"answers": answered, "answer_seconds": round(seconds, 1)}  # given now; kept ones took no time


def _rubrics(course: Course) -> dict[str, str]:
    """Return what each leaf's `rubric.md` says of good answers."""
    from homeroom.evaluate.judge import MAX_RUBRIC

    files = {leaf.path: course.folder / leaf.path / "rubric.md" for leaf in course.leaves}
    return {
        path: file.read_text(encoding="utf-8", errors="replace")[:MAX_RUBRIC]
        for path, file in files.items()
        if file.is_file() and file.stat().st_size < 100_000
    }


def accepted_corrections(course: Course) -> list[Question]:
    """Return what people corrected and a reviewer accepted, as questions; one that cannot be graded is left out."""
    from homeroom.evaluate.exam import to_question

    found = []
    for given in read_contributions(course.folder):
        if given.kind == "correction" and given.state == "accepted":
            with contextlib.suppress(ContentError):
                row = {"id": f"correction-{given.id}", "question": given.question, "answer": given.answer}
                found.append(to_question(row | {"leaf": given.leaf}))
    return found


def _looked_up(course: Course, exam: Sequence[Question]) -> dict[str, str]:
    """Return what a search in the course's documents finds for each final question."""
    from homeroom.models.embedder import shipped_embedder
    from homeroom.serve.retrieval import read_library

    asked = [q for q in exam if q.split == "final" and q.kind != "rewrite"]
    if not asked or not read_jsonl(course.out / "documents" / "chunks.jsonl"):
        return {}
    library = read_library(course.out / "documents", embed=shipped_embedder().embed)
    found = {q.id: library.look_up(q.question) for q in asked}
    return {id: hit.text for id, hit in found.items() if hit}


def _passages(course: Course, exam: Sequence[Question]) -> dict[str, str]:
    chunks = read_jsonl(course.out / "documents" / "chunks.jsonl", Chunk)
    found = {}
    for question in exam:
        text = next((c.text for c in chunks if question.source and question.source in c.text), "")
        if text and question.kind != "rewrite":
            found[question.id] = text
    return found
