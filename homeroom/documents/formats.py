"""The bytes of one file into plain text: Markdown, plain text, HTML, PDF; one function a format, in `FORMATS`.

Every format ends in the same normal form, so that byte offsets mean one thing: LF line ends, Unicode NFC, ordinary
spaces, no trailing space, no front matter, no control characters, at most one blank line in a row, one line end at
the end. Headings are Markdown headings whatever the format was.
"""

from __future__ import annotations

import io
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import PurePosixPath

from homeroom.core.errors import ContentError, MachineError
from homeroom.documents.markdown import first_heading

MAX_PAGES = 5_000
MAX_CHARACTERS = 20_000_000  # of extracted text: a shelf of books


@dataclass(frozen=True, slots=True)
class Text:
    """A document's plain text in normal form."""

    title: str
    text: str
    encoding: str  # of the bytes: "utf-8", "utf-8-sig", "cp1252"; "" for PDF


def read_text(name: str, content: bytes) -> Text:
    """Return the text of a file, told by its suffix how to read it.

    Raises:
        ContentError: the type is not known, or the bytes are not such a file, or hold no words.
        MachineError: what reads this type is not installed.
    """
    reader = FORMATS.get(suffix_of(name))
    if reader is None:
        raise ContentError(
            f"files of type {suffix_of(name) or '(none)'} cannot be read",
            where=name,
            hint=f"Readable are {', '.join(sorted(FORMATS))}; convert it to one of them.",
        )
    raw = reader(name, content)
    text = normalised(raw.text)
    if not any(c.isalnum() for c in text):
        raise ContentError(
            "the document is empty: no word was found in it", where=name, hint=_EMPTY.get(suffix_of(name), "")
        )
    if len(text) > MAX_CHARACTERS:
        raise ContentError(f"more than {MAX_CHARACTERS:,} characters", where=name, hint="Split the document.")
    return Text(first_heading(text) or " ".join(raw.title.split())[:200] or _readable(name), text, raw.encoding)


def suffix_of(name: str) -> str:
    """Return a name's ending in lower case, with the dot: ".md"."""
    return PurePosixPath(name).suffix.lower()


_EMPTY = {".pdf": "A scanned PDF holds pictures of text: run OCR (for example ocrmypdf) and name the result."}


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SPACES = re.compile(r"[\u00a0\u2000-\u200a\u202f\u205f\u3000\t]")
_LINE_ENDS = re.compile(r"\r\n|[\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_DROPPED = re.compile(
    r"[\x00-\x08\x0e-\x1b\x1f\x7f\x80-\x84\x86-\x9f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]"
)
_FRONT_MATTER = re.compile(r"---[ \t]*\n(?:(?!---)[^\n]{0,2000}\n){0,200}?(?:---|\.\.\.)[ \t]*(?:\n|$)")


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


def _readable(name: str) -> str:
    words = re.sub(r"[-_\s]+", " ", PurePosixPath(name).stem).strip()
    return words[:1].upper() + words[1:]


# -- plain text and Markdown -------------------------------------------------------------------------------------


def _plain(name: str, content: bytes) -> Text:
    encoding, text = decoded(name, content)
    title = re.match(r"---[ \t]*\r?\n(?:[^\n]{0,500}\n){0,50}?title:[ \t]*[\"']?([^\n\"']{1,200})", text)
    return Text(title[1] if title else "", text, encoding)


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
    if b"\x00" in content or signs * 100 > len(content):
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


# -- HTML --------------------------------------------------------------------------------------------------------


def _html(name: str, content: bytes) -> Text:
    declared = re.search(rb"<meta[^>]{0,200}charset=[\"']?([A-Za-z0-9_-]{2,20})", content[:4096], re.IGNORECASE)
    try:
        encoding, text = decoded(name, content)
    except ContentError:
        encoding, text = "", ""
    if declared and encoding in ("", "cp1252"):
        try:
            encoding = declared[1].decode()
            text = content.decode(encoding)
        except (LookupError, UnicodeDecodeError):
            raise ContentError(
                f"is not the {encoding} text it says it is", where=name, hint="Save it as UTF-8."
            ) from None
    if not encoding:
        decoded(name, content)  # says what is wrong
    page = _Page()
    page.feed(_tame(text))
    page.close()
    return Text("".join(page.title), "".join(page.out), encoding)


def _tame(page: str) -> str:
    """Return a page without comments and without `<` that nothing closes: the parser is quadratic in both."""
    kept, position = [], 0
    while (start := page.find("<!", position)) >= 0:
        kept.append(page[position:start])
        end = page.find("-->" if page.startswith("<!--", start) else ">", start + 2)
        position = len(page) if end < 0 else end + (3 if page.startswith("<!--", start) else 1)
    kept.append(page[position:])
    page = "".join(kept)
    last = page.rfind(">") + 1
    return page[:last] + page[last:].replace("<", "&lt;")


