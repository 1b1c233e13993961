"""The gate on forgetting: a student that lost more than the recipe allows is taken part of the way back, or refused.

    base, tuned -> share of the way at which forgetting is allowed -> out/model      or: the base stays, exit code 5

Forgetting is measured on every second question of the retention suite, so that the other half, which steered nothing,
still says in the report what was lost. `evaluate.max_forgetting` is the share of what the base answered right that may
be wrong now; 1 (the default) lets everything pass. The student as it was trained stays in `out/refused`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from homeroom.core.errors import RefusedError
from homeroom.core.types import Question
from homeroom.pipeline.course import Course, digest_of

SHARES = (0.85, 0.7, 0.55, 0.4)  # of the way from the base that are tried, the farthest first
Right = Callable[[Path], list[bool]]  # a model's folder -> whether each question is answered right


def hold_gate(course: Course, retention: Sequence[Question]) -> dict[str, Any]:
    """Turn the dial of a course's student until it forgets no more than allowed; return what was done.

    Raises:
        RefusedError: it forgets too much however near to the base it is; `out/model` is gone, so the base is used.
    """
    asked = retention[::2]

    def right(folder: Path) -> list[bool]:
        from homeroom.evaluate.exam import examine
        from homeroom.evaluate.stage import keep_answers
        from homeroom.models.torch_engine import TorchEngine

        kept = course.out / "report" / "answers"
        answer = keep_answers(TorchEngine(folder).answer, kept, digest=digest_of(folder))
        tokens = course.recipe.evaluate.max_tokens
        return [s.correct for s in examine(asked, answer, max_tokens=tokens, progress=course.progress, stage="gate")]

    return turn(
        course.student(),
        course.out / "model",
        refused=course.out / "refused",
        most=course.recipe.evaluate.max_forgetting,
        right=right,
        say=course.say,
    )


def turn(
    base: Path, model: Path, *, refused: Path, most: float, right: Right, say: Callable[[str], None]
) -> dict[str, Any]:
    """Replace `model` by the farthest mixture with the base that forgets at most `most`.

    Returns:
        {"dial": share of the way, "forgetting": at that share}; 1.0 where the student passed as it was.

    Raises:
        RefusedError: none does. `model` was moved to `refused`.
    """
    from homeroom.train.blend import dial
    from homeroom.train.phases import replace_folder

    known = right(base)
    found = forgetting(known, right(model))
    if found <= most:
        return {"dial": 1.0, "forgetting": found}
    say(f"gate: the student forgot {found:.0%} of what the base knew, {most:.0%} are allowed; turning the dial")
    tried = model.with_name("model.dial")
    for share in SHARES:
        after = forgetting(known, right(dial(base, model, share, tried)))
        say(f"gate: {share:.0%} of the way forgets {after:.0%}")
        if after <= most:
            replace_folder(tried, model)
            return {"dial": share, "forgetting": after}
    shutil.rmtree(tried, ignore_errors=True)
    replace_folder(model, refused)
    raise RefusedError(
        f"the student forgot {found:.0%} of what the base knew, and {most:.0%} are allowed; the base stays in use",
        where="evaluate.max_forgetting",
        hint=f"More replay (dataset.replay_share) or a smaller lr forgets less. The student is in {refused}.",
    )


def take_back(refused: Path, model: Path) -> None:
    """Put a student that the gate refused back where training left it: a milder gate need not train anew."""
    from homeroom.train.phases import replace_folder

    if (refused / "config.json").is_file() and not model.exists():
        replace_folder(refused, model)


def forgetting(before: Sequence[bool], after: Sequence[bool]) -> float:
    """Return the share of what was right before and is wrong after; 0 where nothing was right.

    Example:
        >>> forgetting([True, True, False], [True, False, True])
        0.5
    """
    known = [a for b, a in zip(before, after, strict=True) if b]
    return round(1 - sum(known) / len(known), 4) if known else 0.0
