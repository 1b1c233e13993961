"""The details of a fact that a question can ask for: its numbers with their units, and its names."""

from __future__ import annotations

import re
from collections.abc import Sequence

from homeroom.core.words import is_number, words
from homeroom.generate import checks


def key_details(statement: str) -> list[str]:
    """Return the details of a fact that a question could ask for, in order: numbers with their units, and names.

    Example:
        >>> key_details("Water damage must be reported to Odile Varrick within five days.")
        ['Odile Varrick', 'five days']
    """
    return [statement[a:b] for a, b in key_spans(statement)]


def key_detail(statement: str) -> str:
    """Return the last detail of a fact that a question could ask for, or ""."""
    return (key_details(statement) or [""])[-1]


def key_spans(statement: str) -> list[tuple[int, int]]:
    """Return where the details stand in a statement, as character spans."""
    tokens = list(re.finditer(r"\S+", statement))
    plain = [words(t[0]) for t in tokens]
    named = checks.names(statement)
    spans, index = [], 1
    while index < len(tokens):
        end = index
        if any(is_number(w) and w != "1" for w in plain[index]):
            if index + 1 < len(tokens) and tokens[index][0][-1] not in ",.;)" and plain[index + 1]:
                end = index + (plain[index + 1][0] not in _NO_UNIT)
        elif named & set(plain[index]):
            while end + 1 < len(tokens) and tokens[end][0][-1] not in ",.;" and named & set(plain[end + 1]):
                end += 1
        else:
            index += 1
            continue
        text = tokens[end][0]
        stop = tokens[end].end() - (len(text) - len(text.rstrip(".,;:!?)"))) * (text not in ("a.m.", "p.m."))
        spans.append((tokens[index].start(), stop))
        index = end + 1
    return spans


_NO_UNIT = frozenset("and or to of in on at by for with from is are was were".split())  # noqa: SIM905


def alike(one: Sequence[str], other: Sequence[str]) -> bool:
    """Say whether two details, as words, could be taken for each other: numbers of one unit, names of one length."""
    if is_number(one[0]) and other and is_number(other[0]):
        return len(one) > 1 and list(one[1:]) == list(other[1:])
    return not any(map(is_number, [*one, *other])) and len(one) == len(other)
