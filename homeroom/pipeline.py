"""Run a course: every stage in order, skipping what is up to date and saying why the rest is made.

    documents -> facts -> exam -> samples -> dataset -> train -> report

A stage is a function from values and folders to a folder below `out/`, with a record written last. What it is made
from (the settings it uses and the records of the stages before it) is compared with that record; see
`core/files.py:why_stale`. The teacher starts when the first stage needs it, and every answer of it is kept in
`out/asked/`, so that a stopped run, a changed setting or a larger budget never asks the same thing twice.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import homeroom
from homeroom.core.config import Recipe, read_recipe
from homeroom.core.errors import ContentError, MachineError, StageError
from homeroom.core.files import (
    Record,
    hash_file,
    hash_value,
    lock_folder,
    read_json,
    read_jsonl,
    read_record,
    why_stale,
    write_json,
    write_jsonl,
    write_record,
    write_text,
)
from homeroom.core.types import (
    Chunk,
    Fact,
    Leaf,
    Message,
    Progress,
    Question,
    Rejected,
    Reply,
    Request,
    Sample,
    content_id,
    no_progress,
)

FORMAT = {"documents": 1, "facts": 1, "exam": 1, "samples": 1, "dataset": 1, "train": 1, "report": 1}
STAGES = tuple(FORMAT)
FACTS_SHARE = 0.35  # of the teacher's tokens at most, so that a long text leaves something to ask about it
MIN_FREE_GIB = 4.0  # a run with the embedded models writes about 3

Say = Callable[[str], None]


@dataclass(slots=True, kw_only=True)
class Course:
    """A course while it is worked on: what was read, and what is open."""

    folder: Path
    recipe: Recipe
    leaves: tuple[Leaf, ...] = ()
    progress: Progress = no_progress
    say: Say = lambda text: None
    budget: dict[str, Any] = field(default_factory=dict)
    _open: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _teacher: Any = None
    _student: Path | None = None

    @property
    def out(self) -> Path:
        """Where everything that is made lies."""
        return self.folder / "out"

    @property
    def teacher_name(self) -> str:
        """What the recipe calls the teacher."""
        teacher = self.recipe.teacher
        return f"{teacher.model} at {teacher.url}" if teacher.url else teacher.model

    def teacher(self) -> Any:
        """Return the teacher's endpoint, started when it is first needed."""
        if self._teacher is None:
            self._teacher = self._open.enter_context(open_teacher(self.recipe, self.out, self.say))
        return self._teacher

    def student(self) -> Path:
        """Return the base student as a Hugging Face folder, fetched when it is first needed."""
        if self._student is None:
            self._student = fetch_student(self.recipe.student.model, self.progress)
        return self._student

    def rest(self) -> None:
        """Stop the teacher: its memory is needed for training."""
        self._open.close()
        self._teacher = None

    def ask(self, requests: Sequence[Request], *, stage: str, max_tokens: int) -> list[Reply | None]:
        """Put requests to the teacher until `max_tokens` are generated; kept answers count, so the result is fixed."""
        from homeroom.models.endpoint import ask_until

        if not requests:
            return []
        endpoint, done, spent = self.teacher(), 0, 0

        def told(index: int, reply: Reply) -> None:
            nonlocal done, spent
            done, spent = done + 1, spent + reply.completion_tokens
            part = max(done / len(requests), spent / max_tokens)
            self.progress(stage, part, 1.0, f"{done} of {len(requests)} asked, {spent:,} tokens")

        keep = self.out / "asked"
        return ask_until(endpoint, requests, keep=keep, max_tokens=max_tokens, on_reply=told)


def open_course(folder: Path, options: tuple[str, ...] = ()) -> Course:
    """Read a course's recipe and taxonomy.

    Raises:
        ContentError: the folder has no valid leaf, a leaf has a fault, or the recipe has one.
    """
    from homeroom.taxonomy.check import format_problem
    from homeroom.taxonomy.read import read_taxonomy

    if not folder.is_dir():
        raise ContentError("no such folder", where=str(folder), hint="homeroom init makes one from an example.")
    recipe = read_recipe(folder, options)
    taxonomy = read_taxonomy(folder)
    faults = [p for p in taxonomy.problems if p.severity == "error"]
    if faults:
        listed = "\n".join(format_problem(p) for p in faults[:20])
        raise ContentError(f"{len(faults)} faults in the taxonomy:\n{listed}", hint="homeroom check shows them all.")
    if not taxonomy.leaves:
        raise ContentError(
            "no qna.yaml below knowledge/ or compositional_skills/",
            where=str(folder),
            hint="homeroom init DIR --example insurance shows what a course looks like.",
        )
    return Course(folder=folder, recipe=recipe, leaves=taxonomy.leaves)


