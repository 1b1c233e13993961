"""Zipped XML (DOCX, ODT, PPTX, EPUB) opened with distrust: names, counts, sizes and entities are checked first.

Nothing is written to disk. A part is unzipped only when a reader asks for it, and never past the limits, whatever the
zip's own directory promises. XML may not declare entities, so neither a bomb nor a file of this machine gets in.
"""

from __future__ import annotations

import io
import re
import stat
import struct
import zipfile
import zlib
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from homeroom.core.errors import ContentError

MAX_PARTS = 20_000
MAX_PART_BYTES = 64 * 2**20
MAX_BYTES = 256 * 2**20  # of all the parts that are read
MAX_DEPTH = 250  # of nested elements
MAX_ELEMENTS = 3_000_000


class Package:
    """The parts of a zip file by name, read within limits."""

    def __init__(self, name: str, content: bytes) -> None:
        self.name, self.read_bytes = name, 0
        try:
            self.zip = zipfile.ZipFile(io.BytesIO(content))
            entries = self.zip.infolist()
        except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, struct.error) as error:
            raise self.fault(f"is not a readable file of its kind ({str(error)[:100]})") from None
        if len(entries) > MAX_PARTS:
            raise self.fault(f"holds more than {MAX_PARTS:,} parts")
        seen: set[str] = set()
        for entry in entries:
            self._check(entry, seen)
            seen.add(entry.filename.casefold())
        self.names = frozenset(entry.filename for entry in entries)

    def _check(self, entry: zipfile.ZipInfo, seen: set[str]) -> None:
        name = entry.filename
        if name.startswith(("/", "~")) or "\\" in name or ".." in name.split("/") or re.match("[A-Za-z]:", name):
            raise self.fault(f"holds a part with the name {name[:80]!r}, which leads out of it")
        if name.casefold() in seen:
            raise self.fault(f"holds two parts with the name {name[:80]!r}")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise self.fault(f"holds a link ({name[:80]!r}) where a file belongs")
        if entry.flag_bits & 0x1:
            raise self.fault("is protected by a password", hint="Save it without one.")

    def fault(self, what: str, *, hint: str = "") -> ContentError:
        """Return an error about this file."""
        return ContentError(what, where=self.name, hint=hint or _MEND)

    def read(self, part: str) -> bytes:
        """Return a part's bytes; b"" where there is no such part.

        Raises:
            ContentError: it is larger than the limits, or damaged.
        """
        if part not in self.names:
            return b""
        try:
            with self.zip.open(part) as file:
                content = file.read(MAX_PART_BYTES + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
            raise self.fault(f"is damaged: {part} cannot be unzipped ({str(error)[:100]})") from None
        self.read_bytes += len(content)
        if len(content) > MAX_PART_BYTES or self.read_bytes > MAX_BYTES:
            raise self.fault(
                f"unpacks to more than {MAX_PART_BYTES // 2**20} MiB a part or {MAX_BYTES // 2**20} MiB in all "
                f"(in {part[:80]})",
                hint="It may be a zip bomb. If you trust it, split it, or save its text alone.",
            )
        return content

    def xml(self, part: str) -> Element | None:
        """Return a part's tree, its names without namespaces ("p", not "w:p"); None where there is no such part.

        Raises:
            ContentError: it is not well-formed, declares entities, or nests too deeply.
        """
        content = self.read(part)
        return parse(content, where=self.name, part=part) if content else None


def parse(content: bytes, *, where: str, part: str) -> Element:
    """Return the tree of an XML part; see `Package.xml`."""
    builder, depth, elements = TreeBuilder(), 0, 0

    def refuse(*_: object) -> None:
        raise ContentError(f"declares entities in {part}, which no document needs", where=where, hint=_MEND)

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth, elements
        depth, elements = depth + 1, elements + 1
        if depth > MAX_DEPTH or elements > MAX_ELEMENTS:
            raise ContentError(f"nests too deeply, or holds too much, in {part}", where=where, hint=_MEND)
        builder.start(_local(tag), {_attribute(key): value for key, value in attributes.items()})

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(_local(tag))

    parser = expat.ParserCreate(namespace_separator="}")
    parser.EntityDeclHandler = parser.ExternalEntityRefHandler = refuse
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise ContentError(f"is damaged: {part} is not XML ({error})", where=where, hint=_MEND) from None
    return builder.close()


_MEND = "Open it in the program it comes from, and save it anew."


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _attribute(name: str) -> str:
    """Return an attribute's name without its namespace; but "r:id", which stands beside a plain "id"."""
    space, _, local = name.rpartition("}")
    return f"r:{local}" if space.endswith("/relationships") else local


def text_of(element: Element | None) -> str:
    """Return all text below an element, in order; "" for None."""
    return "".join(element.itertext()) if element is not None else ""


def child(element: Element | None, *path: str) -> Element | None:
    """Return the first child of a child ... by their names; None where one is missing."""
    for name in path:
        element = next((part for part in element if part.tag == name), None) if element is not None else None
    return element


def related(package: Package, part: str) -> dict[str, str]:
    """Return what a part of an Office file refers to inside the package: id -> name of the part."""
    folder, _, file = part.rpartition("/")
    tree = package.xml(f"{folder}/_rels/{file}.rels" if folder else f"_rels/{file}.rels")
    found = {}
    for relation in tree if tree is not None else ():
        target = relation.get("Target", "")
        if relation.get("TargetMode") != "External":  # never followed
            found[relation.get("Id", "")] = joined(folder, target)
    return found


def joined(folder: str, target: str) -> str:
    """Return a part's name from a folder and an address relative to it; it cannot leave the package.

    Example:
        >>> joined("ppt/slides", "../notes/a.xml"), joined("x", "/word/a.xml")
        ('ppt/notes/a.xml', 'word/a.xml')
    """
    parts = [] if target.startswith("/") else [p for p in folder.split("/") if p]
    for step in target.split("/"):
        if step == "..":
            del parts[-1:]
        elif step not in ("", "."):
            parts.append(step)
    return "/".join(parts)
