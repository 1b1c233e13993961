"""DOCX into Markdown: the body's paragraphs in order, headings and lists by their styles, tables as tables.

What Word keeps apart from the body (page headers and footers, comments, deleted words, hidden words, macros) is not
text of the document and stays out; footnotes stand at the end, where their marks point.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from homeroom.documents.package import Package, child, related, text_of
from homeroom.documents.text import PAGE, Text, fenced, not_a_heading, table

_PASSED_OVER = frozenset(
    ("del", "moveFrom", "instrText", "delText", "pPr", "rPr", "tblPr", "tblGrid", "trPr", "tcPr", "sectPr", "Fallback")
) | {"sdtPr", "commentReference"}
_MACROS = re.compile(r"vbaProject|\.bin$|/embeddings/|/activeX/", re.IGNORECASE)


def read_docx(name: str, content: bytes) -> Text:
    """Return the text of a Word document.

    Raises:
        ContentError: the bytes are no such document, or a bomb.
    """
    package = Package(name, content)
    main = next((part for part in related(package, "").values() if part.endswith("document.xml")), "word/document.xml")
    document = package.xml(main)
    body = child(document, "body")
    if body is None:
        raise package.fault("is not a Word document: it has no body")
    parts = related(package, main)
    styles = package.xml(_part(parts, "styles.xml"))
    word = _Word(
        levels=_heading_levels(styles),
        ordered=_ordered_lists(package.xml(_part(parts, "numbering.xml"))),
        code=_code_styles(styles),
    )
    blocks = list(word.blocks(body))
    blocks += word.footnotes(package.xml(_part(parts, "footnotes.xml")))
    notes = []
    if word.unseen:
        notes.append(f"{word.unseen} pieces of hidden text were left out")
    if any(_MACROS.search(part) for part in package.names):
        notes.append("macros and embedded files were left out")
    return Text(_title(package), _joined(blocks), notes=tuple(notes))


@dataclass(slots=True)
class _Block:
    kind: str  # "heading", "item", "paragraph", "table", "code"
    text: str


@dataclass(slots=True)
class _Word:
    """What a document's styles say, and what was met on the way through its body."""

    levels: dict[str, int]  # style -> heading level
    ordered: set[tuple[str, str]]  # (list, level) that count
    code: frozenset[str]  # styles of program text
    counters: dict[str, list[int]] = field(default_factory=dict)
    footnote_ids: list[str] = field(default_factory=list)
    unseen: int = 0

    def blocks(self, parent: Element) -> Iterator[_Block]:
        """Yield the blocks below an element, in order; what wraps others (content controls) is opened."""
        for element in parent:
            if element.tag == "p":
                yield from self.paragraph(element)
            elif element.tag == "tbl":
                yield from self.table(element)
            elif element.tag not in _PASSED_OVER:
                yield from self.blocks(element)

    def paragraph(self, element: Element) -> Iterator[_Block]:
        """Yield a paragraph as what its style says it is, and then the text boxes that hang on it."""
        text = "".join(self.runs(element)).replace(PAGE, "").strip("\n")
        style = _value(child(element, "pPr", "pStyle"))
        level = self.levels.get(style, 0) or _outline(child(element, "pPr"))
        numbering = child(element, "pPr", "numPr")
        if text.strip() and level:
            yield _Block("heading", f"{'#' * level} {' '.join(text.split())}")
        elif text.strip() and (numbering is not None or style.startswith("List")):
            yield _Block("item", self.item(text, numbering, style))
        elif text.strip():
            yield _Block("code", text) if style in self.code else _Block("paragraph", not_a_heading(text))
        for box in element.iter("txbxContent"):
            if not any(box in list(other.iter()) for other in element.iter("Fallback")):
                yield from self.blocks(box)

    def item(self, text: str, numbering: Element | None, style: str) -> str:
        """Return a list item with its mark, indented by its level."""
        number, level = _value(child(numbering, "numId")), _value(child(numbering, "ilvl")) or "0"
        depth = min(int(level), 8) if level.isdigit() else 0
        counts = self.counters.setdefault(number or style, [0] * 9)
        counts[depth] += 1
        counts[depth + 1 :] = [0] * (8 - depth)
        counted = (number, str(depth)) in self.ordered or (numbering is None and "Number" in style)
        return "  " * depth + (f"{counts[depth]}. " if counted else "- ") + text.strip().replace("\n", " ")

    def table(self, element: Element) -> Iterator[_Block]:
        """Yield a table; one of a single column, or with long cells, is layout and yields its paragraphs."""
        rows, cells = [], []
        for row in _rows(element, "tr"):
            texts = []
            for cell in _rows(row, "tc"):
                inner = list(self.blocks(cell))
                cells += inner
                text = " ".join(block.text.lstrip("# ") if block.kind == "heading" else block.text for block in inner)
                width = _value(child(cell, "tcPr", "gridSpan"))
                texts += [text, *[""] * (min(int(width), 64) - 1 if width.isdigit() else 0)]
            rows.append(texts)
        if max((len(row) for row in rows), default=0) < 2 or any(len(t) > 1500 for row in rows for t in row):
            yield from cells
        elif text := table(rows):
            yield _Block("table", text)

    def runs(self, parent: Element) -> Iterator[str]:
        """Yield the visible words below a paragraph."""
        for element in parent:
            if element.tag == "t":
                yield element.text or ""
            elif element.tag in ("tab", "br", "cr", "noBreakHyphen"):
                yield {"tab": " ", "noBreakHyphen": "-"}.get(element.tag, "\n")
            elif element.tag == "r" and _hidden(child(element, "rPr")):
                self.unseen += bool(text_of(element).strip())
            elif element.tag in ("footnoteReference", "endnoteReference") and element.tag[0] == "f":
                self.footnote_ids.append(element.get("id", ""))
                yield f"[{len(self.footnote_ids)}]"
            elif element.tag not in _PASSED_OVER and element.tag not in ("txbxContent", "p", "tbl"):
                yield from self.runs(element)

    def footnotes(self, tree: Element | None) -> Iterator[_Block]:
        """Yield the footnotes that the body pointed to, with their marks."""
        by_id = {note.get("id", ""): note for note in tree} if tree is not None else {}
        for number, name in enumerate(list(self.footnote_ids), 1):
            if name in by_id:
                text = " ".join(block.text for block in self.blocks(by_id[name]))
                if text.strip():
                    yield _Block("paragraph", f"[{number}] {text.strip()}")


