"""Programmed checks that an exam line names in `check`. To add one: write a function, put it into `CHECKS`.

A check gets the question and the answer and returns "" when the answer is good, else the reason, in words for a
person. Code fences, quotes round the whole and one lead-in line ("Here is the rewritten text:") are tolerated.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Sequence

from homeroom.core.types import Question
from homeroom.core.words import without, words

Check = Callable[[Question, str], str]

MAX_LOST = 0.10  # share of the words that a rewrite leaves alone which may be missing
MAX_ADDED = 0.15  # share that may be new

_LEAD_IN = re.compile(
    r"\s*(?:sure|certainly|of course|okay|ok|here|the (?:rewritten|revised|following)|rewritten|revised|rewrite|output|"
    r"answer|text)\b[^\n:]{0,120}:\s*",
    re.IGNORECASE,
)
_FENCE = re.compile(r"```[\w+-]*[ \t]*\n(.*?)\n?```", re.DOTALL)
_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "«": "»", "„": "“"}
_SOAP_NAMES = ("subjective", "objective", "assessment", "plan")
_SOAP = re.compile(rf"^[#*_\s>-]*({'|'.join(_SOAP_NAMES)})\b[*_]*[ \t]*(?::[*_]*|$)", re.IGNORECASE | re.MULTILINE)
_DASHES = re.compile(r":?-+:?")
# Agreement that a changed subject asks for ("he is" -> "they are"), and articles ("a" -> "an"), are no change.
_AGREEMENT = {"are": "is", "were": "was", "have": "has", "does": "do", "re": "is", "ve": "has"}
_ARTICLES = {"a", "an"}


def valid_json(question: Question, answer: str) -> str:
    """The whole answer is one JSON object or list."""
    try:
        value = json.loads(_body(answer), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        return f"is not valid JSON ({str(error)[:80]})"
    return "" if isinstance(value, dict | list) else "is JSON, but neither an object nor a list"


def markdown_table(question: Question, answer: str) -> str:
    """The answer holds a table: a header, a line of dashes, at least one row, two or more columns, none uneven."""
    lines = [line.strip() for line in _body(answer).splitlines()]
    for i in range(1, len(lines)):
        cells = _cells(lines[i])
        if len(cells) < 2 or not all(_DASHES.fullmatch(cell) for cell in cells) or "|" not in lines[i - 1]:
            continue
        rows = [lines[i - 1]]
        for line in lines[i + 1 :]:
            if "|" not in line:
                break
            rows.append(line)
        if len(rows) < 2:
            return "is a table without rows"
        uneven = next((row for row in rows if len(_cells(row)) != len(cells)), None)
        return f"has a row with {len(_cells(uneven))} cells, not {len(cells)}" if uneven else ""
    return "holds no table with a header and a line of dashes"


def csv_rows(question: Question, answer: str) -> str:
    """The whole answer is comma-separated values: two or more rows and columns, each row as long as the first."""
    try:
        rows = [row for row in csv.reader(io.StringIO(_body(answer), newline=""), strict=True) if row]
    except csv.Error as error:
        return f"is not valid CSV ({error})"
    if len(rows) < 2 or len(rows[0]) < 2:
        return "is not CSV with at least two rows and two columns"
    uneven = next((n for n, row in enumerate(rows, 1) if len(row) != len(rows[0])), 0)
    return f"row {uneven} has {len(rows[uneven - 1])} cells, not {len(rows[0])}" if uneven else ""


def keeps_rest(question: Question, answer: str) -> str:
    """A rewrite kept the rest: of the context's words that were not to be replaced, 90 % are there in order.

    At most 15 % may be new. The terms of `must` and `must_not`, articles, and agreement (is/are) do not count.
    """
    new = [words(term) for group in question.must for term in group]
    old = [words(term) for term in question.must_not]
    before = _rest(words(question.context), [*old, *new])
    after = _rest(words(strip_lead_in(answer, question.context)), [*old, *new])
    if not before:
        return ""
    kept = common_length(before, after)
    if len(before) - kept > MAX_LOST * len(before):
        return f"keeps {kept} of the other {len(before)} words"
    if len(after) - kept > MAX_ADDED * len(before):
        return f"adds {len(after) - kept} words"
    return ""


def soap(question: Question, answer: str) -> str:
    """A clinical note: the headings Subjective, Objective, Assessment, Plan, in this order, each with text below it."""
    found = [(match[1].lower(), match.end(), match.start()) for match in _SOAP.finditer(answer)]
    missing = [name for name in _SOAP_NAMES if name not in {heading for heading, _, _ in found}]
    if missing:
        return f"has no heading {missing[0].capitalize()}"
    if [heading for heading, _, _ in found] != list(_SOAP_NAMES):
        return "has its headings not once each in the order Subjective, Objective, Assessment, Plan"
    starts = [start for _, _, start in found[1:]] + [len(answer)]
    empty = next((h for (h, end, _), start in zip(found, starts, strict=True) if not words(answer[end:start])), "")
    return f"has nothing below {empty.capitalize()}" if empty else ""


CHECKS: dict[str, Check] = {
    "soap": soap,
    "valid_json": valid_json,
    "markdown_table": markdown_table,
    "csv": csv_rows,
    "keeps_rest": keeps_rest,
}


def strip_lead_in(answer: str, context: str = "") -> str:
    """Return the answer without fences, a lead-in line or quotes round the whole that `context` does not have."""
    answer = _body(answer)
    lead = _LEAD_IN.match(answer)
    if lead and not context.lstrip().lower().startswith(answer.lstrip()[:8].lower()):
        answer = _body(answer[lead.end() :])
    answer, context = answer.strip(), context.strip()
    if len(answer) > 1 and _QUOTES.get(answer[0]) == answer[-1] and context[:1] != answer[0]:
        answer = answer[1:-1]
    return answer


def common_length(first: Sequence[str], second: Sequence[str]) -> int:
    """Return the length of the longest common subsequence.

    Bit-parallel (Hyyrö 2004): one row is one big integer, so that even texts made to be slow to compare cost
    milliseconds, where difflib is cubic.
    """
    places: dict[str, int] = {}
    for i, word in enumerate(first):
        places[word] = places.get(word, 0) | 1 << i
    every = (1 << len(first)) - 1
    row = every
    for word in second:
        match = row & places.get(word, 0)
        row = ((row + match) | (row - match)) & every
    return len(first) - row.bit_count()


def _rest(text: list[str], terms: list[list[str]]) -> list[str]:
    return [_AGREEMENT.get(w, w) for w in without(terms, text) if w not in _ARTICLES]


def _body(answer: str) -> str:
    """Return what stands inside the code fence when one is there, else the answer."""
    fence = _FENCE.search(answer)
    return fence[1] if fence else answer.strip()


def _cells(line: str) -> list[str]:
    inner = re.sub(r"^\||(?<!\\)\|$", "", line.strip())
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", inner)]


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
