"""EPUB into Markdown: the chapters in the order of reading, each a page of HTML, without the table of contents."""

from __future__ import annotations

import re
from urllib.parse import unquote
from xml.etree.ElementTree import Element

from homeroom.core.errors import ContentError
from homeroom.documents.html import page_text
from homeroom.documents.package import Package, child, joined, text_of
from homeroom.documents.text import PAGE, Text, decoded


def read_epub(name: str, content: bytes) -> Text:
    """Return the text of a book.

    Raises:
        ContentError: the bytes are no such book, a bomb, or locked by a shop (DRM).
    """
    package = Package(name, content)
    container = package.xml("META-INF/container.xml")
    root = next(container.iter("rootfile"), None) if container is not None else None
    main = root.get("full-path", "") if root is not None else ""
    book = package.xml(main)
    if book is None:
        raise package.fault("is not an EPUB: it names no content")
    _refuse_locked(package)
    folder = main.rpartition("/")[0]
    pages, hidden = [], 0
    for part in _chapters(book, folder):
        text = _chapter(package, part)
        hidden += bool(text.notes)
        if text.text.strip():
            pages.append(PAGE + text.text.strip())
    notes = ("text that a style hides from readers was left out",) * bool(hidden)
    return Text(text_of(child(book, "metadata", "title")), "\n\n".join(pages), notes=notes)


def _chapters(book: Element, folder: str) -> list[str]:
    """Return the parts to read, in order; the cover and the contents say nothing of their own."""
    manifest, spine = child(book, "manifest"), child(book, "spine")
    if manifest is None or spine is None:
        return []
    items = {item.get("id", ""): item for item in manifest}
    found = []
    for reference in spine:
        item = items.get(reference.get("idref", ""))
        if item is None or "html" not in item.get("media-type", ""):
            continue
        contents = "nav" in item.get("properties", "").split() or item.get("id", "").lower() in ("nav", "toc", "ncx")
        if not contents:
            found.append(joined(folder, unquote(item.get("href", "")).partition("#")[0]))
    return list(dict.fromkeys(found))


def _chapter(package: Package, part: str) -> Text:
    try:
        _, page = decoded(package.name, package.read(part))
    except ContentError as error:
        raise ContentError(f"{part}: {error.message}", where=package.name, hint=error.hint) from None
    return page_text(re.sub(r"<([a-z]+)([^<>]{0,500})/>", _closed, page, flags=re.IGNORECASE))


_VOID = frozenset(("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"))


def _closed(match: re.Match[str]) -> str:
    """Return `<a id="x"/>` as `<a id="x"></a>`: XHTML closes what HTML would leave open."""
    return match[0] if match[1].lower() in _VOID else f"<{match[1]}{match[2]}></{match[1]}>"


def _refuse_locked(package: Package) -> None:
    locked = package.xml("META-INF/encryption.xml")
    methods = [m.get("Algorithm", "") for m in locked.iter("EncryptionMethod")] if locked is not None else []
    if any(not m.endswith(("/embedding", "enc#RC")) for m in methods):
        raise package.fault("is locked by the shop that sold it (DRM)", hint="Name a copy without a lock.")
