"""A course while it is worked on: its folder, recipe and leaves, and the models that it opens when they are needed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from homeroom.core import network
from homeroom.core.config import Recipe, Teacher, read_recipe
from homeroom.core.errors import ContentError, MachineError, UsageError
from homeroom.core.files import hash_file, hash_value, read_json, read_jsonl, read_record
from homeroom.core.types import Answer, Leaf, Message, Progress, Question, Reply, Request, Sample, no_progress
from homeroom.models.dialect import Abilities
from homeroom.pipeline.made import as_made
from homeroom.pipeline.spent import Meter

LOCAL_SLOTS = 1  # on a CPU: measured, one request at a time reads a shared prefix once and decodes as fast as four
Say = Callable[[str], None]


@dataclass(kw_only=True)
class Took:
    """How many samples have passed the checks so far, and the last one that did."""

    kept: int = 0
    rejected: int = 0
    last: str = ""

    def note(self, sample: Sample, *, is_kept: bool) -> None:
        """Count one sample."""
        self.kept, self.rejected = self.kept + is_kept, self.rejected + (not is_kept)
        if is_kept:
            self.last = " ".join((sample.messages[0].content if sample.messages else sample.text).split())[:90]

    def in_words(self) -> str:
        """Return it as the end of a line of progress; "" before the first sample."""
        made = self.kept + self.rejected
        return f"; {self.kept} kept ({self.kept / made:.0%}): {self.last}" if made else ""


@dataclass(kw_only=True)
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
    meter: Meter | None = None  # of the stage that is being made
    took: Took = field(default_factory=lambda: Took())
    _left_out: set[str] = field(default_factory=set)  # parameters that the teacher's server does not take

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

    def ask(
        self, requests: Sequence[Request], *, stage: str, max_tokens: int, of: tuple[int, int] = (0, 0)
    ) -> list[Reply | None]:
        """Put requests to the teacher until `max_tokens` are generated; kept answers count, so the result is fixed.

        Args:
            of: Tokens that the stage has spent before and may spend in all, for its progress, if it asks several times.
        """
        from homeroom.models.endpoint import ask_until
        from homeroom.models.prefixes import alike_together

        if not requests:
            return []
        endpoint, done, spent, fresh, began = self.teacher(), 0, 0, 0, time.monotonic()

        def told(index: int, reply: Reply) -> None:
            nonlocal done, spent, fresh
            done, spent = done + 1, spent + reply.completion_tokens
            fresh += 0 if reply.kept else reply.completion_tokens
            self._say_left_out(endpoint)
            if self.meter:
                self.meter.count(reply)
            before, whole = of
            part = (before + spent) / whole if whole else max(done / len(requests), spent / max_tokens)
            rate = f", {fresh / max(0.1, time.monotonic() - began):.0f} a second" if fresh else ""
            note = f"{done} of {len(requests)} asked, {spent:,} tokens{rate}{self.took.in_words()}"
            self.progress(stage, min(part, 1.0), 1.0, note)

        order = alike_together(requests)
        replies = ask_until(
            endpoint, [requests[n] for n in order], keep=self.out / "asked", max_tokens=max_tokens, on_reply=told
        )
        by_place = dict(zip(order, replies, strict=True))
        return [by_place[n] for n in range(len(requests))]

    def _say_left_out(self, endpoint: Any) -> None:
        """Say once what the server turned out not to take: without a seed, no second run gives the same answers."""
        found = endpoint.dialect.without - self._left_out
        if found:
            self._left_out |= found
            self.say(f"teacher: {endpoint.url} does not take {', '.join(sorted(found))}: left out from now on")


def recipe_of(course: Path, options: tuple[str, ...] = ()) -> Recipe:
    """Return a course's recipe, and call nothing from now on that its private mode forbids.

    Whatever opens a model or a document for a course reads its recipe here.

    Raises:
        ContentError, UsageError: as `read_recipe`.
    """
    recipe = read_recipe(course, options)
    if recipe.network.private:
        network.go_private(recipe.network.allow)
    return recipe


def open_course(folder: Path, options: tuple[str, ...] = ()) -> Course:
    """Read a course's recipe and taxonomy.

    Raises:
        ContentError: the folder has no valid leaf, a leaf has a fault, or the recipe has one.
    """
    from homeroom.taxonomy.check import format_problem
    from homeroom.taxonomy.read import read_taxonomy

    if not folder.is_dir():
        raise ContentError("no such folder", where=str(folder), hint="homeroom init makes one from an example.")
    recipe = recipe_of(folder, options)
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


# -- models ------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def open_teacher(recipe: Recipe, out: Path, say: Say) -> Iterator[Any]:
    """Yield the teacher's endpoint: the one the recipe's `url` names, or the local engine on a pulled file.

    Raises:
        MachineError: it cannot be reached, or the model is missing and cannot be fetched.
    """
    from homeroom.models.endpoint import Endpoint
    from homeroom.models.engine import local_engine
    from homeroom.models.keys import read_key
    from homeroom.models.store import pull

    teacher = recipe.teacher
    if teacher.url:
        yield Endpoint(
            teacher.url,
            teacher.model,
            api_key=read_key(teacher),
            timeout_s=teacher.timeout_s,
            in_flight=teacher.in_flight,
            stream=teacher.stream,
        )
        return
    path = pull(teacher.model)
    say(f"teacher: starting {teacher.model} on this machine")
    log = out / "teacher.log"
    with local_engine(path, slots=LOCAL_SLOTS, context_tokens=teacher.context_tokens, log=log) as endpoint:
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


def exam_of(course: Course) -> list[Question]:
    """Return every question of a course's exam, with its split."""
    return [q for s in ("quiz", "dev", "final") for q in read_jsonl(course.out / "exam" / f"{s}.jsonl", Question)]


