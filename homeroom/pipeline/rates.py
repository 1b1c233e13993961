"""How fast this machine, and a teacher elsewhere, has been: tokens a second and tokens a call, corrected by every run.

Kept in the store (`rates.json`), for all courses. What was never measured is guessed, and a plan says so.
"""

from __future__ import annotations

import math
from typing import Any

from homeroom.core.config import Recipe
from homeroom.core.errors import ContentError
from homeroom.core.files import read_json, write_json
from homeroom.models.store import store_home
from homeroom.pipeline.spent import Spent

GUESSED = {"teacher": 15.0, "train": 150.0, "answer": 40.0}  # tokens a second, until something is measured
# Tokens of a call's prompt and answer (measured: insurance, the embedded teacher), until this teacher was asked.
CALLS = {"facts": (323.0, 110.0), "exam": (350.0, 120.0), "samples": (385.0, 97.0)}
ANSWER_TOKENS = 30  # of one exam answer, on average
ENOUGH_ANSWERS = 100  # given, to learn from how fast they come
ENOUGH_TOKENS = 300  # generated, to learn a rate from
NEW_SHARE = 0.5  # of the last measurement in what is kept


def teacher_key(recipe: Recipe) -> str:
    """Return the name under which a teacher's rates are kept."""
    teacher = recipe.teacher
    return f"teacher {teacher.model} at {teacher.url}" if teacher.url else f"teacher {teacher.model}"


def train_key(recipe: Recipe) -> str:
    """Return the name under which a student's rate is kept."""
    return f"train {recipe.student.model}"


def answer_key(recipe: Recipe) -> str:
    """Return the name under which is kept how fast a student answers an exam."""
    return f"answer {recipe.student.model}"


def known_rates() -> dict[str, Any]:
    """Return all that was measured; {} at first, or where the file is damaged."""
    path = store_home() / "rates.json"
    try:
        known = read_json(path) if path.is_file() else {}
    except ContentError:
        known = {}
    return _usable(known) if isinstance(known, dict) else {}


def keep_rates(known: dict[str, Any]) -> None:
    """Write what was measured."""
    write_json(store_home() / "rates.json", _usable(known))


def _usable(known: dict[str, Any]) -> dict[str, Any]:
    """Leave out rates that nothing can be divided by: a server says what it likes, and a file can be changed."""
    return {name: v for name, v in known.items() if not isinstance(v, int | float) or (v > 0 and math.isfinite(v))}


def calls_of(recipe: Recipe, stage: str) -> tuple[float, float]:
    """Return the tokens of a prompt and of an answer, of one call of a stage."""
    found = known_rates().get(f"call {stage} {teacher_key(recipe)}")
    if isinstance(found, list) and len(found) == 2 and all(isinstance(v, int | float) and v > 0 for v in found):
        return float(found[0]), float(found[1])
    return CALLS[stage]


def learn(recipe: Recipe, stage: str, spent: Spent, summary: dict[str, Any]) -> None:
    """Correct the rates by what a finished stage took."""
    known = known_rates()
    if stage in CALLS and spent.calls and spent.answer_tokens >= ENOUGH_TOKENS:
        _mend(known, teacher_key(recipe), spent.answer_tokens / max(0.1, spent.seconds))
        prompt, answer = spent.prompt_tokens / spent.calls, spent.answer_tokens / spent.calls
        known[f"call {stage} {teacher_key(recipe)}"] = [round(max(1.0, prompt), 1), round(answer, 1)]
    elif stage == "train" and summary.get("tokens_per_second"):
        _mend(known, train_key(recipe), float(summary["tokens_per_second"]))
        known[f"dtype {train_key(recipe)}"] = summary.get("dtype", "")
    elif stage == "report" and summary.get("answers", 0) >= ENOUGH_ANSWERS:
        _mend(known, answer_key(recipe), summary["answers"] * ANSWER_TOKENS / max(0.1, summary["answer_seconds"]))
    else:
        return
    keep_rates(known)


def _mend(known: dict[str, Any], name: str, rate: float) -> None:
    before = known.get(name)
    is_known = isinstance(before, int | float) and before > 0
    known[name] = round(NEW_SHARE * rate + (1 - NEW_SHARE) * before if is_known else rate, 2)
