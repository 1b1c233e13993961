"""What InstructLab's lint says of the white space of a `qna.yaml`: nine rules, found in the text, its tokens and nodes.

InstructLab runs a lint program with a "relaxed" setting over every file of version 2 and 3, and its own command counts
each complaint as an error: one space at the end of a line rejects a contribution. Homeroom reads such files all the
same and says the ones that `--fix` mends as warnings; `check --strict instructlab` gives InstructLab's verdict. The
rules are written from their documented behaviour, and a test compares the two on hundreds of files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from homeroom.taxonomy.parse import Loader, nodes

MAX_EMPTY_LINES = 2
BLANKS = " \t\x0b\x0c\r"  # what counts as a space at the end of a line
_RULES = r"((?: rule:\S+)*)\s*$"
_DIRECTIVE = re.compile(rf" *# yamllint (disable-line|disable|enable){_RULES}|.*\s# yamllint (disable-line){_RULES}")


@dataclass(frozen=True, slots=True)
class Complaint:
    """One place that the lint does not like; line and column count from 0."""

    line: int
    column: int
    code: str
    message: str


def lint(text: str, top: Node, loader: Loader) -> list[Complaint]:
    """Return every complaint about a text that parses, in order, save those that a comment in it switches off.

    Args:
        text: The file, with Unix line ends.
        top: What `parse` made of it.
        loader: The parser that reads this text as InstructLab's tools do.
    """
    if re.match(r"# yamllint disable-file\s*$", text.split("\n", 1)[0]):
        return []
    found = [*line_ends(text), *_empty_lines(text), *_spacing(text, loader), *_Indentation(text).check(top)]
    found.sort(key=lambda c: (c.line, c.column))
    return list(_without_switched_off(found, text)) if "yamllint" in text else found


def line_ends(text: str) -> Iterator[Complaint]:
    """Yield lines that end in white space, and a last line that does not end."""
    lines = text.split("\n")
    for number, line in enumerate(lines):
        kept = len(line.rstrip(BLANKS))
        if kept != len(line):
            yield Complaint(number, kept, "trailing-space", "white space ends the line")
    if lines[-1]:
        yield Complaint(len(lines) - 1, len(lines[-1]), "final-newline", "the last line does not end")


def _empty_lines(text: str) -> Iterator[Complaint]:
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    last = len(lines) - 1
    begin = 0
    while begin <= last:
        end = begin
        while end <= last and lines[end] == "":
            end += 1
        most = 0 if begin == 0 or end > last else MAX_EMPTY_LINES
        if end - begin > most:
            where = "the file begins with" if begin == 0 else "the file ends with" if end > last else "there are"
            message = f"{where} {end - begin} empty {'line' if end - begin == 1 else 'lines'}, at most {most} wanted"
            yield Complaint(end - 1, 0, "empty-lines", message)
        begin = max(end, begin + 1)


# -- signs and the spaces around them ----------------------------------------------------------------------------------

_OPENERS = (yaml.FlowMappingStartToken, yaml.FlowSequenceStartToken)
_CLOSERS = (yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken)


def _spacing(text: str, loader: Loader) -> Iterator[Complaint]:
    """Yield what is wrong with the spaces around `:`, `-`, `?`, `,` and inside brackets and braces."""
    before: yaml.Token | None = None
    token: yaml.Token | None = None
    for after in (*yaml.scan(text, Loader=loader), None):
        if token is not None:
            yield from _around(token, before, after)
        before, token = token, after


def _around(token: yaml.Token, before: yaml.Token | None, after: yaml.Token | None) -> Iterator[Complaint]:
    start, end = token.start_mark, token.end_mark
    left = start.index - before.end_mark.index if before and before.end_mark.line == start.line else None
    right = after.start_mark.index - end.index if after and after.start_mark.line == end.line else None
    if isinstance(token, yaml.ValueToken):
        if left:
            yield _complaint(start, "colons", "a space before the colon", -1)
        if right is not None and right > 1:
            yield _complaint(end, "colons", f"{right} spaces after the colon, at most 1 wanted", right - 1)
    elif isinstance(token, yaml.KeyToken) and start.index != end.index and right is not None and right > 1:
        yield _complaint(end, "colons", f"{right} spaces after the question mark, at most 1 wanted", right - 1)
    elif isinstance(token, yaml.BlockEntryToken) and right is not None and right > 1:
        yield _complaint(end, "hyphens", f"{right} spaces after the hyphen, at most 1 wanted", right - 1)
    elif isinstance(token, yaml.FlowEntryToken):
        if left or left is None:
            yield _complaint(start, "commas", "a space or a new line before the comma", -1)
        if right is not None and right != 1:
            yield _complaint(end, "commas", f"{right} spaces after the comma, 1 wanted", right - 1)
    elif isinstance(token, _OPENERS) and right is not None and right > 1:
        code = "braces" if isinstance(token, yaml.FlowMappingStartToken) else "brackets"
        yield _complaint(end, code, f"{right} spaces after the opening, at most 1 wanted", right - 1)
    elif isinstance(token, _CLOSERS) and not isinstance(before, _OPENERS) and left is not None and left > 1:
        code = "braces" if isinstance(token, yaml.FlowMappingEndToken) else "brackets"
        yield _complaint(start, code, f"{left} spaces before the closing, at most 1 wanted", -1)


def _complaint(mark: yaml.Mark, code: str, message: str, shift: int = 0) -> Complaint:
    return Complaint(mark.line, max(0, mark.column + shift), code, message)


# -- indentation -------------------------------------------------------------------------------------------------------


class _Indentation:
    """Walks the nodes in the order of the text; the first indented thing sets the step that all others must keep."""

    def __init__(self, text: str) -> None:
        self.lines = re.split("[\n\x85\u2028\u2029]", text)  # what YAML counts as lines
        self.step: int | None = None
        self.lists_are_indented: bool | None = None
        self.began: dict[int, int] = {}  # a line that goes on with a text -> the line where that text begins

    def check(self, top: Node) -> Iterator[Complaint]:
        """Yield what does not stand where the lines before it would have it."""
        for node in nodes(top):
            if isinstance(node, ScalarNode) and node.style not in ("|", ">"):
                for line in range(node.start_mark.line + 1, node.end_mark.line + 1):
                    self.began.setdefault(line, node.start_mark.line)
        yield from self._node(top, 0)

    def _node(self, node: Node, wanted: int) -> Iterator[Complaint]:
        """Yield the faults of a node that must stand at column `wanted` if it is the first thing on its line."""
        if node.start_mark.index == node.end_mark.index:
            return
        yield from self._at(node.start_mark.line, node.start_mark.column, wanted)
        if isinstance(node, ScalarNode):
            return
        if node.flow_style:
            yield from self._flow(node)
        elif isinstance(node, MappingNode):
            for key, value in node.value:
                yield from self._node(key, node.start_mark.column)
                yield from self._value(key, value, node.start_mark.column)
        else:
            for item in node.value:
                yield from self._item(item, node.start_mark.column)

    def _at(self, line: int, column: int, wanted: int) -> Iterator[Complaint]:
        if column != wanted and not self.lines[line][:column].strip(" "):
            yield Complaint(line, column, "indentation", f"indented by {column} spaces, {wanted} wanted")

    def _value(self, key: Node, value: Node, column: int) -> Iterator[Complaint]:
        if value.start_mark.line == key.start_mark.line:
            wanted = value.start_mark.column
        elif isinstance(value, SequenceNode) and not value.flow_style:
            indented = value.start_mark.column != column
            if self.lists_are_indented is None:
                self.lists_are_indented = indented
            if not self.lists_are_indented:
                wanted = column
            else:
                wanted = self._stepped(column, value.start_mark.column) if indented else -1
        else:
            wanted = self._stepped(column, value.start_mark.column)
        yield from self._node(value, wanted)

    def _item(self, item: Node, column: int) -> Iterator[Complaint]:
        """Yield the faults of one entry of a block list whose hyphens stand at `column`."""
        start = item.start_mark
        before = self.lines[start.line][: start.column].strip(" ")
        on_own_line = not before and item.start_mark.index != item.end_mark.index
        yield from self._node(item, self._stepped(column, start.column) if on_own_line else start.column)

    def _flow(self, node: MappingNode | SequenceNode) -> Iterator[Complaint]:
        number = node.start_mark.line
        while number in self.began:
            number = self.began[number]
        indent = len(self.lines[number]) - len(self.lines[number].lstrip(" "))
        first = (node.value[0][0] if isinstance(node, MappingNode) else node.value[0]) if node.value else None
        if first is not None and first.start_mark.line != node.start_mark.line:
            wanted = self._stepped(indent, first.start_mark.column)
        else:
            wanted = first.start_mark.column if first is not None else indent
        for part in node.value:
            yield from self._comma_before(part[0] if isinstance(node, MappingNode) else part, wanted)
            if isinstance(node, MappingNode):
                key, value = part
                yield from self._node(key, wanted)
                same = value.start_mark.line == key.start_mark.line
                column = value.start_mark.column
                yield from self._node(value, column if same else self._stepped(wanted, column))
            else:
                yield from self._node(part, wanted)
        yield from self._at(node.end_mark.line, node.end_mark.column - 1, indent)

    def _comma_before(self, node: Node, wanted: int) -> Iterator[Complaint]:
        """Yield the fault of a comma that stands first on the line where the next entry begins."""
        line = self.lines[node.start_mark.line][: node.start_mark.column]
        if line.lstrip(" ").startswith(","):
            yield from self._at(node.start_mark.line, line.index(","), wanted)

    def _stepped(self, column: int, found: int) -> int:
        if self.step is None:
            self.step = found - column
        return column + self.step


# -- comments that switch rules off ------------------------------------------------------------------------------------

_NAMES = {"trailing-spaces": "trailing-space", "new-line-at-end-of-file": "final-newline"}


def _without_switched_off(found: list[Complaint], text: str) -> Iterator[Complaint]:
    """Leave out what `# yamllint disable`, `enable` and `disable-line` comments silence."""
    off: set[str] = set()
    by_line: dict[int, list[Complaint]] = {}
    for complaint in found:
        by_line.setdefault(complaint.line, []).append(complaint)
    all_codes = {complaint.code for complaint in found}
    next_line: set[str] = set()
    for number, line in enumerate(text.split("\n")):
        here, next_line = next_line, set()
        directive = _DIRECTIVE.match(line)
        if directive:
            verb = directive[1] or directive[3]
            rules = set(re.findall(r"rule:(\S+)", directive[2] or directive[4] or ""))
            named = {_NAMES.get(rule, rule) for rule in rules} or all_codes
            if verb == "disable":
                off |= named
            elif verb == "enable":
                off -= named
            elif verb == "disable-line" and directive[1]:
                next_line = named
            elif verb == "disable-line":
                here |= named
        yield from (c for c in by_line.get(number, []) if c.code not in off | here)
