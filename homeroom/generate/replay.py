"""Replay: general prompts with the base student's own answers, mixed in so that tuning does not undo old abilities.

The student's own words keep its weights where they are; anybody else's would teach a new style. Source of the idea:
self-distillation for fine-tuning (arXiv 2402.13669); figures of ours are in `dev/LOG.md`.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from homeroom.core.files import read_jsonl
from homeroom.core.types import Answer, Message, Question, Sample, content_id
from homeroom.generate import checks

MAX_TOKENS = 48  # of an answer; what is cut there is learned without an end


def replay_prompts() -> list[str]:
    """Return the general prompts that ship with Homeroom."""
    path = Path(str(resources.files("homeroom.data") / "replay" / "prompts.jsonl"))
    return [row["prompt"] for row in read_jsonl(path)]


def replay_samples(student: Answer, prompts: Sequence[str], *, model: str) -> list[Sample]:
    """Return one sample a prompt, answered by the base student.

    Args:
        model: Identity of the base student.
    """
    asked = list(dict.fromkeys(prompts))
    answers = student([(Message(role="user", content=p),) for p in asked], max_tokens=MAX_TOKENS)
    return [
        Sample(
            id=content_id("replay", prompt, answer),
            kind="replay",
            messages=(Message(role="user", content=prompt), Message(role="assistant", content=_whole(answer))),
            teacher=model,
        )
        for prompt, answer in zip(asked, answers, strict=True)
        if _whole(answer)
    ]


def without_exam(samples: Sequence[Sample], exam: Sequence[Question]) -> list[Sample]:
    """Return the samples whose prompt has not the wording of an exam question (the retention suite's too)."""
    wording = checks.decontamination(exam)
    return [s for s in samples if wording(s.messages[0].content) is None]


def _whole(answer: str) -> str:
    """Cut an answer that ran into the limit back to its last whole sentence or line."""
    answer = answer.strip()
    if not answer or answer[-1] in ".!?\"')]":
        return answer
    end = max(answer.rfind(mark) for mark in (". ", ".\n", "! ", "? ", "\n"))
    return answer[: end + 1].strip() if end > 0 else answer
