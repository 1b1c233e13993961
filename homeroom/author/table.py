"""Examples as a table that people know from elsewhere: CSV and Word, out and in, with three columns.

    question | answer | context        a context that is left empty is the one above it

What comes in is a stranger's file: it is bounded, Word is read in the same locked-up child as documents are, and a cell
is never more than text. What goes out cannot be taken for a formula by a spreadsheet: a cell that begins as one does
gets an apostrophe, which reading takes away again.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal
from xml.sax.saxutils import escape

from homeroom.author.form import MAX_EXAMPLES, MAX_PAIRS, MAX_TEXT, Example, LeafForm, Pair
from homeroom.author.qna import tidy
from homeroom.core.errors import ContentError
from homeroom.documents.formats import read_text, suffix_of

Kind = Literal["csv", "docx"]
COLUMNS = ("question", "answer", "context")
SUFFIXES = (".csv", ".docx")
MAX_BYTES = 4 * 2**20
MAX_ROWS = MAX_EXAMPLES * MAX_PAIRS
TYPES = {
    "csv": "text/csv; charset=utf-8",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
}
_NAMES = {
    "question": ("question", "frage", "q"),
    "answer": ("answer", "antwort", "a"),
    "context": ("context", "passage", "text", "textstelle", "kontext"),
}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


# -- in ----------------------------------------------------------------------------------------------------------------


def read_examples(name: str, content: bytes, *, kind: Literal["knowledge", "skill"]) -> tuple[Example, ...]:
    """Return the examples of a table, rows with the same context together where `kind` is knowledge.

    Raises:
        ContentError: it is no table of questions and answers, is too large, or is no file of its kind.
    """
    suffix = suffix_of(name)
    if suffix not in SUFFIXES:
        hint = f"Tables are read from {' and '.join(SUFFIXES)}."
        raise ContentError("files of this kind hold no table that can be read", where=name[-80:], hint=hint)
    if len(content) > MAX_BYTES:
        raise ContentError(f"more than {MAX_BYTES // 2**20} MiB", where=name[-80:], hint="Split the table.")
    if suffix == ".csv":
        rows = list(_csv_rows(name, content))
    else:
        rows = list(_table_rows(read_text(f"table{suffix}", content).text))
    return _examples(_cells(name, rows), kind)


def _csv_rows(name: str, content: bytes) -> Iterator[list[str]]:
    try:
        text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        hint = "Save it as CSV with UTF-8, which spreadsheets offer by that name."
        raise ContentError("is not text in UTF-8", where=name[-80:], hint=hint) from None
    if "\0" in text:
        raise ContentError("is no text", where=name[-80:])
    head = text.split("\n", 1)[0]
    delimiter = max((",", ";", "\t"), key=head.count)
    try:
        for number, row in enumerate(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)):
            if number > MAX_ROWS:
                raise ContentError(f"more than {MAX_ROWS:,} rows", where=name[-80:], hint="Split the table.")
            yield [_without_mark(cell) for cell in row]
    except csv.Error as error:
        raise ContentError(f"is no table ({error})", where=name[-80:]) from None


def _table_rows(text: str) -> Iterator[list[str]]:
    """Yield the rows of a text's tables: lines between bars, as the readers of documents write them."""
    for line in text.splitlines()[: 4 * MAX_ROWS]:
        line = line.strip()
        if len(line) > 1 and line.startswith("|") and line.endswith("|") and not re.fullmatch(r"[|\s:-]+", line):
            yield [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line[1:-1])]


def _cells(name: str, rows: Sequence[list[str]]) -> Iterator[dict[str, str]]:
    """Yield each row by column; the first row says which is which."""
    place = {}
    for number, cell in enumerate(rows[0] if rows else ()):
        said = re.sub(r"[^a-z]", "", cell.casefold())
        place |= {key: number for key, names in _NAMES.items() if said in names and key not in place}
    if not {"question", "answer"} <= place.keys():
        hint = "Its first row names the columns: question, answer, context."
        hint += " Cells of a Word table have up to 1,500 characters." if suffix_of(name) == ".docx" else ""
        raise ContentError("has no columns for questions and answers", where=name[-80:], hint=hint)
    if len(rows) - 1 > MAX_ROWS:
        raise ContentError(f"more than {MAX_ROWS:,} rows", where=name[-80:], hint="Split the table.")
    for row in rows[1:]:
        found = {key: tidy(row[n]) if n < len(row) else "" for key, n in place.items()}
        if any(len(text) > MAX_TEXT for text in found.values()):
            raise ContentError(f"a cell has more than {MAX_TEXT:,} characters", where=name[-80:])
        if found["question"] or found["answer"]:
            yield {"context": "", **found}


