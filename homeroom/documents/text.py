"""What every reader of a format gives, and the one normal form that all text ends in.

Byte offsets must mean one thing, so every text has LF line ends, Unicode NFC, ordinary spaces, no trailing space, no
front matter, no control characters, at most one blank line in a row and one line end at the end. A reader of a paged
format writes `PAGE` before the first letter of each page; `finished` takes the marks out and says where they stood.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from homeroom.core.errors import ContentError

PAGE = "\ufdd0"  # a "noncharacter" of Unicode: no text may hold it

_SPACES = re.compile(r"[\u00a0\u2000-\u200a\u202f\u205f\u3000\t]")
_LINE_ENDS = re.compile(r"\r\n|[\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_DROPPED = re.compile(
    r"[\x00-\x08\x0e-\x1b\x1f\x7f\x80-\x84\x86-\x9f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff"
    r"\ud800-\udfff\ufffe\U000e0000-\U000e007f]"  # the last: "tag" characters, which nobody sees and a model reads
)
_FRONT_MATTER = re.compile(r"---[ \t]*\n(?:(?!---)[^\n]{0,2000}\n){0,200}?(?:---|\.\.\.)[ \t]*(?:\n|$)")


@dataclass(frozen=True, slots=True)
class Text:
    """A document's text as Markdown."""

    title: str
    text: str
    encoding: str = ""  # of the bytes: "utf-8", "utf-8-sig", "cp1252"; "" where the format says it
    pages: tuple[int, ...] = ()  # the byte at which each page begins; empty where the format has no pages
    notes: tuple[str, ...] = ()  # what was left out, in words a person understands


def finished(raw: Text) -> Text:
    r"""Return a reader's text in normal form, with the byte offsets of its pages.

    Example:
        >>> finished(Text("", PAGE + "One \r\n\r\n" + PAGE + "two")).pages
        (0, 5)
    """
    body = raw.text.rstrip(f"{PAGE} \n")
    empty = raw.text[len(body) :].count(PAGE)  # pages at the end without a letter
    parts = normalised(re.sub(rf"{PAGE}\s+", PAGE, body)).split(PAGE)
    pages, offset = [], len(parts[0].encode())
    for part in parts[1:]:
        pages.append(offset)
        offset += len(part.encode())
    return replace(raw, text="".join(parts), pages=(*pages, *[offset] * empty))


def normalised(text: str) -> str:
    r"""Return text in normal form; doing it twice changes nothing.

    Example:
        >>> normalised("---\ntitle: x\n---\nOne \r\n\n\n\ntwo")
        'One\n\ntwo\n'
    """
    text = _DROPPED.sub("", _LINE_ENDS.sub("\n", text)).lstrip("\n")
    text = unicodedata.normalize("NFC", _FRONT_MATTER.sub("", text, count=1) if _FRONT_MATTER.match(text) else text)
    indents = (line.expandtabs(4) if line[:1] in " \t" else line for line in text.split("\n"))
    lines = [_SPACES.sub(" ", line).rstrip() for line in indents]
    kept = [line for i, line in enumerate(lines) if line or (i and lines[i - 1])]
    return "\n".join(kept).strip("\n") + "\n"


def readable(name: str) -> str:
    """Return a title made of a file's name.

    Example:
        >>> readable("docs/claims-hand_book.md")
        'Claims hand book'
    """
    words = re.sub(r"[-_\s]+", " ", PurePosixPath(name).stem).strip()
    return words[:1].upper() + words[1:]


def table(rows: list[list[str]]) -> str:
    r"""Return rows of cells as a Markdown table, the first row its head; "" without cells.

    Example:
        >>> print(table([["Day", "Hour"], ["Mon", "9 | 10"]]))
        | Day | Hour |
        | --- | --- |
        | Mon | 9 \| 10 |
    """
    rows = [[" ".join(cell.split()).replace("|", r"\|") for cell in row] for row in rows]
    rows = [row for row in rows if any(row)]
    width = max((len(row) for row in rows), default=0)
    if not width:
        return ""
    lines = ["|" + "".join(f" {cell} |" if cell else " |" for cell in row + [""] * (width - len(row))) for row in rows]
    lines.insert(1, f"|{' --- |' * width}")
    return "\n".join(lines)


