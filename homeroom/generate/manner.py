"""What a person's examples have in common, and whether an answer is given in the same manner.

Nobody says in words that answers are one line, valid JSON, a list of three, or nothing that the context does not say;
the examples show it. What holds for every one of them must hold for what the teacher writes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from homeroom.core.types import Seed
from homeroom.core.words import words
from homeroom.generate.checks import Fault, content_words, names, numbers
from homeroom.generate.steering import steering_fault

LONGER = 2.0  # times as many words as the longest example's answer, at most
SHORTER = 0.5  # times as many as the shortest's, at least
_LIST = re.compile(r"^[^\S\n]*(?:[-*•]|\d{1,2}[.)])\s", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """What holds for every example."""

    least: int  # words of an answer
    most: int
    traits: frozenset[str]  # names of `_TRAITS`
    num_items: frozenset[int]  # of a list, where all answers are lists; empty where they are not


def manner_of(seeds: Sequence[Seed]) -> Manner:
    """Return what the examples have in common."""
    counts = [len(words(s.answer)) for s in seeds]
    traits = {name for name, holds in _TRAITS.items() if all(holds(s) for s in seeds)}
    items = frozenset(len(_LIST.findall(s.answer)) for s in seeds) if "a list" in traits else frozenset[int]()
    return Manner(
        least=int(SHORTER * min(counts)), most=int(LONGER * max(counts)) + 3, traits=frozenset(traits), num_items=items
    )


def manner_fault(task: Seed, manner: Manner) -> Fault | None:
    """Return how an answer differs from the manner of the examples, or None."""
    asked = f"{task.question} {task.context}"
    if not task.answer.strip():
        return "form", "the answer is empty"
    if words(task.answer) in (words(task.context), words(task.question)):
        return "form", "the answer repeats the task"
    if fault := steering_fault(task.answer, asked):
        return fault
    count = len(words(task.answer))
    if not manner.least <= count <= manner.most:
        return "manner", f"{count} words, where the examples have {manner.least} to {manner.most}"
    for name in sorted(manner.traits):
        if not _TRAITS[name](task):
            return "manner", f"is not {name}, as every example is"
    if manner.num_items and len(manner.num_items) == 1 and len(_LIST.findall(task.answer)) not in manner.num_items:
        return "manner", f"{len(_LIST.findall(task.answer))} items, where every example has {min(manner.num_items)}"
    return None


def _is_json(seed: Seed) -> bool:
    try:
        return isinstance(json.loads(seed.answer), dict | list)
    except ValueError:
        return False


def _rests(of: Callable[[str], frozenset[str]]) -> Callable[[Seed], bool]:
    return lambda seed: of(seed.answer) <= of(f"{seed.question}\n{seed.context}")


def _known(seed: Seed) -> bool:
    """Most telling words of the answer are in the context: an extract or a summary, not a comment."""
    own = content_words(seed.answer)
    return bool(seed.context) and 2 * len(own & content_words(f"{seed.question} {seed.context}")) >= len(own)


_TRAITS: dict[str, Callable[[Seed], bool]] = {
    "one line": lambda s: "\n" not in s.answer.strip(),
    "a list": lambda s: len(_LIST.findall(s.answer)) >= 2,
    "JSON": _is_json,
    "a table": lambda s: s.answer.strip().startswith("|"),
    "one sentence or more that ends": lambda s: s.answer.strip()[-1:] in tuple(".!?。！？"),
    "without a full stop": lambda s: not s.answer.strip().endswith("."),
    "in small letters": lambda s: s.answer == s.answer.lower(),
    "a question": lambda s: s.answer.strip().endswith("?"),
    "without numbers of its own": _rests(numbers),
    "without names of its own": lambda s: names(s.answer) <= set(words(f"{s.question} {s.context}")),
    "in the words of its context": _known,
}
