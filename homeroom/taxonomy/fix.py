"""A `qna.yaml` mended as far as a program can without changing what it says: what `homeroom check --fix` does.

Every mending is an edit of the text, so comments, the order of keys and the way a text is written stay. After each,
the file is read again and compared with what it said before; an edit that changed more than it was meant to is
dropped. A file that cannot be read even then is left exactly as it is. What is mended, in this order:

    encoding (UTF-16, byte order mark) and line ends; tabs as indentation, where there is one way to read them; quotes
    round a text that YAML takes for something else; white space at line ends, empty lines, the final newline; the
    version, where the content fits version 3

White space at the end of a line inside a text goes too (InstructLab refuses it), Markdown's two spaces included.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from yaml.nodes import MappingNode, Node, ScalarNode

from homeroom.taxonomy.lint import BLANKS, MAX_EMPTY_LINES
from homeroom.taxonomy.parse import fields, kind_of, nodes, parse
from homeroom.taxonomy.problem import Faults, Problem
from homeroom.taxonomy.rules import Tree, read_leaf

TEXT_KEYS = "created_by|domain|document_outline|task_description|question|answer|context|repo|commit|document|path"
MAX_QUOTED = 500  # texts put in quotes in one file


@dataclass(frozen=True, slots=True, kw_only=True)
class Mended:
    """The text of one file, with what was done to it in words; no words where it is as it was."""

    text: str
    changes: tuple[str, ...] = ()

    def with_change(self, text: str, change: str) -> Mended:
        """Return this with another text and the words for it, or this where the text is the same."""
        return self if text == self.text else replace(self, text=text, changes=(*self.changes, change))


def fix_text(content: bytes, *, tree_of: Callable[[Node], Tree]) -> Mended | None:
    """Return a mended file; None where it cannot be read even then, and must be left alone.

    Args:
        content: The file as it is on disk.
        tree_of: Tells which rules a file is read by, from its top node.
    """
    decoded = _decoded(content)
    if decoded is None:
        return None
    mended = _readable(decoded)
    top = _top(mended.text) if mended is not None else None
    if mended is None or top is None:
        return None
    mended = _without_type_slips(mended, top)
    mended = _without_white_space(mended)
    return _with_version_3(mended, tree_of)


def _decoded(content: bytes) -> Mended | None:
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        return None
    mended = Mended(text=text, changes=("written as UTF-8",) if encoding == "utf-16" else ())
    mended = mended.with_change(mended.text.removeprefix("\ufeff"), "byte order mark removed")
    return mended.with_change(mended.text.replace("\r\n", "\n").replace("\r", "\n"), "Unix line ends")


def _top(text: str) -> Node | None:
    return parse(text.encode(), Faults(""))


def _faults(text: str) -> list[Problem]:
    faults = Faults("")
    parse(text.encode("utf-8", "surrogatepass"), faults)
    return [p for p in faults.found if p.severity == "error"]


# -- what keeps a file from being read -----------------------------------------------------------------------------


def _readable(mended: Mended) -> Mended | None:
    """Mend tabs and missing quotes until the file can be read; None where that does not do."""
    if "\t" in mended.text and _top(mended.text) is None:
        mended = mended.with_change(_without_tabs(mended.text), "tabs replaced by spaces")
    text, num_quoted = mended.text, 0
    while num_quoted < MAX_QUOTED:
        wrong = [p for p in _faults(text) if p.code in ("syntax", "anchor", "tag")]
        if not wrong:
            break
        lines = text.split("\n")
        quoted = _quoted_line(lines, wrong[0].line - 1)
        if quoted is None:
            return mended.with_change(text, _quotes(num_quoted)) if _top(text) is not None else None
        lines[wrong[0].line - 1] = quoted
        text, num_quoted = "\n".join(lines), num_quoted + 1
    return mended.with_change(text, _quotes(num_quoted))


def _quotes(number: int) -> str:
    return f"{number} {'text' if number == 1 else 'texts'} put in quotes"


_LEADING_TABS = re.compile(r"^\t+", re.MULTILINE)
_TAB_AFTER_SIGN = re.compile(r"^([ \t]*(?:- +)*(?:-|[A-Za-z_]+:))[ \t]*\t[ \t]*(?=\S)", re.MULTILINE)
_TAB_AT_END = re.compile(r"[ \t]*\t[ \t]*$", re.MULTILINE)


def _without_tabs(text: str) -> str:
    """Return the text with its tabs as spaces, if every width that makes YAML of it makes the same of it."""
    text = _TAB_AT_END.sub("", _TAB_AFTER_SIGN.sub(r"\1 ", text))
    readings: dict[object, str] = {}
    for width in (2, 4, 8):
        spaced = _LEADING_TABS.sub(lambda tabs, width=width: " " * width * len(tabs[0]), text)
        top = _top(spaced)
        if top is not None:
            readings.setdefault(meaning(top), spaced)
    return next(iter(readings.values())) if len(readings) == 1 else text


_FIELD = re.compile(rf"( *(?:- +)*(?:(?:{TEXT_KEYS}): +|- +))(\S.*?)((?:\s+#.*)?)$")


def _quoted_line(lines: list[str], number: int) -> str | None:
    """Return a line with its text in quotes; None where it holds no text of one line that lacks them."""
    found = _FIELD.match(lines[number])
    if not found or found[2][0] in "\"'|>[{" or found[2].startswith("!!"):
        return None
    start = len(found[1]) - len(found[1].lstrip(" -"))
    after = next((line for line in lines[number + 1 :] if line.strip()), "")
    if len(after) - len(after.lstrip(" ")) > start:  # the text goes on in the next line
        return None
    return f"{found[1]}{quoted(found[2])}{found[3]}"


def quoted(text: str) -> str:
    """Return a text of one line in quotes: single ones, and double ones where the text has an apostrophe.

    Example:
        >>> print(quoted("no"), quoted("it's: so"))
        'no' "it's: so"
    """
    if "'" in text and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return "'" + text.replace("'", "''") + "'"


# -- a text that YAML takes for something else -------------------------------------------------------------------------


def _without_type_slips(mended: Mended, top: Node) -> Mended:
    """Put numbers, dates and `no` in quotes where a text is wanted."""
    slips = sorted(_slips(top), key=lambda node: -node.start_mark.index)
    text = mended.text
    for node in slips:
        text = text[: node.start_mark.index] + quoted(node.value) + text[node.end_mark.index :]
    after = _top(text)
    if after is None or meaning(after) != meaning(top, texts={node.start_mark.index for node in slips}):
        return mended
    return mended.with_change(text, _quotes(len(slips)))


def _slips(top: Node) -> Iterator[ScalarNode]:
    keys = set(TEXT_KEYS.split("|"))
    for node in nodes(top):
        for key, value in node.value if isinstance(node, MappingNode) else ():
            if isinstance(key, ScalarNode) and (key.value in keys or key.value == "patterns"):
                for part in [value] if isinstance(value, ScalarNode) else value.value:
                    plain = isinstance(part, ScalarNode) and not part.style
                    if plain and kind_of(part) in ("a number", "true or false", "a date"):
                        yield part


# -- white space ---------------------------------------------------------------------------------------------------


def _without_white_space(mended: Mended) -> Mended:
    mended = mended.with_change(_same(mended.text, _ends_stripped), "white space at line ends removed")
    mended = mended.with_change(_same(mended.text, _without_empty_lines), "empty lines removed")
    return mended.with_change(_same(mended.text, lambda text: [f"{text.rstrip(chr(10))}\n"]), "one line end at the end")


def _same(text: str, candidates: Callable[[str], Iterable[str]]) -> str:
    """Return the first of the candidates that says what the text says, else the text."""
    top = _top(text)
    before = meaning(top) if top is not None else None
    for candidate in candidates(text):
        after = _top(candidate) if candidate != text else None
        if after is not None and meaning(after) == before:
            return candidate
    return text


def _ends_stripped(text: str) -> Iterator[str]:
    """Yield the text without white space at any line's end, then with the lines kept where that changes something."""
    lines = text.split("\n")
    yield "\n".join(line.rstrip(BLANKS) for line in lines)
    kept = list(lines)
    for number, line in enumerate(lines):
        if line != line.rstrip(BLANKS):
            kept[number] = line.rstrip(BLANKS)
            candidate = "\n".join(kept)
            if _same(text, lambda _, candidate=candidate: [candidate]) != candidate:
                kept[number] = line
    yield "\n".join(kept)


