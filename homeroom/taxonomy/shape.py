"""The pieces that all rules of a `qna.yaml` are made of: a mapping, its texts and its lists, and what is wrong in them.

Each function reads one field and adds to `faults` what it finds; what it returns is empty where it found a fault.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from homeroom.core.files import nearest
from homeroom.taxonomy.parse import fields, kind_of, plain
from homeroom.taxonomy.problem import Faults, Placed

MIN_SEEDS = 5
MIN_ANSWERS = 3

_MEANING = {
    "created_by": "who wrote it, for example a GitHub name",
    "domain": "the subject, in a few words",
    "document_outline": "what the document is about, in a sentence",
    "task_description": "what the skill does, in a sentence",
    "seed_examples": f"a list of at least {MIN_SEEDS} worked examples",
    "document": "where the document is: `document: handbook.md`, or repo, commit and patterns",
    "version": "the version of the format: 3",
}


@dataclass(frozen=True, slots=True)
class Place:
    """A mapping of the file, its fields, and what to call it in a message."""

    node: MappingNode
    fields: dict[str, tuple[Node, Node]]
    name: str  # "" at the top, else "seed example 2"

    def of(self, key: str) -> str:
        """Return the words for one field: "answer of seed example 2"."""
        return f"{key} of {self.name}" if self.name else key


def texts(place: Place, key: str, faults: Faults) -> tuple[str, ...]:
    """Return a list of texts: at least one, none of them empty, none twice."""
    if key not in place.fields:
        missing(place, key, faults)
        return ()
    node = place.fields[key][1]
    if not isinstance(node, SequenceNode):
        hint = f"Write each on a line of its own, after `{key}:`, beginning with `- `."
        faults.error(node.start_mark, "type", f"{place.of(key)} must be a list, found {kind_of(node)}", hint)
        return ()
    _count(place, key, 1, faults)
    _unique(node, f"entry of {place.of(key)}", faults)
    found = []
    for number, item in enumerate(node.value, 1):
        found.append(scalar_text(item, f"{place.of(key)}, entry {number},", faults))
    return tuple(text for text in found if text)


def items(place: Place, key: str, at_least: int, name: str, faults: Faults, *, unique: bool = True) -> Iterator[Place]:
    """Yield the mappings of a list, complaining of what is missing, too few, of another type or there twice."""
    if key not in place.fields:
        missing(place, key, faults)
        return
    node = place.fields[key][1]
    if not isinstance(node, SequenceNode):
        faults.error(node.start_mark, "type", f"{place.of(key)} must be a list, found {kind_of(node)}")
        return
    _count(place, key, at_least, faults)
    if unique:
        _unique(node, name if not place.name else f"{name} of {place.name}", faults)
    for number, item in enumerate(node.value, 1):
        words = f"{name} {number}" + (f" of {place.name}" if place.name else "")
        if isinstance(item, MappingNode):
            yield Place(item, fields(item), words)
        else:
            faults.error(item.start_mark, "type", f"{words} must be a mapping, found {kind_of(item)}")


def _count(place: Place, key: str, at_least: int, faults: Faults) -> None:
    found = len(place.fields[key][1].value)
    if found < at_least:
        faults.error(
            place.fields[key][0].start_mark,
            "too-few",
            f"{place.of(key)} must have at least {at_least} {'entry' if at_least == 1 else 'entries'}, found {found}",
            f"Add {at_least - found} more.",
        )


def _unique(node: SequenceNode, name: str, faults: Faults) -> None:
    if _differ_in(node, "question") or _differ_in(node, "context"):
        return
    first: dict[object, int] = {}
    for number, item in enumerate(node.value, 1):
        before = first.setdefault(plain(item), number)
        if before != number:
            line = node.value[before - 1].start_mark.line + 1
            message = f"{name}: number {number} is the same as number {before} (line {line})"
            faults.error(item.start_mark, "duplicate", message, "Change or remove one.")


def _differ_in(node: SequenceNode, key: str) -> bool:
    """Say whether the entries are mappings that each have another text under `key`; then no two can be the same."""
    found = set()
    for item in node.value:
        value = fields(item).get(key) if isinstance(item, MappingNode) else None
        if value is None or not isinstance(value[1], ScalarNode):
            return False
        found.add(value[1].value)
    return len(found) == len(node.value)


def text(place: Place, key: str, faults: Faults, *, may_be_empty: bool = False) -> str:
    """Return a field's text without white space at its ends; "" where it is missing or faulty."""
    if key not in place.fields:
        missing(place, key, faults)
        return ""
    return scalar_text(place.fields[key][1], place.of(key), faults, may_be_empty=may_be_empty)


def scalar_text(node: Node, name: str, faults: Faults, *, may_be_empty: bool = False) -> str:
    """Return the text of a node without white space at its ends; "" where it is none, with the reason in `faults`."""
    if kind_of(node) == "nothing" or (kind_of(node) == "text" and not node.value):
        if may_be_empty and kind_of(node) == "text":
            return ""
        faults.error(node.start_mark, "empty", f"{name} is empty", "Give at least one sentence, or remove the entry.")
        return ""
    if kind_of(node) != "text":
        found = f"{kind_of(node)} ({node.value[:40]})" if isinstance(node, ScalarNode) else kind_of(node)
        hint = f'Put it in quotes: "{node.value[:40]}".' if isinstance(node, ScalarNode) else ""
        faults.error(node.start_mark, "type", f"{name} must be text, found {found}", hint)
        return ""
    text = node.value.strip()
    if not text:
        faults.warning(node.start_mark, "blank", f"{name} holds only white space and is not used", "Fill it in.")
    return text


def missing(place: Place, key: str, faults: Faults) -> None:
    """Complain that a key is not there."""
    owner = place.name or "the file"
    meaning = _MEANING.get(key, "") if not place.name else ""
    hint = f"Add `{key}:` ({meaning})." if meaning else f"Add `{key}:`."
    faults.error(place.node.start_mark, "missing-key", f"{owner} has no {key}", hint)


def unknown_keys(place: Place, known: tuple[str, ...], faults: Faults) -> None:
    """Complain of every key that is not known, with the nearest one that is."""
    for key, (node, _) in place.fields.items():
        if key not in known:
            owner = f" in {place.name}" if place.name else ""
            faults.error(
                node.start_mark,
                "unknown-key",
                f"{key[:60]!r} is not a known key{owner}{nearest(key[:60], known)}",
                "Correct the name, or remove the key.",
            )


def value_mark(place: Place, key: str) -> Placed:
    """Return where the value of a key begins, or the mapping where it has no such key."""
    return place.fields[key][1].start_mark if key in place.fields else place.node.start_mark
