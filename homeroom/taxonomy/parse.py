"""YAML into nodes that know their line and column, with bounds for files that mean harm.

Values are never constructed: the rules look at nodes, so a date or a `!!python/object` can be named as what it is. A
pass over the parser's events stops at deep nesting and at anchors (a few hundred bytes of which can unfold into
gigabytes) before anything recursive runs; short files that cannot hold either go without it.

Two parsers read YAML here. libyaml is twenty times as fast; InstructLab's tools use the one in Python, and the verdict
is to be theirs. The two disagree on tabs, tags, byte order marks and a few signs inside `[]` and `{}`, so a file that
holds one of these, or that libyaml refuses, is read by the parser in Python.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

import yaml
from yaml.constructor import SafeConstructor
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.reader import Reader

from homeroom.taxonomy.problem import Faults

MAX_BYTES = 2**20
MAX_DEPTH = 16  # a qna.yaml needs 5
MAX_NODES = 100_000

Loader = type[yaml.SafeLoader]
_FAST: Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml where it is there
_SLOW: Loader = yaml.SafeLoader
# Where libyaml takes what the parser in Python refuses, or reads another value; found by feeding both random YAML.
_DISPUTED = {  # a sign -> where it is disputed
    "\t": re.compile("\t"),
    "!": re.compile(r"(?<![^\s,\[{])!"),
    "%": re.compile("^%", re.MULTILINE),
    "#": re.compile("[|>][-+0-9]*#"),
    "\ufeff": re.compile("\ufeff"),
    "\x85": re.compile("\x85"),
    "\u2028": re.compile("\u2028"),
    "\u2029": re.compile("\u2029"),
}
# Tags (which spell text for machines alone) and signs that turn the direction of writing; a flag may be made of tags.
_HIDDEN = re.compile(
    "(\U0001f3f4[\U000e0020-\U000e007e]{2,8}\U000e007f)|"
    "[\U000e0000-\U000e007f\u202a-\u202e\u2066-\u2069]|([\u200b\u2060\ufeff])"
)
_MAY_BE_HIDDEN = re.compile("[\U000e0000-\U000e007f\u202a-\u202e\u2066-\u2069\u200b\u2060\ufeff]")
_MAY_BE_ANCHOR = re.compile(r"(?<![^\s\[{,:?-])[&*][^\s*]")
_TAG = "tag:yaml.org,2002:"
_KINDS = {  # in words, by tag
    "str": "text",
    "int": "a number",
    "float": "a number",
    "bool": "true or false",
    "null": "nothing",
    "timestamp": "a date",
    "map": "a mapping",
    "seq": "a list",
}
_WORDS = {_TAG + name: words for name, words in _KINDS.items()}
_TAGS = {  # what each kind of node may be tagged as
    ScalarNode: {_TAG + name for name in ("str", "int", "float", "bool", "null", "timestamp")},
    MappingNode: {_TAG + "map"},
    SequenceNode: {_TAG + "seq"},
}
_COMPUTED = {_TAG + name for name in ("int", "float", "bool", "timestamp")}
_ASCII_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")  # NON_PRINTABLE for ASCII, ten times as fast
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


class Place:
    """A line and column, counted from 0."""

    def __init__(self, line: int, column: int) -> None:
        self.line, self.column = line, column


def parse(content: bytes, faults: Faults) -> Node | None:
    """Return the top node of one YAML document; None where it is empty, or unusable with the reason in `faults`."""
    text = decoded(content, faults)
    if text is None:
        return None
    loader = loader_of(text)
    node = _composed(text, loader, faults)
    if loader is _FAST and node is not None and _has_disputed_flow(node, text):
        node = _composed(text, _SLOW, faults)
    if node is None:
        return None
    if _is_empty(node):
        faults.warning(None, "empty-file", "the file is empty", "Fill it in, or remove it.")
        return None
    _check_nodes(node, faults, has_escapes="\\" in text)
    return node


def _composed(text: str, loader: Loader, faults: Faults) -> Node | None:
    if _needs_bounds(text) and not _bounded(text, loader, faults):
        return None
    try:
        node = yaml.compose(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        if loader is _SLOW:
            return _syntax_error(error, faults)
        return _composed(text, _SLOW, faults)
    return node or ScalarNode(_TAG + "null", "")


def _is_empty(node: Node) -> bool:
    """Say whether InstructLab's tools call the file empty: nothing, or a value that Python takes for false."""
    if not isinstance(node, ScalarNode):
        return not node.value
    return _is_computable(node) and not SafeConstructor().construct_object(node)


def _has_disputed_flow(top: Node, text: str) -> bool:
    if "[" not in text and "{" not in text:
        return False
    flows = (node for node in nodes(top) if not isinstance(node, ScalarNode) and node.flow_style)
    return any("?" in text[node.start_mark.index : node.end_mark.index] for node in flows)


def loader_of(text: str) -> Loader:
    """Return the parser that reads this text as InstructLab's tools do, the fast one where it can."""
    return _SLOW if any(sign in text and where.search(text) for sign, where in _DISPUTED.items()) else _FAST


def kind_of(node: Node) -> str:
    """Say what a node holds, in words: "text", "a number", "a list" ..."""
    return _WORDS.get(node.tag, "a value of another type")


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


def decoded(content: bytes, faults: Faults) -> str | None:
    """Return the text with Unix line ends; None where it is too large, not UTF-8 or not printable."""
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
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    is_ascii = text.isascii()
    bad = (_ASCII_CONTROL if is_ascii else Reader.NON_PRINTABLE).search(text)
    if bad:
        faults.error(
            _place(text[: bad.start()]),
            "control-character",
            f"the character U+{ord(bad[0]):04X} is not allowed in YAML",
            "Remove it; it often comes with text copied from a PDF or a terminal.",
        )
        return None
    if not is_ascii:
        _report_hidden(text, faults)
    return text


