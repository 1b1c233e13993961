"""Markdown as far as cutting needs it: headings, and blocks that should stay whole.

Positions are characters of the text. Code fences hide headings; a line of `===` or `---` below a line makes it one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*))?$")
_UNDERLINE = re.compile(r"={2,}|-{2,}")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_ITEM = re.compile(r"[ \t]{0,8}(?:[-*+•‣◦]|\(?[0-9]{1,3}[.)]|\(?[a-z]\))[ \t]")
_MARKS = re.compile(r"[ \t]#+$|!?\[([^\[\]]*)\]\([^()\s]*\)|[*_`]{1,3}")

BlockKind = Literal["paragraph", "list", "table", "code"]


@dataclass(frozen=True, slots=True)
class Line:
    """One line, without its line end."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands below it, up to the next heading of any level."""

    level: int  # 0 before the first heading
    title: str
    parents: tuple[str, ...]  # titles above it, outermost first
    number: int  # its place among the sections
    parent: int  # the number of the section above it; -1 at the top
    start: int  # of the body
    end: int


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, list, table or piece of code."""

    kind: BlockKind
    start: int
    end: int


def sections(text: str) -> list[Section]:
    r"""Return the sections in order; what stands before the first heading is one of level 0, if there is any.

    Example:
        >>> [(s.level, s.title, s.parents) for s in sections("# A\n\n## B\nx\n### C\n")]
        [(1, 'A', ()), (2, 'B', ('A',)), (3, 'C', ('A', 'B'))]
    """
    found: list[Section] = []
    open_sections: list[Section] = []
    level, title, body, parents, parent = 0, "", 0, (), -1

    def close(end: int) -> None:
        section = Section(level, title, parents, len(found), parent, body, end)
        if level or text[body:end].strip():
            found.append(section)
            if level:
                open_sections.append(section)

    for next_level, next_title, start, end in _headings(text):
        close(start)
        while open_sections and open_sections[-1].level >= next_level:
            open_sections.pop()
        level, title, body = next_level, next_title, end
        parents = tuple(section.title for section in open_sections)
        parent = open_sections[-1].number if open_sections else -1
    close(len(text))
    return found


def first_heading(text: str) -> str:
    """Return the first heading's text, or ""."""
    return next((title for _, title, _, _ in _headings(text) if title), "")


def blocks(text: str, start: int, end: int) -> list[Block]:
    """Return the blocks of text[start:end] in order; every character that is not white space is in one."""
    found: list[Block] = []
    kind: BlockKind | None = None
    begin = last = start
    fence = ""
    blank_before = False
    for line in _lines(text, start, end):
        opening = _FENCE.match(line.text)
        if fence:
            last = line.end
            fence = "" if _closes(line.text, fence) else fence
            kind = kind if fence else None
            if not fence:
                found.append(Block("code", begin, last))
            continue
        if not line.text.strip():
            blank_before = True
            continue
        now = _kind(line.text, opening is not None)
        goes_on = kind == now and (not blank_before or now == "list")
        goes_on |= kind == "list" and (line.text[:1] in " \t" or (now == "paragraph" and not blank_before))
        if kind and not goes_on:
            found.append(Block(kind, begin, last))
        if not kind or not goes_on:
            kind, begin = now, line.start
        if opening and kind == "code":
            fence = opening[1]
        last, blank_before = line.end, False
    if kind:
        found.append(Block(kind, begin, last))
    return found


def _kind(line: str, is_fence: bool) -> BlockKind:
    if is_fence:
        return "code"
    if line.lstrip().startswith("|"):
        return "table"
    return "list" if _ITEM.match(line) else "paragraph"


def _closes(line: str, fence: str) -> bool:
    return line.strip().startswith(fence) and not line.strip().strip(fence[0])


def _lines(text: str, start: int, end: int) -> Iterator[Line]:
    while start < end:
        stop = text.find("\n", start, end)
        stop = end if stop < 0 else stop
        yield Line(text[start:stop], start, stop)
        start = stop + 1


def _headings(text: str) -> Iterator[tuple[int, str, int, int]]:
    """Yield (level, title, start of the heading, start of what follows)."""
    fence = ""
    paragraph: list[Line] = []  # its last two lines: only a paragraph of one line becomes a heading by === or ---
    for line in _lines(text, 0, len(text)):
        opening = _FENCE.match(line.text)
        if fence or opening:
            fence = opening[1] if opening and not fence else "" if _closes(line.text, fence) else fence
            paragraph = []
            continue
        atx = _ATX.match(line.text)
        if atx:
            yield len(atx[1]), _plain(atx[2] or ""), line.start, min(line.end + 1, len(text))
            paragraph = []
        elif len(paragraph) == 1 and _UNDERLINE.fullmatch(line.text.strip()):
            level = 1 if "=" in line.text else 2
            yield level, _plain(paragraph[0].text), paragraph[0].start, min(line.end + 1, len(text))
            paragraph = []
        elif not line.text.strip() or line.text.startswith(("    ", "\t", "|", ">")) or _ITEM.match(line.text):
            paragraph = []
        else:
            paragraph = [*paragraph[-1:], line]


def _plain(title: str) -> str:
    """Return a heading without emphasis, links and closing marks, at most 200 characters."""
    return " ".join(_MARKS.sub(lambda m: m[1] or "", title.strip()[:500]).split())[:200]