def summary_of(course: Course, stage: str) -> dict[str, Any]:
    """Return what a finished stage said of itself, or {}."""
    record = read_record(course.out / stage)
    return record.summary if record else {}


def in_words(summary: dict[str, Any]) -> str:
    """Return the counts of a stage's summary as a phrase.

    Example:
        >>> in_words({"kept": 1200, "by_kind": {}, "teacher_tokens": 5})
        '1,200 kept, 5 teacher tokens'
    """
    counts = {k: v for k, v in summary.items() if isinstance(v, int) and not isinstance(v, bool)}
    return ", ".join(f"{v:,} {k.replace('_', ' ')}" for k, v in counts.items())


def open_answer(name: str, *, endpoint_model: str = "") -> tuple[Answer, dict[str, Any]]:
    """Return something that answers, and what is known of it, for a course, model folder, .gguf, catalog name or URL.

    Raises:
        MachineError: it is not there.
    """
    if name.startswith(("http://", "https://")):
        key = os.environ.get("HOMEROOM_API_KEY", "")
        return _remote(name, endpoint_model, key), {"name": f"{endpoint_model or 'default'} at {name}"}
    from homeroom.models.torch_engine import TorchEngine

    path = student_folder(name)
    return TorchEngine(path).answer, {"name": name, "digest": digest_of(path)}


def student_folder(name: str) -> Path:
    """Return the weights to talk to: a course's tuned student, a model folder, a .gguf file, or a catalog name.

    A course's private mode holds from now on.
    """
    path = Path(name)
    if (path / "out" / "model" / "config.json").is_file():
        recipe_of(path)
        return path / "out" / "model"
    if (path / "out").is_dir() or (path / "knowledge").is_dir() or (path / "compositional_skills").is_dir():
        raise MachineError("has no tuned student yet", where=name, hint=f"homeroom run {name}")
    return fetch_student(name)


def base_of(name: str) -> Path:
    """Return the folder of the student that a course's training began with, or would begin with today.

    Raises:
        UsageError: `name` is no course.
    """
    folder = Path(name)
    if not (folder / "out").is_dir():
        raise UsageError("only a course has a base to compare with", where=name)
    return fetch_student(as_made(folder, recipe_of(folder)).student.model)


def open_judge(recipe: Recipe) -> Any:
    """Return the judge that the recipe names, or None; a model on this machine judges by log-probabilities."""
    from homeroom.evaluate.judge import Judge
    from homeroom.models.keys import read_key

    judge = recipe.judge
    if judge.url:
        key = read_key(Teacher(url=judge.url, api_key_env=judge.api_key_env))
        return Judge(name=f"{judge.model or 'default'} at {judge.url}", answer=_remote(judge.url, judge.model, key))
    if not judge.model:
        return None
    from homeroom.models.torch_engine import TorchEngine

    engine = TorchEngine(fetch_student(judge.model))
    return Judge(name=judge.model, answer=engine.answer, logprob=engine.logprob)


def _remote(url: str, model: str, api_key: str) -> Answer:
    from homeroom.models.endpoint import Endpoint, ask_all

    endpoint = Endpoint(url, model or "default", api_key=api_key)

    def answer(conversations: list[tuple[Message, ...]], *, max_tokens: int) -> list[str]:
        requests = [Request(messages=tuple(c), max_tokens=max_tokens) for c in conversations]
        return [reply.text for reply in ask_all(endpoint, requests, keep=None)]

    return answer


def try_out(url: str, model: str) -> tuple[Abilities, list[str]]:
    """Return what an endpoint can, found out by asking it, and the parameters that it refused.

    Raises:
        MachineError, StageError: it is not there, or does not answer.
    """
    from homeroom.models.dialect import abilities
    from homeroom.models.endpoint import Endpoint
    from homeroom.models.keys import read_key

    endpoint = Endpoint(url, model, api_key=read_key(Teacher()))

    async def ask() -> Abilities:
        try:
            return await abilities(endpoint)
        finally:
            await endpoint.close()

    return asyncio.run(ask()), sorted(endpoint.dialect.without)


def training_tokens(recipe: Recipe) -> int:
    """Return what all phases read together, repetitions counted."""
    return sum(p.tokens for p in recipe.train.phases)


def own_training_tokens(recipe: Recipe) -> int:
    """Return what all phases read of the course's own samples; the rest is replay."""
    return sum(int(p.tokens * (1 - p.replay_share)) for p in recipe.train.phases)
