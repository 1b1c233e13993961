"""Samples that need no teacher: a sentence to complete, right or wrong, a choice among like details, two in one."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from homeroom.core.sentences import sentences
from homeroom.core.types import Chunk, Fact, Sample, content_id
from homeroom.core.words import words
from homeroom.generate import checks
from homeroom.generate.answers import answer, asked_detail
from homeroom.generate.checks import names
from homeroom.generate.details import alike, detail_spans
from homeroom.generate.language import bound
from homeroom.generate.polar import turned
from homeroom.generate.questions import question_sample

BOUND_CHARACTERS = 20  # before a number, in which "more than" or "at most" may stand
MANY_FACTS = 300  # of which a twin or the wrong choices are taken


def drills(fact: Fact, all_facts: Sequence[Fact], subject: str) -> Iterator[Sample]:
    """Yield what can be asked about one fact by code alone: gaps to fill, a plain question, yes and no."""
    for start, end in detail_spans(fact.statement):
        before, after = fact.statement[:start], fact.statement[end:]
        yield question_sample(
            "cloze", f"Complete the sentence about {subject}: {before}____{after}", fact.statement, fact
        )
        question = _in_place(fact.statement, start, end)
        if question:
            yield question_sample("in_place", question, answer(question, fact.statement, subject=subject), fact)
        elif len(before.split()) >= 3:
            yield question_sample(
                "cloze", f"{subject}: how does this go on? {before.strip()} ...", fact.statement, fact
            )
    inverted = _inverted(fact.statement)
    if inverted:
        yield question_sample("inverted", inverted, answer(inverted, fact.statement, subject=subject), fact)
    twin = _wrong_twin(fact, all_facts, subject)
    for told, is_right in [(fact.statement, True)] + [(twin, False)] * bool(twin):
        question, holds = turned(told, subject=subject) or (f"Is this right? {told}", True)
        if is_right or holds:
            verdict = "Yes" if is_right and holds else "No"
            yield question_sample("yes_no", question, f"{verdict}. {fact.statement}", fact)


def _in_place(statement: str, start: int, end: int) -> str:
    """Return a statement with a question in the place of a number or a thing, as a quiz asks, or "".

    Example:
        >>> _in_place("Damage must be reported within five days.", 31, 40)
        'Damage must be reported within how many days?'
        >>> _in_place("Claims are made on a green form.", 19, 31)
        'Claims are made on what?'
    """
    detail = re.fullmatch(
        rf"(?P<number>\S+) (?P<unit>[^\W\d]+)|(?P<lead>{_LEAD} )?(?:an?|its|their) .+", statement[start:end]
    )
    if (
        not detail
        or ";" in statement
        or not _ENGLISH.search(statement)
        or (detail["unit"] and not checks.numbers(detail["number"]))
    ):
        return ""
    asked = f"how many {detail['unit']}" if detail["unit"] else f"{detail['lead'] or ''}what"
    return f"{statement[:start]}{asked}{statement[end:].rstrip('.')}?"


_LEAD = "by|with|in|on|at|under|as"
_ENGLISH = re.compile(r"\b(?:the|must|with|are|was|by|an|has|be)\b", re.IGNORECASE)


def _wrong_twin(fact: Fact, all_facts: Sequence[Fact], subject: str) -> str:
    """Return the fact with its last detail exchanged for a like one of another fact, or "" where none is like it.

    Like are a number with the same unit, and a name of as many words.
    """
    spans = detail_spans(fact.statement)
    if not spans:
        return ""
    start, end = spans[-1]
    for theirs in _like(fact, (start, end), all_facts, subject):
        if theirs not in fact.statement and not _holds_too(fact.statement, start, end, theirs):
            return fact.statement[:start] + theirs + fact.statement[end:]
    return ""


def _holds_too(statement: str, start: int, end: int, theirs: str) -> bool:
    """Tell whether a bound that is moved outwards still holds: above 18,000 is above 7,500 as well.

    Example:
        >>> told = "A payment above 7,500 tallens needs a second signature."
        >>> _holds_too(told, 16, 29, "18,000 tallens"), _holds_too(told, 16, 29, "500 tallens")
        (True, False)
    """
    side = bound(statement[max(0, start - BOUND_CHARACTERS) : end])
    own, other = ([int(n) for n in checks.numbers(text) if n.isdigit()][:1] for text in (statement[start:end], theirs))
    return any((b - a) * side < 0 for a in own for b in other)


def _like(fact: Fact, span: tuple[int, int], all_facts: Sequence[Fact], subject: str) -> Iterator[str]:
    """Yield the details of other facts of the leaf that could stand in the place of this one, in a fixed order."""
    own, sort = words(fact.statement[slice(*span)]), _sort_at(fact.statement, *span)
    said = set(words(subject))
    if len(all_facts) > MANY_FACTS:  # some are enough, and all of them for each would take the square of their number
        first = int(content_id(fact.id), 16) % len(all_facts)
        all_facts = [all_facts[(first + n) % len(all_facts)] for n in range(MANY_FACTS)]
    for other in sorted(all_facts, key=lambda f: content_id(fact.id, f.id)):
        for text, theirs, kind in _details(other.statement) if other.leaf == fact.leaf and other.id != fact.id else ():
            if list(theirs) != own and not set(theirs) <= said and kind == sort and alike(own, list(theirs)):
                yield text


@functools.lru_cache(maxsize=10_000)
def _details(statement: str) -> tuple[tuple[str, tuple[str, ...], str], ...]:
    """Return the details of a statement: their text, its words, and what sort of name it is."""
    spans = detail_spans(statement)
    return tuple((statement[s:e], tuple(words(statement[s:e])), _sort_at(statement, s, e)) for s, e in spans)


def _sort_at(statement: str, start: int, end: int) -> str:
    """Return what sort of name stands there: a day, a time, a place (behind "in", "at" or the like), or another."""
    before = statement[:start].casefold().removesuffix("the ").split()
    if checks.is_time(statement[start:end]):
        return "day" if re.search(r"days?$", statement[start:end]) else "time"
    return "place" if statement[start].isupper() and before[-1:] and before[-1] in _PLACED else "other"


_PLACED = frozenset("in at on near to from through".split())  # noqa: SIM905


def _inverted(statement: str) -> str:
    """Return a plain English question for the name in "The head of claims is Odile Varrick.", or "".

    Example:
        >>> _inverted("The head of claims is Odile Varrick."), _inverted("The panel is led by Sunniva Okell.")
        ('Who is the head of claims?', 'By whom is the panel led?')
    """
    sorts = checks.tells(statement)
    match = re.fullmatch(r"(The|A|An|Every|Each) ([^,]{3,80}?) (is|are|was|were) (?:(\w+) )?by (.+?)\.", statement)
    if match and checks.names(statement) & set(words(match[5])):
        return f"By whom {match[3]} {match[1].lower()} {match[2]} {match[4] or ''}".rstrip() + "?"
    match = re.fullmatch(r"(The|A|An|Every|Each) ([^,]{3,80}?) (is|are|was|were) (.+?)\.", statement)
    if match and checks.names(statement) & set(words(match[4])) and match[4][0].isupper() and "name" in sorts:
        return f"Who {match[3]} {match[1].lower()} {match[2]}?"
    if match and "place" in sorts and re.match(r"(?:in|at|on) ", match[4]):
        return f"Where {match[3]} {match[1].lower()} {match[2]}?"
    return ""


def choices(
    asked: Mapping[str, str], facts: Sequence[Fact], all_facts: Sequence[Fact], subjects: Mapping[str, str]
) -> Iterator[Sample]:
    """Yield a question with lettered choices for each fact with a kept question and two like details elsewhere.

    The right one is the detail that the question asks for; where its words do not tell which, there is no sample.

    Args:
        asked: Id of a fact -> its question.
    """
    for fact in facts:
        subject = subjects.get(fact.chunk, "")
        detail = asked_detail(asked.get(fact.id, ""), fact.statement, subject=subject)
        span = next((s for s in detail_spans(fact.statement) if fact.statement[slice(*s)] in detail), None)
        others = list(dict.fromkeys(_like(fact, span, all_facts, subject))) if span else []
        if span and len(others) >= 2:
            own = fact.statement[slice(*span)]
            choices = sorted([own, *others[:3]], key=lambda c: content_id(fact.id, c))
            listed = "\n".join(f"{letter}) {choice}" for letter, choice in zip("ABCD", choices, strict=False))
            answer = f"{'ABCD'[choices.index(own)]}) {own}"
            yield question_sample("choice", f"{asked[fact.id]}\n\n{listed}", answer, fact)


def composed(asked: Mapping[str, str], facts: Sequence[Fact], chunks: Mapping[str, Chunk]) -> Iterator[Sample]:
    """Yield two questions in one for each fact and the one that follows it in its passage, answered with both.

    Args:
        asked: Id of a fact -> a question about it that passed; facts without one are passed over.
    """
    in_order = sorted((f for f in facts if f.id in asked), key=lambda f: (f.chunk, f.start, f.end))
    for one, other in pairwise(in_order):
        first, second = asked[one.id], asked[other.id]
        if one.chunk != other.chunk or one.end > other.start or max(len(sentences(q)) for q in (first, second)) > 1:
            continue
        chunk = chunks[one.chunk]
        text = chunk.text.encode()[one.start - chunk.start : other.end - chunk.start].decode()
        if len(sentences(text)) > 2:
            continue  # another fact stands between them
        second = second if names(f"So {second.split()[0]}") - _ASKING else second[0].lower() + second[1:]
        made = question_sample("composed", f"{first} And {second}", f"{one.statement} {other.statement}", one)
        yield replace(made, facts=(one.id, other.id), quote=text, end=other.end)


_ASKING = frozenset(
    """
    what which who whom whose where when why how in on at by for from to if is are do does can may must will a an the
    under after before with during about within
    """.split()  # noqa: SIM905
)
