"""Lines on pages into Markdown: running heads go, headings, lists, code and simple tables are recognised.

A PDF has no paragraphs, only letters at places. What makes a heading is the file's own outline where it has one, else
letters larger than most; what makes a paragraph is a wider gap between lines; what makes a table is three lines or
more whose words stand in the same columns. Nothing that is not certain is marked: a wrong table is worse than none.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from homeroom.documents.text import PAGE, fenced, not_a_heading, table

_MARGIN = 0.16  # of a page's height, above and below, where running heads stand
_COLUMN_GAP = 1.1  # of a line's height: wider than any gap between words
_BULLET = re.compile(r"^[•◦▪▫‣●○■□➢➤–·\uf0b7\uf0a7\u2023]\s*")
_PAGE_NUMBER = re.compile(r"\W*(?:page|seite|p\.)?\W*(?:\d{1,4}|[ivxlc]{1,7})(?:\s*(?:/|of|von)\s*\d{1,4})?\W*", re.I)
_NUMBER = re.compile(r"(chapter|appendix|section|part|kapitel|anhang)?([0-9]{0,8}|[a-z][0-9]{0,6}|[ivxlc]{1,6})")
# bold and numbered, or bold and in capitals
_TITLE = re.compile(r"(?:(?:\d{1,2}\.)+\d{0,2}\s+\S|\d{1,2}\s+[A-Z]).{0,95}$|[A-Z][A-Z0-9 ,&/():-]{3,60}$")
_LEADERS = re.compile(r"(?:\s*\.){4,}\s*")  # dots between an entry of a table of contents and its page


@dataclass(frozen=True, slots=True)
class Word:
    """A word and the places of its left and right edges, in points."""

    text: str
    x0: float
    x1: float


@dataclass(frozen=True, slots=True)
class Line:
    """Words on one base line."""

    words: tuple[Word, ...]
    y: float  # of the lower edge, from the page's lower edge
    height: float
    last_y: float = 0.0  # where a word that was cut at the line's end goes on; else as `y`
    bold: bool = False
    mono: bool = False

    @property
    def text(self) -> str:
        """The words with single spaces between them."""
        return " ".join(word.text for word in self.words)

    @property
    def x0(self) -> float:
        """The left edge."""
        return self.words[0].x0

    @property
    def x1(self) -> float:
        """The right edge."""
        return self.words[-1].x1

    def cells(self) -> list[Word]:
        """Return the words joined to cells wherever the gap between two is no wider than a space may be."""
        cells = [self.words[0]]
        for word in self.words[1:]:
            if word.x0 - cells[-1].x1 <= self.height * _COLUMN_GAP:
                cells[-1] = Word(f"{cells[-1].text} {word.text}", cells[-1].x0, word.x1)
            else:
                cells.append(word)
        return cells


@dataclass(frozen=True, slots=True)
class Page:
    """A page's lines, in the order in which they were written."""

    width: float
    height: float
    lines: list[Line]
    unseen: int = 0  # lines left out because nobody can see them


@dataclass(frozen=True, slots=True)
class Outline:
    """An entry of a PDF's outline ("bookmarks")."""

    level: int
    title: str
    page: int  # from 0


@dataclass(slots=True)
class _Out:
    """The Markdown so far; what separates the next block from the last is decided when it comes."""

    text: list[str] = field(default_factory=list)
    marks: str = ""  # of pages that began and have no letter yet

    def add(self, block: str, *, close: bool = False) -> None:
        self.text += ["" if not self.text else "\n" if close else "\n\n", self.marks + block]
        self.marks = ""


def markdown(pages: list[Page], outline: list[Outline] | None = None) -> str:
    """Return the pages as Markdown with a `PAGE` mark where each begins.

    Args:
        pages: Lines in the order of reading.
        outline: The file's own headings; fewer than three are not trusted.
    """
    bare = _without_running_heads(pages, outline or [])
    headings = _by_outline(bare, outline or []) if len(outline or []) >= 3 else {}
    if len(headings) < 3:
        headings = _by_size(bare)
    body = _body_height(bare)
    out = _Out()
    for number, page in enumerate(bare):
        out.marks += PAGE
        _write_page(out, page, {at: level for (on, at), level in headings.items() if on == number}, body)
    return (
        re.sub(rf"(?<=[^\W\d_])-\n(\n?{PAGE}?)(?=[a-zß-öø-ÿ])", lambda m: m[1].replace("\n", ""), "".join(out.text))
        + out.marks
    )


# -- running heads -----------------------------------------------------------------------------------------------


def _without_running_heads(pages: list[Page], outline: list[Outline]) -> list[Page]:
    """Return pages without the lines that stand at one place in the margin of three pages or more."""
    titles = {_key(entry.title) for entry in outline}
    seen: Counter[tuple[str, int]] = Counter()
    for page in pages:
        seen.update({(_shape(line), round(line.y / 3)) for line in _in_margin(page)})

    def runs(line: Line, page: Page) -> bool:
        y = round(line.y / 3)
        often = max(seen[_shape(line), y], *(seen[_shape(line), y + d] for d in (-1, 1)))
        return often >= 3 or (bool(_PAGE_NUMBER.fullmatch(line.text)) and _key(line.text) not in titles)

    heads = _section_heads(pages, outline)
    kept = []
    for page in pages:
        dropped = {id(line) for line in _in_margin(page) if id(line) in heads or runs(line, page)}
        kept.append(Page(page.width, page.height, [line for line in page.lines if id(line) not in dropped]))
    return kept