_LOOKS_LIKE_HEADING = re.compile(r"(?m)^ {0,3}(?=#{1,6}(?:\s|$)|={2,}\s*$|-{2,}\s*$)")


def not_a_heading(text: str) -> str:
    r"""Return lines of a document that is not Markdown so that none of them is taken for a heading.

    Example:
        >>> not_a_heading("# Expands to the number of arguments")
        '\\# Expands to the number of arguments'
    """
    return _LOOKS_LIKE_HEADING.sub(lambda match: f"{match[0]}\\", text)


def fenced(code: str) -> str:
    """Return code between fences that it does not hold itself."""
    longest = max((len(run) for run in re.findall(r"`{3,}", code)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}\n{code.strip(chr(10))}\n{fence}"


# -- plain text and Markdown -------------------------------------------------------------------------------------


def read_plain(name: str, content: bytes) -> Text:
    """Return Markdown or plain text as it is."""
    encoding, text = decoded(name, content)
    title = re.match(r"---[ \t]*\r?\n(?:[^\n]{0,500}\n){0,50}?title:[ \t]*[\"']?([^\n\"']{1,200})", text)
    return Text(title[1] if title else "", _without_page_breaks(text.replace(PAGE, "")), encoding)


def _without_page_breaks(text: str) -> str:
    """Return text without the running heads and page numbers around form feeds, as printed standards have them."""
    pages = text.split("\f")
    if len(pages) < 4:
        return text
    split = [page.strip("\n").split("\n") for page in pages]
    for at in (0, -1):
        repeated = [_shape(lines[at]) for lines in split]
        for lines, shape in zip(split, repeated, strict=True):
            if shape and len(lines) > 1 and repeated.count(shape) * 3 >= len(pages) and len(shape) > 3:
                lines.pop(at)
    joined = ""
    for lines in split:
        body = "\n".join(lines).strip("\n")
        runs_on = joined and body[:1].islower() and joined.rstrip()[-1:] not in ".:!?"
        joined += ("\n" if runs_on or not joined else "\n\n") + body
    return joined


def _shape(line: str) -> str:
    return re.sub(r"\d+", "#", " ".join(line.split()))


def decoded(name: str, content: bytes) -> tuple[str, str]:
    """Return (encoding, text) of bytes that should be text: UTF-8, or else Windows' Western encoding.

    Raises:
        ContentError: it is binary, or in another encoding.
    """
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return "utf-16", content.decode("utf-16")
        except UnicodeDecodeError:
            raise ContentError("begins like UTF-16 text, but is not", where=name, hint="Save it as UTF-8.") from None
    signs = sum(content.count(byte) for byte in (b"\x00", b"\x01", b"\x02", b"\x03", b"\x04", b"\x05", b"\x06"))
    if b"\x00" in content or signs * 100 > len(content) or content.startswith((b"%PDF-", b"PK\x03\x04")):
        raise ContentError("is not text: it holds binary data", where=name, hint="Check the file and its ending.")
    for encoding in ("utf-8-sig" if content.startswith(b"\xef\xbb\xbf") else "utf-8", "cp1252"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if encoding == "cp1252" and _strange(content):
            break
        return encoding, text
    raise ContentError("is neither UTF-8 nor Windows-1252 text", where=name, hint="Save it as UTF-8.")


def _strange(content: bytes) -> bool:
    """Say whether so many bytes are not ASCII that reading them as Western letters would give nonsense."""
    return sum(byte >= 0x80 for byte in content[:100_000]) * 3 > len(content[:100_000])
