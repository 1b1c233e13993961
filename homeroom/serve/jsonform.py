"""Whether a text is the beginning of JSON of a wanted form: what `response_format` holds an answer to.

    JSON schema --form_of--> Form --fits(text)--> may an answer begin so?

`fits` is asked for every token that a model might say next. With the engine's end mark behind the text it says whether
the answer may end there. White space between the parts is limited, or a small model would write nothing else. Of JSON
schema we take what can be decided at the first wrong character, and so can be kept from being written: types, members,
items, enumerations, lengths, alternatives and references. The rest (patterns, bounds of numbers, formats) is refused,
since an answer that looks as if it had been checked is worse than none.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from homeroom.core.errors import ContentError

END = "\0"  # stands behind a text that is to be the whole answer, as `torch_engine.END`
MAX_SPACES = 12  # in a row, outside of texts
MAX_DEPTH = 20
MAX_NODES, MAX_NESTED = 1_000, 60  # parts of a schema
MAX_COUNT = 100_000  # of a bound on items or characters

KINDS = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})
_REMARKS = {"title", "description", "default", "examples", "deprecated", "$schema", "$id", "$comment", "$defs"}
_REMARKS |= {"definitions", "readOnly", "writeOnly"}  # they say nothing of what an answer may be
_RULES = {"type", "enum", "const", "properties", "required", "additionalProperties", "items"}
_COUNTS = {"minItems": "min_items", "maxItems": "max_items", "minLength": "min_length", "maxLength": "max_length"}
_ESCAPE = re.compile(r'\\(["\\/bfnrt]|u[0-9a-fA-F]{4})')
_ESCAPE_BEGUN = re.compile(r"\\(u[0-9a-fA-F]{0,3})?\Z")
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
_NUMBER_BEGUN = re.compile(r"-?(0|[1-9]\d*)?(\.\d*)?([eE][+-]?\d*)?\Z")
_INTEGER = re.compile(r"-?(0|[1-9]\d*)(?![.eE])")
_INTEGER_BEGUN = re.compile(r"-?(0|[1-9]\d*)?\Z")
_SPACES = re.compile(r"[ \t\r\n]*")
_WORDS = {"true": "boolean", "false": "boolean", "null": "null"}


@dataclass(slots=True, kw_only=True, eq=False)
class Node:
    """What one value may be."""

    kinds: frozenset[str] = KINDS
    literals: tuple[str, ...] = ()  # where there are any, the value is one of them, as JSON
    members: dict[str, Node] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    others: Node | None = None  # what members of other names may be; None where there may be none
    items: Node | None = None  # None: anything
    min_items: int = 0
    max_items: int = MAX_COUNT
    min_length: int = 0
    max_length: int = MAX_COUNT
    either: tuple[Node, ...] = ()  # where there are any, the value is one of these


ANYTHING = Node()
ANYTHING.others = ANYTHING
AN_OBJECT = Node(kinds=frozenset({"object"}), others=ANYTHING)


class Form:
    """A form that answers can be held to; without a schema, any JSON object.

    Example:
        >>> fits = Form().fits
        >>> fits('{"a": [1, tr'), fits('{"a" 1'), fits('{"a": 1}'), fits('{"a": 1} so')
        (True, False, True, False)
        >>> fits('{"a": 1}' + END), fits('{"a": 1' + END)
        (True, False)
    """

    def __init__(self, root: Node = AN_OBJECT) -> None:
        self.root = root

    def fits(self, text: str) -> bool:
        """Say whether a text, or with `END` behind it a whole answer, is of this form."""
        is_whole = text.endswith(END)
        text = text.removesuffix(END)
        read = _Reading(text + " " if is_whole else text)  # the space ends a number
        try:
            return read.value(self.root, read.space(0), 0) == len(text)
        except _Open:
            return not is_whole
        except _Wrong:
            return False


def form_of(schema: Any) -> Form:
    """Return the form that a JSON schema describes.

    Raises:
        ContentError: it is no schema, or asks for what cannot be held to; says where.
    """
    return Form(_Schema(schema).root)


class _Schema:
    """A schema as nodes, one for each place of it, so that it may refer to itself."""

    def __init__(self, schema: Any) -> None:
        self.whole, self.depth = schema, 0
        self.made: dict[str, Node] = {}
        self.root = self.node(schema, "#")
        for place, node in list(self.made.items()):
            _refuse_circles(node, place)

    def node(self, schema: Any, place: str) -> Node:
        if place in self.made:
            return self.made[place]
        if len(self.made) >= MAX_NODES or self.depth >= MAX_NESTED:
            raise ContentError(f"the schema has more than {MAX_NODES} parts, or more than {MAX_NESTED} in one another")
        node, self.depth = Node(), self.depth + 1
        self.made[place] = node
        self._fill(node, schema, place)
        self.depth -= 1
        return node

    def _fill(self, node: Node, schema: Any, place: str) -> None:
        if schema is True:
            schema = {}
        if not isinstance(schema, dict):
            raise ContentError("is no schema", where=place)
        told = {name: rule for name, rule in schema.items() if name not in _REMARKS}
        if "$ref" in told or "anyOf" in told:
            self._alternatives(node, told, place)
            return
        unknown = sorted(set(told) - _RULES - set(_COUNTS))
        if unknown:
            raise ContentError(f"{unknown[0]!r} cannot be held to", where=place)
        node.kinds = _kinds(told, place)
        node.literals = _literals(told, node.kinds, place)
        self._of_object(node, told, place)
        if "items" in told:
            node.items = self.node(told["items"], f"{place}/items")
        for name, ours in _COUNTS.items():
            if name in told:
                setattr(node, ours, _count(told[name], f"{place}/{name}"))

    def _alternatives(self, node: Node, told: Mapping[str, Any], place: str) -> None:
        if len(told) > 1:
            raise ContentError(f"{' and '.join(sorted(told))} cannot be held to together", where=place)
        if "$ref" in told:
            node.either = (self._referred(told["$ref"], place),)
            return
        parts = told["anyOf"]
        if not isinstance(parts, list) or not parts:
            raise ContentError("anyOf must be a list of schemas", where=place)
        node.either = tuple(self.node(part, f"{place}/anyOf/{n}") for n, part in enumerate(parts))

    def _referred(self, reference: Any, place: str) -> Node:
        found, parts = self.whole, str(reference).split("/")
        for part in parts[1:]:
            found = found.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
        if parts[0] != "#" or found is None:
            raise ContentError(f"$ref {str(reference)[:80]!r} leads nowhere in this schema", where=place)
        return self.node(found, str(reference))

    def _of_object(self, node: Node, told: Mapping[str, Any], place: str) -> None:
        members, required = told.get("properties", {}), told.get("required", [])
        if not isinstance(members, dict):
            raise ContentError("properties must be an object", where=place)
        node.members = {name: self.node(part, f"{place}/properties/{name}") for name, part in members.items()}
        if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
            raise ContentError("required must be a list of names", where=place)
        node.required, others = frozenset(required), told.get("additionalProperties", True)
        node.others = ANYTHING if others is True else None
        if not isinstance(others, bool):
            node.others = self.node(others, f"{place}/additionalProperties")
        if node.others is None and node.required - set(members):
            raise ContentError(f"requires {sorted(node.required - set(members))[0]!r} and forbids it", where=place)


def _kinds(told: Mapping[str, Any], place: str) -> frozenset[str]:
    kinds = told.get("type", sorted(KINDS))
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if not isinstance(kinds, list) or not kinds or not all(isinstance(k, str) and k in KINDS for k in kinds):
        raise ContentError(f"type must be one or several of {', '.join(sorted(KINDS))}", where=place)
    return frozenset(kinds)


def _literals(told: Mapping[str, Any], kinds: frozenset[str], place: str) -> tuple[str, ...]:
    if "enum" not in told and "const" not in told:
        return ()
    values = [told["const"]] if "const" in told else told["enum"]
    if not isinstance(values, list) or not values or not all(_is_plain(v) for v in values):
        raise ContentError("enum and const must be texts, numbers, true, false or null", where=place)
    fitting = [v for v in values if _kind(v) in kinds or (_kind(v) == "integer" and "number" in kinds)]
    if not fitting:
        raise ContentError("no value of the enumeration has the type", where=place)
    return tuple(json.dumps(value, ensure_ascii=False) for value in fitting)


def _is_plain(value: Any) -> bool:
    return not isinstance(value, list | dict) and (not isinstance(value, float) or math.isfinite(value))


def _kind(value: Any) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string"}
    return names.get(type(value), "null")


def _count(value: Any, place: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_COUNT:
        raise ContentError(f"must be a whole number from 0 to {MAX_COUNT:,}", where=place)
    return value


def _refuse_circles(node: Node, place: str) -> None:
    """Refuse a value that is itself, with nothing around it."""
    seen, ahead = set(), list(node.either)
    while ahead:
        one = ahead.pop()
        if one is node:
            raise ContentError("refers to itself, and so to nothing", where=place)
        if id(one) not in seen:
            seen.add(id(one))
            ahead += one.either


# -- reading -------------------------------------------------------------------------------------------------------


class _Open(Exception):
    """The text ends inside a value."""


class _Wrong(Exception):
    """No JSON of this form begins so."""


class _Reading:
    """A text, read from left to right; each method returns where what begins at `at` ends."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._known: dict[tuple[int, int], int | type[Exception]] = {}  # alternatives ask the same again and again

    def value(self, node: Node, at: int, depth: int) -> int:
        key = (id(node), at)
        if key not in self._known:
            try:
                self._known[key] = self._value(node, at, depth)
            except (_Open, _Wrong) as verdict:
                self._known[key] = type(verdict)
        found = self._known[key]
        if isinstance(found, int):
            return found
        raise found

    def _value(self, node: Node, at: int, depth: int) -> int:
        if depth > MAX_DEPTH:
            raise _Wrong
        if node.either:
            return self._either(node.either, at, depth)
        if node.literals:
            return self._literal(node.literals, at)
        sign, kinds = self.sign(at), node.kinds
        if sign == "{" and "object" in kinds:
            return self._object(node, at + 1, depth)
        if sign == "[" and "array" in kinds:
            return self._array(node, at + 1, depth)
        if sign == '"' and "string" in kinds:
            return self._string(at, node.min_length, node.max_length)
        words = tuple(word for word, kind in _WORDS.items() if kind in kinds)
        if sign in "tfn" and words:
            return self._literal(words, at)
        if kinds & {"number", "integer"}:
            return self._number(at, whole="number" not in kinds)
        raise _Wrong

    def _either(self, nodes: Sequence[Node], at: int, depth: int) -> int:
        """Return where the value ends for whichever takes it whole; all of them would find the same end."""
        is_open = False
        for node in nodes:
            try:
                return self.value(node, at, depth)
            except _Open:
                is_open = True
            except _Wrong:
                continue
        raise _Open if is_open else _Wrong

    def _object(self, node: Node, at: int, depth: int) -> int:
        seen: set[str] = set()
        at = self.space(at)
        while self.sign(at) != "}":
            name, at = self._name(node, at, seen)
            seen.add(name)
            at = self.space(self._expect(":", self.space(at)))
            at = self.space(self.value(node.members.get(name) or node.others or ANYTHING, at, depth + 1))
            if self.sign(at) == "}":
                break
            at = self.space(self._expect(",", at))
            if self.sign(at) == "}" or (node.others is None and seen >= set(node.members)):
                raise _Wrong  # nothing may follow the comma
        if not node.required <= seen:
            raise _Wrong
        return at + 1

    def _name(self, node: Node, at: int, seen: set[str]) -> tuple[str, int]:
        """Return a member's name and where it ends."""
        if node.others is None:  # only these, and written without escapes that could be spared
            left = {json.dumps(name, ensure_ascii=False): name for name in node.members if name not in seen}
            end = self._literal(tuple(left), at)
            return left[self.text[at:end]], end
        if self.sign(at) != '"':
            raise _Wrong
        end = self._string(at)
        name = json.loads(self.text[at:end])
        if name in seen:
            raise _Wrong
        return name, end

    def _array(self, node: Node, at: int, depth: int) -> int:
        count, at = 0, self.space(at)
        if self.sign(at) == "]" and not node.min_items:
            return at + 1
        while True:
            count += 1
            if count > node.max_items:
                raise _Wrong
            at = self.space(self.value(node.items or ANYTHING, at, depth + 1))
            if self.sign(at) == "]" and count >= node.min_items:
                return at + 1
            at = self.space(self._expect(",", at))
            if count == node.max_items:
                raise _Wrong  # already at the comma, or the model would have no way on

    def _string(self, at: int, least: int = 0, most: int = MAX_COUNT) -> int:
        count, at = 0, at + 1
        while True:
            sign = self.sign(at)
            if sign == '"':
                if count < least:
                    raise _Wrong
                return at + 1
            if sign < " " or count == most:
                raise _Wrong
            count += 1
            if sign != "\\":
                at += 1
                continue
            found = _ESCAPE.match(self.text, at)
            if found is None:
                raise _Open if _ESCAPE_BEGUN.match(self.text, at) else _Wrong
            at = found.end()

    def _number(self, at: int, *, whole: bool) -> int:
        number, begun = (_INTEGER, _INTEGER_BEGUN) if whole else (_NUMBER, _NUMBER_BEGUN)
        if begun.match(self.text, at):
            raise _Open  # another digit may follow
        found = number.match(self.text, at)
        if found is None:
            raise _Wrong
        return found.end()

    def _literal(self, literals: Sequence[str], at: int) -> int:
        rest = self.text[at : at + MAX_COUNT]
        if any(len(literal) > len(rest) and literal.startswith(rest) for literal in literals):
            raise _Open
        found = [literal for literal in literals if rest.startswith(literal)]
        if not found:
            raise _Wrong
        return at + max(map(len, found))

    def _expect(self, sign: str, at: int) -> int:
        if self.sign(at) != sign:
            raise _Wrong
        return at + 1

    def space(self, at: int) -> int:
        end = _SPACES.match(self.text, at).end()  # type: ignore[union-attr]
        if end - at > MAX_SPACES:
            raise _Wrong
        return end

    def sign(self, at: int) -> str:
        if at >= len(self.text):
            raise _Open
        return self.text[at]
