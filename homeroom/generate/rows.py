"""A row of a table as a sentence: its cells alone ask nothing, and "| Hens | yes | six |" teaches bars.

| Animal | Allowed | Limit |
| Hens   | yes     | six   |    ->    "Hens: allowed yes, limit six."
"""

from __future__ import annotations

import re
from itertools import takewhile

_CELLS = re.compile(r"(?<!\\)\|")
_RULE = re.compile(r"[\s:|-]*-[\s:|-]*$")
_NOTHING = ("", "-", "–", "—", "n/a")


def is_row(text: str) -> bool:
    """Say whether a sentence of a passage is a row of a Markdown table."""
    return text.lstrip().startswith("|")


def in_words(sentence: str, text: str) -> str:
    r"""Return a sentence as it is, a row of a table as a sentence with the heads of its columns, and a head as "".

    Args:
        sentence: One of `sentences(text)`.
        text: The passage; a row whose table has no head there is its cells alone.

    Example:
        >>> table = "| Plan | Fee |\n|---|---|\n| Harbour | 12 crowns |"
        >>> in_words("| Harbour | 12 crowns |", table), in_words("| Plan | Fee |", table)
        ('Harbour: fee 12 crowns.', '')
    """
    if not is_row(sentence):
        return sentence
    head = _head_of(sentence, text)
    if head == sentence.strip():
        return ""
    names, (first, *rest) = _cells(head), _cells(sentence) or [""]
    named = zip(names[1:] + [""] * len(rest), rest, strict=False)
    told = [f"{_lower(name)} {cell}".strip() for name, cell in named if cell.casefold() not in _NOTHING]
    if names and first[:1].isdigit():
        first = f"{names[0]} {first}".strip()  # "Plots 3: rent 90 crowns"
    return f"{first}: {', '.join(told)}." if first and told else ""


def _head_of(row: str, text: str) -> str:
    """Return the head of the table in which a row stands, or "" where the text does not show it."""
    lines = [line.strip() for line in text.splitlines()]
    place = next((n for n, line in enumerate(lines) if line == row.strip()), None)
    if place is None:
        return ""
    above = list(takewhile(is_row, reversed(lines[: place + 1])))[::-1]
    below = lines[place + 1 : place + 2]
    rule = next((n for n, line in enumerate([*above, *below]) if n and _RULE.match(line)), None)
    return above[rule - 1] if rule is not None and rule <= len(above) else ""


def _cells(row: str) -> list[str]:
    cells = [cell.replace("\\|", "|").strip().strip("*_`").strip() for cell in _CELLS.split(row.strip())]
    return cells[1 : -1 if cells[-1] == "" else None]


def _lower(name: str) -> str:
    return name if name[:2].isupper() else name[:1].lower() + name[1:]
