"""What the report's page says besides the report: models, whose words were taught, data, settings, time, how to repeat.

records of the stages, recipe, taxonomy -> the mapping that `evaluate/page.py` describes
"""

from __future__ import annotations

import dataclasses
import json
import platform
import re
import shlex
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import homeroom
from homeroom.core.config import Phase, Recipe
from homeroom.core.files import hash_file, read_jsonl, read_record, to_json
from homeroom.core.types import Document, Rejected, Sample
from homeroom.pipeline.course import Course, digest_of, facts_of, in_words, summary_of
from homeroom.pipeline.training import licences_of

NUMBERS = ("lr", "tokens", "epochs", "step_tokens", "replay_share", "frozen_share", "blend")
PACKAGES = ("torch", "transformers")


def background(course: Course, base: Path) -> dict[str, Any]:
    """Return what the page says besides the report itself; see `evaluate/page.py`."""
    from homeroom.models.machine import describe

    rejected = read_jsonl(course.out / "samples" / "rejected.jsonl", Rejected)
    made = summary_of(course, "samples")
    stages = []
    for stage in ("documents", "facts", "exam", "samples", "dataset", "train"):
        record = read_record(course.out / stage)
        if record:
            way = f", {record.summary['dial']:.0%} of the way from the base" if "dial" in record.summary else ""
            stages.append({"name": stage, "seconds": record.seconds, "note": in_words(record.summary) + way})
    machine, student = describe(), course.recipe.student.model
    return {
        "course": course.folder.resolve().name,
        "title": ", ".join(leaf.path.rsplit("/", 1)[-1] for leaf in course.leaves[:3]),
        "models": {
            "base": {"name": student, "digest": digest_of(base), **facts_of(student)},
            "tuned": {"name": "this course's student", "digest": digest_of(course.out / "model")},
            "teacher": {"name": course.teacher_name, **facts_of(course.recipe.teacher.model)},
        },
        "funnel": {
            "made": made.get("kept", 0) + made.get("rejected", 0),
            "kept": made.get("kept", 0),
            "rejected": dict(Counter(f"{r.check}: {_general(r.reason)}" for r in rejected).most_common(12)),
        },
        "taught": {
            "facts": made.get("facts_known", 0),
            "covered": made.get("facts_covered", 0),
            "samples": made.get("kept", 0),
            "documents": summary_of(course, "documents").get("documents", 0),
        },
        "sources": _sources(course),
        "settings": _settings(course.recipe),
        "again": _again(course),
        "stages": stages,
        "budget": {
            "limit_s": course.budget.get("seconds"),
            "teacher_tokens": made.get("teacher_tokens", 0),
            "train_tokens": summary_of(course, "train").get("tokens", 0),
        },
        "machine": f"{machine.cpus} cores, {machine.memory_gib:.0f} GiB, {machine.platform}",
    }


def _general(reason: str) -> str:
    """Return a reason without what differs from sample to sample, so that like reasons are counted together.

    Example:
        >>> _general("is nearer to another fact (0.71 against 0.69)"), _general("does not contain 'policeman'")
        ('is nearer to another fact', 'does not contain …')
    """
    reason = "not in the source" if " is not in " in reason else reason
    reason = re.sub(r"'[^']*'|\"[^\"]*\"|“[^”]*”", "…", reason)
    return re.sub(r"\d+(?:[.,]\d+)*", "some", re.sub(r"\s*\([^()]*\d[^()]*\)", "", reason))


def _sources(course: Course) -> list[dict[str, Any]]:
    """Return for each leaf who wrote it, from which documents, under which licence, and how much was learned."""
    samples, documents = course.out / "dataset" / "train.jsonl", course.out / "documents" / "documents.jsonl"
    counts = Counter(s.leaf if s.kind != "replay" else "" for s in read_jsonl(samples, Sample))
    names = {d.leaf: [] for d in read_jsonl(documents, Document)}
    for document in read_jsonl(documents, Document):
        names[document.leaf].append(document.name)
    licences, total = licences_of(course), max(1, sum(counts.values()))
    rows = [
        {
            "leaf": leaf.path,
            "author": leaf.created_by,
            "documents": ", ".join(names.get(leaf.path, ())),
            "licence": licences.get(leaf.path, ""),
            "samples": counts[leaf.path],
            "share": counts[leaf.path] / total,
        }
        for leaf in course.leaves
    ]
    replay = {"leaf": "replay", "author": "the base itself", "documents": "general prompts that ship with Homeroom"}
    return [*rows, {**replay, "licence": "Apache-2.0", "samples": counts[""], "share": counts[""] / total}]


def _settings(recipe: Recipe) -> list[dict[str, Any]]:
    """Return how each phase trained, in words."""
    return [
        {"phase": phase.name, "method": phase.method, "told": phase_in_words(phase)} for phase in recipe.train.phases
    ]


def phase_in_words(phase: Phase) -> str:
    """Return how a phase trained.

    Example:
        >>> phase_in_words(Phase(lr=0.0003, tokens=1200000, epochs=5.0)).split(", ")[:2]
        ['lr 0.0003', 'tokens 1,200,000']
    """
    known = [(name, getattr(phase, name)) for name in NUMBERS]
    return ", ".join(f"{name} {value:{',' if isinstance(value, int) else 'g'}}" for name, value in known)


def _again(course: Course) -> dict[str, Any]:
    """Return what makes this run once more: the settings that differ from the defaults, and the versions."""
    options = [f"-o {shlex.quote(option)}" for option in options_of(course.recipe)]
    versions = [f"{name} {version(name)}" for name in PACKAGES if find_spec(name)]
    return {
        "command": " ".join(["homeroom run", course.folder.resolve().name, *options]),
        "versions": ", ".join([f"homeroom {homeroom.__version__}", f"Python {platform.python_version()}", *versions]),
        "inputs": {
            name: hash_file(course.out / place)[:16]
            for name, place in (("exam", "exam/final.jsonl"), ("training data", "dataset/train.jsonl"))
            if (course.out / place).is_file()
        },
    }


def options_of(recipe: Recipe) -> list[str]:
    """Return as `key=value` what differs from the defaults; lists whole, as `core.config.read_recipe` takes them."""
    return [f"{name}={_written(value)}" for name, value in _changed(recipe, Recipe())]


def _changed(values: Any, plain: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    for field in dataclasses.fields(values):
        value, default, name = getattr(values, field.name), getattr(plain, field.name), f"{place}{field.name}"
        if dataclasses.is_dataclass(value):
            yield from _changed(value, default, f"{name}.")
        elif value != default:
            yield name, value


def _written(value: Any) -> str:
    """Return a value as an option has it; a report is handed on, so no password of an address is in it."""
    text = value if isinstance(value, str) and _is_plain(value) else json.dumps(to_json(value), ensure_ascii=False)
    return re.sub(r'//[^/@"\s]*@', "//", text)


def _is_plain(text: str) -> bool:
    """Say whether YAML reads a text as itself, without quotes: it does not so read "yes", "1.5" or "a: b"."""
    import yaml

    try:
        return bool(yaml.safe_load(text) == text)
    except yaml.YAMLError:
        return False