def run(course: Course, *, until: str = "report") -> dict[str, Any]:
    """Make every stage up to `until` that is not up to date, and return the last one's summary.

    Raises:
        HomeroomError: as the stages do; what was finished stays, and the next run goes on from there.
    """
    with lock_folder(course.out):
        try:
            for stage in STAGES[: STAGES.index(until) + 1]:
                make = globals()[f"_make_{stage}"]
                inputs, config = _made_from(course, stage)
                _stage(course, stage, inputs, config, make)
        finally:
            course.rest()
    return _summary(course, until)


def _stage(
    course: Course, name: str, inputs: dict[str, str], config: dict[str, Any], make: Callable[[Course, Path], dict]
) -> None:
    folder = course.out / name
    wanted = Record(kind=name, format=FORMAT[name], inputs=inputs, config=config, code=homeroom.__version__)
    why = why_stale(folder, wanted)
    if not why:
        course.say(f"{name}: up to date")
        return
    course.say(f"{name}: {why}")
    (folder / "record.json").unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    summary = make(course, folder)
    seconds = round(time.monotonic() - began, 1)
    write_record(folder, dataclasses.replace(wanted, seconds=seconds, summary=summary))
    course.say(f"{name}: done in {_minutes(seconds)}{_told(summary)}")


def _told(summary: dict[str, Any]) -> str:
    plain = [f"{v:,} {k.replace('_', ' ')}" for k, v in summary.items() if isinstance(v, int) and not isinstance(v, bool)]
    return ": " + ", ".join(plain) if plain else ""


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"


def _summary(course: Course, stage: str) -> dict[str, Any]:
    record = read_record(course.out / stage)
    return record.summary if record else {}


