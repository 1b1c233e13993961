"""What a taxonomy lacks: leaves that are thin, sections nobody asked about, empty folders, what the student got wrong.

    thin        few seed examples for what there is to teach, or hardly anything to teach
    untouched   a section of a document that no seed context comes from
    empty       a folder without a leaf beside folders with several
    unknown     exam questions that the tuned student answers wrong, by section of the document

All of it is arithmetic on values: documents and exam answers arrive as `Paper` and `Asked`, whoever read them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from homeroom.core.types import Leaf

GapKind = Literal["unknown", "untouched", "thin", "empty"]

WORDS_A_CONTEXT = 400  # of document that one seed context can stand for; the shipped examples have 60 to 250
FEW_EXAMPLES = 8  # of a skill; the schema asks for 5
SHORT_WORDS = 120  # a document below this holds a handful of facts
MIN_SECTION_WORDS = 20  # a shorter one is a heading with a remark
FULL = 3  # leaves in the folders beside an empty one that make it a gap

_WIDE = r"\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f"
_TOKEN = re.compile(rf"\d+|[^\W\d_{_WIDE}]{{4,}}")
_WIDE_RUN = re.compile(rf"[{_WIDE}]+")
_STEM = 6  # characters that two forms of a word mostly share
_MOSTLY, _PARTLY = 0.5, 0.25  # of a context's telling words


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """One thing that is missing, and where."""

    kind: GapKind
    path: str  # of the leaf or folder, relative to the course
    message: str
    document: str = ""
    section: str = ""
    weight: int = 0  # words or questions it is about; larger is worse, within a kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """A document of a leaf, as far as gaps need it."""

    name: str
    size_bytes: int = 0
    sections: tuple[tuple[str, str], ...] | None = None  # (title, text) in order; None where it was not read


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One exam question, and whether the student had it right before and after training."""

    leaf: str
    question: str
    source: str  # the words of the document that it rests on, or ""
    before: bool
    after: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A section of a document: how long it is, whether a seed context comes from it, what the exam found."""

    title: str
    words: int
    touched: bool
    asked: int = 0
    right: int = 0


# -- sections ----------------------------------------------------------------------------------------------------


def telling(text: str) -> frozenset[str]:
    """Return the words of a text that tell what it is about: numbers, and the stems of words of four letters or more.

    In scripts without spaces, pairs of neighbouring characters.

    Example:
        >>> sorted(telling("The inspectors keep 9 files."))
        ['9', 'files', 'inspec', 'keep']
    """
    found = {token[:_STEM] for token in _TOKEN.findall(text.casefold())}
    if not text.isascii():
        for run in _WIDE_RUN.findall(text):
            found.update(run[i : i + 2] for i in range(max(1, len(run) - 1)))
    return frozenset(found)


def examine(paper: Paper, contexts: Collection[str], asked: Sequence[Asked]) -> tuple[Section, ...]:
    """Return a paper's sections with whether a context touches each, and how many exam questions rest on it.

    A context touches the section that it was copied from; else the one that shares most of its telling words, if that
    is a quarter of them, and any that shares half of them. Words that most sections have do not count.

    Args:
        contexts: With single spaces between words.
    """
    texts = [" ".join(text.split()) for _, text in paper.sections or ()]
    touched, others = _copied(contexts, texts)
    bags = [telling(text) for text in texts] if others or any(q.source for q in asked) else []
    spread = Counter(word for bag in bags for word in bag)
    general = {word for word, count in spread.items() if len(bags) > 3 and count > 0.6 * len(bags)}
    bags = [bag - general for bag in bags]
    for context in others:
        touched |= _touches(telling(context) - general, bags)
    places = [place(question.source, texts, bags) for question in asked]
    sections = []
    for number, ((title, _), text) in enumerate(zip(paper.sections or (), texts, strict=True)):
        here = [question for question, at in zip(asked, places, strict=True) if at == number]
        count, right = len(here), sum(question.after for question in here)
        words = text.count(" ") + 1
        sections.append(Section(title=title, words=words, touched=number in touched, asked=count, right=right))
    return tuple(sections)


def _copied(contexts: Iterable[str], texts: Sequence[str]) -> tuple[set[int], list[str]]:
    """Return the texts that a context was copied from, and the contexts that stand in none as they are."""
    touched: set[int] = set()
    others = []
    for context in contexts:
        holds = [number for number, text in enumerate(texts) if context in text]
        touched.update(holds)
        if not holds:
            others.append(context)
    return touched, others


def _touches(context: frozenset[str], bags: Sequence[frozenset[str]]) -> set[int]:
    if not context or not bags:
        return set()
    shared = [len(context & bag) / len(context) for bag in bags]
    best = max(shared)
    return {n for n, share in enumerate(shared) if share >= _MOSTLY or (share == best and share >= _PARTLY)}


def place(source: str, texts: Sequence[str], bags: Sequence[frozenset[str]]) -> int:
    """Return the number of the text (single spaces) that a question's source stands in, or was taken from; else -1."""
    wanted = " ".join(source.split())
    if not wanted:
        return -1
    for number, text in enumerate(texts):
        if wanted in text:
            return number
    words = telling(source)
    shared = [len(words & bag) / len(words) if words else 0.0 for bag in bags]
    best = max(shared, default=0.0)
    return shared.index(best) if best >= 0.7 else -1


