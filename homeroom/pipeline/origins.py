"""What the samples of a finished course are worth, where each comes from, and how others get them.

`homeroom audit`, `homeroom why`, and the forms of `homeroom export` that hand on samples.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from homeroom.core.errors import ContentError, UsageError
from homeroom.core.files import read_jsonl, write_text
from homeroom.core.types import Chunk, Document, Fact, Leaf, Message, Question, Rejected, Sample, content_id
from homeroom.pipeline.course import open_course

MAX_SHOWN = 20


def audit_course(folder: Path, *, seed: int = 0) -> dict[str, Any]:
    """Plant corrupted copies among a course's samples, and return what the checks of generation say of them.

    Raises:
        ContentError: the course has no samples with a source yet.
    """
    from homeroom.generate.audit import audit, plant
    from homeroom.generate.support import sample_fault
    from homeroom.generate.texts import text_fault

    samples = _samples(folder)
    chunks = {c.id: c for c in read_jsonl(folder / "out" / "documents" / "chunks.jsonl", Chunk)}

    def check(sample: Sample) -> tuple[str, str] | None:
        return (text_fault if sample.text else sample_fault)(sample, chunks[sample.chunk])

    answers = [s for s in samples if s.messages and s.chunk in chunks and s.kind not in ("choice", "seed")]
    texts = [s for s in samples if s.kind == "rewrite" and s.chunk in chunks]
    if not answers and not texts:
        raise ContentError(
            "has no samples that rest on a document",
            where=str(folder),
            hint="homeroom generate makes them; skills alone have nothing to compare with.",
        )
    written = written_answers(folder, open_course(folder).leaves, list(chunks.values()))
    groups = {"answers": answers, "texts": texts, "people's": [s for s in written if not check(s)]}
    planted = [p for name, members in groups.items() for p in plant(name, members, chunks, seed=seed)]
    return audit(planted, written, check)


def written_answers(folder: Path, leaves: tuple[Leaf, ...], chunks: list[Chunk]) -> list[Sample]:
    """Return what people wrote as samples: seed answers, and exam answers that name the sentence they rest on."""
    out = []
    for leaf in leaves:
        own = [c for c in chunks if c.leaf == leaf.path]
        for seed in leaf.seeds if own else ():
            said = set(seed.context.split())
            chunk = max(own, key=lambda c: len(said & set(c.text.split())))
            out.append(_written(seed.question, seed.answer, chunk, ""))
    path = folder / "exam.jsonl"
    for question in read_jsonl(path, Question) if path.is_file() else ():
        chunk = next((c for c in chunks if question.source and question.source in c.text), None)
        if chunk and question.answer and question.kind != "rewrite":
            out.append(_written(question.question, question.answer, chunk, question.source))
    return out


def _written(question: str, answer: str, chunk: Chunk, quote: str) -> Sample:
    messages = (Message(role="user", content=question), Message(role="assistant", content=answer))
    return Sample(
        id=content_id(question, answer), kind="written", messages=messages, leaf=chunk.leaf, chunk=chunk.id, quote=quote
    )


def why_samples(folder: Path, wanted: str) -> list[dict[str, Any]]:
    """Return the origin of every sample of a course, kept or thrown out, with this id or these words; at most 20.

    Raises:
        UsageError: there is none.
    """
    from homeroom.generate.provenance import find, why

    rejected = read_jsonl(folder / "out" / "samples" / "rejected.jsonl", Rejected)
    found = find(wanted, _samples(folder), rejected)
    if not found:
        raise UsageError(
            f"no sample has the id {wanted[:80]!r}, or these words",
            where=str(folder),
            hint="Ids are in out/samples/samples.jsonl and rejected.jsonl; a part of the question will do too.",
        )
    train = folder / "out" / "dataset" / "train.jsonl"
    learned = frozenset(str(row.get("id")) for row in read_jsonl(train)) if train.is_file() else frozenset()
    facts = {f.id: f for f in read_jsonl(folder / "out" / "facts" / "facts.jsonl", Fact)}
    documents = read_jsonl(folder / "out" / "documents" / "documents.jsonl", Document)
    return [why(f, facts=facts, documents=documents, learned=learned) for f in found[:MAX_SHOWN]]


def export_course_samples(folder: Path, form: str, out: Path | None = None) -> Any:
    """Write a course's samples in one of `generate.exports.FORMS`, with the data card beside them.

    Args:
        out: A folder; by default `out/export/<form>` of the course.

    Raises:
        ContentError: there are no samples yet, or none that this form has a place for.
    """
    from homeroom.generate.exports import export_samples

    target = out or folder / "out" / "export" / form
    path, card = folder / "out" / "documents" / "chunks.jsonl", folder / "out" / "dataset" / "card.md"
    chunks = {c.id: c for c in read_jsonl(path, Chunk)} if path.is_file() else {}
    domains = {leaf.path: leaf.domain for leaf in open_course(folder).leaves}
    done = export_samples(_samples(folder), chunks, domains, form=form, out=target)
    if card.is_file():
        write_text(target / "card.md", card.read_text(encoding="utf-8"))
    return done


def _samples(folder: Path) -> list[Sample]:
    path = folder / "out" / "samples" / "samples.jsonl"
    if not path.is_file():
        raise ContentError("has no samples yet", where=str(folder), hint=f"homeroom generate {folder}")
    return read_jsonl(path, Sample)
