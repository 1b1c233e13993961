"""What a `qna.yaml` must hold: InstructLab's schema, versions 1 to 3, rule by rule, in plain words.

The verdict is the one of InstructLab's own tools (`ilab taxonomy diff`), which take the version from the file:
knowledge needs version 3, skills may have 1, 2 or 3. Where Homeroom is kinder it is by an addition: `document` may
be a file or folder beside the `qna.yaml`, an https address, or a list of these (`document.py`). Where it is stricter
it is for safety: anchors, tags, control characters, repeated keys and 1 MiB (`parse.py`). Advice that changes no
verdict is a warning.
"""

from __future__ import annotations

from typing import Literal

from yaml import YAMLError
from yaml.constructor import SafeConstructor
from yaml.nodes import MappingNode, Node, ScalarNode

from homeroom.core.types import Leaf, Seed
from homeroom.taxonomy.document import read_document
from homeroom.taxonomy.parse import fields, kind_of
from homeroom.taxonomy.problem import Faults
from homeroom.taxonomy.shape import MIN_ANSWERS, MIN_SEEDS, Place, items, text, unknown_keys, value_mark

Tree = Literal["knowledge", "compositional_skills"]
_KNOWLEDGE_KEYS = ("version", "created_by", "domain", "document_outline", "seed_examples", "document")
_SKILL_KEYS = ("version", "created_by", "task_description", "seed_examples")


def read_leaf(top: Node, *, path: str, tree: Tree, faults: Faults) -> Leaf | None:
    """Return the leaf that the nodes of a `qna.yaml` describe, or None with every reason in `faults`."""
    if not isinstance(top, MappingNode):
        faults.error(top.start_mark, "type", f"the file must be a mapping of keys to values, not {kind_of(top)}")
        return None
    place = Place(top, fields(top), "")
    version = _version(place, faults)
    if version not in (1, 2, 3):
        faults.error(value_mark(place, "version"), "version", f"version {version} is not known", "Write `version: 3`.")
    elif tree == "knowledge" and version < 3:
        faults.error(
            value_mark(place, "version"),
            "deprecated-version",
            f"knowledge of version {version} is no longer accepted; the minimum supported version is 3",
            _what_version_3_lacks(place, path),
        )
    elif tree == "knowledge":
        return _knowledge(place, path, faults)
    else:
        return _skill(place, path, version, faults)
    return None


def _what_version_3_lacks(place: Place, path: str) -> str:
    """Return the hint for knowledge of an older version: what to add, or that nothing is to be added."""
    faults = Faults("")
    _knowledge(place, path, faults)
    lacks = [p.message for p in faults.found if p.severity == "error"]
    if "document_outline" not in place.fields:
        lacks = [m for m in lacks if m != "the file has no document_outline" and "task_description" not in m]
    if not lacks:
        return "The content fits version 3: --fix writes it."
    more = f", and {len(lacks) - 3} more" if len(lacks) > 3 else ""
    return f"For version 3: {'; '.join(lacks[:3])}{more}."


def version_of(top: Node) -> int:
    """Return the version as InstructLab takes it: 1 where there is none; text and fractions are turned into whole."""
    declared = fields(top).get("version") if isinstance(top, MappingNode) else None
    if declared is None:
        return 1
    value = _constructed(declared[1])
    try:
        return int(value)  # type: ignore[call-overload]
    except (ValueError, OverflowError, TypeError):
        return 1


def _constructed(node: Node) -> object:
    if not isinstance(node, ScalarNode) or len(node.value) > 20:
        return None
    try:
        return SafeConstructor().construct_object(node)
    except (ValueError, LookupError, TypeError, OverflowError, YAMLError):
        return None


def _version(place: Place, faults: Faults) -> int:
    version = version_of(place.node)
    node = place.fields["version"][1] if "version" in place.fields else None
    if node is not None and (kind_of(node) != "a number" or _constructed(node) != version):
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
    unknown_keys(place, (*_KNOWLEDGE_KEYS, "task_description"), faults)
    if "task_description" in place.fields:
        hint = "Knowledge says it in document_outline; a skill belongs under compositional_skills/."
        faults.error(
            place.fields["task_description"][0].start_mark, "unknown-key", "knowledge has no task_description", hint
        )
    created_by, domain, outline = (text(place, key, faults) for key in ("created_by", "domain", "document_outline"))
    seeds: list[Seed] = []
    for example in items(place, "seed_examples", MIN_SEEDS, "seed example", faults):
        unknown_keys(example, ("context", "questions_and_answers"), faults)
        context = text(example, "context", faults)
        for pair in items(example, "questions_and_answers", MIN_ANSWERS, "question", faults):
            seeds += _seed(pair, context, faults)
            for key in pair.fields.keys() - {"question", "answer"}:
                faults.warning(
                    pair.fields[key][0].start_mark, "unused-key", f"{key!r} of {pair.name} is not used", "Remove it."
                )
    source = read_document(place, faults)
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
    unknown_keys(place, _SKILL_KEYS, faults)
    if {"document", "document_outline", "domain"} & place.fields.keys():
        faults.warning(
            place.node.start_mark,
            "looks-like-knowledge",
            "this file has the keys of knowledge, but does not lie under knowledge/",
            "Move the folder to knowledge/.",
        )
    created_by = text(place, "created_by", faults)
    task = text(place, "task_description", faults, may_be_empty=version == 1)
    seeds: list[Seed] = []
    for example in items(
        place, "seed_examples", 1 if version == 1 else MIN_SEEDS, "seed example", faults, unique=version > 1
    ):
        unknown_keys(example, ("question", "answer", "context"), faults)
        context = text(example, "context", faults) if "context" in example.fields else ""
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
    question, answer = text(place, "question", faults), text(place, "answer", faults)
    return [Seed(question=question, answer=answer, context=context)] if question and answer else []
