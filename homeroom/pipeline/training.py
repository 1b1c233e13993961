"""The stages that tune the student: samples -> what it reads -> a tuned student, held to what it may forget.

samples -> dataset -> train
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from homeroom.core.errors import ContentError
from homeroom.core.files import read_jsonl, write_json, write_jsonl, write_text
from homeroom.core.types import Document, Rejected, Sample
from homeroom.pipeline.course import Course, own_training_tokens
from homeroom.pipeline.dial import turn_dial
from homeroom.pipeline.general import replay_of


def make_dataset(course: Course, out: Path) -> dict[str, Any]:
    """Mix what the student will read."""
    from homeroom.generate.card import sources_card
    from homeroom.generate.mix import card, mix

    samples = read_jsonl(course.out / "samples" / "samples.jsonl", Sample)
    rejected = read_jsonl(course.out / "samples" / "rejected.jsonl", Rejected)
    course.rest()
    replay = replay_of(course) if any(p.replay_share for p in course.recipe.train.phases) else []
    mixed = mix(
        samples,
        replay,
        count=_sample_tokens(course.student()),
        tokens=own_training_tokens(course.recipe),
        config=course.recipe.dataset,
    )
    write_jsonl(out / "train.jsonl", mixed.samples)
    leaves = [leaf.path for leaf in course.leaves]
    text = card(mixed, rejected, teacher=course.teacher_name, student=course.recipe.student.model, leaves=leaves)
    text += "\n" + sources_card(
        mixed.samples,
        leaves=course.leaves,
        documents=read_jsonl(course.out / "documents" / "documents.jsonl", Document),
        licences=licences_of(course),
        rejected=rejected,
    )
    write_text(out / "card.md", text)
    return {"samples": len(mixed.samples), "tokens_a_pass": sum(mixed.tokens.values()), "by_kind": mixed.tokens}


def make_train(course: Course, out: Path) -> dict[str, Any]:
    """Tune the student, phase by phase."""
    from homeroom.train.phases import samples_for, train_phases

    course.rest()
    samples = read_jsonl(course.out / "dataset" / "train.jsonl", Sample)
    data = {phase.name: samples_for(phase, samples) for phase in course.recipe.train.phases}
    phases = tuple(p for p in course.recipe.train.phases if any(s.kind != "replay" for s in data[p.name]))
    for phase in course.recipe.train.phases:
        if phase not in phases:
            course.say(f"train: the course has no {phase.data}, so the phase {phase.name!r} is left out")
    results = train_phases(
        course.student(),
        data,
        config=dataclasses.replace(course.recipe.train, phases=phases or course.recipe.train.phases),
        out=course.out / "runs",
        model_out=course.out / "trained",
        progress=course.progress,
    )
    write_json(out / "result.json", [dataclasses.asdict(r) for r in results])
    turned = turn_dial(course, course.out / "trained", course.out / "model")
    return turned | {
        "tokens": sum(r.tokens for r in results),
        "steps": sum(r.steps for r in results),
        "seconds": sum(r.seconds for r in results),
        "tokens_per_second": results[-1].tokens_per_second,
        "loss_last": results[-1].loss_last,
        "dtype": results[-1].dtype,
    }


def labelled_samples(course: Course, count: int) -> list[tuple[Sample, list[tuple[str, str]]]]:
    """Return the first samples of each kind, `count` in all at most, each with its tokens and their labels.

    Raises:
        ContentError: the course has no training data yet.
    """
    from homeroom.models.student import end_tokens, load_tokenizer
    from homeroom.train.template import encode, labelled

    path = course.out / "dataset" / "train.jsonl"
    if not path.is_file():
        raise ContentError("there is no training data yet", where=str(path), hint="homeroom generate makes it.")
    tokenizer = load_tokenizer(course.student())
    eos_id = end_tokens(tokenizer, None)[0]
    turns: dict[str, int] = {}  # a kind's first sample comes before any kind's second
    order = []
    for sample in read_jsonl(path, Sample):
        turns[sample.kind] = turns.get(sample.kind, 0) + 1
        order.append((turns[sample.kind], sample))
    first = [sample for _, sample in sorted(order, key=lambda pair: pair[0])[:count]]
    return [(s, labelled(encode(s, tokenizer, eos_id=eos_id, max_tokens=2048), tokenizer)) for s in first]


def licences_of(course: Course) -> dict[str, str]:
    """Return the licence that each leaf's attribution names, or that its qna.yaml gives for its documents."""
    from homeroom.taxonomy.attribution import parse_attribution, spdx

    found = {}
    for leaf in course.leaves:
        path = course.folder / leaf.path / "attribution.txt"
        works = parse_attribution(path.read_text(encoding="utf-8", errors="replace")) if path.is_file() else []
        named = [work.licence for work in works] + [
            licence for _, licence in (leaf.source.licences if leaf.source else ())
        ]
        found[leaf.path] = ", ".join(dict.fromkeys(spdx(name) for name in named if name))
    return found


def _sample_tokens(student: Path) -> Callable[[Sample], int]:
    """Return what a sample costs in training, the system prompt left out: a row of many samples has it once."""
    from transformers import AutoTokenizer

    from homeroom.train.template import encode

    tokenizer = AutoTokenizer.from_pretrained(student, local_files_only=True)
    return lambda s: len(encode(s, tokenizer, eos_id=tokenizer.eos_token_id, max_tokens=2048).ids)
