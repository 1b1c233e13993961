"""A student that others teach more: from its base with everything, or on from where it is with what is new?

    python benchmarks/growing.py COURSE COURSE [COURSE ...] [--seed 0] [--earlier 0.25] [--share 0.9] [--work FOLDER]

Each COURSE is a finished one (its samples and exam are used as they lie in out/). They are taught one after the other,
in two ways that begin alike:

    base   from the base: the samples of every course so far; tokens grow with all there is
    last   on from the last student: the samples of the new course, and `--earlier` of those before; tokens grow with
           what is new

After each step every exam so far is asked, and the old abilities. The student that is asked is `--share` of the way
from the base, in both ways alike. A cell a step and way, `results/growing-WAY-STEP-seedN.json`; what is there is
skipped, and a training that was broken off goes on (its folder in FOLDER; default: ~/.cache/homeroom/growing).
"""

from __future__ import annotations

import argparse
import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from homeroom.cli.main import show_progress
from homeroom.core.config import Phase, Train
from homeroom.core.files import read_jsonl, write_json
from homeroom.core.types import Question, Sample
from homeroom.evaluate.exam import examine, shipped
from homeroom.models.store import store_home
from homeroom.models.torch_engine import TorchEngine
from homeroom.pipeline.course import exam_of, open_course
from homeroom.train.blend import dial
from homeroom.train.phases import train_phases

RESULTS = Path(__file__).resolve().parent / "results"
TOKENS = 160_000  # for what one course brings


@dataclass(frozen=True, slots=True, kw_only=True)
class Taught:
    """What a finished course brings."""

    name: str
    samples: tuple[Sample, ...]
    final: tuple[Question, ...]


def read(folder: Path) -> tuple[Taught, list[Sample], Path]:
    """Return a course's samples and final exam, its replay, and the base."""
    course = open_course(folder)
    mixed = read_jsonl(folder / "out" / "dataset" / "train.jsonl", Sample)
    taught = Taught(
        name=folder.name,
        samples=tuple(s for s in mixed if s.kind != "replay"),
        final=tuple(q for q in exam_of(course) if q.split == "final"),
    )
    return taught, [s for s in mixed if s.kind == "replay"], course.student()


def lesson(
    way: str, so_far: list[Taught], replay: list[Sample], *, earlier: float, seed: int
) -> tuple[list[Sample], int]:
    """Return what a step reads, and how many tokens of it."""
    new, old = list(so_far[-1].samples), [s for taught in so_far[:-1] for s in taught.samples]
    if way == "base":
        return [*new, *old, *replay], TOKENS * len(so_far)
    again = random.Random(seed).sample(old, round(earlier * len(old)))
    return [*new, *again, *replay], round(TOKENS * (1 + len(again) / len(new)))


def asked(student: Path, so_far: list[Taught]) -> dict[str, Any]:
    """Return how many questions of each exam so far, and of the old abilities, are right."""
    answer = TorchEngine(student).answer
    sets = {t.name: list(t.final) for t in so_far} | {"old": shipped("general"), "further": shipped("more")}
    marks = {name: examine(questions, answer, max_tokens=64) for name, questions in sets.items()}
    return {name: {"right": sum(s.correct for s in found), "of": len(found)} for name, found in marks.items()}


def step(way: str, number: int, so_far: list[Taught], start: Path, base: Path, replay: list[Sample], args: Any) -> Path:
    """Train one step and write its cell; return the student, from which the way `last` goes on."""
    folder = args.work / f"seed{args.seed}" / ("first" if number == 1 else f"{way}-{number}")
    samples, tokens = lesson(way, so_far, replay, earlier=args.earlier, seed=args.seed)
    phase = replace(Phase(), tokens=round(tokens * args.tokens / TOKENS))
    result = train_phases(
        start,
        {phase.name: samples},
        config=Train(phases=(phase,), seed=args.seed),
        out=folder / "runs",
        model_out=folder / "trained",
        progress=show_progress,
    )[0]
    cell = RESULTS / f"growing-{way}-{number}-seed{args.seed}.json"
    if not cell.is_file():
        told = {"version": 1, "way": way, "step": number, "seed": args.seed, "courses": [t.name for t in so_far]}
        settings = {"earlier": args.earlier, "share": args.share, "tokens": result.tokens}
        spent = {"seconds": result.seconds, "tokens_per_second": result.tokens_per_second}
        student = dial(base, folder / "trained", args.share, folder / "asked")
        write_json(cell, told | settings | spent | asked(student, so_far))
        print(cell.read_text(encoding="utf-8"), flush=True)
    return folder / "trained"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("courses", nargs="+", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--earlier", type=float, default=0.25)
    parser.add_argument("--share", type=float, default=0.9)
    parser.add_argument("--work", type=Path, default=store_home() / "growing")
    parser.add_argument("--tokens", type=int, default=TOKENS, help="for what one course brings")
    args = parser.parse_args()
    found = [read(folder) for folder in args.courses]
    base, replay = found[0][2], found[0][1]
    for way in ("base", "last"):
        student = base
        for number in range(1, len(found) + 1):
            so_far = [taught for taught, _, _ in found[:number]]
            student = step(way, number, so_far, base if way == "base" else student, base, replay, args)


if __name__ == "__main__":
    main()
