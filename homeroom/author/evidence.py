"""Which words of the course's documents support an answer.

    question, right answer, documents -> windows of one to three sentences, the best first, each with what it lacks

A window supports an answer when it holds every number and name that the answer adds to the question, and half of the
answer's other telling words, and speaks of something that the question speaks of. All of it is counting words in one
comparable form, so a person sees why; a sentence encoder, where there is one, only helps to put them in order.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from homeroom.core.contributions import Evidence
from homeroom.core.sentences import Span, sentences
from homeroom.core.types import Chunk, Document
from homeroom.core.words import find, words
from homeroom.generate.attribution import Embed
from homeroom.generate.checks import content_words, names, numbers

MAX_SENTENCES = 3  # of a window
MIN_SHARE = 0.5  # of the answer's telling words that are not in the question
MIN_LIKENESS = 0.35  # of question and window, where they share no word: as the encoder sees it
SHOWN = 5
_LOOKED_AT = 60  # windows that the encoder is given: the best by words
_CHUNKS = 200  # of which windows are made: those that share most words with question and answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Support:
    """A passage, and how far it supports an answer."""

    evidence: Evidence
    supports: bool
    missing: tuple[str, ...]  # numbers and names of the answer that are not in it
    score: float  # comparable within one search


def find_support(
    question: str, answer: str, documents: Sequence[Document], chunks: Sequence[Chunk], *, embed: Embed | None = None
) -> list[Support]:
    """Return the five passages that support the answer best, those that do support it first; `[]` without documents."""
    windows = _windows(documents, _nearest_chunks(f"{question} {answer}", chunks))
    if not windows:
        return []
    wanted = _Wanted(question, answer, [w.quote for w in windows])
    found = sorted(((wanted.of(w, 0.0), w) for w in windows), key=lambda pair: _order(pair[0]))[:_LOOKED_AT]
    likeness = [0.0] * len(found)
    if embed is not None:
        vectors = embed([f"{question} {answer}", *(w.quote for _, w in found)])
        likeness = [float(v) for v in vectors[1:] @ vectors[0]]
    ranked = [wanted.of(w, near) for (_, w), near in zip(found, likeness, strict=True)]
    return _apart(sorted(ranked, key=_order))[:SHOWN]


def place_of(passage: str, documents: Sequence[Document], chunks: Sequence[Chunk]) -> Evidence | None:
    """Return where a passage that a person named stands, word by word whatever its spaces; None where it does not."""
    wanted = words(passage)
    for document in documents:
        spans = sentences(document.text)
        told = [(number, word) for number, span in enumerate(spans) for word in words(span.text)]
        starts = find(wanted, [word for _, word in told]) if wanted else []
        if starts:
            first, last = spans[told[starts[0]][0]], spans[told[starts[0] + len(wanted) - 1][0]]
            return _evidence(document, first, last, chunks)
    return None


def support_of(question: str, answer: str, evidence: Evidence) -> Support:
    """Say how far a passage supports an answer."""
    return _Wanted(question, answer, [evidence.quote]).of(evidence, 0.0)


class _Wanted:
    """What an answer needs, and what each word is worth."""

    def __init__(self, question: str, answer: str, texts: Sequence[str]) -> None:
        self.question = content_words(question) | numbers(question)
        self.details = (numbers(answer) | names(answer)) - set(words(question))
        self.telling = content_words(answer) - content_words(question)
        seen = Counter(word for text in texts for word in _bag(text))
        self.worth = {word: math.log(1 + len(texts) / count) for word, count in seen.items()}

    def of(self, evidence: Evidence, likeness: float) -> Support:
        said = set(words(evidence.quote))
        stems = _bag(evidence.quote) | content_words(evidence.heading) | said
        missing = tuple(sorted(self.details - said))
        share = len(self.telling & stems) / len(self.telling) if self.telling else 1.0
        about = self._worth(self.question & stems) / (self._worth(self.question) or 1.0)
        has_something = bool(self.details or self.telling)
        related = about > 0 or likeness >= MIN_LIKENESS or not self.question
        supports = has_something and not missing and share >= MIN_SHARE and related
        details = len(self.details - set(missing)) / len(self.details) if self.details else share
        brief = 0.02 * len(evidence.quote.split()) / 20  # of two that support it, the shorter one
        score = details + share + about + likeness - brief
        return Support(evidence=evidence, supports=supports, missing=missing, score=round(score, 4))

    def _worth(self, found: set[str] | frozenset[str]) -> float:
        return sum(self.worth.get(word, 0.0) for word in found)


@lru_cache(maxsize=20_000)
def _bag(text: str) -> frozenset[str]:
    return frozenset(content_words(text) | numbers(text))


def _order(support: Support) -> tuple[bool, float, int]:
    return not support.supports, -support.score, support.evidence.start


def _apart(ranked: Sequence[Support]) -> list[Support]:
    """Leave out windows that overlap a better one."""
    kept: list[Support] = []
    for support in ranked:
        mine = support.evidence
        if not any(_overlap(mine, other.evidence) for other in kept):
            kept.append(support)
    return kept


def _overlap(one: Evidence, other: Evidence) -> bool:
    same = (one.leaf, one.document) == (other.leaf, other.document)
    return same and one.start < other.end and other.start < one.end


def _nearest_chunks(text: str, chunks: Sequence[Chunk]) -> list[Chunk]:
    if len(chunks) <= _CHUNKS:
        return list(chunks)
    wanted = _bag(text)
    shared = [len(wanted & _bag(c.text)) for c in chunks]
    best = sorted(range(len(chunks)), key=lambda n: -shared[n])[:_CHUNKS]
    return [chunks[n] for n in sorted(best)]


def _windows(documents: Sequence[Document], chunks: Sequence[Chunk]) -> list[Evidence]:
    found = []
    for document in documents:
        own = [c for c in chunks if c.document == document.id]
        for chunk in own:
            spans = [s for s in sentences(chunk.text) if len(s.text.split()) > 2]
            for size in range(1, MAX_SENTENCES + 1):
                for first in range(len(spans) - size + 1):
                    start, end = chunk.start + spans[first].start, chunk.start + spans[first + size - 1].end
                    quote = " ".join(" ".join(s.text.split()) for s in spans[first : first + size])
                    found.append(
                        Evidence(
                            leaf=document.leaf,
                            document=document.name,
                            quote=quote,
                            start=start,
                            end=end,
                            heading=chunk.heading,
                            page=chunk.page,
                        )
                    )
    return found


def _evidence(document: Document, first: Span, last: Span, chunks: Sequence[Chunk]) -> Evidence:
    start, end = first.start, last.end
    quote = " ".join(document.text.encode()[start:end].decode("utf-8", "replace").split())
    around = next((c for c in chunks if c.document == document.id and c.start <= start < c.end), None)
    return Evidence(
        leaf=document.leaf,
        document=document.name,
        quote=quote,
        start=start,
        end=end,
        heading=around.heading if around else "",
        page=around.page if around else 0,
    )