class _Page(HTMLParser):
    """Writes the visible text of a page as Markdown."""

    HIDDEN = _names("script style noscript template svg math iframe object select option textarea button nav")
    VOID = _names("area base br col embed hr img input link meta source track wbr")
    APART = _names(
        "p div section article main header footer aside ul ol dl table blockquote pre figure figcaption form address "
        "h1 h2 h3 h4 h5 h6 details summary"
    )

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.out: list[str] = []
        self.title: list[str] = []
        self.hidden: list[str] = []  # the open element that hides, and those of the same name inside it
        self.in_title = False
        self.preformatted = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open an element: a line, a heading mark, a list mark, or silence."""
        if self.hidden:
            self.hidden += [tag] if tag == self.hidden[0] else []
            return
        given = dict(attrs)
        style = (given.get("style") or "").replace(" ", "").lower()
        concealed = "hidden" in given or "display:none" in style or "visibility:hidden" in style
        if tag not in self.VOID and (tag in self.HIDDEN or concealed):
            self.hidden = [tag]
        elif tag == "title":
            self.in_title = True
        elif tag == "pre":
            self.preformatted += 1
            self.out.append("\n\n```\n")
        elif tag in self.APART:
            self.out.append("\n\n" + ("#" * int(tag[1]) + " " if re.fullmatch("h[1-6]", tag) else ""))
        elif tag in ("br", "dt", "dd", "hr"):
            self.out.append("\n\n" if tag == "hr" else "\n")
        elif tag == "li":
            self.out.append("\n- ")
        elif tag == "tr":
            self.out.append("\n|")
        elif tag in ("td", "th"):
            self.out.append(" ")

    def handle_endtag(self, tag: str) -> None:
        """Close an element."""
        if self.hidden:
            if tag == self.hidden[0]:
                self.hidden.pop()
        elif tag == "title":
            self.in_title = False
        elif tag == "pre" and self.preformatted:
            self.preformatted -= 1
            self.out.append("\n```\n\n")
        elif tag in self.APART:
            self.out.append("\n\n")
        elif tag in ("td", "th"):
            self.out.append(" |")

    def handle_data(self, data: str) -> None:
        """Take text; outside `pre`, white space of any length is one space."""
        if self.in_title:
            self.title.append(data)
        elif not self.hidden:
            text = data if self.preformatted else re.sub(r"\s+", " ", data)
            at_start = not self.out or self.out[-1].endswith(("\n", " "))
            self.out.append(text.lstrip(" ") if at_start and not self.preformatted else text)


# -- PDF ---------------------------------------------------------------------------------------------------------


def _pdf(name: str, content: bytes) -> Text:
    try:
        import pypdf
    except ImportError:
        hint = "pip install homeroom[documents]"
        raise MachineError("reading PDF needs pypdf, which is not installed", where=name, hint=hint) from None
    try:
        reader = pypdf.PdfReader(io.BytesIO(content))
        if reader.is_encrypted and not reader.decrypt(""):
            raise ContentError("the PDF is protected by a password", where=name, hint="Save it without one.")
        if len(reader.pages) > MAX_PAGES:
            raise ContentError(f"the PDF has more than {MAX_PAGES:,} pages", where=name, hint="Split it.")
        pages = [page.extract_text() or "" for page in reader.pages]
        title = str((reader.metadata or {}).get("/Title") or "")
    except ContentError:
        raise
    except Exception as error:  # pypdf raises whatever a broken file makes it stumble over
        hint = "Open it in a viewer and print it to a new PDF, or save it as text."
        raise ContentError(
            f"is not a readable PDF ({type(error).__name__}: {str(error)[:200]})", where=name, hint=hint
        ) from None
    return Text(title, _flowing(pages), "")


def _flowing(pages: list[str]) -> str:
    """Join pages into running text: page numbers go, words cut at a line end are mended, sentences run on."""
    out = ""
    for page in pages:
        lines = [line.rstrip() for line in page.strip().split("\n")]
        while lines and re.fullmatch(r"\W*(?:page|seite)?\W*\d{1,4}(?:\s*(?:/|of|von)\s*\d{1,4})?\W*", lines[-1], re.I):
            lines.pop()
        text = "\n".join(lines).strip()
        runs_on = bool(out) and out[-1].isalnum() and text[:1].islower()
        out += ("" if not out else "\n" if runs_on or out.endswith((",", "-")) else "\n\n") + text
    return re.sub(r"(?<=[^\W\d_])-\n(?=[a-zß-öø-ÿ])", "", out)


FORMATS: dict[str, Callable[[str, bytes], Text]] = {
    ".md": _plain,
    ".markdown": _plain,
    ".txt": _plain,
    ".html": _html,
    ".htm": _html,
    ".pdf": _pdf,
}