def _examples(rows: Iterable[dict[str, str]], kind: str) -> tuple[Example, ...]:
    if kind == "skill":
        pairs = [(row["context"], Pair(question=row["question"], answer=row["answer"])) for row in rows]
        made = tuple(Example(context=context, pairs=(pair,)) for context, pair in pairs)
    else:
        by_context: dict[str, list[Pair]] = {}
        context = ""
        for row in rows:
            context = row["context"] or context
            by_context.setdefault(context, []).append(Pair(question=row["question"], answer=row["answer"]))
        made = tuple(Example(context=context, pairs=tuple(pairs)) for context, pairs in by_context.items())
    if len(made) > MAX_EXAMPLES or any(len(e.pairs) > MAX_PAIRS for e in made):
        hint = "Split the table into several topics."
        raise ContentError(f"more than {MAX_EXAMPLES} examples, or {MAX_PAIRS} questions in one", hint=hint)
    if not made:
        raise ContentError("the table has no question", hint="Fill its rows first.")
    return made


def _without_mark(cell: str) -> str:
    return cell[1:] if cell[:1] == "'" and cell[1:2] in _FORMULA else cell


# -- out ---------------------------------------------------------------------------------------------------------------


def write_examples(form: LeafForm, kind: Kind) -> bytes:
    """Return a leaf's examples as a file, which `read_examples` reads back."""
    rows = [
        (pair.question, pair.answer, example.context)
        for example in form.examples
        for pair in example.pairs
        if pair.question or pair.answer
    ]
    return _as_csv(rows) if kind == "csv" else _as_docx(rows)


def _as_csv(rows: Sequence[tuple[str, ...]]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    writer.writerows([f"'{c}" if c.startswith(_FORMULA) else c for c in row] for row in rows)
    return b"\xef\xbb\xbf" + out.getvalue().encode("utf-8")  # the mark that makes Excel read UTF-8


_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_PARTS = "http://schemas.openxmlformats.org/package/2006"
_MAIN = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
_MAIN_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'


def _as_docx(rows: Sequence[tuple[str, ...]]) -> bytes:
    """Return a Word document that is one table."""
    edges = "".join(
        f'<w:{e} w:val="single" w:sz="4"/>' for e in ("top", "left", "bottom", "right", "insideH", "insideV")
    )
    table = "".join(f"<w:tr>{''.join(_cell(cell) for cell in row)}</w:tr>" for row in (COLUMNS, *rows))
    grid = '<w:gridCol w:w="3000"/>' * len(COLUMNS)
    body = f"<w:tbl><w:tblPr><w:tblBorders>{edges}</w:tblBorders></w:tblPr><w:tblGrid>{grid}</w:tblGrid>{table}</w:tbl>"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{_PARTS}/content-types"><Default Extension="rels" ContentType='
        '"application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/word/document.xml" '
        f'ContentType="{_MAIN_TYPE}"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{_PARTS}/relationships"><Relationship Id="r1" Type="{_MAIN}" '
        'Target="word/document.xml"/></Relationships>',
        "word/document.xml": f'<w:document xmlns:w="{_WORD}"><w:body>{body}<w:p/></w:body></w:document>',
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in parts.items():
            file.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), _XML + text)
    return out.getvalue()


def _cell(text: str) -> str:
    clean = re.sub(r"[\x00-\x08\x0b-\x1f\ufffe\uffff]", "", text)
    lines = "".join(
        f'<w:p><w:r><w:t xml:space="preserve">{escape(line)}</w:t></w:r></w:p>' for line in clean.split("\n")
    )
    return f"<w:tc>{lines}</w:tc>"
