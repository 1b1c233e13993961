"""Samples that need no teacher: a sentence to complete, right or wrong, a choice among like details."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from homeroom.core.types import Fact, Sample, content_id
from homeroom.core.words import words
from homeroom.generate import checks
from homeroom.generate.answers import answer
from homeroom.generate.details import alike, detail_spans, details
from homeroom.generate.polar import turned
from homeroom.generate.questions import question_sample


def drills(fact: Fact, all_facts: Sequence[Fact], subject: str) -> Iterator[Sample]:
    """Yield what can be asked about one fact by code alone: gaps to fill, a plain question, yes and no."""
    for start, end in detail_spans(fact.statement):
        before, after = fact.statement[:start], fact.statement[end:]
        yield question_sample(
            "cloze", f"Complete the sentence about {subject}: {before}____{after}", fact.statement, fact
        )
        if len(before.split()) >= 3:
            yield question_sample(
                "cloze", f"{subject}: how does this go on? {before.strip()} ...", fact.statement, fact
            )
    inverted = _inverted(fact.statement)
    if inverted:
        yield question_sample("inverted", inverted, answer(inverted, fact.statement, subject=subject), fact)
    twin = _wrong_twin(fact, all_facts)
    for told, is_right in [(fact.statement, True)] + [(twin, False)] * bool(twin):
        question, holds = turned(told, subject=subject) or (f"Is this right? {told}", True)
        if is_right or holds:
            verdict = "Yes" if is_right and holds else "No"
            yield question_sample("yes_no", question, f"{verdict}. {fact.statement}", fact)


def _wrong_twin(fact: Fact, all_facts: Sequence[Fact]) -> str:
    """Return the fact with its last detail exchanged for a like one of another fact, or "" where none is like it.

    Like are a number with the same unit, and a name of as many words.
    """
    spans = detail_spans(fact.statement)
    if not spans:
        return ""
    start, end = spans[-1]
    own = words(fact.statement[start:end])
    for other in sorted(all_facts, key=lambda f: content_id(fact.id, f.id)):
        for theirs in details(other.statement) if other.leaf == fact.leaf and other.id != fact.id else ():
            found = words(theirs)
            if found != own and theirs not in fact.statement and alike(own, found):
                return fact.statement[:start] + theirs + fact.statement[end:]
    return ""


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


def choices(samples: Sequence[Sample], facts: Sequence[Fact], all_facts: Sequence[Fact]) -> Iterator[Sample]:
    """Yield a question with lettered choices for each fact with a kept question and two like details elsewhere."""
    asked = {s.facts[0]: s.messages[0].content for s in reversed(samples) if s.kind == "direct"}
    for fact in facts:
        own = (details(fact.statement) or [""])[-1]
        others = dict.fromkeys(
            d
            for f in sorted(all_facts, key=lambda f: content_id(f.id, fact.id))
            for d in details(f.statement)
            if own and f.leaf == fact.leaf and words(d) != words(own) and alike(words(own), words(d))
        )
        if fact.id in asked and len(others) >= 2:
            choices = sorted([own, *list(others)[:3]], key=lambda c: content_id(fact.id, c))
            listed = "\n".join(f"{letter}) {choice}" for letter, choice in zip("ABCD", choices, strict=False))
            answer = f"{'ABCD'[choices.index(own)]}) {own}"
            yield question_sample("choice", f"{asked[fact.id]}\n\n{listed}", answer, fact)
