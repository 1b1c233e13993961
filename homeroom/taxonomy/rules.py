"""What a `qna.yaml` must hold: InstructLab's schema, versions 1 to 3, rule by rule, in plain words.

The verdict is the one of InstructLab's own tools (`ilab taxonomy diff`), which take the version from the file:
knowledge needs version 3, skills may have 1, 2 or 3. Where Homeroom is kinder it is by an addition: `document` may
be the name of a file or folder beside the `qna.yaml`, or a list of such names. Where it is stricter it is for
safety: anchors, tags, control characters, repeated keys and 1 MiB (`parse.py`). Advice that changes no verdict is a
warning.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from yaml import YAMLError
from yaml.constructor import SafeConstructor
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from homeroom.core.errors import ContentError
from homeroom.core.files import nearest
from homeroom.core.sources import check_pattern
from homeroom.core.types import Leaf, Seed, Source
from homeroom.taxonomy.parse import fields, kind_of, plain
from homeroom.taxonomy.problem import Faults, Placed

Tree = Literal["knowledge", "compositional_skills"]
MIN_SEEDS = 5
MIN_ANSWERS = 3

_KNOWLEDGE_KEYS = ("version", "created_by", "domain", "document_outline", "seed_examples", "document")
_SKILL_KEYS = ("version", "created_by", "task_description", "seed_examples")
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


def read_leaf(top: Node, *, path: str, tree: Tree, faults: Faults) -> Leaf | None:
    """Return the leaf that the nodes of a `qna.yaml` describe, or None with every reason in `faults`."""
    if not isinstance(top, MappingNode):
        faults.error(top.start_mark, "type", f"the file must be a mapping of keys to values, not {kind_of(top)}")
        return None
    place = Place(top, fields(top), "")
    version = _version(place, faults)
    if version not in (1, 2, 3):
        faults.error(_value_mark(place, "version"), "version", f"version {version} is not known", "Write `version: 3`.")
    elif tree == "knowledge" and version < 3:
        faults.error(
            _value_mark(place, "version"),
            "deprecated-version",
            f"knowledge of version {version} is no longer accepted; the minimum supported version is 3",
            "Give each seed example a context and at least three questions_and_answers, and write `version: 3`.",
        )
    elif tree == "knowledge":
        return _knowledge(place, path, faults)
    else:
        return _skill(place, path, version, faults)
    return None


def _version(place: Place, faults: Faults) -> int:
    """Return the version as InstructLab takes it: 1 where there is none; text and fractions are turned into whole."""
    if "version" not in place.fields:
        return 1
    node = place.fields["version"][1]
    value: object = None
    try:
        if isinstance(node, ScalarNode) and len(node.value) < 20:
            value = SafeConstructor().construct_object(node)
        version = int(value)  # type: ignore[call-overload]
    except (ValueError, OverflowError, TypeError, YAMLError):
        version = 1
    if kind_of(node) != "a number" or value != version:
        found = f"{node.value[:40]!r}" if isinstance(node, ScalarNode) else kind_of(node)
        faults.error(
            node.start_mark,
            "version",
            f"version must be the whole number {version}, found {found} ({kind_of(node)})",
            "Write `version: 3`, without quotes.",
        )
    return version


# -- the two kinds -----------------------------------------------------------------------------------------------


def _knowledge(place: Place, path: str, faults: Faults) -> Leaf | None:
    _unknown_keys(place, _KNOWLEDGE_KEYS, faults)
    if "task_description" in place.fields:
        hint = "Knowledge says it in document_outline; a skill belongs under compositional_skills/."
        faults.error(
            place.fields["task_description"][0].start_mark, "unknown-key", "knowledge has no task_description", hint
        )
    created_by, domain, outline = (_text(place, key, faults) for key in ("created_by", "domain", "document_outline"))
    seeds: list[Seed] = []
    for example in _items(place, "seed_examples", MIN_SEEDS, "seed example", faults):
        _unknown_keys(example, ("context", "questions_and_answers"), faults)
        context = _text(example, "context", faults)
        for pair in _items(example, "questions_and_answers", MIN_ANSWERS, "question", faults):
            seeds += _seed(pair, context, faults)
            for key in pair.fields.keys() - {"question", "answer"}:
                faults.warning(
                    pair.fields[key][0].start_mark, "unused-key", f"{key!r} of {pair.name} is not used", "Remove it."
                )
    source = _source(place, faults)
    if faults.has_error:
        return None
    return Leaf(
        path=path,
        kind="knowledge",
        seeds=tuple(seeds),
        task=outline,
        domain=domain,
        source=source,
        created_by=created_by,
        version=3,
    )


def _skill(place: Place, path: str, version: int, faults: Faults) -> Leaf | None:
    _unknown_keys(place, _SKILL_KEYS, faults)
    if {"document", "document_outline", "domain"} & place.fields.keys():
        faults.warning(
            place.node.start_mark,
            "looks-like-knowledge",
            "this file has the keys of knowledge, but does not lie under knowledge/",
            "Move the folder to knowledge/.",
        )
    may_be_empty = version == 1
    created_by = _text(place, "created_by", faults, may_be_empty=may_be_empty)
    task = _text(place, "task_description", faults, may_be_empty=may_be_empty)
    seeds: list[Seed] = []
    for example in _items(
        place, "seed_examples", 1 if version == 1 else MIN_SEEDS, "seed example", faults, unique=version > 1
    ):
        _unknown_keys(example, ("question", "answer", "context"), faults)
        context = _text(example, "context", faults) if "context" in example.fields else ""
        seeds += _seed(example, context, faults)
    if faults.has_error:
        return None
    grounded = [bool(seed.context) for seed in seeds]
    if any(grounded) and not all(grounded):
        faults.warning(
            place.fields["seed_examples"][0].start_mark,
            "mixed-context",
            f"{sum(grounded)} of {len(grounded)} seed examples have a context; the first decides the kind of skill",
            "Give every example a context, or none; or make two leaves.",
        )
    return Leaf(
        path=path,
        kind="grounded_skill" if grounded and grounded[0] else "freeform_skill",
        seeds=tuple(seeds),
        task=task,
        created_by=created_by,
        version=version,
    )


def _seed(place: Place, context: str, faults: Faults) -> list[Seed]:
    """Return one seed, or none where a part of it is missing or blank."""
    question, answer = _text(place, "question", faults), _text(place, "answer", faults)
    return [Seed(question=question, answer=answer, context=context)] if question and answer else []


# -- the document ------------------------------------------------------------------------------------------------


def _source(place: Place, faults: Faults) -> Source | None:
    if "document" not in place.fields:
        _missing(place, "document", faults)
        return None
    key, node = place.fields["document"]
    if isinstance(node, MappingNode):
        inner = Place(node, fields(node), "document")
        _unknown_keys(inner, ("repo", "commit", "patterns"), faults)
        repo, commit = _text(inner, "repo", faults), _text(inner, "commit", faults)
        patterns = _texts(inner, "patterns", faults)
        return Source(repo=repo, commit=commit, patterns=patterns) if repo and patterns else None
    if isinstance(node, ScalarNode) and kind_of(node) == "text" and node.value.strip():
        names = (node.value.strip(),)
    elif isinstance(node, SequenceNode):
        names = _texts(Place(place.node, {"document": (key, node)}, ""), "document", faults)
    else:
        hint = "For example `document: handbook.md`, or a mapping with repo, commit and patterns."
        faults.error(node.start_mark, "type", f"document must name a file or a repository, found {kind_of(node)}", hint)
        return None
    for name in names:
        try:
            check_pattern(name)
        except ContentError as error:
            faults.error(node.start_mark, "document", error.message.replace("the pattern", "document", 1), error.hint)
    return Source(repo=".", patterns=names)


def _texts(place: Place, key: str, faults: Faults) -> tuple[str, ...]:
    """Return a list of texts: at least one, none of them empty, none twice."""
    if key not in place.fields:
        _missing(place, key, faults)
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
        found.append(_scalar_text(item, f"{place.of(key)}, entry {number},", faults))
    return tuple(text for text in found if text)


# -- the pieces that all rules are made of -----------------------------------------------------------------------


def _items(place: Place, key: str, at_least: int, name: str, faults: Faults, *, unique: bool = True) -> Iterator[Place]:
    """Yield the mappings of a list, complaining of what is missing, too few, of another type or there twice."""
    if key not in place.fields:
        _missing(place, key, faults)
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
    first: dict[object, int] = {}
    for number, item in enumerate(node.value, 1):
        before = first.setdefault(plain(item), number)
        if before != number:
            line = node.value[before - 1].start_mark.line + 1
            message = f"{name}: number {number} is the same as number {before} (line {line})"
            faults.error(item.start_mark, "duplicate", message, "Change or remove one.")


def _text(place: Place, key: str, faults: Faults, *, may_be_empty: bool = False) -> str:
    """Return a field's text without white space at its ends; "" where it is missing or faulty."""
    if key not in place.fields:
        _missing(place, key, faults)
        return ""
    return _scalar_text(place.fields[key][1], place.of(key), faults, may_be_empty=may_be_empty)


def _scalar_text(node: Node, name: str, faults: Faults, *, may_be_empty: bool = False) -> str:
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


def _missing(place: Place, key: str, faults: Faults) -> None:
    owner = place.name or "the file"
    meaning = _MEANING.get(key, "") if not place.name else ""
    hint = f"Add `{key}:` ({meaning})." if meaning else f"Add `{key}:`."
    faults.error(place.node.start_mark, "missing-key", f"{owner} has no {key}", hint)


def _unknown_keys(place: Place, known: tuple[str, ...], faults: Faults) -> None:
    for key, (node, _) in place.fields.items():
        if key not in known and not (key == "task_description" and known is _KNOWLEDGE_KEYS):
            owner = f" in {place.name}" if place.name else ""
            faults.error(
                node.start_mark,
                "unknown-key",
                f"{key[:60]!r} is not a known key{owner}{nearest(key[:60], known)}",
                "Correct the name, or remove the key.",
            )


def _value_mark(place: Place, key: str) -> Placed:
    return place.fields[key][1].start_mark if key in place.fields else place.node.start_mark
