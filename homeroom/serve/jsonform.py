"""Whether a text is the beginning of a JSON object, character by character: what `response_format` holds an answer to.

`fits(text)` is asked for every token that a model might say next. With the engine's end mark behind the text it says
whether the answer may end there. White space between the parts is limited, or a small model would write nothing else.
"""

from __future__ import annotations

import json
import re

END = "\0"  # stands behind a text that is to be the whole answer, as `torch_engine.END`
MAX_SPACES = 24  # in a row, outside of texts
MAX_DEPTH = 20

_ESCAPE = re.compile(r'\\(["\\/bfnrt]|u[0-9a-fA-F]{4})')
_ESCAPE_BEGUN = re.compile(r"\\(u[0-9a-fA-F]{0,3})?\Z")
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
_NUMBER_BEGUN = re.compile(r"-?(0|[1-9]\d*)?(\.\d*)?([eE][+-]?\d*)?\Z")
_SPACES = re.compile(r"[ \t\r\n]*")
_WORDS = ("true", "false", "null")


def fits(text: str) -> bool:
    """Say whether a text is a JSON object, or the beginning of one.

    Example:
        >>> fits('{"a": [1, tr'), fits('{"a" 1'), fits('{"a": 1}'), fits('{"a": 1} so')
        (True, False, True, False)
        >>> fits('{"a": 1}' + END), fits('{"a": 1' + END)
        (True, False)
    """
    if text.endswith(END):
        try:
            return isinstance(json.loads(text[:-1]), dict)
        except (ValueError, RecursionError):
            return False
    try:
        at = _value(text, _space(text, 0), 0, only_object=True)
        return _space(text, at) == len(text)
    except _Open:
        return True
    except _Wrong:
        return False


class _Open(Exception):
    """The text ends inside a value."""


class _Wrong(Exception):
    """No JSON begins so."""


def _value(text: str, at: int, depth: int, *, only_object: bool = False) -> int:
    """Return where the value that begins at `at` ends."""
    sign = _sign(text, at)
    if depth > MAX_DEPTH or (only_object and sign != "{"):
        raise _Wrong
    if sign == "{":
        return _members(text, at + 1, depth, "}")
    if sign == "[":
        return _members(text, at + 1, depth, "]")
    if sign == '"':
        return _string(text, at)
    for word in _WORDS:
        if text.startswith(word, at):
            return at + len(word)
        if word.startswith(text[at:]):
            raise _Open
    return _number(text, at)


def _members(text: str, at: int, depth: int, close: str) -> int:
    at = _space(text, at)
    if _sign(text, at) == close:
        return at + 1
    while True:
        if close == "}":
            if _sign(text, at) != '"':
                raise _Wrong
            at = _space(text, _string(text, at))
            if _sign(text, at) != ":":
                raise _Wrong
            at = _space(text, at + 1)
        at = _space(text, _value(text, at, depth + 1))
        sign = _sign(text, at)
        if sign == close:
            return at + 1
        if sign != ",":
            raise _Wrong
        at = _space(text, at + 1)


def _string(text: str, at: int) -> int:
    at += 1
    while True:
        sign = _sign(text, at)
        if sign == '"':
            return at + 1
        if sign == "\\":
            found = _ESCAPE.match(text, at)
            if found is None:
                raise _Open if _ESCAPE_BEGUN.match(text, at) else _Wrong
            at = found.end()
        elif sign < " ":
            raise _Wrong
        else:
            at += 1


def _number(text: str, at: int) -> int:
    if _NUMBER_BEGUN.match(text, at):
        raise _Open  # another digit may follow
    found = _NUMBER.match(text, at)
    if found is None:
        raise _Wrong
    return found.end()


def _space(text: str, at: int) -> int:
    end = _SPACES.match(text, at).end()  # type: ignore[union-attr]
    if end - at > MAX_SPACES:
        raise _Wrong
    return end


def _sign(text: str, at: int) -> str:
    if at >= len(text):
        raise _Open
    return text[at]
