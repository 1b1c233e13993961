"""The dial: how far from its base towards what it learned a student goes, found by asking both sides of the bargain.

    base, out/trained -> share of the way -> out/model        or: the base stays in use, exit code 5

The weights of base and student, mixed, forget less than the student and know nearly all that it knows; how much of
each differs from course to course. The last tenth of the way brought students of one course 3 points of its exam for
6 of the old abilities (six and five of them, dev/LOG.md); the 170 questions that are asked here are too few to tell
that of one. So the student is asked from nine tenths of the way on, until it keeps `train.keep` of what the base knew,
or has lost more than a tenth of what it learned. What it learned is the exam's
quiz and dev questions, which may steer; what it forgot is a suite of its own for that (retention/steering.jsonl), so
that the suites in the report say, unsteered, what was lost.

`evaluate.max_forgetting` is a gate: above it the dial is turned on, whatever is unlearned, and at its end the student
is refused. It stays in `out/trained`, so another setting needs no training.

Source: WiSE-FT, Robust fine-tuning of zero-shot models (Wortsman et al., arXiv 2109.01903).
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homeroom.core.errors import RefusedError
from homeroom.core.types import Question
from homeroom.pipeline.course import Course, digest_of, exam_of
from homeroom.pipeline.general import once

SHARES = (0.9, 0.8, 0.7, 0.55, 0.4)  # of the way from the base that are tried, the farthest first
WORTH = 0.9  # of what the farthest brought: a share that keeps less than this of it is too near to the base


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a student at one share of the way knows."""

    share: float
    learned: int  # steering questions of the exam that are right
    forgotten: float  # share of what the base answered right that is wrong now


def turn_dial(course: Course, trained: Path, model: Path) -> dict[str, Any]:
    """Put the student that a course keeps into `model`, and return how it was chosen.

    Args:
        trained: The student as training left it; it stays.
        model: Replaced.

    Returns:
        {"dial": share of the way, "looks": what was seen at each share that was tried}; {} where nothing was asked for.

    Raises:
        RefusedError: it forgets more than `evaluate.max_forgetting` at every share; `model` is gone.
    """
    from homeroom.evaluate.exam import shipped
    from homeroom.train.blend import dial

    base, most = course.student(), course.recipe.evaluate.max_forgetting
    steering = [q for q in exam_of(course) if q.split in ("quiz", "dev") and q.kind != "rubric"]
    suite = shipped("steering")
    keep = course.recipe.train.keep if steering else 0.0
    tried = model.with_name("model.dial")
    if not keep and most >= 1:
        _take(dial(base, trained, 1.0, tried), model)
        return {}
    known = _right(course, base, suite)

    def look(share: float) -> Look:
        student = dial(base, trained, share, tried)
        lost = forgetting(known, _right(course, student, suite))
        found = Look(share=share, learned=sum(_right(course, student, steering)), forgotten=lost)
        course.say(f"dial: {share:.0%} of the way: {found.learned} of {len(steering)} learned, {lost:.0%} forgotten")
        return found

    looks, chosen = find_share(look, keep=keep, most=most)
    if chosen is None:
        shutil.rmtree(tried, ignore_errors=True)
        shutil.rmtree(model, ignore_errors=True)
        raise RefusedError(
            f"the student forgot {looks[-1].forgotten:.0%} of what the base knew, and {most:.0%} are allowed; the base "
            "stays in use",
            where="evaluate.max_forgetting",
            hint=f"More replay (replay_share) or a smaller lr forgets less. The student is in {trained}.",
        )
    if chosen is not looks[-1]:
        dial(base, trained, chosen.share, tried)
    _take(tried, model)
    return {"dial": chosen.share, "looks": [dataclasses.asdict(one) for one in looks]}


def find_share(look: Callable[[float], Look], *, keep: float, most: float) -> tuple[list[Look], Look | None]:
    """Return every look that was taken, and the one to stay with.

    Args:
        look: Asks the student at a share of the way.
        keep: Share of the base's knowledge that is aimed at; as soon as it is reached, no nearer share is tried. 0 for
            the student as training left it, if `most` allows that.
        most: Share of it that may be lost at most, whatever is unlearned for that.

    Returns:
        None in place of the second where even the nearest share loses more than `most`.
    """
    looks: list[Look] = []
    aim = round(min(most, 1 - keep), 6)
    for share in SHARES if keep else (1.0, *SHARES):
        now = look(share)
        looks.append(now)
        before = looks[-2] if len(looks) > 1 else None
        if before and now.learned < WORTH * looks[0].learned and before.forgotten <= most:
            return looks, before
        if now.forgotten <= aim:
            return looks, now
    return looks, (looks[-1] if looks[-1].forgotten <= most else None)


def forgetting(before: Sequence[bool], after: Sequence[bool]) -> float:
    """Return the share of what was right before and is wrong after, less what was wrong and is right; 0 at least.

    Example:
        >>> forgetting([True, True, False], [True, False, False])
        0.5
    """
    known = sum(before)
    return round(max(0.0, 1 - sum(after) / known), 4) if known else 0.0


def _right(course: Course, folder: Path, asked: Sequence[Question]) -> list[bool]:
    """Return whether a student answers each question right; answers are kept where the report looks for them."""
    from homeroom.evaluate.exam import examine
    from homeroom.evaluate.stage import keep_answers
    from homeroom.models.torch_engine import TorchEngine

    answer = TorchEngine(folder).answer
    if folder == course.student():
        answer = once(answer, folder)
    else:
        answer = keep_answers(answer, course.out / "report" / "answers", digest=digest_of(folder))
    tokens = course.recipe.evaluate.max_tokens
    return [s.correct for s in examine(asked, answer, max_tokens=tokens, progress=course.progress, stage="dial")]


def _take(new: Path, place: Path) -> None:
    from homeroom.train.phases import replace_folder

    replace_folder(new, place)
