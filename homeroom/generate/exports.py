"""Samples in the forms that other programs read: InstructLab's, Alpaca, ShareGPT, LLaMA-Factory, and our own messages.

Every row of a file has the same columns with the same types, which is what readers that guess a schema (`datasets`,
pandas) need. Where a form has no place for plain texts, they are left out and counted; nothing else is. Replay samples
are the base student's own words and are not handed on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homeroom.core.errors import ContentError
from homeroom.core.files import write_json, write_jsonl
from homeroom.core.types import Chunk, Sample

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was written."""

    files: tuple[Path, ...]
    rows: int
    left_out: int  # samples that this form has no place for


def export_samples(
    samples: Iterable[Sample], chunks: Mapping[str, Chunk], domains: Mapping[str, str], *, form: str, out: Path
) -> Exported:
    """Write samples into the folder `out` in one of `FORMS`.

    Args:
        chunks: By id; InstructLab's knowledge rows have the passage before the question.
        domains: Path of a leaf -> its domain, for InstructLab's metadata.

    Raises:
        ContentError: this form has no place for any of the samples.
    """
    own = [s for s in samples if s.kind != "replay"]
    tables = FORMS[form](own, chunks, domains)
    if not any(tables.values()):
        raise ContentError(
            f"none of the {len(own):,} samples has a place in {form}",
            where=str(out),
            hint="Knowledge goes into instructlab-knowledge, skills into instructlab-skills; messages takes both.",
        )
    files = []
    for name, rows in tables.items():
        if rows:
            write_jsonl(out / name, rows)
            files.append(out / name)
    if form == "llama-factory":
        write_json(out / "dataset_info.json", {k: v for k, v in _DATASET_INFO.items() if out / v["file_name"] in files})
        files.append(out / "dataset_info.json")
    written = sum(len(rows) for rows in tables.values())
    return Exported(files=tuple(files), rows=written, left_out=len(own) - written)


def _turns(sample: Sample) -> list[Row]:
    return [{"role": m.role, "content": m.content} for m in sample.messages]


def _origin(sample: Sample) -> str:
    """Return where a sample comes from as JSON text: one column, whatever is known of it."""
    known = {
        "id": sample.id, "kind": sample.kind, "leaf": sample.leaf, "author": sample.author, "document": sample.document,
        "bytes": [sample.start, sample.end], "quote": sample.quote, "recipe": sample.recipe, "teacher": sample.teacher,
        "seed": sample.seed, "checks": list(sample.checks),
    }  # fmt: skip
    return json.dumps(known, ensure_ascii=False)


def _messages(
    samples: Sequence[Sample], chunks: Mapping[str, Chunk], domains: Mapping[str, str]
) -> dict[str, list[Row]]:
    rows = [{"id": s.id, "messages": _turns(s), "text": s.text, "metadata": _origin(s)} for s in samples]
    return {"messages.jsonl": rows}


def _instructlab_knowledge(
    samples: Sequence[Sample], chunks: Mapping[str, Chunk], domains: Mapping[str, str]
) -> dict[str, list[Row]]:
    """InstructLab's phase of knowledge: the passage and the question in one turn, and the loss on all of it."""
    rows = []
    for sample in samples:
        if not sample.leaf.startswith("knowledge") and sample.chunk not in chunks:
            continue
        passage = chunks[sample.chunk].text if sample.chunk in chunks else sample.quote
        if sample.messages:
            first = {"role": "user", "content": f"{passage}\n\n{sample.messages[0].content}".strip()}
            turns = [first, *_turns(sample)[1:]]
        else:
            head, _, body = sample.text.partition("\n\n")
            turns = [{"role": "user", "content": head}, {"role": "assistant", "content": body}]
        rows.append(_instructlab(sample, turns, passage, domains, unmask=True))
    return {"knowledge_train_msgs.jsonl": rows}


def _instructlab_skills(
    samples: Sequence[Sample], chunks: Mapping[str, Chunk], domains: Mapping[str, str]
) -> dict[str, list[Row]]:
    rows = [
        _instructlab(s, _turns(s), "", domains, unmask=False)
        for s in samples
        if s.messages and not s.leaf.startswith("knowledge") and s.chunk not in chunks
    ]
    return {"skills_train_msgs.jsonl": rows}


def _instructlab(sample: Sample, turns: list[Row], passage: str, domains: Mapping[str, str], *, unmask: bool) -> Row:
    metadata = {
        "sdg_document": passage,
        "domain": domains.get(sample.leaf, ""),
        "dataset": f"homeroom_{sample.leaf.replace('/', '_')}",
        "raw_document": passage,
        "dataset_type": sample.kind,
        "origin": json.loads(_origin(sample)),
    }
    text = json.dumps(metadata, ensure_ascii=False)
    return {"id": sample.id, "messages": turns, "metadata": text, "unmask": unmask}


def _alpaca(samples: Sequence[Sample], chunks: Mapping[str, Chunk], domains: Mapping[str, str]) -> dict[str, list[Row]]:
    """Instruction, input, output: the context of a grounded skill is the input."""
    rows = []
    for sample in samples:
        if [m.role for m in sample.messages] != ["user", "assistant"]:
            continue
        asked, _, given = sample.messages[0].content.partition("\n\n")
        if sample.kind == "choice":
            asked, given = sample.messages[0].content, ""  # its choices belong to the question
        rows.append({"instruction": asked, "input": given, "output": sample.messages[1].content})
    return {"alpaca.jsonl": rows}


_FROM = {"user": "human", "assistant": "gpt", "system": "system"}


def _conversations(samples: Sequence[Sample]) -> list[Row]:
    return [
        {"id": s.id, "conversations": [{"from": _FROM[m.role], "value": m.content} for m in s.messages]}
        for s in samples
        if s.messages
    ]


def _sharegpt(
    samples: Sequence[Sample], chunks: Mapping[str, Chunk], domains: Mapping[str, str]
) -> dict[str, list[Row]]:
    return {"sharegpt.jsonl": _conversations(samples)}


def _llama_factory(
    samples: Sequence[Sample], chunks: Mapping[str, Chunk], domains: Mapping[str, str]
) -> dict[str, list[Row]]:
    """Two sets, as LLaMA-Factory has them: conversations for tuning, texts for continued pre-training."""
    texts = [{"text": s.text} for s in samples if s.text]
    return {"homeroom_sft.jsonl": _conversations(samples), "homeroom_pt.jsonl": texts}


_TAGS = {
    "role_tag": "from",
    "content_tag": "value",
    "user_tag": "human",
    "assistant_tag": "gpt",
    "system_tag": "system",
}
_DATASET_INFO: dict[str, dict[str, Any]] = {
    "homeroom_sft": {
        "file_name": "homeroom_sft.jsonl",
        "formatting": "sharegpt",
        "columns": {"messages": "conversations"},
        "tags": _TAGS,
    },
    "homeroom_pt": {"file_name": "homeroom_pt.jsonl", "columns": {"prompt": "text"}},
}

FORMS: dict[str, Callable[[Sequence[Sample], Mapping[str, Chunk], Mapping[str, str]], dict[str, list[Row]]]] = {
    "messages": _messages,
    "instructlab-knowledge": _instructlab_knowledge,
    "instructlab-skills": _instructlab_skills,
    "alpaca": _alpaca,
    "sharegpt": _sharegpt,
    "llama-factory": _llama_factory,
}