def _made_from(course: Course, stage: str) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the inputs (name -> hash) and settings that decide what a stage makes."""
    recipe, before = course.recipe, {s: _hash_of(course, s) for s in STAGES[: STAGES.index(stage)]}
    asked = {"model": recipe.teacher.model, "url": recipe.teacher.url}
    settings = {
        "documents": dataclasses.asdict(recipe.documents),
        "facts": {"teacher": asked, "teacher_tokens": recipe.samples.teacher_tokens},
        "exam": dataclasses.asdict(recipe.exam),
        "samples": {**dataclasses.asdict(recipe.samples), "training_tokens": _training_tokens(recipe)},
        "dataset": {**dataclasses.asdict(recipe.dataset), "training_tokens": _training_tokens(recipe)},
        "train": {**dataclasses.asdict(recipe.train), "student": recipe.student.model},
        "report": dataclasses.asdict(recipe.evaluate),
    }[stage]
    from homeroom.core.files import to_json

    leaves = hash_value(list(course.leaves))
    inputs = {
        "documents": {"taxonomy": leaves, "files": _hash_sources(course)},
        "facts": {k: before[k] for k in ("documents",) if k in before},
        "exam": {"exam.jsonl": _hash_exam(course)} | {k: before[k] for k in ("facts",) if k in before},
        "samples": {"taxonomy": leaves} | {k: before[k] for k in ("facts", "exam") if k in before},
        "dataset": {k: before[k] for k in ("samples",) if k in before},
        "train": {k: before[k] for k in ("dataset",) if k in before},
        "report": {k: before[k] for k in ("exam", "train") if k in before},
    }[stage]
    return inputs, to_json(settings)


def _hash_of(course: Course, stage: str) -> str:
    """Hash what a finished stage made: its files, not when or how."""
    from homeroom.core.files import hash_folder

    pattern = {"train": "**/*.safetensors", "report": "report.json"}.get(stage, "*.jsonl")
    return hash_folder(course.out / stage, pattern)


def _training_tokens(recipe: Recipe) -> int:
    return sum(p.tokens for p in recipe.train.phases)


def _hash_exam(course: Course) -> str:
    path = course.folder / "exam.jsonl"
    return hash_file(path) if path.is_file() else ""


def _hash_sources(course: Course) -> str:
    """Hash the files of local sources; those in git are named by their commit already."""
    from homeroom.core.sources import find_files, is_git_address, local_folder

    found = []
    for leaf in course.leaves:
        if leaf.source and not is_git_address(leaf.source.repo):
            folder = local_folder(leaf.source.repo, leaf=leaf.path, course=course.folder)
            for pattern in leaf.source.patterns:
                for name in find_files(folder, pattern, inside=folder, where=leaf.path):
                    found.append([leaf.path, name, hash_file(folder / name)])
    return hash_value(found)


# -- the stages --------------------------------------------------------------------------------------------------


def _make_documents(course: Course, out: Path) -> dict[str, Any]:
    from homeroom.documents.stage import make_documents
    from homeroom.models.store import store_home

    cache = store_home() / "git"
    return make_documents(course.leaves, course.folder, config=course.recipe.documents, out=out, cache=cache)


def _make_facts(course: Course, out: Path) -> dict[str, Any]:
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


def _make_exam(course: Course, out: Path) -> dict[str, Any]:
    """Keep what the person wrote, and let the teacher write the splits that are missing."""
    from homeroom.evaluate.exam import read_exam as read_written
    from homeroom.generate.exam_questions import exam_asks, read_exam

    path = course.folder / "exam.jsonl"
    written = read_written(path) if path.is_file() else []
    facts = read_jsonl(course.out / "facts" / "facts.jsonl", Fact)
    have = {q.split for q in written}
    questions, spent = list(written), 0
    if facts and not {"quiz", "dev", "final"} <= have:
        asks = exam_asks(facts, config=course.recipe.exam)
        replies = course.ask([r for _, r in asks], stage="exam", max_tokens=course.recipe.exam.max_tokens)
        questions += read_exam(asks, replies, all_facts=facts, written=written, config=course.recipe.exam)
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


def _exam(course: Course) -> list[Question]:
    return [q for s in ("quiz", "dev", "final") for q in read_jsonl(course.out / "exam" / f"{s}.jsonl", Question)]


def _make_samples(course: Course, out: Path) -> dict[str, Any]:
    from homeroom.generate.coverage import cover
    from homeroom.generate.knowledge import knowledge_asks, read_knowledge, seed_samples
    from homeroom.generate.skill import skill_samples

    recipe, exam = course.recipe, _exam(course)
    chunks = read_jsonl(course.out / "documents" / "chunks.jsonl", Chunk)
    facts = read_jsonl(course.out / "facts" / "facts.jsonl", Fact)
    already = _summary(course, "facts").get("teacher_tokens", 0) + _summary(course, "exam").get("teacher_tokens", 0)
    left = max(500, recipe.samples.teacher_tokens - already)
    skills = [leaf for leaf in course.leaves if leaf.kind != "knowledge"]
    for_skill = left // len(course.leaves)
    samples: list[Sample] = list(seed_samples([x for x in course.leaves if x.kind == "knowledge"]))
    rejected: list[Rejected] = []
    covered, spent = None, 0
    if facts:
        mine = left - for_skill * len(skills)
        training = int(_training_tokens(recipe) * (1 - recipe.dataset.replay_share))
        covered = cover(facts, teacher_tokens=mine, training_tokens=training)
        asks = knowledge_asks(covered.facts, chunks, config=recipe.samples)
        replies = course.ask([a.request for a in asks], stage="samples", max_tokens=mine)
        teacher, spent = _identity(course), spent + _tokens(replies)
        sifted = read_knowledge(
            asks, replies, covered.facts, chunks, all_facts=facts, exam=exam, teacher=teacher
        )
        samples, rejected = samples + list(sifted.samples), rejected + list(sifted.rejected)
    for leaf in skills:
        budget = [for_skill]

        def ask(requests: Sequence[Request], budget: list[int] = budget) -> list[Reply | None]:
            replies = course.ask(requests, stage="samples", max_tokens=max(1, budget[0]))
            budget[0] -= _tokens(replies)
            return replies

        sifted = skill_samples(leaf, ask, config=recipe.samples, exam=exam, teacher=_identity(course))
        samples, rejected, spent = samples + list(sifted.samples), rejected + list(sifted.rejected), spent + for_skill - budget[0]
    _refuse_empty(course, samples, rejected)
    write_jsonl(out / "samples.jsonl", samples)
    write_jsonl(out / "rejected.jsonl", rejected)
    summary = {"kept": len(samples), "rejected": len(rejected), "teacher_tokens": spent + already}
    if covered:
        summary |= {"facts_covered": len(covered.facts), "facts_known": covered.known}
    return summary


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
    return course.recipe.teacher.model


def _make_dataset(course: Course, out: Path) -> dict[str, Any]:
    from homeroom.generate.mix import card, mix

    samples = read_jsonl(course.out / "samples" / "samples.jsonl", Sample)
    rejected = read_jsonl(course.out / "samples" / "rejected.jsonl", Rejected)
    course.rest()
    replay = _replay(course) if course.recipe.dataset.replay_share else []
    mixed = mix(
        samples,
        replay,
        count=_sample_tokens(course.student()),
        tokens=_training_tokens(course.recipe),
        config=course.recipe.dataset,
    )
    write_jsonl(out / "train.jsonl", mixed.samples)
    leaves = [leaf.path for leaf in course.leaves]
    text = card(mixed, rejected, teacher=course.teacher_name, student=course.recipe.student.model, leaves=leaves)
    write_text(out / "card.md", text)
    return {"samples": len(mixed.samples), "tokens_a_pass": sum(mixed.tokens.values()), "by_kind": mixed.tokens}


def _sample_tokens(student: Path) -> Callable[[Sample], int]:
    """Return what a sample costs in training, the system prompt left out: a row of many samples has it once."""
    from transformers import AutoTokenizer

    from homeroom.train.template import encode

    tokenizer = AutoTokenizer.from_pretrained(student, local_files_only=True)
    return lambda s: len(encode(s, tokenizer, eos_id=tokenizer.eos_token_id, max_tokens=2048).ids)


def _replay(course: Course) -> list[Sample]:
    """Return the base student's answers to general prompts; they are the same for every course, so they are kept."""
    from homeroom.generate.replay import replay_prompts, replay_samples
    from homeroom.models.store import store_home
    from homeroom.models.torch_engine import TorchEngine

    prompts, others = replay_prompts(), [*shipped("retention/general"), *shipped("retention/control"), *_exam(course)]
    digest = digest_of(course.student())
    kept = store_home() / "replay" / f"{content_id(digest, prompts, [q.question for q in others])}.jsonl"
    if not kept.is_file():
        engine = TorchEngine(course.student())

        def told(done: int, total: int) -> None:
            course.progress("dataset", done, total, "the base answers general prompts")

        def answer(conversations: list[tuple[Message, ...]], *, max_tokens: int) -> list[str]:
            return engine.answer(conversations, max_tokens=max_tokens, on_progress=told)

        write_jsonl(kept, replay_samples(answer, prompts, exam=others, model=course.recipe.student.model))
    return read_jsonl(kept, Sample)


