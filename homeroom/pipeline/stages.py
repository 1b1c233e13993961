"""The stages, in order: each makes one folder below `out/` and returns the summary for its record.

documents -> facts -> exam -> samples -> dataset -> train -> report
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from homeroom.core.contributions import read_contributions
from homeroom.core.errors import ContentError, RefusedError, StageError
from homeroom.core.files import hash_file, read_jsonl, read_record, write_json, write_jsonl, write_text
from homeroom.core.types import Chunk, Document, Fact, Message, Question, Rejected, Reply, Request, Sample, content_id
from homeroom.core.words import words
from homeroom.generate.sifted import Sifted
from homeroom.pipeline.course import Course, digest_of, facts_of, in_words, own_training_tokens, summary_of
from homeroom.pipeline.gate import hold_gate, take_back
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


def _exam(course: Course) -> list[Question]:
    return [q for s in ("quiz", "dev", "final") for q in read_jsonl(course.out / "exam" / f"{s}.jsonl", Question)]


def make_samples(course: Course, out: Path) -> dict[str, Any]:
    """Let the teacher write samples of every leaf, and check them."""
    from homeroom.generate.coverage import cover
    from homeroom.generate.decisions import decided, read_decisions
    from homeroom.generate.knowledge import knowledge_samples, seed_samples
    from homeroom.generate.provenance import too_little, with_provenance
    from homeroom.generate.skill import skill_samples
    from homeroom.models.embedder import shipped_embedder

    recipe, exam = course.recipe, _exam(course)
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
        exam=_exam(course),
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


def make_dataset(course: Course, out: Path) -> dict[str, Any]:
    """Mix what the student will read."""
    from homeroom.generate.card import sources_card
    from homeroom.generate.mix import card, mix

    samples = read_jsonl(course.out / "samples" / "samples.jsonl", Sample)
    rejected = read_jsonl(course.out / "samples" / "rejected.jsonl", Rejected)
    course.rest()
    replay = _replay(course) if any(p.replay_share for p in course.recipe.train.phases) else []
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
        licences=_licences(course),
        rejected=rejected,
    )
    write_text(out / "card.md", text)
    return {"samples": len(mixed.samples), "tokens_a_pass": sum(mixed.tokens.values()), "by_kind": mixed.tokens}


def _licences(course: Course) -> dict[str, str]:
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


def _replay(course: Course) -> list[Sample]:
    """Return the base student's answers to general prompts; they are the same for every course, so they are kept."""
    from homeroom.generate.replay import MAX_TOKENS, replay_prompts, replay_samples, without_exam
    from homeroom.models.store import store_home
    from homeroom.models.torch_engine import TorchEngine

    prompts, others = replay_prompts(), [*shipped("retention/general"), *shipped("retention/control"), *_exam(course)]
    kept = store_home() / "replay" / f"{content_id(digest_of(course.student()), prompts, MAX_TOKENS)}.jsonl"
    if not kept.is_file():
        engine = TorchEngine(course.student())

        def told(done: int, total: int) -> None:
            course.progress("dataset", done, total, "the base answers general prompts")

        def answer(conversations: list[tuple[Message, ...]], *, max_tokens: int) -> list[str]:
            return engine.answer(conversations, max_tokens=max_tokens, on_progress=told)

        write_jsonl(kept, replay_samples(answer, prompts, model=course.recipe.student.model))
    return without_exam(read_jsonl(kept, Sample), others)


def shipped(name: str) -> list[Question]:
    """Return a suite that ships with Homeroom: "retention/general" or "retention/control"."""
    from homeroom.evaluate.exam import read_exam

    return read_exam(Path(str(resources.files("homeroom.data") / f"{name}.jsonl")))


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
    take_back(course.out / "refused", course.out / "model")
    results = train_phases(
        course.student(),
        data,
        config=dataclasses.replace(course.recipe.train, phases=phases or course.recipe.train.phases),
        out=course.out / "runs",
        model_out=course.out / "model",
        progress=course.progress,
    )
    write_json(out / "result.json", [dataclasses.asdict(r) for r in results])
    turned = hold_gate(course, shipped("retention/general")) if course.recipe.evaluate.max_forgetting < 1 else {}
    return turned | {
        "tokens": sum(r.tokens for r in results),
        "steps": sum(r.steps for r in results),
        "seconds": sum(r.seconds for r in results),
        "tokens_per_second": results[-1].tokens_per_second,
        "loss_last": results[-1].loss_last,
        "dtype": results[-1].dtype,
    }