# -- gaps --------------------------------------------------------------------------------------------------------


def thin(leaf: Leaf, contexts: int, document_words: int | None) -> list[Gap]:
    """Return why a leaf is thin, if it is; `document_words` is None where its documents were not read."""
    if leaf.kind != "knowledge":
        count = len(leaf.seeds)
        message = f"{count} examples; {FEW_EXAMPLES} or more, of different sorts, teach a skill better"
        return [Gap(kind="thin", path=leaf.path, message=message, weight=FEW_EXAMPLES - count)] * (count < FEW_EXAMPLES)
    if document_words is None:
        return []
    if document_words < SHORT_WORDS:
        message = f"the documents have {document_words} words, which is little to learn from"
        return [Gap(kind="thin", path=leaf.path, message=message, weight=SHORT_WORDS - document_words)]
    wanted = round(document_words / WORDS_A_CONTEXT)
    if contexts >= wanted:
        return []
    message = f"{contexts} contexts stand for {document_words:,} words; about {wanted} would show all of it"
    return [Gap(kind="thin", path=leaf.path, message=message, weight=document_words // max(1, contexts))]


def untouched(path: str, document: str, sections: Iterable[Section]) -> list[Gap]:
    """Return the sections that no seed context comes from."""
    return [
        Gap(
            kind="untouched",
            path=path,
            document=document,
            section=section.title,
            message=f"{section.words:,} words that no seed context comes from",
            weight=section.words,
        )
        for section in sections
        if not section.touched and section.words >= MIN_SECTION_WORDS
    ]


def unknown(path: str, document: str, sections: Iterable[Section]) -> list[Gap]:
    """Return the sections that the student was asked about and answered wrong."""
    return [
        Gap(
            kind="unknown",
            path=path,
            document=document,
            section=section.title,
            message=f"{section.asked - section.right} of {section.asked} exam questions wrong",
            weight=section.asked - section.right,
        )
        for section in sections
        if section.right < section.asked
    ]


def elsewhere(path: str, asked: Sequence[Asked], placed: int) -> list[Gap]:
    """Return the wrong answers of a leaf that could be put to none of its sections."""
    wrong = [question for question in asked if not question.after]
    if len(wrong) <= placed:
        return []
    message = f"{len(wrong) - placed} of {len(asked)} exam questions wrong"
    return [Gap(kind="unknown", path=path, message=message, weight=len(wrong) - placed)]


def empty(folders: Iterable[str], leaves: Collection[str]) -> list[Gap]:
    """Return the folders without a leaf below that lie beside others with several.

    Args:
        folders: Every folder of the taxonomy, relative to the course; those inside a leaf hold its documents.
        leaves: The folders of all leaves.
    """
    below: Counter[str] = Counter()
    for leaf in leaves:
        above = leaf
        while above:
            below[above] += 1
            above = above.rpartition("/")[0]
    found = []
    for folder in sorted(folders):
        parent = folder.rpartition("/")[0]
        if not parent or parent in leaves or below[folder] or below[parent] < FULL:
            continue
        message = f"no leaf is here; the folders beside it have {below[parent]:,}"
        found.append(Gap(kind="empty", path=folder, message=message, weight=below[parent]))
    return found
