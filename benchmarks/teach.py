"""Run courses over seeds and keep one JSON a cell: what moved, what was forgotten, tokens, minutes, rates.

    python benchmarks/teach.py [EXAMPLE ...] [--seeds 0,1,2] [--work FOLDER] [-o KEY=VALUE ...] [--name ARM]

EXAMPLE is one that ships, or one of `benchmarks/courses/`, which no rule was made for. A cell that is there is skipped.
The courses lie in FOLDER (default: $HOMEROOM_HOME or ~/.cache/homeroom, benchmarks/), and an example's seeds share one
course, so that the teacher is asked once.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import Any

from homeroom.cli.main import say, show_progress
from homeroom.core.files import read_jsonl, read_record, write_json
from homeroom.models.machine import describe
from homeroom.models.store import store_home
from homeroom.pipeline.course import open_course, read_report
from homeroom.pipeline.run import STAGES, run

HERE = Path(__file__).resolve().parent
PLACES = (HERE.parent / "homeroom" / "data" / "examples", HERE / "courses")


def cell(example: str, seed: int, *, work: Path, options: tuple[str, ...], name: str) -> None:
    path = HERE / "results" / f"{name}-{example}-seed{seed}.json"
    if path.is_file():
        print(f"{path.name}: there")
        return
    folder = work / example
    if not folder.is_dir():
        shutil.copytree(next(place / example for place in PLACES if (place / example).is_dir()), folder)
    course = open_course(folder, (*options, f"train.seed={seed}", f"dataset.seed={seed}"))
    course.progress, course.say = show_progress, say
    run(course)
    write_json(path, measured(folder, example, seed, options))
    print(f"{path.name}: written")


def measured(folder: Path, example: str, seed: int, options: tuple[str, ...]) -> dict[str, Any]:
    report, machine = read_report(folder), describe()
    records = {stage: read_record(folder / "out" / stage) for stage in STAGES}
    keep = ("before", "after", "difference")
    return {
        "version": 1,
        "example": example,
        "seed": seed,
        "options": list(options),
        "base": report["base"],
        "closed_book": {k: report["closed_book"][k] for k in keep},
        "by_wording": by_wording(folder),
        "open_book": report.get("open_book"),
        "control": report.get("control"),
        "with_sources": report.get("with_sources"),
        "retention": _kept(report, "retention"),
        "retention_more": _kept(report, "retention_more"),
        "verdict": report["verdict"],
        "stages": {s: {"seconds": r.seconds, **r.summary} for s, r in records.items() if r and s != "report"},
        "minutes": round(sum(r.seconds for r in records.values() if r) / 60, 1),
        "machine": f"{machine.cpus} cores, {machine.memory_gib:.0f} GiB, {', '.join(machine.isa)}",
    }


def _kept(report: dict[str, Any], suite: str) -> dict[str, Any]:
    return {k: v for k, v in (report.get(suite) or {}).items() if k in ("before", "after", "ratio")}


def by_wording(folder: Path) -> dict[str, dict[str, int]]:
    """Return how many final questions are right, by the first part of their ids ("ins-plain-07": "ins-plain")."""
    found: dict[str, dict[str, int]] = {}
    for row in read_jsonl(folder / "out" / "report" / "items.jsonl"):
        if row["set"] == "final":
            group = found.setdefault(row["id"].rpartition("-")[0], {"questions": 0, "before": 0, "after": 0})
            group["questions"] += 1
            group["before"] += row["correct_before"]
            group["after"] += row["correct_after"]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("examples", nargs="*", default=["insurance", "inclusive-language"])
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--work", type=Path, default=store_home() / "benchmarks")
    parser.add_argument("--name", default="teach")
    parser.add_argument("-o", dest="options", action="append", default=[])
    args = parser.parse_args()
    for example in args.examples:
        for seed in args.seeds.split(","):
            cell(example, int(seed), work=args.work, options=tuple(args.options), name=args.name)
    sys.exit(0)


if __name__ == "__main__":
    main()