def shipped(name: str) -> list[Question]:
    """Return a suite that ships with Homeroom: "retention/general" or "retention/control"."""
    from homeroom.evaluate.exam import read_exam

    return read_exam(Path(str(resources.files("homeroom.data") / f"{name}.jsonl")))


def _make_train(course: Course, out: Path) -> dict[str, Any]:
    from homeroom.train.loop import train_phases

    course.rest()
    samples = read_jsonl(course.out / "dataset" / "train.jsonl", Sample)
    results = train_phases(
        course.student(),
        {p.name: samples for p in course.recipe.train.phases},
        config=course.recipe.train,
        out=course.out / "runs",
        model_out=course.out / "model",
        progress=course.progress,
    )
    write_json(out / "result.json", [dataclasses.asdict(r) for r in results])
    return {
        "tokens": sum(r.tokens for r in results),
        "steps": sum(r.steps for r in results),
        "seconds": sum(r.seconds for r in results),
        "tokens_per_second": results[-1].tokens_per_second,
        "loss_last": results[-1].loss_last,
        "dtype": results[-1].dtype,
    }


def _make_report(course: Course, out: Path) -> dict[str, Any]:
    from homeroom.evaluate.stage import evaluate_models
    from homeroom.models.torch_engine import TorchEngine

    course.rest()
    exam, base = _exam(course), course.student()
    report = evaluate_models(
        exam,
        shipped("retention/general"),
        shipped("retention/control"),
        base=TorchEngine(base).answer,
        tuned=TorchEngine(course.out / "model").answer,
        passages=_passages(course, exam),
        config=course.recipe.evaluate,
        out=out,
        facts_about=_about(course, base),
        progress=course.progress,
    )
    return {"verdict": report["verdict"], "closed_book": report["closed_book"], "retention": report["retention"]}


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
    from collections import Counter

    from homeroom.models.machine import describe

    rejected = read_jsonl(course.out / "samples" / "rejected.jsonl", Rejected)
    made, known = _summary(course, "samples"), read_record
    stages = []
    for stage in STAGES[:-1]:
        record = known(course.out / stage)
        if record:
            stages.append({"name": stage, "seconds": record.seconds, "note": _told(record.summary).lstrip(": ")})
    machine = describe()
    return {
        "course": course.folder.resolve().name,
        "title": ", ".join(leaf.path.rsplit("/", 1)[-1] for leaf in course.leaves[:3]),
        "models": {
            "base": {"name": course.recipe.student.model, "digest": digest_of(base), **facts_of(course.recipe.student.model)},
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
            "documents": _summary(course, "documents").get("documents", 0),
        },
        "stages": stages,
        "budget": {
            "limit_s": course.budget.get("seconds"),
            "teacher_tokens": made.get("teacher_tokens", 0),
            "train_tokens": _summary(course, "train").get("tokens", 0),
        },
        "machine": f"{machine.cpus} cores, {machine.memory_gib:.0f} GiB, {machine.platform}",
    }