def _joined(blocks: list[_Block]) -> str:
    out = ""
    for kind, group in itertools.groupby(blocks, key=lambda block: block.kind):
        texts = [block.text for block in group]
        together = fenced("\n".join(texts)) if kind == "code" else ("\n" if kind == "item" else "\n\n").join(texts)
        out += ("\n\n" if out else "") + together
    return out


def _rows(parent: Element, tag: str) -> Iterator[Element]:
    """Yield the rows or cells below, also those in content controls, but not those of tables inside."""
    for element in parent:
        if element.tag == tag:
            yield element
        elif element.tag in ("sdt", "sdtContent", "ins", "customXml"):
            yield from _rows(element, tag)


def _value(element: Element | None) -> str:
    return element.get("val", "") if element is not None else ""


def _part(parts: dict[str, str], file: str) -> str:
    return next((part for part in parts.values() if part.endswith(f"/{file}")), f"word/{file}")


def _hidden(style: Element | None) -> bool:
    """Say whether a run is hidden, white on nothing, or smaller than two points."""
    if style is None:
        return False
    vanish = child(style, "vanish")
    size = _value(child(style, "sz"))
    white = _value(child(style, "color")).upper() == "FFFFFF" and child(style, "shd") is None
    white = white and child(style, "highlight") is None
    return (
        (vanish is not None and vanish.get("val", "1") not in ("0", "false"))
        or (size.isdigit() and int(size) < 4)
        or white
    )


def _outline(properties: Element | None) -> int:
    level = _value(child(properties, "outlineLvl"))
    return min(int(level) + 1, 6) if level.isdigit() and int(level) < 9 else 0


def _heading_levels(styles: Element | None) -> dict[str, int]:
    """Return the heading level of each style that has one, or whose parent has."""
    own: dict[str, int] = {}
    parents: dict[str, str] = {}
    for style in styles if styles is not None else ():
        name, key = _value(child(style, "name")).lower(), style.get("styleId", "")
        found = re.fullmatch(r"heading ([1-9])", name)
        own[key] = min(int(found[1]), 6) if found else 1 if name == "title" else _outline(child(style, "pPr"))
        parents[key] = _value(child(style, "basedOn"))
    levels = {}
    for key in own:
        at, steps = key, 0
        while at in own and not own[at] and steps < 20:
            at, steps = parents.get(at, ""), steps + 1
        levels[key] = own.get(at, 0)
    return levels


def _code_styles(styles: Element | None) -> frozenset[str]:
    named = (
        (style.get("styleId", ""), _value(child(style, "name"))) for style in (styles if styles is not None else ())
    )
    return frozenset(key for key, name in named if re.search("code|preformat|verbatim|listing", name, re.IGNORECASE))


def _ordered_lists(numbering: Element | None) -> set[tuple[str, str]]:
    """Return (list, level) for the lists that count, whatever they count with."""
    if numbering is None:
        return set()
    kinds: dict[str, set[str]] = {}
    for abstract in numbering.iter("abstractNum"):
        counting = [x for x in abstract.iter("lvl") if _value(child(x, "numFmt")) not in ("bullet", "none", "")]
        kinds[abstract.get("abstractNumId", "")] = {x.get("ilvl", "") for x in counting}
    return {
        (number.get("numId", ""), level)
        for number in numbering.iter("num")
        for level in kinds.get(_value(child(number, "abstractNumId")), ())
    }


def _title(package: Package) -> str:
    core = package.xml("docProps/core.xml")
    return text_of(child(core, "title")).strip()
