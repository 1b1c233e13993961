"""Run a course: every stage in order, skipping what is up to date and saying why the rest is made.

What a stage is made from (the settings it uses and what the stages before it wrote) is compared with its record; see
`core/files.py:why_stale`. The teacher starts when the first stage needs it, and every answer of it is kept in
`out/asked/`, so that a stopped run, a changed setting or a larger budget never asks the same thing twice.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections import Counter
from collections.abc import Callable
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import homeroom
from homeroom.core.config import Recipe
from homeroom.core.errors import HomeroomError, MachineError, no_torch
from homeroom.core.files import (
    RESUMING,
    Record,
    clear_parts,
    free_gib,
    hash_file,
    hash_folder,
    hash_value,
    lock_folder,
    read_jsonl,
    to_json,
    why_stale,
    write_record,
)
from homeroom.core.types import Rejected
from homeroom.generate.decisions import hash_decisions
from homeroom.pipeline import generating, reporting, rounds, training
from homeroom.pipeline.course import Course, in_words, own_training_tokens, summary_of
from homeroom.pipeline.plan import settle
from homeroom.pipeline.rates import learn
from homeroom.pipeline.spent import Meter, Spent

FORMAT = {"documents": 1, "facts": 1, "exam": 1, "samples": 1, "dataset": 1, "train": 1, "report": 1}
STAGES = tuple(FORMAT)
TAKES = {  # what a stage takes of those before it
    "documents": (),
    "facts": ("documents",),
    "exam": ("facts",),
    "samples": ("documents", "facts", "exam"),
    "dataset": ("exam", "samples"),
    "train": ("dataset",),
    "report": ("documents", "exam", "train"),
}
MAKE = {
    "documents": generating.make_documents,
    "facts": generating.make_facts,
    "exam": generating.make_exam,
    "samples": generating.make_samples,
    "dataset": training.make_dataset,
    "train": training.make_train,
    "report": reporting.make_report,
}
# What the code makes of the same inputs and settings: raised when it makes something else, and the stage is made anew.
CODE = {"documents": 1, "facts": 4, "exam": 1, "samples": 3, "dataset": 1, "train": 1, "report": 3}
USES = {  # and of the models
    "facts": ("teacher",),
    "exam": ("teacher",),
    "samples": ("teacher", "student"),
    "dataset": ("student",),
    "train": ("student",),
}
PROMPTS = {"facts": ("knowledge",), "exam": ("knowledge",), "samples": ("knowledge", "skill")}
MIN_FREE_GIB = 4.0  # a run with the embedded models writes about 3


def run(course: Course, *, until: str = "report", only: bool = False) -> dict[str, Any]:
    """Make every stage up to `until` that is not up to date, and return the last one's summary.

    With `only`, the stages before it are taken as they are, whatever settings made them.

    Raises:
        HomeroomError: as the stages do; what was finished stays, and the next run goes on from there.
    """
    from homeroom.pipeline import foresee

    _refuse_small_disk(course.out)
    with lock_folder(course.out):
        for pattern in (".", "*", "asked/*"):
            clear_parts(course.out, pattern)
        try:
            foresee.note_plan(course)
            wanted = [until] if only else list(STAGES[: STAGES.index(until) + 1])
            while wanted:
                stage = wanted.pop(0)
                if stage == "facts" and until in ("train", "report"):
                    _refuse_without_torch()
                course = settle(course, stage)
                _stage(course, stage, MAKE[stage])
                if stage == "train" and not only and rounds.after_training(course):
                    wanted = ["samples", "dataset", "train", *wanted]
        finally:
            course.rest()
    return summary_of(course, until)


def _refuse_without_torch() -> None:
    """Say it before the teacher has worked for half an hour."""
    if find_spec("torch") is None:
        raise no_torch()


def _refuse_small_disk(out: Path) -> None:
    free = free_gib(out)
    if free < MIN_FREE_GIB:
        raise MachineError(
            f"{free:.1f} GiB of disk are free, and a run needs {MIN_FREE_GIB:g}",
            where=str(out),
            hint="Free some space, or put the course on another disk.",
        )


def _stage(course: Course, name: str, make: Callable[[Course, Path], dict]) -> None:
    folder, wanted = course.out / name, stage_record(course, name)
    why = why_stale(folder, wanted)
    if not why:
        course.say(f"{name}: up to date")
        return
    course.say(f"{name}: {why}")
    (folder / "record.json").unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    course.meter = Meter(folder, goes_on=why == RESUMING)
    try:
        summary = make(course, folder)
    except BaseException:
        with contextlib.suppress(HomeroomError, OSError):  # the disk may be what is wrong
            course.meter.write()
        raise
    spent, course.meter = course.meter.close(), None
    counted = {k: v for k, v in dataclasses.asdict(spent).items() if v and k != "seconds"}
    write_record(folder, dataclasses.replace(wanted, seconds=spent.seconds, spent=counted, summary=summary))
    learn(course.recipe, name, spent, summary)
    course.say(f"{name}: done in {_minutes(spent.seconds)}: {in_words(summary)}{_read_before(spent)}")


def _read_before(spent: Spent) -> str:
    """Say what part of the prompts the teacher had read before, where it says so itself."""
    share = spent.cached_tokens / spent.prompt_tokens if spent.prompt_tokens else 0
    return f"; {share:.0%} of the prompts' tokens were read before" if share else ""


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"


def stage_record(course: Course, stage: str) -> Record:
    """Return the record that a stage's folder has when it is up to date, seconds and summary aside."""
    inputs, config = made_from(course, stage)
    return Record(kind=stage, format=FORMAT[stage], inputs=inputs, config=config, code=homeroom.__version__)