def _section_heads(pages: list[Page], outline: list[Outline]) -> set[int]:
    """Return the ids of top lines that name the section, at the one place where two pages of five have such a line."""
    tops = {number: max(page.lines, key=lambda line: line.y) for number, page in enumerate(pages) if page.lines}
    places = Counter(round(line.y / 3) for line in tops.values())
    keys: dict[int, set[str]] = {}
    for entry in outline:
        keys.setdefault(entry.page, set()).add(_key(entry.title))
    titles = {key for found in keys.values() for key in found if len(key) >= 6}
    body, heads = _body_height(pages), set()
    for number, line in tops.items():
        key, often = _key(line.text), places[round(line.y / 3)] >= max(5, 0.4 * len(pages))
        begins_here = any(key.endswith(own) and len(key) < len(own) + 8 for own in keys.get(number, ()))
        if often and line.height <= body * 1.1 and not begins_here and any(title in key for title in titles):
            heads.add(id(line))
    return heads


def _in_margin(page: Page) -> list[Line]:
    """Return the outermost lines of a page: those in its margins, at most three above and three below."""
    ranked = sorted(page.lines, key=lambda line: -line.y)
    above = [line for line in ranked[:3] if line.y > page.height * (1 - _MARGIN)]
    below = [line for line in ranked[-3:] if line.y < page.height * _MARGIN]
    return above + below


def _shape(line: Line) -> str:
    return re.sub(r"\d+|\b[ivxlc]+\b", "#", line.text.casefold())


# -- headings ----------------------------------------------------------------------------------------------------


def _by_outline(pages: list[Page], outline: list[Outline]) -> dict[tuple[int, int], tuple[int, int]]:
    """Return (page, line) -> (level, number of lines) for the entries of the outline that are found on their page."""
    found: dict[tuple[int, int], tuple[int, int]] = {}
    for entry in outline:
        wanted = _key(entry.title)
        if not wanted or not 0 <= entry.page < len(pages):
            continue
        lines = pages[entry.page].lines
        for at in range(len(lines)):
            length = next((n for n in (1, 2, 3) if _names(lines[at : at + n], wanted)), 0)
            if length and (entry.page, at) not in found:
                found[entry.page, at] = (entry.level, length)
                break
    return found


def _names(lines: list[Line], wanted: str) -> bool:
    """Say whether lines are a title, with or without a number before it."""
    key = _key(" ".join(line.text for line in lines))
    if len(key) > len(wanted) + 16 or not key.endswith(wanted):
        return key == wanted[-len(key) :] and len(key) * 10 > len(wanted) * 9 and len(key) > 8
    before = key[: len(key) - len(wanted)]
    return _NUMBER.fullmatch(before) is not None


def _key(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.casefold())


def _body_height(pages: list[Page]) -> float:
    heights: Counter[float] = Counter()
    for page in pages:
        for line in page.lines:
            heights[round(line.height * 2) / 2] += len(line.text)
    return heights.most_common(1)[0][0] if heights else 0.0


def _by_size(pages: list[Page]) -> dict[tuple[int, int], tuple[int, int]]:
    """Return (page, line) -> (level, number of lines) for short lines in letters larger than most, or bold numbered."""
    body = _body_height(pages)
    sizes: Counter[float] = Counter()
    candidates = []
    for number, page in enumerate(pages):
        left = min((line.x0 for line in page.lines), default=0.0)
        for at, line in enumerate(page.lines):
            text = line.text
            if len(text) > 150 or len(line.cells()) > 3 or not re.search(r"[^\W\d_]{2}", text) or line.mono:
                continue
            size = round(line.height)
            large = line.height > body * 1.12
            if large or (line.bold and line.x0 < left + 6 and _TITLE.match(text)):
                candidates.append((number, at, size if large else 0))
                sizes[size if large else 0] += 1
    ranks = {size: min(rank, 4) for rank, size in enumerate(sorted(sizes, reverse=True), 1)}
    if len(candidates) * 3 > sum(len(page.lines) for page in pages):
        return {}  # most lines are "larger than most": a poster or slides, where size says little
    found: dict[tuple[int, int], tuple[int, int]] = {}
    last = (-1, -1, 0.0)
    for number, at, size in candidates:
        if last[0] == number and size and last[2] == size and found.get((number, last[1]), (0, 9))[1] < 3:
            first = (number, last[1])
            level, length = found[first]
            if first[1] + length == at:  # a title of two lines
                found[first] = (level, length + 1)
                continue
        found[number, at] = (ranks[size], 1)
        last = (number, at, size)
    return found


# -- pages -------------------------------------------------------------------------------------------------------


