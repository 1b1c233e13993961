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

MAX_TOKENS = 64  # of an answer; what is cut there is learned without an end


def replay_prompts() -> list[str]:
    """Return the general prompts that ship with Homeroom."""
    path = Path(str(resources.files("homeroom.data") / "replay" / "prompts.jsonl"))
    return [row["prompt"] for row in read_jsonl(path)]


def replay_samples(student: Answer, prompts: Sequence[str], *, exam: Sequence[Question], model: str) -> list[Sample]:
    """Return one sample a prompt, answered by the base student.

    Args:
        exam: Questions (the retention suite's too) whose wording a prompt must not have.
        model: Identity of the base student.
    """
    wording = checks.decontamination(exam)
    clean = [p for p in dict.fromkeys(prompts) if wording(p) is None]
    answers = student([(Message(role="user", content=p),) for p in clean], max_tokens=MAX_TOKENS)
    return [
        Sample(
            id=content_id("replay", prompt, answer),
            kind="replay",
            messages=(Message(role="user", content=prompt), Message(role="assistant", content=_whole(answer))),
            teacher=model,
        )
        for prompt, answer in zip(clean, answers, strict=True)
        if _whole(answer)
    ]


def _whole(answer: str) -> str:
    """Cut an answer that ran into the limit back to its last whole sentence or line."""
    answer = answer.strip()
    if not answer or answer[-1] in ".!?\"')]":
        return answer
    end = max(answer.rfind(mark) for mark in (". ", ".\n", "! ", "? ", "\n"))
    return answer[: end + 1].strip() if end > 0 else answer