def _without_empty_lines(text: str) -> Iterator[str]:
    """Yield the text with too many empty lines cut, then with those kept that are part of what is said."""
    runs = list(re.finditer(r"(?:\A|(?<=\n))\n+", text))
    num_wanted = [0 if run.start() == 0 else MAX_EMPTY_LINES for run in runs]
    long = [(run, most) for run, most in zip(runs, num_wanted, strict=True) if run.end() - run.start() > most]
    shorter = text
    for run, most in reversed(long):
        shorter = shorter[: run.start() + most] + shorter[run.end() :]
    yield shorter
    kept = text
    for run, most in reversed(long):
        candidate = kept[: run.start() + most] + kept[run.end() :]
        kept = _same(kept, lambda _, candidate=candidate: [candidate])
    yield kept


# -- the version ---------------------------------------------------------------------------------------------------


def _with_version_3(mended: Mended, tree_of: Callable[[Node], Tree]) -> Mended:
    """Write `version: 3` where the file is of an older version and its content fits; else leave it."""
    top = _top(mended.text)
    if not isinstance(top, MappingNode) or top.flow_style:
        return mended
    declared = fields(top).get("version")
    if declared and declared[1].value == "3" and kind_of(declared[1]) == "a number":
        return mended
    if declared and declared[1].value not in ("1", "2", "3", "1.0", "2.0", "3.0"):
        return mended
    tree, text = tree_of(top), mended.text
    edits = []
    old_name = fields(top).get("task_description")
    if tree == "knowledge" and old_name and "document_outline" not in fields(top):
        edits.append((old_name[0].start_mark.index, old_name[0].end_mark.index, "document_outline"))
    if declared:
        edits.append((declared[1].start_mark.index, declared[1].end_mark.index, "3"))
    else:
        start = top.start_mark.index
        edits.append((start, start, "version: 3\n" + " " * top.start_mark.column))
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    after = _top(text)
    faults = Faults("")
    if after is None or read_leaf(after, path="", tree=tree, faults=faults) is None or faults.has_error:
        return mended
    return mended.with_change(text, "version 3" + (", task_description is document_outline" if len(edits) > 1 else ""))


# -- what a file says ----------------------------------------------------------------------------------------------


def meaning(node: Node, *, texts: set[int] | frozenset[int] = frozenset()) -> object:
    """Return what a file says as a value to compare, keys in order, but for white space at the ends of lines.

    Args:
        node: The top node.
        texts: Where (offset in the file) values stand that are meant as text, whatever YAML takes them for.
    """
    if isinstance(node, MappingNode):
        return ("map", tuple((meaning(key, texts=texts), meaning(value, texts=texts)) for key, value in node.value))
    if not isinstance(node, ScalarNode):
        return ("list", tuple(meaning(item, texts=texts) for item in node.value))
    kind = "text" if node.start_mark.index in texts else kind_of(node)
    lines = [line.rstrip(BLANKS) for line in node.value.split("\n")]
    text = "\n".join(lines).rstrip("\n")
    return (kind, re.sub(r"[ \t]+", " ", text) if node.style == ">" else text)
