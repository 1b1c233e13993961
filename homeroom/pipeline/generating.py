"""The stages that make data: a taxonomy -> what there is to know -> checked samples.

documents -> facts -> exam -> samples
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from homeroom.core.config import Samples
from homeroom.core.errors import ContentError, RefusedError, StageError
from homeroom.core.files import Rows, hash_file, jsonl_rows, read_jsonl, write_jsonl
from homeroom.core.types import Chunk, Document, Fact, Question, Rejected, Reply, Request, Sample
from homeroom.core.words import words
from homeroom.generate.sifted import Item
from homeroom.pipeline.course import Course, exam_of, own_training_tokens, summary_of
from homeroom.pipeline.rounds import AGAIN, effort, weighed

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
    """Let the teacher write samples of every leaf, check them, and write each as it passes."""
    from homeroom.generate.decisions import decided, read_decisions
    from homeroom.generate.provenance import too_little, with_provenance

    chunks = read_jsonl(course.out / "documents" / "chunks.jsonl", Chunk)
    documents = read_jsonl(course.out / "documents" / "documents.jsonl", Document)
    whence = with_provenance(leaves=course.leaves, chunks=chunks, documents=documents)
    work, made = _Samples(course, chunks), Counter[tuple[str, str, bool]]()
    with jsonl_rows(out / "rejected.jsonl") as thrown, jsonl_rows(out / "samples.jsonl") as kept:
        leaves = [leaf.path for leaf in course.leaves]
        for item in decided(work.items(kept), read_decisions(course.folder), leaves=leaves):
            sample = item if isinstance(item, Sample) else item.sample
            made[sample.leaf, sample.kind, item is sample] += 1
            if isinstance(item, Sample):
                kept.add(whence(item))
            else:
                thrown.add(item)
        _refuse_empty(course, made)
    num_kept = sum(n for (*_, is_kept), n in made.items() if is_kept)
    summary = {"kept": num_kept, "rejected": made.total() - num_kept, "teacher_tokens": work.spent + work.already}
    if work.covered:
        summary |= {"facts_covered": len(work.covered.facts), "facts_known": work.covered.known}
    short = too_little(made, course.leaves, course.recipe.samples.least)
    return summary | ({"short": short} if short else {})


class _Samples:
    """What the recipes make of a course, leaf by leaf, and what it cost."""

    def __init__(self, course: Course, chunks: Sequence[Chunk]) -> None:
        self.course, self.chunks, self.config = course, chunks, course.recipe.samples
        self.exam, self.facts = exam_of(course), read_jsonl(course.out / "facts" / "facts.jsonl", Fact)
        self.already = sum(summary_of(course, stage).get("teacher_tokens", 0) for stage in ("facts", "exam"))
        self.spent, self.covered = 0, None

    def items(self, kept: Rows) -> Iterator[Item]:
        """Yield samples and rejected ones as they pass.

        Args:
            kept: What was yielded and kept so far, to be read back.
        """
        from homeroom.generate.knowledge import seed_samples
        from homeroom.generate.skill import skill_samples

        skills = [leaf for leaf in self.course.leaves if leaf.kind != "knowledge"]
        left = max(500, self.config.teacher_tokens - self.already)
        for_skill = left // len(self.course.leaves)
        yield from seed_samples([leaf for leaf in self.course.leaves if leaf.kind == "knowledge"])
        if self.facts:
            yield from self._knowledge(_Purse(self.course, left - for_skill * len(skills)), kept)
        for leaf in skills:
            purse, teacher, took = _Purse(self.course, for_skill), _identity(self.course), self.course.took.note
            made = skill_samples(leaf, purse.ask, config=self.config, exam=self.exam, teacher=teacher, took=took)
            yield from (*made.samples, *made.rejected)
            self.spent += purse.spent

    def _knowledge(self, purse: _Purse, kept: Rows) -> Iterator[Item]:
        from homeroom.generate.coverage import cover

        steered, tokens = effort(self.course), own_training_tokens(self.course.recipe)
        self.covered = cover(weighed(self.facts, steered), teacher_tokens=purse.left, training_tokens=tokens)
        wanted = steered.wanted(self.config.questions)
        seeds = [seed.question for leaf in self.course.leaves for seed in leaf.seeds if leaf.kind == "knowledge"]
        for item in self._asked(self.covered.facts, purse, self.config, wanted=wanted, written=seeds):
            sample = item.sample if isinstance(item, Rejected) else item
            if sample.kind not in ("passage", "choice"):  # which no check can throw out
                self.course.took.note(sample, is_kept=item is sample)
            yield item
        for turn, ids in enumerate(steered.missed, 1):  # again about what each round's quiz showed to be missed
            purse = _Purse(self.course, int(AGAIN * self.config.teacher_tokens))
            missed = [f for f in self.covered.facts if f.id in ids]
            config = dataclasses.replace(self.config, rewrites=0, seed=self.config.seed + 1000 * turn)
            written = (s.messages[0].content for s in kept.read(Sample) if s.messages)
            for item in self._asked(missed, purse, config, written=written):
                if (item.sample if isinstance(item, Rejected) else item).kind == "direct":
                    yield item

    def _asked(
        self,
        facts: Sequence[Fact],
        purse: _Purse,
        config: Samples,
        *,
        written: Iterable[str],
        wanted: Mapping[str, int] | None = None,
    ) -> Iterator[Item]:
        from homeroom.generate.knowledge import knowledge_samples
        from homeroom.models.embedder import shipped_embedder

        yield from knowledge_samples(
            facts,
            self.chunks,
            purse.ask,
            config=config,
            all_facts=self.facts,
            exam=self.exam,
            teacher=_identity(self.course),
            embed=shipped_embedder().embed,
            wanted=wanted,
            written=written,
        )
        self.spent += purse.spent


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


def _refuse_empty(course: Course, made: Mapping[tuple[str, str, bool], int]) -> None:
    """Say which leaves got nothing: an empty set must not pass for a success.

    Args:
        made: Leaf, kind of sample, whether it was kept -> how many.
    """
    for leaf in course.leaves:
        own = {(kind, is_kept): n for (path, kind, is_kept), n in made.items() if path == leaf.path}
        thrown = sum(n for (_, is_kept), n in own.items() if not is_kept)
        if not sum(n for (kind, is_kept), n in own.items() if is_kept and kind != "seed"):
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