def _report_hidden(text: str, faults: Faults) -> None:
    """Report characters that a reader does not see and a model would learn; written as an escape they are seen."""
    if not _MAY_BE_HIDDEN.search(text):
        return
    for found in islice((match for match in _HIDDEN.finditer(text) if not match[1]), 20):
        name = f"U+{ord(found[0]):04X}"
        place = _place(text[: found.start()])
        if found[2]:
            hint = "It comes with copied text: remove it, if your language does not need it."
            faults.warning(place, "zero-width", f"a character that has no width ({name})", hint)
            continue
        escape = f"\\u{ord(found[0]):04X}" if ord(found[0]) < 0x10000 else f"\\U{ord(found[0]):08X}"
        hint = f'Remove it; if it is meant, show it: "{escape}", in double quotes.'
        faults.error(place, "hidden-character", f"a character that readers do not see ({name})", hint)


def _place(before: str) -> Place:
    return Place(before.count("\n"), len(before) - before.rfind("\n") - 1)


def _needs_bounds(text: str) -> bool:
    """Say whether a file could be nested deeply, hold very many values, or an anchor."""
    if len(text) > 50_000 or text.count("[") + text.count("{") > MAX_DEPTH or _MAY_BE_ANCHOR.search(text):
        return True
    return " " * (2 * MAX_DEPTH) in text.replace("-", " ").replace("?", " ")


def _bounded(text: str, loader: Loader, faults: Faults) -> bool:
    depth = num_nodes = 0
    try:
        for event in yaml.parse(text, Loader=loader):
            num_nodes += isinstance(event, yaml.NodeEvent)
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH or num_nodes > MAX_NODES:
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
    except yaml.MarkedYAMLError:
        pass  # said when it is composed
    return True


def _syntax_error(error: yaml.MarkedYAMLError, faults: Faults) -> None:
    what = " ".join(part for part in (error.context, error.problem) if part)
    hint = "Look at this line and the one before it."
    if "mapping values are not allowed" in what:
        hint = "A text with a colon and a space in it needs quotes, or `>-` and the text on the next line."
    elif "start any token" in what:
        hint = "A tab, or a text that begins with @, ` or %: indent with spaces and put the text in quotes."
    elif "chomping" in what:
        hint = "After | or > the text begins on the next line, indented; or put the text in quotes."
    elif "expected ':'" in what:
        hint = "A line that is neither `key: text` nor part of a text: indent it more, or put the text in quotes."
    elif "block end" in what or "block mapping" in what or "block collection" in what:
        hint = "The indentation changes here: keys of one entry, and hyphens of one list, begin in the same column."
    elif "document" in what and "expected" in what:
        hint = "One file holds one leaf: remove the second `---`, and quote texts that end too early."
    faults.error(error.problem_mark or error.context_mark, "syntax", f"not valid YAML: {what}", hint)


def _check_nodes(top: Node, faults: Faults, *, has_escapes: bool) -> None:
    """Report what the schema does not speak of: repeated and complex keys, foreign tags, control characters."""
    for node in nodes(top):
        if node.tag not in _TAGS[type(node)]:
            _foreign_tag(node, faults)
        elif node.tag in _COMPUTED and not _is_computable(node):
            hint = "Put it in quotes if it is text."
            faults.error(node.start_mark, "value", f"{node.value[:40]!r} is not {kind_of(node)}", hint)
        if has_escapes and isinstance(node, ScalarNode) and _CONTROL.search(node.value):
            faults.error(
                node.start_mark, "control-character", "the text holds a control character", "Remove the escape."
            )
        if isinstance(node, MappingNode):
            _check_keys(node, faults)


def _check_keys(node: MappingNode, faults: Faults) -> None:
    seen: dict[str, Node] = {}
    for key, _ in node.value:
        if not isinstance(key, ScalarNode):
            faults.error(key.start_mark, "complex-key", f"a key must be text, not {kind_of(key)}")
            continue
        first = seen.setdefault(key.value, key)
        if first is not key:
            message = f"{key.value[:60]!r} is here a second time; the first is on line {first.start_mark.line + 1}"
            faults.error(key.start_mark, "duplicate-key", message, "Keep one of the two.")


def _foreign_tag(node: Node, faults: Faults) -> None:
    name = node.tag.removeprefix(_TAG)
    if name == "merge":
        what, hint = "a merge key (<<) is not allowed", "Write the keys out, or put << in quotes if it is text."
    elif name == "value":
        what, hint = "a lone = is not text in YAML", 'Put it in quotes: "=".'
    else:
        what, hint = f"the tag {node.tag[:60]} is not allowed here", "Remove the tag, or put the text in quotes."
    faults.error(node.start_mark, "tag", what, hint)


def _is_computable(node: Node) -> bool:
    """Say whether PyYAML can make the value: `2024-13-01` looks like a date and is none, which stops InstructLab."""
    try:
        SafeConstructor().construct_object(node)
    except (ValueError, LookupError, TypeError, OverflowError, yaml.YAMLError):
        return False
    return True


def nodes(top: Node) -> Iterator[Node]:
    """Yield a node and everything below it, in the order of the text."""
    waiting = [top]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, MappingNode):
            for key, value in reversed(node.value):
                waiting += (value, key)
        elif isinstance(node, SequenceNode):
            waiting += reversed(node.value)
