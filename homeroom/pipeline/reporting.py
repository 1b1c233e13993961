"""The last stage: base and tuned are examined, and the report is written.

exam, dataset, train -> report
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from homeroom.core.contributions import read_contributions
from homeroom.core.errors import ContentError
from homeroom.core.files import read_jsonl, read_record
from homeroom.core.types import Chunk, Question, Rejected
from homeroom.pipeline.course import Course, digest_of, exam_of, facts_of, in_words, summary_of


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
        corrections=_corrections(course),
        passages=_passages(course, exam),
        found=_looked_up(course, exam) if course.recipe.evaluate.with_sources else {},
        rubrics=_rubrics(course),
    )
    engines = {"base": TorchEngine(base), "tuned": TorchEngine(course.out / "model")}
    report = evaluate_models(
        suites,
        **{name: Pupil(answer=engine.answer, logprob=engine.logprob) for name, engine in engines.items()},
        config=course.recipe.evaluate,
        out=out,
        facts_about=_about(course, base),
        judge=open_judge(course.recipe),
        progress=course.progress,
    )
    return {"verdict": report["verdict"], "closed_book": report["closed_book"], "retention": report["retention"]}


def _rubrics(course: Course) -> dict[str, str]:
    """Return what each leaf's `rubric.md` says of good answers."""
    from homeroom.evaluate.judge import MAX_RUBRIC

    files = {leaf.path: course.folder / leaf.path / "rubric.md" for leaf in course.leaves}
    return {
        path: file.read_text(encoding="utf-8", errors="replace")[:MAX_RUBRIC]
        for path, file in files.items()
        if file.is_file() and file.stat().st_size < 100_000
    }


def _corrections(course: Course) -> list[Question]:
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


def _about(course: Course, base: Path) -> dict[str, Any]:
    """Return what the report says of models, data, time and machine."""
    from homeroom.models.machine import describe

    rejected = read_jsonl(course.out / "samples" / "rejected.jsonl", Rejected)
    made = summary_of(course, "samples")
    stages = []
    for stage in ("documents", "facts", "exam", "samples", "dataset", "train"):
        record = read_record(course.out / stage)
        if record:
            stages.append({"name": stage, "seconds": record.seconds, "note": in_words(record.summary)})
    machine, student = describe(), course.recipe.student.model
    return {
        "course": course.folder.resolve().name,
        "title": ", ".join(leaf.path.rsplit("/", 1)[-1] for leaf in course.leaves[:3]),
        "models": {
            "base": {"name": student, "digest": digest_of(base), **facts_of(student)},
            "tuned": {"name": "this course's student", "digest": digest_of(course.out / "model")},
            "teacher": {"name": course.teacher_name, **facts_of(course.recipe.teacher.model)},
        },
        "funnel": {
            "made": made.get("kept", 0) + made.get("rejected", 0),
            "kept": made.get("kept", 0),
            "rejected": dict(Counter(f"{r.check}: {_general(r.reason)}" for r in rejected).most_common(12)),
        },
        "taught": {
            "facts": made.get("facts_known", 0),
            "covered": made.get("facts_covered", 0),
            "samples": made.get("kept", 0),
            "documents": summary_of(course, "documents").get("documents", 0),
        },
        "stages": stages,
        "budget": {
            "limit_s": course.budget.get("seconds"),
            "teacher_tokens": made.get("teacher_tokens", 0),
            "train_tokens": summary_of(course, "train").get("tokens", 0),
        },
        "machine": f"{machine.cpus} cores, {machine.memory_gib:.0f} GiB, {machine.platform}",
    }


def _general(reason: str) -> str:
    return reason.split(" is not in ")[-1] and ("not in the source" if " is not in " in reason else reason)
