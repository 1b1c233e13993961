"""A fact with a gap in the place of the detail that is asked for, and how such a detail is asked for.

A small teacher that sees the whole fact says the answer in its question ("What happens to damage caused by squirrels?"
for the answer "squirrels"). From a sentence with a gap it asks for what is missing ("What type of damage is never paid
for?"). Measured in `dev/LOG.md`.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from homeroom.core.words import is_number, words
from homeroom.generate.checks import MONTHS, is_time, names, numbers

GAP = "____"


class Gapped(NamedTuple):
    """A fact as the teacher sees it."""

    text: str  # with the gap
    missing: str  # what belongs there
    asks: str  # "how long? within what time?"; "" where that is not known


def gapped(statement: str, detail: str, *, is_english: bool) -> Gapped:
    """Return a fact with a gap where its detail is; a preposition in front of it stays.

    Example:
        >>> for detail in ("by squirrels", "never"):
        ...     print(*gapped("Damage done by squirrels is never paid for.", detail, is_english=True), sep=" | ")
        Damage done by ____ is never paid for. | squirrels | what? which?
        Damage done by squirrels is ____ paid for. | never | what? which?
    """
    start = statement.find(detail)
    if start < 0 or not detail:
        raise ValueError(f"{detail!r} is not in {statement!r}")
    end = start + len(detail)
    start += len(before[0]) if (before := _BEFORE.match(detail)) else 0
    missing = statement[start:end]
    asks = _asks(missing, statement[:start]) if is_english else ""
    return Gapped(statement[:start] + GAP + statement[end:], missing, asks)


def _asks(missing: str, before: str) -> str:
    """Return how a detail is asked for, by what it is and what stands in front of it."""
    if _HOUR.search(missing) or (not numbers(missing) and is_time(missing)):
        return "when? at what time? on which day?"
    if numbers(missing):
        number, _, unit = missing.rpartition(" ")
        if not number or all(map(is_number, words(unit))):
            return "which number?"
        if is_time(missing):
            last = before.split()[-1:]
            return f"{_TIMED.get(last[0].casefold() if last else '', 'how long?')} how many {unit}?"
        if unit == "percent":
            return "how much? by how many percent?"
        return f"{'' if number.isalpha() else 'how much? '}how many {unit}?"
    if names(f"It is {missing}"):
        if _PLACE.search(before):
            return "where? in which place?"
        return "who? which person? what is the name?" if _NAMED.search(before) else "which? what? who?"
    return "under what condition?" if _CONDITION.match(missing) else "what? which?"


_BEFORE = re.compile(r"(?:by|with|in|on|at|as|under|without) (?=\S)", re.IGNORECASE)
_HOUR = re.compile(rf"\d[:.]\d\d\b|\b[ap]\.m\.|\bo'clock\b|\b(?:{MONTHS})\b", re.IGNORECASE)
_TIMED = {"within": "within what time? how soon?", "for": "for how long?"}
_PLACE = re.compile(r"\b(?:in|at|on|near) (?:the )?(?:\w+ of )?$")
_NAMED = re.compile(r"(?:\bby|\bis|\bwas|,)(?: the)?(?: [a-z]+)? $")
_CONDITION = re.compile(r"(?:only )?(?:if|when|unless)\b", re.IGNORECASE)
