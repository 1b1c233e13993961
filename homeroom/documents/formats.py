"""The bytes of one file into a `Text`, told by its suffix which reader to use: the table `FORMATS`.

Readers of text run here; the others take what a stranger may have built to break them, so they run in a child process
with limits (`child.py`), one child a file. Every text ends in the normal form of `text.py`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from importlib import import_module
from pathlib import PurePosixPath

from homeroom.core.errors import ContentError
from homeroom.documents.markdown import first_heading
from homeroom.documents.text import Text, finished, read_plain, readable

MAX_CHARACTERS = 20_000_000  # of extracted text: a shelf of books

# suffix -> "module:function" of the reader
FORMATS: dict[str, str] = {
    ".md": "text:read_plain",
    ".markdown": "text:read_plain",
    ".txt": "text:read_plain",
    ".html": "html:read_html",
    ".htm": "html:read_html",
    ".xhtml": "html:read_html",
    ".pdf": "pdf:read_pdf",
    ".docx": "word:read_docx",
    ".odt": "opendocument:read_odt",
    ".pptx": "slides:read_pptx",
    ".epub": "epub:read_epub",
}
_BEGINS = {b"%PDF-": (".pdf",), b"PK\x03\x04": (".docx", ".odt", ".pptx", ".epub")}
_MACHINE_TITLE = re.compile(r"^Microsoft |^untitled|\.(?:docx?|dvi|tex|indd|pptx?|odt|qxd)\b", re.IGNORECASE)
_OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # what .doc, .ppt and an encrypted .docx begin with


def read_text(name: str, content: bytes) -> Text:
    """Return the text of a file, told by its suffix how to read it.

    Raises:
        ContentError: the type is not known, or the bytes are not such a file, or hold no words, or broke a limit.
        MachineError: what reads this type is not installed.
    """
    suffix = suffix_of(name)
    if suffix not in FORMATS:
        raise ContentError(
            f"files of type {suffix or '(none)'} cannot be read",
            where=name,
            hint=f"Readable are {', '.join(sorted(FORMATS))}; convert it to one of them.",
        )
    _check_kind(name, content)
    if FORMATS[suffix] == "text:read_plain":
        raw = read_plain(name, content)
    else:
        from homeroom.documents.child import read_in_child

        raw = read_in_child(name, content)
    text = finished(raw)
    if not any(c.isalnum() for c in text.text):
        raise ContentError("the document is empty: no word was found in it", where=name)
    if len(text.text) > MAX_CHARACTERS:
        raise ContentError(f"more than {MAX_CHARACTERS:,} characters", where=name, hint="Split the document.")
    own, heading = " ".join(raw.title.split())[:200], first_heading(text.text)
    if suffix in (".pdf", ".epub") and " " in own and not _MACHINE_TITLE.search(own):
        heading = own  # a printed book's first heading is seldom its title
    return dataclasses.replace(text, title=heading or own or readable(name))


def reader_of(name: str) -> Callable[[str, bytes], Text]:
    """Return the function that reads a file of this name; what it needs is imported now."""
    module, _, function = FORMATS[suffix_of(name)].partition(":")
    return getattr(import_module(f"homeroom.documents.{module}"), function)


def suffix_of(name: str) -> str:
    """Return a name's ending in lower case, with the dot: ".md"."""
    return PurePosixPath(name).suffix.lower()


def _check_kind(name: str, content: bytes) -> None:
    """Refuse a file whose first bytes say that it is of another kind than its name says."""
    suffix = suffix_of(name)
    if not content.strip():
        raise ContentError("the document is empty: no word was found in it", where=name)
    if content.startswith(_OLD_OFFICE):
        hint = "Open it in a word processor and save it as .docx without a password."
        raise ContentError("is an old or password-protected Office file", where=name, hint=hint)
    for start, kinds in _BEGINS.items():
        text = suffix in (".md", ".markdown", ".txt")  # these say "binary" themselves
        if content.startswith(start) and suffix not in kinds and not text:
            is_one = "a PDF" if start == b"%PDF-" else "a zip or Office file"
            raise ContentError(f"is {is_one}, not what its name says", where=name, hint="Give it its own ending.")
    if suffix in _BEGINS[b"PK\x03\x04"] and not content.startswith(b"PK"):
        what = "HTML" if re.match(rb"\s*<(!doctype|html)", content, re.IGNORECASE) else "something else"
        raise ContentError(f"is {what}, not what its name says", where=name, hint="Give it its own ending.")
