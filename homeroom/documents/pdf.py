"""A PDF into lines with places and sizes, by pdfium; `layout.py` makes Markdown of them.

pypdfium2 (Apache-2.0 and BSD) reads ten to twenty times as many pages a second as pypdf and finds more of the words;
`docs/documents.md` has the figures. Where docling is installed, its reader (layout models, OCR) is used instead, and
this one takes over when that fails. Nothing in a PDF is run: forms and scripts are not even loaded.
"""

from __future__ import annotations

import ctypes
import dataclasses
import importlib.util
import io
import re
from typing import Any

from homeroom.core.errors import ContentError, MachineError
from homeroom.documents.layout import Line, Outline, Page, Word, markdown
from homeroom.documents.text import PAGE, Text

MAX_PAGES = 5_000
MAX_PAGE_CHARACTERS = 200_000
MIN_HEIGHT = 2.0  # points; smaller letters are for machines
_SCANNED = (
    "It is a scan: a picture of each page, without text. Run OCR: `pip install ocrmypdf`, install tesseract, then "
    "`ocrmypdf scan.pdf text.pdf`, and name the result; or `pip install docling`, which Homeroom then uses."
)
_BROKEN = "Open it in a viewer and print it to a new PDF, or save it as text."


def read_pdf(name: str, content: bytes) -> Text:
    """Return the text of a PDF with its headings, lists, simple tables and the place of each page.

    Raises:
        ContentError: it is damaged, protected, too long, or a scan.
        MachineError: pypdfium2 is not installed.
    """
    if b"%PDF-" not in content[:1024]:
        raise ContentError("is not a PDF: it does not begin like one", where=name, hint="Check the file's ending.")
    notes: tuple[str, ...] = ()
    if importlib.util.find_spec("docling") is not None:
        try:
            return _by_docling(name, content)
        except Exception as error:  # its models may be missing, and a child has no network to fetch them
            notes = (f"docling is installed but could not read it ({type(error).__name__}); pdfium did",)
    try:
        import pypdfium2
    except ImportError:
        hint = "pip install homeroom[documents]"
        raise MachineError("reading PDF needs pypdfium2, which is not installed", where=name, hint=hint) from None
    try:
        pdf = pypdfium2.PdfDocument(content)
        num_pages = len(pdf)
    except pypdfium2.PdfiumError as error:
        if error.err_code == pypdfium2.raw.FPDF_ERR_PASSWORD:
            raise ContentError("the PDF is protected by a password", where=name, hint="Save it without one.") from None
        raise ContentError(f"is not a readable PDF ({error})", where=name, hint=_BROKEN) from None
    if num_pages > MAX_PAGES:
        raise ContentError(f"the PDF has more than {MAX_PAGES:,} pages", where=name, hint="Split it.")
    return _text_of(name, pdf, notes)


def _text_of(name: str, pdf: Any, notes: tuple[str, ...]) -> Text:
    pages, pictures, broken = [], [], []
    for number in range(len(pdf)):
        try:
            page, has_picture = _page(pdf, number)
        except Exception:  # pdfium cannot load this page; the others may be whole
            page, has_picture = Page(0.0, 0.0, []), False
            broken.append(number + 1)
        pages.append(page)
        if has_picture and sum(len(line.text) for line in page.lines) < 10:
            pictures.append(number + 1)
    letters = sum(c.isalnum() for page in pages for line in page.lines for c in line.text)
    if pictures and len(pictures) * 10 >= len(pages) * 9 and letters < 50 * len(pages):
        raise ContentError("the PDF holds pictures of text, and no text", where=name, hint=_SCANNED)
    if pictures:
        notes += (f"pages {_some(pictures)} are pictures without text and were passed over; OCR would read them",)
    if broken:
        notes += (f"pages {_some(broken)} are damaged and were passed over",)
    tiny = sum(page.unseen for page in pages)
    if tiny:
        notes += (f"{tiny} lines that are too small to see, or off the page, were left out",)
    title = str(pdf.get_metadata_value("Title") or "")
    return Text(title, markdown(pages, _outline(pdf)), notes=notes)


def _some(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:8])) + (", ..." if len(numbers) > 8 else "")


def _outline(pdf: Any) -> list[Outline]:
    """Return the bookmarks: level, title, and the number of the page from 0."""
    found = []
    try:
        for mark in pdf.get_toc(max_depth=6):
            target = mark.get_dest()
            page = target.get_index() if target else None
            if page is not None and len(found) < 20_000:
                found.append(Outline(min(mark.level + 1, 6), mark.get_title(), page))
    except Exception:  # a damaged outline is no outline
        return []
    return found


def _page(pdf: Any, number: int) -> tuple[Page, bool]:
    """Return a page's lines in the order in which they were written, and whether it shows a picture."""
    import pypdfium2.raw as raw

    page = pdf[number]
    text_page = page.get_textpage()
    try:
        width, height = page.get_size()
        left, bottom, _, _ = page.get_cropbox()
        reader = _Letters(raw, text_page, left, bottom)
        lines, unseen = [], 0
        for begin, end in reader.lines():
            line = reader.line(begin, end)
            if line is None:
                continue
            seen = line.height >= MIN_HEIGHT and -2 < line.y < height + 2 and line.x1 > -2 and line.x0 < width + 2
            if seen and lines and _goes_on(lines[-1], line):
                lines[-1] = dataclasses.replace(lines[-1], words=lines[-1].words + line.words, last_y=line.last_y)
            elif seen:
                lines.append(line)
            unseen += not seen
        picture = any(
            raw.FPDFPageObj_GetType(raw.FPDFPage_GetObject(page, i)) == raw.FPDF_PAGEOBJ_IMAGE
            for i in range(min(raw.FPDFPage_CountObjects(page), 50))
        )
        return Page(width, height, lines, unseen), picture
    finally:
        text_page.close()
        page.close()


