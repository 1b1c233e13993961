"""ODT into Markdown: headings, lists and tables are elements of their own there, so this reads them as they are.

Page headers and footers live in `styles.xml`, which is not read; deleted words and comments are passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from homeroom.documents.package import Package, child, text_of
from homeroom.documents.text import PAGE, Text, not_a_heading, table

_PASSED_OVER = frozenset(
    ("tracked-changes", "annotation", "annotation-end", "sequence-decls", "forms", "bibliography-source")
)
_MAX_REPEATED = 64  # of an empty cell: sheets repeat it a thousand times


def read_odt(name: str, content: bytes) -> Text:
    """Return the text of an OpenDocument text.

    Raises:
        ContentError: the bytes are no such document, a bomb, or protected by a password.
    """
    package = Package(name, content)
    manifest = package.read("META-INF/manifest.xml")
    if b"encryption-data" in manifest:
        raise package.fault("is protected by a password", hint="Save it without one.")
    tree = package.xml("content.xml")
    body = child(tree, "body", "text")
    if body is None:
        raise package.fault("is not an OpenDocument text: it has no body")
    reader = _Reader(_ordered_lists(tree, package.xml("styles.xml")))
    text = "\n\n".join(reader.blocks(body))
    text += "".join(f"\n\n[{number}] {note}" for number, note in enumerate(reader.footnotes, 1))
    title = text_of(child(package.xml("meta.xml"), "meta", "title"))
    macros = any(part.startswith(("Basic/", "Scripts/")) and not part.endswith("/") for part in package.names)
    notes = ("macros and embedded files were left out",) * macros
    return Text(title, text.replace(PAGE, ""), notes=notes)


class _Reader:
    """Walks a body once and keeps the footnotes that it meets."""

    def __init__(self, ordered: set[str]) -> None:
        self.ordered = ordered
        self.footnotes: list[str] = []

    def blocks(self, parent: Element) -> Iterator[str]:
        """Yield the blocks below an element, in order."""
        for element in parent:
            if element.tag == "h":
                level = element.get("outline-level", "1")
                text = " ".join(self.words(element).split())
                if text:
                    yield f"{'#' * (min(int(level), 6) if level.isdigit() and level != '0' else 1)} {text}"
            elif element.tag == "p":
                text = self.words(element).strip()
                if text:
                    yield not_a_heading(text)
                for box in element.iter("text-box"):
                    yield from self.blocks(box)
            elif element.tag == "list":
                yield "\n".join(self.items(element, 0, element.get("style-name", "")))
            elif element.tag == "table":
                yield from self.table(element)
            elif element.tag not in _PASSED_OVER:
                yield from self.blocks(element)

    def items(self, parent: Element, depth: int, style: str) -> Iterator[str]:
        """Yield the lines of a list, those of lists inside it indented."""
        number = 0
        for item in parent:
            if item.tag not in ("list-item", "list-header"):
                continue
            number += item.tag == "list-item"
            first = True
            for part in item:
                if part.tag == "list":
                    yield from self.items(part, depth + 1, part.get("style-name", "") or style)
                    continue
                mark = f"{number}. " if f"{style} {depth + 1}" in self.ordered else "- "
                text = " ".join(self.words(part).split())
                if text:
                    yield "  " * min(depth, 8) + (mark if first else "  ") + text
                    first = False

    def table(self, element: Element) -> Iterator[str]:
        """Yield a table; one of a single column is layout and yields its paragraphs."""
        rows = []
        for row in element.iter("table-row"):
            cells = []
            for cell in row:
                if cell.tag in ("table-cell", "covered-table-cell"):
                    repeated = cell.get("number-columns-repeated", "1")
                    times = min(int(repeated), _MAX_REPEATED) if repeated.isdigit() else 1
                    cells += [" ".join(self.blocks(cell))] * times
            rows.append(cells)
        if max((len(row) for row in rows), default=0) < 2:
            yield from (cell for row in rows for cell in row if cell)
        elif text := table(rows):
            yield text

    def words(self, parent: Element) -> str:
        """Return the words of a paragraph; a footnote is its mark."""
        out = [parent.text or ""]
        for element in parent:
            if element.tag == "s":
                out.append(" ")
            elif element.tag in ("tab", "line-break"):
                out.append(" " if element.tag == "tab" else "\n")
            elif element.tag == "note":
                self.footnotes.append(" ".join(text_of(child(element, "note-body")).split()))
                out.append(f"[{len(self.footnotes)}]")
            elif element.tag not in _PASSED_OVER and element.tag not in ("text-box", "list", "table"):
                out.append(self.words(element))
            out.append(element.tail or "")
        return "".join(out)


def _ordered_lists(*trees: Element | None) -> set[str]:
    """Return "style level" of the lists that count."""
    found = set()
    for tree in trees:
        for style in tree.iter("list-style") if tree is not None else ():
            for level in style.iter("list-level-style-number"):
                if level.get("num-format", "1"):
                    found.add(f"{style.get('name', '')} {level.get('level', '1')}")
    return found
