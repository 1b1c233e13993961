"""PPTX into Markdown: a slide is a page and a heading of level two, its points are lists, its notes stand below."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from homeroom.documents.package import Package, child, related, text_of
from homeroom.documents.text import PAGE, Text, not_a_heading, table

_FURNITURE = ("ftr", "hdr", "sldNum", "dt")  # placeholders that repeat on every slide


def read_pptx(name: str, content: bytes) -> Text:
    """Return the text of a presentation, slide by slide in the order in which they are shown.

    Raises:
        ContentError: the bytes are no such file, or a bomb.
    """
    package = Package(name, content)
    show = package.xml("ppt/presentation.xml")
    if show is None:
        raise package.fault("is not a presentation: it has no slides")
    parts = related(package, "ppt/presentation.xml")
    pages, hidden = [], 0
    for slide_id in show.iter("sldId"):
        part = parts.get(slide_id.get("r:id", ""), "")
        slide = package.xml(part)
        if slide is None:
            continue
        hidden += slide.get("show") == "0"
        blocks = list(_slide(slide)) if slide.get("show") != "0" else []
        notes = next((p for p in related(package, part).values() if "/notesSlides/" in p), "")
        blocks += _notes(package.xml(notes)) if blocks else []
        pages.append(PAGE + "\n\n".join(blocks).replace(PAGE, ""))
    notes = [f"{hidden} hidden slides were left out"] if hidden else []
    if any("vbaProject" in part or "/embeddings/" in part for part in package.names):
        notes.append("macros and embedded files were left out")
    title = text_of(child(package.xml("docProps/core.xml"), "title"))
    return Text(title, "\n\n".join(pages), notes=tuple(notes))


def _slide(slide: Element) -> Iterator[str]:
    shapes = list(_shapes(child(slide, "cSld", "spTree")))
    titles = [shape for shape in shapes if _placeholder(shape) in ("title", "ctrTitle")]
    for shape in titles:
        if words := " ".join(text_of_body(shape, flat=True).split()):
            yield f"## {words}"
    for shape in shapes:
        if shape.tag == "graphicFrame":
            rows = [[_cell(cell) for cell in row if cell.tag == "tc"] for row in shape.iter("tr")]
            if text := table(rows):
                yield text
        elif shape not in titles and _placeholder(shape) not in _FURNITURE and (text := text_of_body(shape)):
            yield text


def _notes(tree: Element | None) -> list[str]:
    shapes = list(_shapes(child(tree, "cSld", "spTree"))) if tree is not None else []
    texts = [text_of_body(shape, flat=True) for shape in shapes if _placeholder(shape) == "body"]
    return [f"Notes: {' '.join(text.split())}" for text in texts if text]


def _shapes(tree: Element | None) -> Iterator[Element]:
    """Yield shapes and tables in order, those in groups too."""
    for element in tree if tree is not None else ():
        if element.tag in ("sp", "graphicFrame"):
            yield element
        elif element.tag in ("grpSp", "AlternateContent", "Choice"):
            yield from _shapes(element)


def _placeholder(shape: Element) -> str:
    place = child(shape, "nvSpPr", "nvPr", "ph")
    return place.get("type", "body") if place is not None else ""


def text_of_body(shape: Element, *, flat: bool = False) -> str:
    """Return the paragraphs of a shape; several, or indented ones, are a list unless `flat`."""
    body = child(shape, "txBody")
    lines = []
    for paragraph in body if body is not None else ():
        if paragraph.tag == "p" and (words := " ".join(_words(paragraph).split())):
            level = (child(paragraph, "pPr").get("lvl", "0")) if child(paragraph, "pPr") is not None else "0"
            lines.append((int(level) if level.isdigit() else 0, words))
    if flat or len(lines) < 2:
        return not_a_heading("\n".join(words for _, words in lines))
    return "\n".join(f"{'  ' * min(level, 8)}- {words}" for level, words in lines)


def _cell(cell: Element) -> str:
    body = child(cell, "txBody")
    return " ".join(_words(paragraph) for paragraph in body) if body is not None else ""


def _words(paragraph: Element) -> str:
    return "".join(
        " " if part.tag == "br" else text_of(child(part, "t")) for part in paragraph if part.tag in ("r", "br", "fld")
    )
