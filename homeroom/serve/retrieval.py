"""Looking things up: which sentences of the course's documents a question is about, and where they stand.

    question -> in large courses: passages by words (BM25) -> sentences by meaning -> a short text and its sources

The encoder finds "stolen" for "theft"; without one, words alone decide. Adding the words' scores to the encoder's made
both shipped examples worse (`dev/LOG.md`), so words only choose what the encoder looks at where a course is large. A
small student is misled by what is beside the point, so it gets the best sentence or two, not pages. Every sentence
keeps its leaf, document and bytes, so that an answer can be followed to the words it rests on.

Source: Robertson & Zaragoza 2009 (BM25).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from homeroom.core.files import read_jsonl
from homeroom.core.sentences import sentences
from homeroom.core.types import Chunk, Document, Sample
from homeroom.core.words import words

if TYPE_CHECKING:
    import numpy as np

Embed = Callable[[Sequence[str]], "np.ndarray"]

NUM_CHUNKS = 20  # by words, whose sentences are looked at
EMBEDDED_AT_ONCE = 3000  # sentences of a course that are given to the encoder once; of larger ones, the chunks found
K1, B = 1.2, 0.75  # of BM25, as usual
TEXT_WORDS = 20  # of the text that is put before a question: more confuse students of 135M and 1.5B (dev/LOG.md)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cited:
    """One sentence of a document, and where it stands."""

    leaf: str
    document: str  # its name
    heading: str
    page: int  # 0 where the document has none
    start: int  # bytes of the document's text
    end: int
    text: str
    score: float  # of this search; more is nearer


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a search gives: a text to read, and the sentences in it, the nearest first."""

    text: str
    sources: tuple[Cited, ...]


@dataclass(frozen=True, slots=True)
class _Sentence:
    chunk: int
    text: str
    start: int
    end: int


class Library:
    """The documents of a course, to be searched.

    Args:
        chunks: Their passages.
        names: Id of a document -> its name.
        embed: A sentence encoder; None goes by words alone.
    """

    def __init__(self, chunks: Sequence[Chunk], names: dict[str, str], *, embed: Embed | None = None) -> None:
        self.chunks, self._names, self._embed = list(chunks), names, embed
        self._sentences = [
            _Sentence(n, " ".join(s.text.split()), chunk.start + s.start, chunk.start + s.end)
            for n, chunk in enumerate(self.chunks)
            for s in sentences(chunk.text)
            if len(s.text.split()) > 2
        ]
        self._words = _Bm25([f"{c.heading} {c.text}" for c in self.chunks])
        self._of_chunk: dict[int, list[int]] = {}
        for place, sentence in enumerate(self._sentences):
            self._of_chunk.setdefault(sentence.chunk, []).append(place)
        self._vectors: dict[int, np.ndarray] = {}

    def search(self, question: str, *, most: int = 5) -> list[Cited]:
        """Return the sentences that a question is nearest to, the nearest first; `[]` where nothing is near."""
        places = self._places(question)
        if not places:
            return []
        if self._embed is not None:
            scores = self._nearness(question, places)
        else:
            scores = _Bm25([self._sentences[p].text for p in places]).scores(question)
        best = sorted((n for n in range(len(places)) if scores[n] > 0), key=lambda n: -scores[n])[:most]
        return [self._cited(places[n], round(scores[n], 4)) for n in best]

    def look_up(self, question: str, *, num_words: int = TEXT_WORDS) -> Found | None:
        """Return a short text that a question is about, in the documents' order, with its sources; None without any."""
        hits = self.search(question, most=8)
        taken: list[Cited] = []
        used = 0
        for hit in hits:
            length = len(hit.text.split())
            if taken and used + length > num_words:
                break
            taken.append(hit)
            used += length
        if not taken:
            return None
        inside = sorted(taken, key=lambda hit: (hit.document, hit.start))
        return Found(text=" ".join(hit.text for hit in inside), sources=tuple(taken))

    def _places(self, question: str) -> list[int]:
        if self._embed is not None and len(self._sentences) <= EMBEDDED_AT_ONCE:
            return list(range(len(self._sentences)))
        scores = self._words.scores(question)
        best = sorted((n for n in range(len(scores)) if scores[n] > 0), key=lambda n: -scores[n])[:NUM_CHUNKS]
        return [place for n in best for place in self._of_chunk.get(n, ())]

    def _nearness(self, question: str, places: Sequence[int]) -> list[float]:
        assert self._embed is not None
        new = [p for p in places if p not in self._vectors]
        if new:
            for place, vector in zip(new, self._embed([self._sentences[p].text for p in new]), strict=True):
                self._vectors[place] = vector
        asked = self._embed([question])[0]
        return [float(self._vectors[p] @ asked) for p in places]

    def _cited(self, place: int, score: float) -> Cited:
        sentence = self._sentences[place]
        chunk = self.chunks[sentence.chunk]
        return Cited(
            leaf=chunk.leaf,
            document=self._names.get(chunk.document, chunk.title),
            heading=chunk.heading,
            page=chunk.page,
            start=sentence.start,
            end=sentence.end,
            text=sentence.text,
            score=score,
        )


def read_library(documents: Path, *, embed: Embed | None = None) -> Library:
    """Return the library of a finished `out/documents` folder.

    Raises:
        ContentError: there is none.
    """
    chunks = read_jsonl(documents / "chunks.jsonl", Chunk)
    names = {d.id: d.name for d in read_jsonl(documents / "documents.jsonl", Document)}
    return Library(chunks, names, embed=embed)


class _Bm25:
    """How much texts are about the words of a question."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._counts = [Counter(words(text)) for text in texts]
        self._lengths = [sum(c.values()) for c in self._counts]
        self._mean = sum(self._lengths) / len(texts) if texts else 1.0
        seen = Counter(word for count in self._counts for word in count)
        self._worth = {w: math.log(1 + (len(texts) - n + 0.5) / (n + 0.5)) for w, n in seen.items()}

    def scores(self, question: str) -> list[float]:
        asked = [w for w in dict.fromkeys(words(question)) if w in self._worth]
        found = []
        for count, length in zip(self._counts, self._lengths, strict=True):
            norm = K1 * (1 - B + B * length / (self._mean or 1.0))
            found.append(sum(self._worth[w] * count[w] * (K1 + 1) / (count[w] + norm) for w in asked if w in count))
        return found


def nearest_samples(
    samples: Sequence[Sample], question: str, answer: str, *, embed: Embed | None = None, most: int = 3
) -> list[Sample]:
    """Return the training samples that are nearest to an answer, the nearest first: what it may come from.

    By words, and where there is an encoder, the best fifty of those by meaning. Replay is left out: it is the base's.
    """
    own = [s for s in samples if s.kind != "replay"]
    texts = [s.text or " ".join(m.content for m in s.messages if m.role != "system") for s in own]
    asked = f"{question} {answer}"
    scores = _Bm25(texts).scores(asked)
    order = sorted((n for n in range(len(own)) if scores[n] > 0), key=lambda n: -scores[n])[:50]
    if embed is not None and order:
        vectors = embed([asked, *(texts[n] for n in order)])
        near = vectors[1:] @ vectors[0]
        order = [order[n] for n in sorted(range(len(order)), key=lambda n: -near[n])]
    seen: dict[str, Sample] = {}
    for n in order:
        seen.setdefault(texts[n], own[n])
    return list(seen.values())[:most]
