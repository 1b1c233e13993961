"""What a contribution would do, tried out in a folder of its own before anybody decides: samples, or a small run.

    its leaf, at exactly one commit -> a course of that leaf alone -> a few samples          (`preview`)
                                                                   -> a small run, examined  (`trial`)

The course itself is neither read nor changed by it, save its settings and its exam. A trial that is stopped goes on
from its last good state; one that is done leaves what a page shows, and its folder, models and all, is removed.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from homeroom.core.errors import ContentError
from homeroom.core.files import read_json, read_jsonl, write_jsonl, write_text
from homeroom.core.types import Progress, Question, Rejected, Sample
from homeroom.pipeline.course import Course, Say, open_course
from homeroom.pipeline.run import run
from homeroom.taxonomy.history import open_commit
from homeroom.taxonomy.snapshot import at_commit

PREVIEW = ("samples.teacher_tokens=900", "samples.skill_samples=8", "samples.rewrites=0")
TRIAL = (
    "train.preset=smoke",
    "samples.teacher_tokens=2500",
    "samples.skill_samples=24",
    "samples.rewrites=1",
    "exam.questions=20",
    "evaluate.retention=short",
    "evaluate.with_sources=false",
)
MAX_SHOWN = 40  # samples, or questions of the exam, that a page gets
MAX_TEXT = 600  # characters of each


def lay_out(course: Path, leaf: str, commit: str, folder: Path) -> None:
    """Write the leaf, as it is at a commit, into a course of its own, with the settings of the course it is for.

    Raises:
        ContentError: the commit is not there, or has no such leaf.
    """
    found = open_commit(course, commit)
    state = at_commit(found, within=leaf) if found else None
    names = sorted(n for n in state.files if n.rpartition("/")[0] == leaf) if state else []
    if state is None or f"{leaf}/qna.yaml" not in names:
        raise ContentError("what was handed in is no longer there", where=leaf)
    for name, content in state.read(names).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    if (course / "recipe.yaml").is_file():
        write_text(folder / "recipe.yaml", (course / "recipe.yaml").read_text(encoding="utf-8"))


def preview(
    folder: Path, *, exam: Sequence[Question], options: tuple[str, ...], progress: Progress, say: Say
) -> dict[str, Any]:
    """Let the teacher write a few samples of a laid-out leaf, and return those that passed and what was thrown out.

    Args:
        exam: Of the course: what has its wording is thrown out here as it would be there.
    """
    course = _opened(folder, (*PREVIEW, *options), progress, say)
    for split in ("quiz", "dev", "final"):
        write_jsonl(course.out / "exam" / f"{split}.jsonl", [q for q in exam if q.split == split])
    for stage in ("documents", "facts", "samples"):
        run(course, until=stage, only=True)
    made = course.out / "samples"
    kept = [s for s in read_jsonl(made / "samples.jsonl", Sample) if s.kind != "seed" and s.messages]
    thrown = read_jsonl(made / "rejected.jsonl", Rejected)
    return {
        "kept": len(kept),
        "samples": [_shown(sample) for sample in kept[:MAX_SHOWN]],
        "thrown": dict(Counter(r.check for r in thrown).most_common(12)),
        "thrown_samples": [{**_shown(r.sample), "why": r.reason[:200]} for r in thrown[:8]],
    }


def trial(
    folder: Path, *, exam: Sequence[Question], options: tuple[str, ...], progress: Progress, say: Say
) -> dict[str, Any]:
    """Teach a laid-out leaf alone to a fresh student in a small run, and return its answers before and after.

    Args:
        exam: Questions that people wrote for this leaf; where there are none the teacher writes them, which it can
            for facts alone.
    """
    if exam:
        write_jsonl(folder / "exam.jsonl", exam)
    course = _opened(folder, (*TRIAL, *options), progress, say)
    run(course)
    report = read_json(course.out / "report" / "report.json")
    items = [i for i in read_jsonl(course.out / "report" / "items.jsonl") if i.get("set") == "final"]
    items.sort(key=lambda i: (i["correct_before"] or not i["correct_after"], i["correct_before"]))  # the gains first
    result = {
        "before": report["closed_book"]["before"],
        "after": report["closed_book"]["after"],
        "retention": report.get("retention"),
        "items": [
            {
                "question": str(i["question"])[:MAX_TEXT],
                "gold": str(i["gold"])[:MAX_TEXT],
                **{w: {"text": str(i[w])[:MAX_TEXT], "right": bool(i[f"correct_{w}"])} for w in ("before", "after")},
            }
            for i in items[:MAX_SHOWN]
        ],
    }
    shutil.rmtree(folder)  # a gigabyte of weights; what is worth keeping is in the result
    return result


def _opened(folder: Path, options: tuple[str, ...], progress: Progress, say: Say) -> Course:
    course = open_course(folder, options)
    course.progress, course.say = progress, say
    return course


def _shown(sample: Sample) -> dict[str, str]:
    def said(role: str) -> str:
        return "\n".join(m.content for m in sample.messages if m.role == role)[:MAX_TEXT]

    answer = said("assistant") or sample.text[:MAX_TEXT]
    return {"question": said("user"), "answer": answer, "quote": sample.quote[:MAX_TEXT]}