def _write_page(out: _Out, page: Page, headings: dict[int, tuple[int, int]], body: float) -> None:
    at, lines = 0, page.lines
    pitch = _pitch(lines)
    while at < len(lines):
        if at in headings:
            level, length = headings[at]
            out.add("#" * level + " " + " ".join(line.text for line in lines[at : at + length]))
            at += length
            continue
        stop = next((h for h in sorted(headings) if h > at), len(lines))
        if length := _table_at(lines[at:stop]):
            out.add(table(_columns(lines[at : at + length])))
            at += length
        elif length := _code_at(lines[at:stop]):
            out.add(_code(lines[at : at + length]))
            at += length
        else:
            before = lines[at - 1] if at and at - 1 not in headings else None
            _write_line(out, lines[at], before, pitch, first=at == 0)
            at += 1


def _write_line(out: _Out, line: Line, before: Line | None, pitch: float, *, first: bool) -> None:
    """Add a line to the paragraph before it, or begin one."""
    text = not_a_heading(_LEADERS.sub(" … ", line.text))
    point = _BULLET.match(text)
    if point:
        text = "- " + text[point.end() :]
    last = out.text[-1] if out.text else ""
    if last.endswith("- ") and last.strip(f" {PAGE}\n") == "-":  # a bullet on a line of its own
        out.text[-1] = last + text
        return
    is_block = last.lstrip(PAGE).startswith(("#", "|", "```"))
    if first:  # of a page: a sentence may run on
        runs_on = bool(last) and not is_block and (last[-1].isalnum() or last[-1] in ",-") and text[:1].islower()
        out.add(text, close=runs_on)
        return
    gap = ((before.last_y or before.y) - line.y) if before is not None else 0.0
    apart = before is None or gap > pitch * 1.35 or gap < -pitch
    indented = before is not None and line.x0 > before.x0 + line.height * 0.8 and before.text[-1:] in ".:!?"
    item = bool(point) or re.match(r"(?:\d{1,2}[.)]|\(?[a-z]\))\s", text) is not None
    out.add(text, close=not is_block and (item or not (apart or indented)) and not (point and not _in_list(last)))


def _in_list(last: str) -> bool:
    return re.match(r"\s*(?:- |\d{1,2}[.)] )", last.lstrip(PAGE)) is not None


def _pitch(lines: list[Line]) -> float:
    gaps = sorted(round(a.y - b.y, 1) for a, b in itertools.pairwise(lines) if 0 < a.y - b.y < 4 * max(a.height, 1))
    return gaps[len(gaps) // 3] if gaps else 12.0


# -- tables and code ---------------------------------------------------------------------------------------------


def _table_at(lines: list[Line]) -> int:
    """Return how many lines from the first on are rows of one table; 0 where they are none."""
    first = lines[0].cells()
    if not 2 <= len(first) <= 12 or any(_LEADERS.search(line.text) for line in lines[:3]):
        return 0
    count, starts = 0, [cell.x0 for cell in first]
    for line in lines:
        cells = line.cells()
        if len(cells) < 2 or _fitting(cells, starts) < len(cells) or line.mono or _BULLET.match(line.text):
            break
        if count and not 0 < lines[count - 1].y - line.y < 3.5 * line.height:
            break
        starts = sorted({*starts, *(c.x0 for c in cells if _nearest(starts, c.x0) > 4)})
        count += 1
    short = sum(len(cell.text) for line in lines[:count] for cell in line.cells()) < 45 * sum(
        len(line.cells()) for line in lines[:count]
    )
    return count if count >= 3 and short else 0


def _fitting(cells: list[Word], starts: list[float]) -> int:
    return sum(_nearest(starts, cell.x0) < 4 for cell in cells)


def _nearest(starts: list[float], x: float) -> float:
    return min(abs(start - x) for start in starts)


def _columns(lines: list[Line]) -> list[list[str]]:
    starts: list[float] = []
    for cell in (cell for line in lines for cell in line.cells()):
        if not starts or _nearest(starts, cell.x0) >= 4:
            starts.append(cell.x0)
    starts.sort()
    rows = []
    for line in lines:
        row = [""] * len(starts)
        for cell in line.cells():
            at = min(range(len(starts)), key=lambda i, x=cell.x0: abs(starts[i] - x))
            row[at] = f"{row[at]} {cell.text}".strip()
        rows.append(row)
    return rows


def _code_at(lines: list[Line]) -> int:
    count = next((i for i, line in enumerate(lines) if not line.mono), len(lines))
    return count if count >= 2 else 0


def _code(lines: list[Line]) -> str:
    """Return lines of a typewriter's font between fences, indented as they stand on the page."""
    return fenced("\n".join(_indented(lines)))


def _indented(lines: list[Line]) -> Iterator[str]:
    left = min(line.x0 for line in lines)
    widths = [(line.x1 - line.x0) / len(line.text) for line in lines if len(line.text) > 3]
    width = sorted(widths)[len(widths) // 2] if widths else 6.0
    for line in lines:
        text, end = "", left
        for word in line.words:
            text += " " * min(120, max(1 if text else 0, round((word.x0 - end) / max(width, 1.0)))) + word.text
            end = word.x1
        yield text