def _general(reason: str) -> str:
    return reason.split(" is not in ")[-1] and ("not in the source" if " is not in " in reason else reason)


# -- models ------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def open_teacher(recipe: Recipe, out: Path, say: Say) -> Iterator[Any]:
    """Yield the teacher's endpoint: the one the recipe's `url` names, or the local engine on a pulled file.

    Raises:
        MachineError: it cannot be reached, or the model is missing and cannot be fetched.
    """
    import os

    from homeroom.models.endpoint import Endpoint
    from homeroom.models.engine import local_engine
    from homeroom.models.store import pull

    teacher = recipe.teacher
    if teacher.url:
        key = os.environ.get(teacher.api_key_env, "")
        yield Endpoint(
            teacher.url, teacher.model, api_key=key, timeout_s=teacher.timeout_s, in_flight=teacher.in_flight
        )
        return
    path = pull(teacher.model)
    say(f"teacher: starting {teacher.model} on this machine")
    log = out / "teacher.log"
    with local_engine(path, slots=teacher.in_flight, context_tokens=teacher.context_tokens, log=log) as endpoint:
        yield endpoint


def fetch_student(name: str, progress: Progress = no_progress) -> Path:
    """Return a student as a Hugging Face folder: pulled, and unpacked once where it comes as a GGUF file."""
    from homeroom.models.gguf_import import import_gguf
    from homeroom.models.store import pull, store_home

    path = pull(name)
    if path.is_dir():
        return path
    folder = store_home() / "imported" / hash_file(path)
    return folder if (folder / "config.json").is_file() else import_gguf(path, folder)


def digest_of(folder: Path) -> str:
    """Return the sha256 of a model's weights."""
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise MachineError("no weights (*.safetensors)", where=str(folder))
    return hash_file(files[0]) if len(files) == 1 else hash_value([hash_file(f) for f in files])


def facts_of(name: str) -> dict[str, Any]:
    """Return a catalog model's licence and note, or {} for any other."""
    from homeroom.models.catalog import read_catalog

    entry = read_catalog().get(name)
    return {"licence": entry.licence, "quantised": entry.note} if entry else {}


def read_report(course: Path) -> dict[str, Any]:
    """Return a finished course's report.

    Raises:
        ContentError: there is none yet.
    """
    return read_json(course / "out" / "report" / "report.json")