def make_report(course: Course, out: Path) -> dict[str, Any]:
    """Examine base and tuned, and write the report."""
    from homeroom.evaluate.stage import Pupil, Suites, evaluate_models
    from homeroom.models.torch_engine import TorchEngine
    from homeroom.pipeline.course import open_judge

    course.rest()
    exam, base = _exam(course), course.student()
    suites = Suites(
        exam=exam,
        retention=shipped("retention/general"),
        more=shipped("retention/more") if course.recipe.evaluate.retention == "full" else (),
        control=shipped("retention/control"),
        corrections=_corrections(course),
        passages=_passages(course, exam),
        found=_looked_up(course, exam) if course.recipe.evaluate.with_sources else {},
        rubrics=_rubrics(course),
    )
    engines = {"base": TorchEngine(base), "tuned": TorchEngine(course.out / "model")}
    report = evaluate_models(
        suites,
        **{name: Pupil(answer=engine.answer, logprob=engine.logprob) for name, engine in engines.items()},
        config=course.recipe.evaluate,
        out=out,
        facts_about=_about(course, base),
        judge=open_judge(course.recipe),
        progress=course.progress,
    )
    return {"verdict": report["verdict"], "closed_book": report["closed_book"], "retention": report["retention"]}


def _rubrics(course: Course) -> dict[str, str]:
    """Return what each leaf's `rubric.md` says of good answers."""
    from homeroom.evaluate.judge import MAX_RUBRIC

    files = {leaf.path: course.folder / leaf.path / "rubric.md" for leaf in course.leaves}
    return {
        path: file.read_text(encoding="utf-8", errors="replace")[:MAX_RUBRIC]
        for path, file in files.items()
        if file.is_file() and file.stat().st_size < 100_000
    }


def _corrections(course: Course) -> list[Question]:
    """Return what people corrected and a reviewer accepted, as questions; one that cannot be graded is left out."""
    from homeroom.evaluate.exam import to_question

    found = []
    for given in read_contributions(course.folder):
        if given.kind == "correction" and given.state == "accepted":
            with contextlib.suppress(ContentError):
                row = {"id": f"correction-{given.id}", "question": given.question, "answer": given.answer}
                found.append(to_question(row | {"leaf": given.leaf}))
    return found


def _looked_up(course: Course, exam: Sequence[Question]) -> dict[str, str]:
    """Return what a search in the course's documents finds for each final question."""
    from homeroom.models.embedder import shipped_embedder
    from homeroom.serve.retrieval import read_library

    asked = [q for q in exam if q.split == "final" and q.kind != "rewrite"]
    if not asked or not read_jsonl(course.out / "documents" / "chunks.jsonl"):
        return {}
    library = read_library(course.out / "documents", embed=shipped_embedder().embed)
    found = {q.id: library.look_up(q.question) for q in asked}
    return {id: hit.text for id, hit in found.items() if hit}


def _passages(course: Course, exam: Sequence[Question]) -> dict[str, str]:
    chunks = read_jsonl(course.out / "documents" / "chunks.jsonl", Chunk)
    found = {}
    for question in exam:
        text = next((c.text for c in chunks if question.source and question.source in c.text), "")
        if text and question.kind != "rewrite":
            found[question.id] = text
    return found


def _about(course: Course, base: Path) -> dict[str, Any]:
    """Return what the report says of models, data, time and machine."""
    from homeroom.models.machine import describe

    rejected = read_jsonl(course.out / "samples" / "rejected.jsonl", Rejected)
    made = summary_of(course, "samples")
    stages = []
    for stage in ("documents", "facts", "exam", "samples", "dataset", "train"):
        record = read_record(course.out / stage)
        if record:
            stages.append({"name": stage, "seconds": record.seconds, "note": in_words(record.summary)})
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
        "stages": stages,
        "budget": {
            "limit_s": course.budget.get("seconds"),
            "teacher_tokens": made.get("teacher_tokens", 0),
            "train_tokens": summary_of(course, "train").get("tokens", 0),
        },
        "machine": f"{machine.cpus} cores, {machine.memory_gib:.0f} GiB, {machine.platform}",
    }


def _general(reason: str) -> str:
    return reason.split(" is not in ")[-1] and ("not in the source" if " is not in " in reason else reason)
