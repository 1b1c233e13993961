"""A page of HTML into its visible text as Markdown: headings, lists, tables and code stay, scripts and menus go.

Only the text is taken: no address in the page is ever followed, and what a style hides from people is left out here
too, because it would still be read by a model.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser

from homeroom.core.errors import ContentError
from homeroom.documents.text import PAGE, Text, decoded, fenced, not_a_heading, table

MAX_NESTED_TABLES = 8
# by class: menus of DocBook and Sphinx, and the pilcrow beside each heading
_FURNITURE = re.compile(r"\b(?:navheader|navfooter|navbar|breadcrumbs?|sphinxsidebar|headerlink|skip-link)\b")
_UNSEEN = re.compile(
    r"display:none|visibility:hidden|opacity:0(?:\.0+)?(?:;|$)|font-size:[01](?:\.\d+)?(?:px|pt|em|%)?(?:;|$)"
    r"|(?:left|top|text-indent):-\d{3,}|(?<![\w-])color:(?:#fff|#ffffff|white)(?:;|$)(?!.*background)"
)


def read_html(name: str, content: bytes) -> Text:
    """Return the visible text of a page.

    Raises:
        ContentError: the bytes are not text, or not in the encoding that the page names.
    """
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
    return page_text(text, encoding)


def page_text(page: str, encoding: str = "utf-8") -> Text:
    """Return the visible text of a page that is a string already."""
    reader = _Page()
    reader.feed(_tame(page.replace(PAGE, "")))
    reader.close()
    reader.close_all()
    notes = (f"{reader.unseen} pieces of text that a style hides from readers were left out",) * bool(reader.unseen)
    return Text("".join(reader.title), "".join(reader.outs[0]), encoding, notes=notes)


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


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


class _Page(HTMLParser):
    """Writes Markdown into `outs[0]`; an open table cell or piece of code is a further list in `outs`."""

    HIDDEN = _names("script style noscript template svg math iframe object select option textarea button nav dialog")
    VOID = _names("area base br col embed hr img input link meta source track wbr")
    HEADINGS = _names("h1 h2 h3 h4 h5 h6")
    APART = HEADINGS | _names(
        "p div section article main header footer aside dl dt blockquote figure figcaption form address "
        "details summary caption"
    )

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.outs: list[list[str]] = [[]]
        self.title: list[str] = []
        self.hidden: list[str] = []  # the open element that hides, and those of the same name inside it
        self.unseen = 0  # pieces that a style hides
        self.in_title = False
        self.in_heading = False
        self.articles = 0
        self.code: list[int] = []  # how many lists `outs` had before each open <pre>
        self.lists: list[int] = []  # of each open list: 0 for points, else the next number
        self.tables: list[tuple[int, list[list[str]]]] = []  # depth of `outs` at each open table, and its rows

    # -- tags --

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open an element: a line, a heading mark, a list mark, a cell, or silence."""
        if self.hidden:
            self.hidden += [tag] if tag == self.hidden[0] else []
        elif tag not in self.VOID and self._hides(tag, dict(attrs)):
            self.hidden = [tag]
        elif tag == "title":
            self.in_title = True
        elif tag == "pre":
            self.code.append(len(self.outs))
            self.outs.append([])
        elif tag in ("table", "tr", "td", "th"):
            self._open_table_part(tag)
        elif tag in ("ul", "ol"):
            self._write("\n" if self.lists else "\n\n")
            self.lists.append(0 if tag == "ul" else _number(dict(attrs).get("start")))
        elif tag == "li":
            self._open_item()
        elif tag in self.APART:
            self._open_block(tag)
        elif tag in ("br", "dd", "hr"):
            self._write(" " if self.in_heading else "\n\n" if tag == "hr" else "\n")

    def handle_endtag(self, tag: str) -> None:
        """Close an element."""
        if self.hidden:
            if tag == self.hidden[0]:
                self.hidden.pop()
        elif tag == "title":
            self.in_title = False
        elif tag == "pre" and self.code:
            self._close_code()
        elif tag in ("td", "th", "tr"):
            self._close_cell()
        elif tag == "table":
            self._close_table()
        elif tag in ("ul", "ol") and self.lists:
            self.lists.pop()
            self._write("\n" if self.lists else "\n\n")
        elif tag in self.HEADINGS:
            self.in_heading = False
            self._write("\n\n")
        elif tag in self.APART and not self.in_heading:
            self.articles -= tag == "article"
            self._write("" if self._in_fresh_item() else "\n" if self.lists else "\n\n")

    def handle_data(self, data: str) -> None:
        """Take text; outside `pre`, white space of any length is one space."""
        if self.in_title:
            self.title.append(data)
        elif self.hidden:
            return
        elif self.code:
            self.outs[-1].append(data)
        else:
            text, out = re.sub(r"\s+", " ", data), self.outs[-1]
            if not out or out[-1].endswith(("\n", " ")):
                text = text.lstrip(" ")
            self._write(not_a_heading(text) if not out or out[-1].endswith("\n") else text)

    def close_all(self) -> None:
        """Close what the page left open."""
        while self.code:
            self._close_code()
        while self.tables:
            self._close_table()

    # -- parts --

    def _write(self, text: str) -> None:
        out = self.outs[-1]
        if self.lists and out and out[-1].endswith("\n"):
            text = text.lstrip("\n")
        if text:
            out.append(text)

    def _hides(self, tag: str, given: dict[str, str | None]) -> bool:
        if tag in self.HIDDEN or "hidden" in given or given.get("role") == "navigation":
            return True
        if tag == "footer" and self.articles <= 0:  # of the site, not of an article
            return True
        if _FURNITURE.search((given.get("class") or "")[:500]):
            return True
        style = (given.get("style") or "")[:2000].replace(" ", "").lower()
        unseen = bool(style) and _UNSEEN.search(style) is not None
        self.unseen += unseen
        return unseen or given.get("aria-hidden") == "true"

    def _open_block(self, tag: str) -> None:
        self.articles += tag == "article"
        if self.in_heading or self._in_fresh_item():
            return
        indent = "  " * len(self.lists)
        self._write(f"\n{indent}" if self.lists else "\n\n")
        if tag in self.HEADINGS and not self.tables and not self.lists:
            self._write("#" * int(tag[1]) + " ")
            self.in_heading = True

    def _in_fresh_item(self) -> bool:
        out = self.outs[-1]
        return bool(self.lists) and bool(out) and re.fullmatch(r"\n? *(?:-|\d+\.) ", out[-1]) is not None

    def _open_item(self) -> None:
        if not self.lists:
            self.lists.append(0)
        mark = f"{self.lists[-1]}. " if self.lists[-1] else "- "
        self.lists[-1] += bool(self.lists[-1])
        self._write("\n" + "  " * min(len(self.lists) - 1, 8) + mark)

    def _close_code(self) -> None:
        depth = self.code.pop()
        code = "".join("".join(out) for out in self.outs[depth:])
        del self.outs[depth:]
        if self.code or not code.strip():
            self._write(code)
        else:
            self._write(f"\n\n{fenced(code)}\n\n")

    def _open_table_part(self, tag: str) -> None:
        if tag == "table":
            if len(self.tables) < MAX_NESTED_TABLES:
                self.tables.append((len(self.outs), []))
        elif self.tables and not self.code:
            self._close_cell()
            depth, rows = self.tables[-1]
            if tag == "tr" or not rows:
                rows.append([])
            if tag != "tr" and len(self.outs) == depth:
                self.outs.append([])

    def _close_cell(self) -> None:
        if not self.tables or self.code:
            return
        depth, rows = self.tables[-1]
        if len(self.outs) > depth:
            rows[-1].append("".join(self.outs.pop()).strip())

    def _close_table(self) -> None:
        if not self.tables or self.code:
            return
        self._close_cell()
        _, rows = self.tables.pop()
        rows = [row for row in rows if any(row)]
        layout = any("\n\n" in cell or len(cell) > 1500 for row in rows for cell in row)
        if layout or max((len(row) for row in rows), default=0) < 2:
            self._write("\n\n" + "\n\n".join(cell for row in rows for cell in row if cell) + "\n\n")
        else:
            self._write(f"\n\n{table(rows)}\n\n")


def _number(text: str | None) -> int:
    return int(text) if text and re.fullmatch(r"[1-9]\d{0,5}", text) else 1
