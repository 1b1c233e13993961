"""Whose question is it? A generated question must speak of its own fact more than of any other fact of the leaf.

A question that fits several facts equally well ("By when must it be reported?") has no one answer, and one that fits
another better has the wrong one. Likeness is that of sentence vectors, so that a question which shares no word with
its fact can still be seen to be its own ("the sheet for something stolen" and "theft claims are made on a green
form"): those are the ones most worth learning from. Shared words, weighed by how rare they are, have the second vote,
and the only one where there is no embedder. Facts that cannot answer, since the question asks for a number, a name or
a place and they have none, are no rivals. Where two facts are told in one form ("Storm damage ... within three weeks",
"Water damage ... within five days"), a question has to say, in whatever words, of which of the two it speaks.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from homeroom.core.types import Fact
from homeroom.generate.checks import Fault, asks_for, content_words, numbers, tells
from homeroom.generate.details import detail_spans
from homeroom.generate.language import clauses

if TYPE_CHECKING:
    import numpy as np

Embed = Callable[[Sequence[str]], "np.ndarray"]
Pair = tuple[str, Fact]  # a question and the fact it was asked about

NEAR = 0.3  # likeness below which a question has left its fact, whatever words they share
BLOCK = 1024  # questions that are compared at once
CLOSE = 0.1  # how much nearer a rival may be in meaning when the words speak for the question's own fact
TWIN = 0.4  # of the words of two facts are the same: "storm damage is reported within ...", "water damage ..."


class Attributed(NamedTuple):
    """What was found of one question."""

    fault: Fault | None
    likeness: float  # of the question and its own fact; 0 where there is no embedder


Attribute = Callable[[Sequence[Pair]], list[Attributed]]


def attributing(facts: Sequence[Fact], *, subjects: Sequence[str], embed: Embed | None) -> Attribute:
    """Return a function that tells of questions, each with the fact it was asked about, whose they are.

    Args:
        facts: All facts of the leaves, the rivals.
        subjects: What the documents are about, as questions name it ("Brindlemoor Mutual"); it says nothing about
            which fact is meant, so it is left out before comparing.
        embed: Sentences -> rows of length 1; None compares words alone.
    """
    known = _Facts(facts)
    by_words = _by_words(known, " ".join(subjects))
    if embed is None:
        return lambda pairs: [Attributed(by_words(question, fact), 0.0) for question, fact in pairs]
    told: list[np.ndarray] = []  # the vectors of the facts, once there is a question

    def attributed(pairs: Sequence[Pair]) -> list[Attributed]:
        if not pairs:
            return []
        if not told:
            told.append(embed([without(part, subjects) for parts in known.parts for part in parts]))
        found: list[Attributed] = []
        for start in range(0, len(pairs), BLOCK):
            some = pairs[start : start + BLOCK]
            asked_QD = embed([without(q, subjects) for q, _ in some])
            likeness_QF = known.of_facts(asked_QD @ told[0].T)
            for (question, fact), likeness_F in zip(some, likeness_QF, strict=True):
                own = float(likeness_F[known.place[fact.id]])
                rival = known.best(question, fact, likeness_F, at_least=own - CLOSE)
                fault = _verdict(own, rival, by_words(question, fact))
                found.append(Attributed(fault or known.twin_fault(question, fact, likeness_F), own))
        return found

    return attributed


def attribute(
    pairs: Sequence[Pair], facts: Sequence[Fact], *, subjects: Sequence[str], embed: Embed | None
) -> list[Fault | None]:
    """Return a fault, or None, for each question: `attributing` for a single time."""
    return [found.fault for found in attributing(facts, subjects=subjects, embed=embed)(pairs)]


class _Facts:
    """The facts of the leaves, with what a question is compared with."""

    def __init__(self, facts: Sequence[Fact]) -> None:
        self.place = {f.id: n for n, f in enumerate(facts)}
        self.sorts, self.bags = [tells(f.statement) for f in facts], [_bag(f.statement) for f in facts]
        self.numbers = [{w for w in bag if w[0].isdigit()} for bag in self.bags]
        self.forms = [_form(f.statement) for f in facts]
        self.parts = [_parts(f.statement) for f in facts]
        self.starts = list(itertools.accumulate((len(parts) for parts in self.parts[:-1]), initial=0))

    def of_facts(self, likeness_QP: np.ndarray) -> np.ndarray:
        """Return the likeness of questions to facts from that to their parts: that of the part that is most like."""
        import numpy as np

        return np.maximum.reduceat(likeness_QP, self.starts, axis=1)

    def best(self, question: str, fact: Fact, score_F: np.ndarray, *, at_least: float) -> float:
        """Return the highest score of a rival, or minus infinity where none reaches `at_least`."""
        own, wanted = self.place[fact.id], asks_for(question)
        near = (score_F >= at_least).nonzero()[0]
        for n in near[(-score_F[near]).argsort(kind="stable")]:
            if n != own and (not wanted or wanted in self.sorts[n]) and not self._says_the_same(n, own):
                return float(score_F[n])
        return -math.inf

    def twin_fault(self, question: str, fact: Fact, score_F: np.ndarray) -> Fault | None:
        """Return a fault where a question fits a fact of the same form as well, and says nothing of what differs."""
        own, asked = self.place[fact.id], _bag(question)
        for n in (score_F > score_F[own] - CLOSE).nonzero()[0]:
            form, other = self.forms[own], self.forms[n]
            is_twin = len(form & other) >= TWIN * len(form | other) and form - other and other - form
            if is_twin and self.numbers[own] != self.numbers[n] and not asked & (self.bags[own] - self.bags[n]):
                return "attribution", "fits a fact of the same form as well"
        return None

    def _says_the_same(self, one: int, other: int) -> bool:
        if self.numbers[one] != self.numbers[other]:
            return False
        bag, bag_other = self.bags[one], self.bags[other]
        return len(bag & bag_other) >= 0.7 * min(len(bag), len(bag_other))


def _verdict(own: float, rival: float, words: Fault | None) -> Fault | None:
    if own < NEAR:
        return "attribution", f"has left its fact (likeness {own:.2f})"
    if own > rival or (words is None and own > rival - CLOSE):
        return None
    return "attribution", f"is nearer to another fact ({rival:.2f} against {own:.2f})"


def _by_words(known: _Facts, general: str) -> Callable[[str, Fact], Fault | None]:
    """Compare by shared words; those of titles count little."""
    import numpy as np

    titles, holders = content_words(general), defaultdict(list)
    for place, bag in enumerate(known.bags):
        for word in bag:
            holders[word].append(place)
    count = len(known.bags)
    places = {word: np.array(at) for word, at in holders.items()}
    weight = {w: math.log((1 + count) / len(at)) * (0.2 if w in titles else 1.0) for w, at in holders.items()}

    def fault(question: str, fact: Fact) -> Fault | None:
        score_F = np.zeros(count)
        for word in sorted(_bag(question) & places.keys()):  # in one order: sums of floats depend on it
            score_F[places[word]] += weight[word]
        own = float(score_F[known.place[fact.id]])
        if own <= 0:
            return "attribution", "shares no word with its fact"
        best = known.best(question, fact, score_F, at_least=own)
        if best >= own:
            return "attribution", f"speaks {'more of another fact' if best > own else 'of another fact as well'}"
        return None

    return fault


def _parts(statement: str) -> list[str]:
    """Return a statement and, where it says several things, each: a question asks for one of them."""
    parts = clauses(statement)
    return [statement, *parts] if len(parts) > 1 else [statement]


def _bag(text: str) -> set[str]:
    return content_words(text) | numbers(text)


def _form(statement: str) -> set[str]:
    """Return the words of a fact without its numbers and what they count."""
    for start, end in reversed(detail_spans(statement)):
        if numbers(statement[start:end]):
            statement = statement[:start] + statement[end:]
    return content_words(statement)


def without(text: str, subjects: Sequence[str]) -> str:
    """Return a text without the names of what the documents are about."""
    for subject in subjects:
        text = text.replace(subject, "")
    return text
