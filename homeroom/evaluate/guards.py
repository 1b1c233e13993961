"""What keeps a right word from hiding a wrong answer: denial, and a number offered among others.

    must [["9 weeks"]]    "not 9 weeks"                     denied
                          "9 weeks or 12 weeks"             hedged: another number of the unit, offered beside it
                          "9 to 12 weeks"                   hedged: a range
                          "5 weeks, 9 weeks and 12 weeks"   hedged: two other numbers of the unit
                          "9 weeks, or 63 days"             right: another unit
                          "9 weeks; storms have 3 weeks"    right: one other number, about something else
                          "2 days. 9 weeks is the rule"     begins with another measure, alone
    must [["black"]]      "various forms, including white, gray and black"    an example among others

Numbers that the question or any part of `must` names are never held against an answer. All texts are lists from
`words()`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from homeroom.core.words import find, is_number, words

MAX_LOOKED_AT = 4_000  # characters of an answer in which examples are looked for
MAX_PLACES = 50  # looked at, so that a flood of one number is graded in no time

_DENIALS = ("not", "never")
_SMALL = frozenset("a an the at before by for from in of on to until within".split())  # noqa: SIM905
_JOINERS = frozenset({"or", "to", "through", "and"})  # between two numbers of one statement: "9 or 12 weeks"
_EXAMPLES = re.compile(r"\b(?:including|such as)\b[^.;!?\n]*", re.IGNORECASE)
_FRONT = re.compile(r"\s*([^.!?\n]{2,40})\. (?=[A-Z])")
_AROUND = _SMALL | set(
    words("about above after at least below first for more less most no only over than under up with")
)
_CLOCK = frozenset({"am", "pm", "oclock"})  # "from 7:30 to 4 pm" is opening hours, not a hedge


def affirmed(alternatives: Sequence[Sequence[str]], said: Sequence[str], asked: Sequence[str]) -> list[Sequence[str]]:
    """Return the alternatives that stand somewhere without a denial right before: "not", "never", "not within".

    What is denied as a part of a longer alternative is denied: "not Odile Varrick" does not say "Varrick". Where the
    alternative or the question itself is negative ("Which form is not accepted?") nothing counts as denied.
    """
    spans = [(a, range(start, start + len(a))) for a in alternatives for start in find(a, said)]
    denied = {place for a, span in spans if _is_denied(a, span.start, said, asked) for place in span}
    free = [a for a, span in spans if not denied.issuperset(span)]
    return [a for a in alternatives if a in free]


def _is_denied(alternative: Sequence[str], start: int, said: Sequence[str], asked: Sequence[str]) -> bool:
    if {*_DENIALS, "except"} & {*alternative, *asked}:
        return False
    before = start - 1
    while before >= 0 and said[before] in _SMALL:
        before -= 1
    return before >= 0 and said[before] in _DENIALS


def hedge(alternative: Sequence[str], said: Sequence[str], named: set[str]) -> str:
    """Return why the number in an alternative is only one of several that the answer offers, or "".

    Args:
        alternative: What was found in the answer; only its first number is looked at.
        said: The answer.
        named: Numbers that the exam or the question names; they cannot make a hedge.
    """
    at = next((i for i, word in enumerate(alternative) if is_number(word)), None)
    if at is None:
        return ""
    reasons = []
    for start in find(alternative, said)[:MAX_PLACES]:
        unit = (*said[start + at + 1 : start + at + 2], "")[0]
        bare = at + 1 == len(alternative)  # the exam names no unit: what follows in the answer is taken for one
        if is_number(unit) or unit in _JOINERS:
            unit = ""
        reasons.append(
            (_in_a_row(start, len(alternative), said, named) if bare else "") or _of_unit(unit, start + at, said, named)
        )
    return "" if "" in reasons else reasons[0]


def example(alternative: Sequence[str], answer: str) -> str:
    """Return why an alternative is only named as one example of three or more, wherever it stands, or "".

    Args:
        alternative: What was found in the answer.
        answer: As it was given: its commas tell the examples apart.
    """
    lists = [match.group() for match in _EXAMPLES.finditer(answer[:MAX_LOOKED_AT])]
    named = [found for found in lists if find(alternative, words(found))]
    if not named or find(alternative, words(_EXAMPLES.sub(" ; ", answer[:MAX_LOOKED_AT]))):
        return ""
    many = all(len(re.findall(r",|\band\b|\bor\b", found)) >= 2 for found in named)
    return f'names "{" ".join(alternative)}" as one example of several' if many else ""


def front(answer: str, named: set[str]) -> str:
    """Return that an answer begins with a bare measure that is no right one ("For 14 years. It ..."), or ""."""
    found = _FRONT.match(answer)
    numbers = {word for word in words(found[1]) if is_number(word)} if found else set()
    rest = [word for word in words(found[1]) if word not in numbers | _AROUND] if found else []
    return f'begins with "{found[1]}"' if found and numbers and not numbers & named and len(rest) <= 1 else ""


def _of_unit(unit: str, at: int, said: Sequence[str], named: set[str]) -> str:
    others = _numbers_of(unit, said) - named if unit else set()
    if len(others) >= 2:
        return f"names several numbers: {_listed(others)} {unit}"
    beside = _beside(said, at, unit) & others
    return f"offers {min(beside)} {unit} as well" if beside else ""


def _numbers_of(unit: str, said: Sequence[str]) -> set[str]:
    """Return the numbers that stand with this unit: that of "9 weeks", and all of "9, 10 or 12 weeks"."""
    found = set()
    for i, word in enumerate(said):
        at = i - 1
        while word == unit and at >= 0 and (is_number(said[at]) or said[at] in _JOINERS):
            if is_number(said[at]):
                found.add(said[at])
            at -= 1
    return found


def _beside(said: Sequence[str], at: int, unit: str) -> set[str]:
    """Return the numbers joined to the one at `at`: "9 to 12 weeks", "9 weeks or 12 weeks", "12 or 9 weeks"."""
    joiners = {"or"} if unit in _CLOCK else _JOINERS
    beside = set()
    after = at + 1
    if said[after : after + 1] == [unit]:
        after += 1
        joiners = joiners - {"and"}  # "9 weeks and 2 weeks of notice" states two things
    if len(said) > after + 1 and said[after] in joiners and is_number(said[after + 1]):
        beside.add(said[after + 1])
    before = at - 2
    if before >= 0 and said[at - 1] in joiners | {"and"}:
        if said[before] == unit and said[at - 1] != "and":
            before -= 1
        if before >= 0 and is_number(said[before]):
            beside.add(said[before])
    return beside


def _in_a_row(start: int, size: int, said: Sequence[str], named: set[str]) -> str:
    """A bare number is hedged by "or" and another number, or where it stands in a row with two: "18, 20, 21"."""
    row: list[str] = []
    for step, i in ((-1, start - 1), (1, start + size)):
        while 0 <= i < len(said) and len(row) < MAX_PLACES and (is_number(said[i]) or said[i] in ("or", "and")):
            row.append(said[i])
            i += step
    others = {word for word in row if is_number(word)} - named
    return f"names several numbers: {_listed(others)}" if len(others) >= 2 or (others and "or" in row) else ""


def _listed(numbers: set[str]) -> str:
    """At most five, for a reason that stays a line."""
    return ", ".join(sorted(numbers)[:5]) + (", ..." if len(numbers) > 5 else "")
