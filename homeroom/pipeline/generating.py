"""The stages that make data: a taxonomy -> what there is to know -> checked samples.

documents -> facts -> exam -> samples
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from homeroom.core.errors import ContentError, RefusedError, StageError
from homeroom.core.files import hash_file, read_jsonl, write_jsonl
from homeroom.core.types import Chunk, Document, Fact, Question, Rejected, Reply, Request, Sample
from homeroom.core.words import words
from homeroom.generate.sifted import Sifted
from homeroom.pipeline.course import Course, exam_of, own_training_tokens, summary_of
from homeroom.pipeline.rounds import AGAIN, Effort, effort, weighed

FACTS_SHARE = 0.35  # of the teacher's tokens at most, so that a long text leaves something to ask about it


def make_documents(course: Course, out: Path) -> dict[str, Any]:
    """Read the documents that leaves name, and cut them into chunks."""
    from homeroom.documents.stage import make_documents
    from homeroom.models.store import store_home

    cache = store_home() / "git"
    return make_documents(course.leaves, course.folder, config=course.recipe.documents, out=out, cache=cache)


def make_facts(course: Course, out: Path) -> dict[str, Any]:
    """List what there is to know, most important first."""
    from homeroom.generate.facts import clear_fact, clear_requests, fact_requests, read_facts, weigh, without_twins

    chunks = read_jsonl(course.out / "documents" / "chunks.jsonl", Chunk)
    limit = int(course.recipe.samples.teacher_tokens * FACTS_SHARE)
    replies = course.ask(fact_requests(chunks), stage="facts", max_tokens=limit)
    facts = [f for c, r in zip(chunks, replies, strict=True) for f in read_facts(c, r)]
    facts = weigh(without_twins(facts), course.leaves)
    spent = _tokens(replies)
    unclear = clear_requests(facts, chunks)
    answers = course.ask([r for _, r in unclear], stage="facts", max_tokens=max(1, limit - spent))
    by_id = {c.id: c for c in chunks}
    clearer = {f.id: clear_fact(f, by_id[f.chunk], a) for (f, _), a in zip(unclear, answers, strict=True)}
    facts = [clearer.get(f.id, f) for f in facts]
    write_jsonl(out / "facts.jsonl", facts)
    return {"facts": len(facts), "teacher_tokens": spent + _tokens(answers)}


def make_exam(course: Course, out: Path) -> dict[str, Any]:
    """Keep what the person wrote, and let the teacher write the splits that are missing."""
    from homeroom.evaluate.exam import read_exam as read_written
    from homeroom.generate.exam_questions import exam_asks, read_exam
    from homeroom.models.embedder import shipped_embedder

    path = course.folder / "exam.jsonl"
    written = read_written(path) if path.is_file() else []
    _refuse_leaks(course, written, path)
    facts = read_jsonl(course.out / "facts" / "facts.jsonl", Fact)
    have = {q.split for q in written}
    questions, spent = list(written), 0
    if facts and not {"quiz", "dev", "final"} <= have:
        asks = exam_asks(facts, config=course.recipe.exam)
        replies = course.ask([r for _, r in asks], stage="exam", max_tokens=course.recipe.exam.max_tokens)
        made = read_exam(
            asks, replies, all_facts=facts, written=written, config=course.recipe.exam, embed=shipped_embedder().embed
        )
        taught = {tuple(words(seed.question)) for leaf in course.leaves for seed in leaf.seeds}  # as they stand
        questions += [question for question in made if tuple(words(question.question)) not in taught]
        spent = _tokens(replies)
    if not any(q.split == "final" for q in questions):
        raise ContentError(
            "no exam question could be made, so nothing could be shown at the end",
            where=str(path),
            hint="Write at least ten questions into exam.jsonl (docs/exam.md), or add facts with numbers or names.",
        )
    counts = {}
    for split in ("quiz", "dev", "final"):
        rows = [q for q in questions if q.split == split]
        write_jsonl(out / f"{split}.jsonl", rows)
        counts[split] = len(rows)
    return {**counts, "written_by_hand": len(written), "teacher_tokens": spent}


def _refuse_leaks(course: Course, written: Sequence[Question], path: Path) -> None:
    """Refuse an exam that asks what a seed example asks, in its words: it is taught as it stands."""
    from homeroom.generate.checks import decontamination

    seeds = [Question(id="seed", question=s.question) for leaf in course.leaves for s in leaf.seeds]
    fault = decontamination(seeds)
    leaked = [q for q in written if fault(q.question if q.kind != "rewrite" else q.context)]
    if leaked:
        listed = "; ".join(f"{q.id}: {q.question[:80]}" for q in leaked[:5])
        raise RefusedError(
            f"{len(leaked)} exam questions have the wording of seed examples, which are taught ({listed})",
            where=str(path),
            hint="Ask in other words, or remove them: an exam that was taught measures nothing.",
        )


def make_samples(course: Course, out: Path) -> dict[str, Any]:
    """Let the teacher write samples of every leaf, and check them."""
    from homeroom.generate.coverage import cover
    from homeroom.generate.decisions import decided, read_decisions
    from homeroom.generate.knowledge import knowledge_samples, seed_samples
    from homeroom.generate.provenance import too_little, with_provenance
    from homeroom.generate.skill import skill_samples
    from homeroom.models.embedder import shipped_embedder

    recipe, exam = course.recipe, exam_of(course)
    chunks = read_jsonl(course.out / "documents" / "chunks.jsonl", Chunk)
    facts = read_jsonl(course.out / "facts" / "facts.jsonl", Fact)
    already = summary_of(course, "facts").get("teacher_tokens", 0) + summary_of(course, "exam").get("teacher_tokens", 0)
    left = max(500, recipe.samples.teacher_tokens - already)
    skills = [leaf for leaf in course.leaves if leaf.kind != "knowledge"]
    for_skill = left // len(course.leaves)
    samples: list[Sample] = list(seed_samples([x for x in course.leaves if x.kind == "knowledge"]))
    rejected: list[Rejected] = []
    covered, spent, steered = None, 0, effort(course) if facts else Effort()
    if facts:
        purse = _Purse(course, left - for_skill * len(skills))
        covered = cover(weighed(facts, steered), teacher_tokens=purse.left, training_tokens=own_training_tokens(recipe))
        sifted = knowledge_samples(
            covered.facts,
            chunks,
            purse.ask,
            config=recipe.samples,
            all_facts=facts,
            exam=exam,
            teacher=_identity(course),
            embed=shipped_embedder().embed,
            wanted=steered.wanted(recipe.samples.questions),
            written=[seed.question for leaf in course.leaves for seed in leaf.seeds if leaf.kind == "knowledge"],
            took=course.took.note,
        )
        samples, rejected = samples + list(sifted.samples), rejected + list(sifted.rejected)
        spent += purse.spent
        for turn in range(1, steered.round + 1):
            purse = _Purse(course, int(AGAIN * recipe.samples.teacher_tokens))
            missed = [f for f in covered.facts if f.id in steered.missed]
            more = _asked_again(course, missed, facts, chunks, purse, samples, turn)
            samples, rejected = samples + list(more.samples), rejected + list(more.rejected)
            spent += purse.spent
    for leaf in skills:
        purse = _Purse(course, for_skill)
        teacher, took = _identity(course), course.took.note
        sifted = skill_samples(leaf, purse.ask, config=recipe.samples, exam=exam, teacher=teacher, took=took)
        samples, rejected = samples + list(sifted.samples), rejected + list(sifted.rejected)
        spent += purse.spent
    decisions = read_decisions(course.folder)
    samples, rejected = decided(samples, rejected, decisions, leaves=[leaf.path for leaf in course.leaves])
    _refuse_empty(course, samples, rejected)
    documents = read_jsonl(course.out / "documents" / "documents.jsonl", Document)
    samples = list(with_provenance(samples, leaves=course.leaves, chunks=chunks, documents=documents))
    write_jsonl(out / "samples.jsonl", samples)
    write_jsonl(out / "rejected.jsonl", rejected)
    summary = {"kept": len(samples), "rejected": len(rejected), "teacher_tokens": spent + already}
    if covered:
        summary |= {"facts_covered": len(covered.facts), "facts_known": covered.known}
    short = too_little(samples, course.leaves, recipe.samples.least)
    return summary | ({"short": short} if short else {})


def _asked_again(
    course: Course,
    missed: Sequence[Fact],
    facts: Sequence[Fact],
    chunks: Sequence[Chunk],
    purse: _Purse,
    have: Sequence[Sample],
    turn: int,
) -> Sifted:
    """Return more questions about the facts that a quiz showed to be missed, in other words than there are."""
    from homeroom.generate.knowledge import knowledge_samples
    from homeroom.models.embedder import shipped_embedder

    settings = course.recipe.samples
    sifted = knowledge_samples(
        missed,
        chunks,
        purse.ask,
        config=dataclasses.replace(settings, rewrites=0, seed=settings.seed + 1000 * turn),
        all_facts=facts,
        exam=exam_of(course),
        teacher=_identity(course),
        embed=shipped_embedder().embed,
        written=[s.messages[0].content for s in have if s.messages],
    )
    own = tuple(s for s in sifted.samples if s.kind == "direct")
    return Sifted(samples=own, rejected=tuple(r for r in sifted.rejected if r.sample.kind == "direct"))


class _Purse:
    """The teacher's tokens for one part of the work."""

    def __init__(self, course: Course, tokens: int) -> None:
        self.course, self.tokens, self.spent = course, tokens, 0

    @property
    def left(self) -> int:
        return max(0, self.tokens - self.spent)

    def ask(self, requests: Sequence[Request], share: float = 1.0) -> list[Reply | None]:
        """Return a reply each, and None for those that no longer fit into `share` of what is left."""
        limit = max(1, int(self.left * share))
        replies = self.course.ask(requests, stage="samples", max_tokens=limit, of=(self.spent, self.tokens))
        self.spent += _tokens(replies)
        return replies


def _refuse_empty(course: Course, samples: Sequence[Sample], rejected: Sequence[Rejected]) -> None:
    """Say which leaves got nothing: an empty set must not pass for a success."""
    for leaf in course.leaves:
        made = sum(1 for s in samples if s.leaf == leaf.path and s.kind != "seed")
        thrown = sum(1 for r in rejected if r.sample.leaf == leaf.path)
        if not made:
            raise StageError(
                f"the teacher gave nothing that could be kept ({thrown} samples rejected)",
                where=leaf.path,
                hint="Read out/samples/rejected.jsonl, give more teacher tokens (-o samples.teacher_tokens=...), or "
                "another teacher.",
            )


def _tokens(replies: Sequence[Reply | None]) -> int:
    return sum(r.completion_tokens for r in replies if r)


def _identity(course: Course) -> str:
    """Return the teacher's name with the digest of its file, or with its address."""
    from homeroom.models.catalog import read_catalog

    teacher = course.recipe.teacher
    entry = None if teacher.url else read_catalog().get(teacher.model)
    path = Path(teacher.model)
    digest = entry.sha256 if entry else hash_file(path) if not teacher.url and path.is_file() else ""
    return f"{course.teacher_name} sha256:{digest[:16]}" if digest else course.teacher_name
