"""A document into passages: its sections where it has headings, even parts where a section is long.

One idea: every section is a row of atoms (sentences, list items, table rows, small blocks) with a border before each,
and a border has a price: nothing between paragraphs, little between sentences, much inside a table or a piece of
code, most inside a sentence. Choosing the cheapest borders that leave parts of nearly equal size keeps tables, lists
and code whole when they fit, and starts a passage inside a sentence only when the sentence alone is too long.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from homeroom.core.config import Documents
from homeroom.core.sentences import sentences
from homeroom.core.types import Chunk, Document, content_id
from homeroom.documents.markdown import Block, Section, blocks, sections

_WIDE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]")  # scripts without spaces between words
_LONG = 40  # characters of an ordinary word at most; longer ones (addresses, encoded data) count as several
_BREAKABLE = re.compile(rf"{_WIDE.pattern}|(?:(?!{_WIDE.pattern})\S){{1,{_LONG}}}")
_PRICES = {"paragraph": 0.15, "list": 0.25, "table": 0.6, "code": 0.6}  # of a border inside such a block


def chunk(document: Document, *, config: Documents) -> list[Chunk]:
    """Return the document's passages in order: none overlap, and every word below the headings is in one.

    A passage has at most `config.max_words` words; a section with fewer than `config.min_words` joins a neighbour
    under the same parent where both fit into one passage (the heading between them then stands in the text).
    """
    pieces: list[_Piece] = []
    for group in _joined(_bodies(document.text), document.text, config):
        pieces += _cut(document.text, group, config.max_words)
    return list(_as_chunks(document, pieces))


def num_words(text: str) -> int:
    """Return the number of words: what white space parts; in scripts without spaces, two characters are a word.

    Example:
        >>> num_words("one two  three"), num_words("これは文です。")
        (3, 4)
    """
    words = text.split()
    wide = 0 if text.isascii() else len(_WIDE.findall(text))
    long = sum(len(word) // _LONG for word in words if len(word) > _LONG) if not wide else 0
    return len(words) + wide // 2 + long


@dataclass(frozen=True, slots=True)
class _Piece:
    heading: str
    start: int  # characters
    end: int


@dataclass(frozen=True, slots=True)
class _Atom:
    start: int
    end: int
    words: int
    price: float  # of cutting before it


@dataclass(frozen=True, slots=True)
class _Body:
    """One section, or several that were joined."""

    first: Section
    last: Section
    heading: str
    start: int
    end: int
    words: int


# -- sections ----------------------------------------------------------------------------------------------------


def _bodies(text: str) -> list[_Body]:
    found = []
    for section in sections(text):
        start, end = _trim(text, section.start, section.end)
        if any(c.isalnum() for c in text[start:end]):
            found.append(_Body(section, section, _heading(section), start, end, num_words(text[start:end])))
    return found


def _heading(section: Section) -> str:
    """Return the title; below level 2 with the titles above it from level 2 on: "Plans > Orchard"."""
    parents = section.parents[1:] if section.level > 2 and section.parents else ()
    return " > ".join([*(p for p in parents if p), section.title]) if section.title else " > ".join(parents)


def _joined(bodies: list[_Body], text: str, config: Documents) -> list[_Body]:
    """Join each short section with the next of the same parent, or else with the one before."""
    done: list[_Body] = []
    for body in bodies:
        before = done[-1] if done else None
        if before and min(before.words, body.words) < config.min_words and _may_join(before, body, text, config):
            heading = " / ".join(dict.fromkeys(h for h in (before.heading, body.heading) if h))
            words = num_words(text[before.start : body.end])
            done[-1] = _Body(before.first, body.last, heading, before.start, body.end, words)
        else:
            done.append(body)
    return done


def _may_join(one: _Body, two: _Body, text: str, config: Documents) -> bool:
    related = one.last.parent == two.first.parent or one.first.number == two.first.parent
    in_order = one.first.level <= two.first.level
    return related and in_order and num_words(text[one.start : two.end]) <= config.max_words


# -- parts -------------------------------------------------------------------------------------------------------


def _cut(text: str, body: _Body, max_words: int) -> Iterator[_Piece]:
    if body.words <= max_words:
        yield _Piece(body.heading, body.start, body.end)
        return
    atoms = _atoms(text, body, max_words)
    first = 0
    for after in _even_borders(atoms, max_words):
        yield _Piece(body.heading, atoms[first].start, atoms[after - 1].end)
        first = after


def _even_borders(atoms: list[_Atom], max_words: int) -> list[int]:
    """Return the ends (indexes into atoms) of the cheapest parts, each of at most `max_words` and near the mean."""
    total = sum(atom.words for atom in atoms)
    target = total / math.ceil(total / max_words)
    cost, back = [0.0] + [math.inf] * len(atoms), [0] * (len(atoms) + 1)
    for end in range(1, len(atoms) + 1):
        words = 0
        for start in range(end - 1, -1, -1):
            words += atoms[start].words
            if words > max_words and start < end - 1:
                break
            price = atoms[start].price if start else 0.0
            now = cost[start] + ((words - target) / target) ** 2 + price + 0.02  # the last: fewer parts, all else equal
            if now < cost[end]:
                cost[end], back[end] = now, start
    borders = []
    while (end := len(atoms) if not borders else back[borders[-1]]) > 0:
        borders.append(end)
    return borders[::-1]


def _atoms(text: str, body: _Body, max_words: int) -> list[_Atom]:
    """Return what is never cut: blocks that are small, else sentences, else words; together they cover the body."""
    small = max(1, max_words // 16)  # smaller ones join the next, so that the search stays fast
    atoms: list[_Atom] = []
    for block in blocks(text, body.start, body.end):
        first = True
        lead_in = bool(atoms) and text[atoms[-1].end - 1] == ":"
        for start, end in _gathered(text, _pieces_of(text, block, max_words), small):
            price = (0.5 if lead_in else 0.0) if first else _PRICES[block.kind]
            first = False
            for number, (part_start, part_end) in enumerate(_words_apart(text, start, end, max_words)):
                words = num_words(text[part_start:part_end])
                before = atoms[-1] if atoms else None
                if before and before.words < small and before.words + words <= max_words // 4:
                    atoms[-1] = _Atom(before.start, part_end, before.words + words, before.price)
                else:
                    atoms.append(_Atom(part_start, part_end, words, 1.0 if number else price))
    return atoms


def _pieces_of(text: str, block: Block, max_words: int) -> Iterator[tuple[int, int]]:
    """Yield the (start, end) of the lines of tables and code, and of the sentences of other blocks."""
    if num_words(text[block.start : block.end]) <= max_words and block.kind in ("table", "code"):
        yield block.start, block.end
        return
    if block.kind in ("table", "code"):
        ends = [m.start() for m in re.finditer("\n", text[block.start : block.end])]
    else:
        ends = _sentence_ends(text[block.start : block.end])
    start = block.start
    for end in (*(block.start + e for e in ends), block.end):
        begin, stop = _trim(text, start, end)
        if begin < stop:
            yield begin, stop
        start = end


def _sentence_ends(text: str) -> list[int]:
    """Return where each sentence ends, in characters; a marker such as "- " so goes with what it marks."""
    raw = text.encode()
    ends, characters, position = [], 0, 0
    for span in sentences(text):
        characters += len(raw[position : span.start].decode()) + len(span.text)
        position = span.end
        ends.append(characters)
    return ends[:-1]


def _gathered(text: str, pieces: Iterator[tuple[int, int]], small: int) -> Iterator[tuple[int, int]]:
    begin = end = -1
    for start, stop in pieces:
        if begin >= 0 and num_words(text[begin:end]) >= small:
            yield begin, end
            begin = -1
        begin, end = (start if begin < 0 else begin), stop
    if begin >= 0:
        yield begin, end


def _words_apart(text: str, start: int, end: int, max_words: int) -> Iterator[tuple[int, int]]:
    """Yield a sentence whole, or in even parts between words where it has more than `max_words` of them."""
    total = num_words(text[start:end])
    if total <= max_words:
        yield start, end
        return
    target = total / math.ceil(total / max_words * 1.1)
    begin, words = start, 0
    for match in _BREAKABLE.finditer(text, start, end):
        weight = num_words(match[0]) or 0.5
        if words and words + weight > target:
            yield _trim(text, begin, match.start())
            begin, words = match.start(), 0
        words += weight
    yield _trim(text, begin, end)


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    piece = text[start:end]
    return start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip())


# -- bytes -------------------------------------------------------------------------------------------------------


def _as_chunks(document: Document, pieces: list[_Piece]) -> Iterator[Chunk]:
    characters = offset = 0
    for piece in pieces:
        offset += len(document.text[characters : piece.start].encode())
        text = document.text[piece.start : piece.end]
        start, offset, characters = offset, offset + len(text.encode()), piece.end
        yield Chunk(
            id=content_id(document.id, start, offset, text),
            document=document.id,
            leaf=document.leaf,
            title=document.title,
            heading=piece.heading,
            text=text,
            start=start,
            end=offset,
            page=bisect_right(document.pages, start),
        )