def _goes_on(before: Line, line: Line) -> bool:
    """Say whether a line stands to the right of the one before it, on the same base line: cells of a table often do."""
    return abs(before.last_y - line.y) < line.height * 0.2 and line.x0 > before.x1


class _Letters:
    """The letters of one page, and where they stand; calls into pdfium are what takes time, so few are made."""

    def __init__(self, raw: Any, text_page: Any, left: float, bottom: float) -> None:
        self.raw, self.page, self.left, self.bottom = raw, text_page, left, bottom
        count = min(text_page.count_chars(), MAX_PAGE_CHARACTERS)
        letter = raw.FPDFText_GetUnicode
        self.codes = [letter(text_page, i) for i in range(count)]
        self.box = raw.FS_RECTF()
        self.font = ctypes.create_string_buffer(128)

    def lines(self) -> list[tuple[int, int]]:
        """Return the (begin, end) of each line; pdfium marks a line's end with a line break of its own."""
        ends = [i for i, code in enumerate(self.codes) if code in (10, 13)]
        return [(b + 1, e) for b, e in zip([-1, *ends], [*ends, len(self.codes)], strict=True) if e > b + 1]

    def line(self, begin: int, end: int) -> Line | None:
        """Return a line of words; None for one without letters."""
        words, start = [], begin
        for i in range(begin, end + 1):
            if i == end or self.codes[i] in (0, 9, 32, 160):
                if i > start:
                    words.append(self.word(start, i))
                start = i + 1
        words = [word for word in words if word.text]
        if not words:
            return None
        boxes = [self.place(i) for i in (begin, (begin + end) // 2, end - 1)]
        heights = sorted(box[3] - box[1] for box in boxes)
        fonts = {self.font_of(i) for i in (begin, (begin + end) // 2, end - 1)} - {""}
        return Line(
            tuple(words),
            y=boxes[0][1],
            last_y=boxes[2][1],
            height=heights[1] or heights[2],
            bold=bool(fonts) and all("bold" in f or "black" in f or "cmbx" in f or "heavy" in f for f in fonts),
            mono=bool(fonts) and all("mono" in f or "courier" in f or "cmtt" in f or "consol" in f for f in fonts),
        )

    def word(self, begin: int, end: int) -> Word:
        """Return one word with the places of its left and right edge."""
        codes = self.codes[begin:end]
        text = "".join(_LETTER[code] if code in _LETTER else chr(code) for code in codes)
        if len(codes) == 1 and (codes[0] < 32 or 0x80 <= codes[0] < 0xA0):  # a sign of a font of signs
            text = "•"
        elif "\x02" in text:  # a word cut at a line's end, which pdfium has joined
            text = re.sub(r"(?<=\w)\x02(?=[a-zß-öø-ÿ])", "", text).replace("\x02", "-")
        return Word(text, self.place(begin)[0], self.place(end - 1)[2])

    def place(self, index: int) -> tuple[float, float, float, float]:
        """Return (left, bottom, right, top) of a letter as high as its font, in points from the page's corner."""
        box = self.box
        if not self.raw.FPDFText_GetLooseCharBox(self.page, index, box):
            return 0.0, 0.0, 0.0, 0.0
        return box.left - self.left, box.bottom - self.bottom, box.right - self.left, box.top - self.bottom

    def font_of(self, index: int) -> str:
        """Return the name of a letter's font, in lower case; "" where there is none."""
        flags = ctypes.c_int()
        size = self.raw.FPDFText_GetFontInfo(self.page, index, self.font, len(self.font), flags)
        return self.font.raw[: max(0, min(size, len(self.font)) - 1)].decode("latin-1").lower() if size else ""


# What pdfium gives for a hyphen at a line's end, for letters without a meaning, and ligatures that few fonts mean.
_LETTER = {0: "", 0xFFFE: "\x02", 0xFFFF: "", 0xFDD0: "", 0xAD: "\x02"}
_LETTER |= {0xFB00: "ff", 0xFB01: "fi", 0xFB02: "fl", 0xFB03: "ffi", 0xFB04: "ffl"}
_LETTER |= dict.fromkeys(range(0xD800, 0xE000), "")


def _by_docling(name: str, content: bytes) -> Text:
    """Return docling's Markdown; a page is marked where docling can say where it begins."""
    from docling.datamodel.base_models import DocumentStream
    from docling.document_converter import DocumentConverter

    stream = DocumentStream(name=name.rpartition("/")[2] or "a.pdf", stream=io.BytesIO(content))
    document = DocumentConverter().convert(stream).document
    pages = [document.export_to_markdown(page_no=number) for number in sorted(document.pages)]
    return Text("", "\n\n".join(PAGE + page.strip().replace(PAGE, "") for page in pages), notes=("read by docling",))