def made_from(course: Course, stage: str) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the inputs (name -> hash) and settings that decide what a stage makes."""
    settings = _settings(course.recipe, stage)
    settings |= {"prompts": _hash_prompts(PROMPTS[stage])} if stage in PROMPTS else {}
    settings |= {"code": CODE[stage]} if CODE[stage] > 1 else {}
    return _inputs(course, stage), to_json(settings)


def _settings(recipe: Recipe, stage: str) -> dict[str, Any]:
    teacher = {"teacher": {"model": recipe.teacher.model, "url": recipe.teacher.url}}
    student, tokens = {"student": recipe.student.model}, {"training_tokens": own_training_tokens(recipe)}
    replay = {"replay": any(phase.replay_share for phase in recipe.train.phases)}
    return {
        "documents": dataclasses.asdict(recipe.documents),
        "facts": {**teacher, "teacher_tokens": recipe.samples.teacher_tokens},
        "exam": {**dataclasses.asdict(recipe.exam), **teacher},
        "samples": {**dataclasses.asdict(recipe.samples), **tokens, **teacher, **student},  # the base answers the quiz
        "dataset": {**dataclasses.asdict(recipe.dataset), **tokens, **replay, **student},  # and gives the replay
        "train": {**dataclasses.asdict(recipe.train.decisive()), **student, **_gate(recipe)},
        "report": {**dataclasses.asdict(recipe.evaluate), **_judge(recipe)},
    }[stage]


def _inputs(course: Course, stage: str) -> dict[str, str]:
    from homeroom.documents.read import hash_sources

    inputs = {name: _hash_of(course, name) for name in TAKES[stage]}
    if stage in ("documents", "facts", "exam", "samples"):  # the seeds weigh the facts
        inputs["taxonomy"] = hash_value(list(course.leaves))
    if stage == "documents":
        inputs["files"] = hash_sources(course.leaves, course.folder)
    elif stage == "exam":
        inputs["exam.jsonl"] = _hash_exam(course)
    elif stage == "samples":
        inputs |= hash_decisions(course.folder)
        inputs |= {"quiz": rounds.steered_by(course)} if rounds.latest_round(course) else {}
    elif stage == "dataset":
        inputs |= _hash_beside(course, "attribution.txt")
    elif stage == "train":
        inputs["steering"] = hash_folder(course.out / "exam", "[dq]*.jsonl")  # dev and quiz: the dial asks them
    elif stage == "report":
        corrected = reporting.accepted_corrections(course)
        inputs |= _hash_beside(course, "attribution.txt") | _hash_beside(course, "rubric.md")
        inputs |= {"corrections": hash_value(corrected)} if corrected else {}
    return inputs | _hash_models(course.recipe, stage)


def _hash_models(recipe: Recipe, stage: str) -> dict[str, str]:
    """Return the digests of the models that a stage uses and the recipe names by their place: others may lie there."""
    places = {"teacher": "" if recipe.teacher.url else recipe.teacher.model, "student": recipe.student.model}
    used = {who: Path(places[who]).expanduser() for who in USES.get(stage, ()) if places[who]}
    files = {who: [path] if path.is_file() else sorted(path.glob("*.*")) for who, path in used.items()}
    stamps = {who: tuple((f, f.stat().st_size, f.stat().st_mtime_ns) for f in found) for who, found in files.items()}
    return {who: _hash_files(stamp) for who, stamp in stamps.items() if stamp}


@functools.cache  # a model is asked for by several stages
def _hash_files(stamp: tuple[tuple[Path, int, int], ...]) -> str:
    return hash_value([[path.name, hash_file(path)] for path, *_ in stamp if path.is_file()])


def _hash_beside(course: Course, name: str) -> dict[str, str]:
    """Return what a record says of the files of one name that lie beside the leaves; nothing where there are none."""
    files = {leaf.path: course.folder / leaf.path / name for leaf in course.leaves}
    found = [[path, hash_file(file)] for path, file in files.items() if file.is_file()]
    return {name: hash_value(found)} if found else {}


def _judge(recipe: Recipe) -> dict[str, Any]:
    judge = recipe.judge
    return {"judge": {"model": judge.model, "url": judge.url}} if judge.model or judge.url else {}


def _gate(recipe: Recipe) -> dict[str, Any]:
    most = recipe.evaluate.max_forgetting
    return {"max_forgetting": most} if most < 1 else {}


def _hash_prompts(names: tuple[str, ...]) -> str:
    folder = resources.files("homeroom.data") / "prompts"
    return hash_value([(folder / f"{name}.yaml").read_text(encoding="utf-8") for name in names])


def _hash_of(course: Course, stage: str) -> str:
    """Hash what a finished stage made: its files, not when or how."""
    if stage == "train":
        return hash_folder(course.out / "model", "*.safetensors")  # where training puts the student
    return hash_folder(course.out / stage, "report.json" if stage == "report" else "*.jsonl")


def _hash_exam(course: Course) -> str:
    path = course.folder / "exam.jsonl"
    return hash_file(path) if path.is_file() else ""


def funnel(folder: Path) -> str:
    """Return in a few lines what was generated, what was kept, and what was thrown out for which reason."""
    samples = read_jsonl(folder / "out" / "samples" / "samples.jsonl")
    rejected = read_jsonl(folder / "out" / "samples" / "rejected.jsonl", Rejected)
    lines = [f"{len(samples) + len(rejected):,} samples made, {len(samples):,} kept:"]
    lines += [f"  {n:>6,}  {kind}" for kind, n in Counter(s["kind"] for s in samples).most_common()]
    lines += [f"{len(rejected):,} thrown out:"]
    lines += [f"  {n:>6,}  {check}" for check, n in Counter(r.check for r in rejected).most_common()]
    lines += [f"All of them, with their reasons: {folder / 'out' / 'samples' / 'rejected.jsonl'}"]
    return "\n".join(lines)
