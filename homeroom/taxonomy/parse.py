"""YAML into nodes that know their line and column, with bounds for files that mean harm.

Values are never constructed: the rules look at nodes, so a date or a `!!python/object` can be named as what it is. A
first pass over the parser's events stops at deep nesting and at anchors (a few hundred bytes of which can unfold into
gigabytes) before anything recursive runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.reader import Reader

from homeroom.taxonomy.problem import Faults

MAX_BYTES = 2**20
MAX_DEPTH = 16  # a qna.yaml needs 5
MAX_NODES = 100_000

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml where it is there: ten times as fast
_TAG = "tag:yaml.org,2002:"
_KINDS = {
    "str": "text",
    "int": "a number",
    "float": "a number",
    "bool": "true or false",
    "null": "nothing",
    "timestamp": "a date",
    "map": "a mapping",
    "seq": "a list",
    "merge": "a merge key",
    "value": "a value key",
}
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


class Place:
    """A line and column, counted from 0."""

    def __init__(self, line: int, column: int) -> None:
        self.line, self.column = line, column


def parse(content: bytes, faults: Faults) -> Node | None:
    """Return the top node of one YAML document; None where it is empty, or unusable with the reason in `faults`."""
    text = _decoded(content, faults)
    if text is None or not _bounded(text, faults):
        return None
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        return _syntax_error(error, faults)
    if node is None:
        faults.warning(None, "empty-file", "the file is empty", "Fill it in, or remove it.")
        return None
    _check_nodes(node, faults)
    return node


def kind_of(node: Node) -> str:
    """Say what a node holds, in words: "text", "a number", "a list" ..."""
    return _KINDS.get(node.tag.removeprefix(_TAG), "a value of another type")


def fields(node: MappingNode) -> dict[str, tuple[Node, Node]]:
    """Return key -> (key node, value node); the first of equal keys counts."""
    found: dict[str, tuple[Node, Node]] = {}
    for key, value in node.value:
        if isinstance(key, ScalarNode):
            found.setdefault(key.value, (key, value))
    return found


def plain(node: Node) -> object:
    """Return what a node holds as hashable values, so that two nodes compare as JSON schema compares them."""
    if isinstance(node, MappingNode):
        return ("map", frozenset((plain(key), plain(value)) for key, value in node.value))
    if isinstance(node, SequenceNode):
        return ("seq", tuple(plain(item) for item in node.value))
    return (kind_of(node), node.value)


def _decoded(content: bytes, faults: Faults) -> str | None:
    if len(content) > MAX_BYTES:
        faults.error(
            None,
            "too-large",
            f"the file has more than {MAX_BYTES:,} bytes",
            "Put long texts into documents, and keep seed examples short.",
        )
        return None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8", "replace")
        faults.error(
            _place(before), "encoding", f"byte {content[error.start]:#04x} is not UTF-8", "Save the file as UTF-8."
        )
        return None
    text = text.replace("\r\n", "\n")
    bad = Reader.NON_PRINTABLE.search(text)
    if bad:
        faults.error(
            _place(text[: bad.start()]),
            "control-character",
            f"the character U+{ord(bad[0]):04X} is not allowed in YAML",
            "Remove it; it often comes with text copied from a PDF or a terminal.",
        )
        return None
    return text


def _place(before: str) -> Place:
    return Place(before.count("\n"), len(before) - before.rfind("\n") - 1)


def _bounded(text: str, faults: Faults) -> bool:
    depth = nodes = 0
    try:
        for event in yaml.parse(text, Loader=_Loader):
            nodes += isinstance(event, yaml.NodeEvent)
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH or nodes > MAX_NODES:
                what = f"nested more than {MAX_DEPTH} deep" if depth > MAX_DEPTH else f"more than {MAX_NODES:,} values"
                faults.error(event.start_mark, "too-deep", f"the YAML is {what}", "A qna.yaml is flat: see the docs.")
                return False
            if getattr(event, "anchor", None):
                name = f"*{event.anchor}" if isinstance(event, yaml.AliasEvent) else f"&{event.anchor}"
                faults.error(
                    event.start_mark,
                    "anchor",
                    f"anchors and aliases ({name}) are not allowed",
                    "Write the text out, or put quotes around a text that begins with & or *.",
                )
                return False
    except yaml.MarkedYAMLError as error:
        _syntax_error(error, faults)
        return False
    return True


def _syntax_error(error: yaml.MarkedYAMLError, faults: Faults) -> None:
    what = " ".join(part for part in (error.context, error.problem) if part)
    hint = "Look at this line and the one before it."
    if "mapping values are not allowed" in what:
        hint = "A text with a colon and a space in it needs quotes, or `>-` and the text on the next line."
    elif "start any token" in what:
        hint = "A tab, or a text that begins with @, ` or %: indent with spaces and put the text in quotes."
    elif "document" in what and "expected" in what:
        hint = "One file holds one leaf: remove the second `---`, and quote texts that end too early."
    faults.error(error.problem_mark or error.context_mark, "syntax", f"not valid YAML: {what}", hint)


def _check_nodes(top: Node, faults: Faults) -> None:
    """Report what the schema does not speak of: repeated and complex keys, foreign tags, control characters."""
    for node in _nodes(top):
        if node.tag.removeprefix(_TAG) not in _KINDS:
            faults.error(node.start_mark, "tag", f"the tag {node.tag} is not allowed", "Remove the tag.")
        if isinstance(node, ScalarNode) and _CONTROL.search(node.value):
            faults.error(
                node.start_mark, "control-character", "the text holds a control character", "Remove the escape."
            )
        if not isinstance(node, MappingNode):
            continue
        seen: dict[str, Node] = {}
        for key, _ in node.value:
            if not isinstance(key, ScalarNode):
                faults.error(key.start_mark, "complex-key", f"a key must be text, not {kind_of(key)}")
            elif key.value in seen:
                faults.error(
                    key.start_mark,
                    "duplicate-key",
                    f"{key.value[:60]!r} is here a second time; the first is on line "
                    f"{seen[key.value].start_mark.line + 1}",
                    "Keep one of the two.",
                )
            else:
                seen[key.value] = key


def _nodes(top: Node) -> Iterator[Node]:
    waiting = [top]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, MappingNode):
            waiting += [part for pair in reversed(node.value) for part in reversed(pair)]
        elif isinstance(node, SequenceNode):
            waiting += reversed(node.value)
