"""What a base says to what ships with Homeroom: the same for every course, so it is asked once on a machine.

    base -> replay prompts       -> samples that keep the student who it was
    base -> suites, control      -> what it knew before

Both are kept in the store of models. Questions of a course never get there.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from homeroom.core.files import read_jsonl, write_jsonl
from homeroom.core.types import Answer, Message, Sample, content_id
from homeroom.pipeline.course import Course, digest_of, exam_of

SUITES = ("general", "more", "steering", "control")


def replay_of(course: Course) -> list[Sample]:
    """Return the base student's answers to general prompts, without those that ask as an exam or a suite does."""
    from homeroom.evaluate.exam import shipped
    from homeroom.generate.replay import MAX_TOKENS, replay_prompts, replay_samples, without_exam
    from homeroom.models.store import store_home
    from homeroom.models.torch_engine import TorchEngine

    prompts, others = replay_prompts(), [*(q for name in SUITES for q in shipped(name)), *exam_of(course)]
    kept = store_home() / "replay" / f"{content_id(digest_of(course.student()), prompts, MAX_TOKENS)}.jsonl"
    if not kept.is_file():
        engine = TorchEngine(course.student())

        def told(done: int, total: int) -> None:
            course.progress("dataset", done, total, "the base answers general prompts")

        def answer(conversations: list[tuple[Message, ...]], *, max_tokens: int) -> list[str]:
            return engine.answer(conversations, max_tokens=max_tokens, on_progress=told)

        write_jsonl(kept, replay_samples(answer, prompts, model=course.recipe.student.model))
    return without_exam(read_jsonl(kept, Sample), others)


def once(answer: Answer, folder: Path) -> Answer:
    """Return an `Answer` that asks the model in `folder` what ships with Homeroom only once on this machine."""
    from homeroom.evaluate.stage import keep_answers
    from homeroom.models.store import store_home

    kept = keep_answers(answer, store_home() / "answers", digest=digest_of(folder))

    def ask(conversations: Sequence[tuple[Message, ...]], **limits: Any) -> list[str]:
        return (kept if _shipped().issuperset(conversations) else answer)(conversations, **limits)

    return ask


@cache
def _shipped() -> frozenset[tuple[Message, ...]]:
    from homeroom.evaluate.exam import shipped
    from homeroom.evaluate.grade import prompt

    return frozenset(prompt(question) for name in SUITES for question in shipped(name))
