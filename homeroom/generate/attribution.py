"""Whose question is it? A generated question must speak of its own fact more than of any other fact of the leaf.

A question that fits several facts equally well ("By when must it be reported?") has no one answer, and one that fits
another better has the wrong one. Likeness is that of sentence vectors, so that a question which shares no word with
its fact can still be seen to be its own ("the sheet for something stolen" and "theft claims are made on a green
form"): those are the ones most worth learning from. Shared words, weighed by how rare they are, have the second vote,
and the only one where there is no embedder. Facts that cannot answer, since the question asks for a number, a name or
a place and they have none, are no rivals.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from homeroom.core.types import Fact
from homeroom.generate.checks import Fault, asks_for, content_words, numbers, tells

if TYPE_CHECKING:
    import numpy as np

Embed = Callable[[Sequence[str]], "np.ndarray"]
Pair = tuple[str, Fact]  # a question and the fact it was asked about

NEAR = 0.3  # likeness below which a question has left its fact, whatever words they share
CLOSE = 0.1  # how much nearer a rival may be in meaning when the words speak for the question's own fact


def attribute(
    pairs: Sequence[Pair], facts: Sequence[Fact], *, subjects: Sequence[str], embed: Embed | None
) -> list[Fault | None]:
    """Return a fault, or None, for each question.

    Args:
        facts: All facts of the leaves, the rivals.
        subjects: What the documents are about, as questions name it ("Brindlemoor Mutual"); it says nothing about
            which fact is meant, so it is left out before comparing.
        embed: Sentences -> rows of length 1; None compares words alone.
    """
    by_words = _by_words(facts, " ".join(subjects))
    if embed is None or not pairs:
        return [by_words(question, fact) for question, fact in pairs]
    place = {f.id: n for n, f in enumerate(facts)}
    sorts, bags = [tells(f.statement) for f in facts], [_bag(f.statement) for f in facts]
    told_FD = embed([_without(f.statement, subjects) for f in facts])
    asked_QD = embed([_without(q, subjects) for q, _ in pairs])
    faults: list[Fault | None] = []
    for (question, fact), likeness_F in zip(pairs, asked_QD @ told_FD.T, strict=True):
        own, wanted = place[fact.id], asks_for(question)
        rivals = [
            float(likeness_F[n])
            for n in range(len(facts))
            if n != own and (not wanted or wanted in sorts[n]) and not _says_the_same(bags[n], bags[own])
        ]
        faults.append(_verdict(float(likeness_F[own]), max(rivals, default=0.0), by_words(question, fact)))
    return faults


def _verdict(own: float, rival: float, words: Fault | None) -> Fault | None:
    if own < NEAR:
        return "attribution", f"has left its fact (likeness {own:.2f})"
    if own > rival or (words is None and own > rival - CLOSE):
        return None
    return "attribution", f"is nearer to another fact ({rival:.2f} against {own:.2f})"


def _by_words(facts: Sequence[Fact], general: str) -> Callable[[str, Fact], Fault | None]:
    """Compare by shared words; those of titles count little."""
    bags, sorts = {f.id: _bag(f.statement) for f in facts}, {f.id: tells(f.statement) for f in facts}
    titles, spread = content_words(general), Counter(w for bag in bags.values() for w in bag)
    holders: dict[str, list[str]] = defaultdict(list)
    for fact_id, bag in bags.items():
        for word in bag:
            holders[word].append(fact_id)

    def fault(question: str, fact: Fact) -> Fault | None:
        scores: Counter[str] = Counter()
        for word in _bag(question):
            for holder in holders.get(word, ()):
                scores[holder] += math.log((1 + len(bags)) / spread[word]) * (0.2 if word in titles else 1.0)
        own, wanted = scores.get(fact.id, 0.0), asks_for(question)
        best = max(
            (
                score
                for other, score in scores.items()
                if other != fact.id
                and (not wanted or wanted in sorts[other])
                and not _says_the_same(bags[other], bags[fact.id])
            ),
            default=0.0,
        )
        if own <= 0:
            return "attribution", "shares no word with its fact"
        if best >= own:
            return "attribution", f"speaks {'more of another fact' if best > own else 'of another fact as well'}"
        return None

    return fault


def _bag(text: str) -> set[str]:
    return content_words(text) | numbers(text)


def _without(text: str, subjects: Sequence[str]) -> str:
    for subject in subjects:
        text = text.replace(subject, "")
    return text


def _says_the_same(one: set[str], other: set[str]) -> bool:
    same_numbers = {w for w in one if w[0].isdigit()} == {w for w in other if w[0].isdigit()}
    return same_numbers and len(one & other) >= 0.7 * min(len(one), len(other))
