"""Base, base with retrieval, tuned, tuned with retrieval: one table with intervals, over several seeds.

    python benchmarks/seeds.py COURSE MODEL [MODEL ...] --name insurance --work FOLDER [--answers FOLDER ...]

COURSE has documents and an exam in `out/`; each MODEL is a student that was tuned on it. Every model is examined as
`homeroom evaluate` does it (the 180 further questions left out) into `FOLDER/<n>/out/report`, and the reports are put
together as `homeroom report --seeds` does. `--answers` names `answers` folders of earlier reports: what is kept there
is not asked again. Stopped and started again, it goes on. Writes `results/seeds-NAME.json` and `FOLDER/NAME.html`.
Two minutes a model on two idle cores.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
RESULTS = Path(__file__).resolve().parent / "results"


def course_of(original: Path, model: Path, folder: Path, answers: list[Path]) -> Path:
    """Return a course in `folder` that is the original one but for its student; nothing of the original changes."""
    (folder / "out").mkdir(parents=True, exist_ok=True)
    for part in ("knowledge", "compositional_skills"):  # a taxonomy follows no links
        if (original / part).is_dir():
            shutil.copytree(original / part, folder / part, dirs_exist_ok=True)
    for part in (original / "out").iterdir():
        if part.name not in ("model", "report"):
            _link(part, folder / "out" / part.name)
    _link(model, folder / "out" / "model")
    kept = folder / "out" / "report" / "answers"
    kept.mkdir(parents=True, exist_ok=True)
    for file in (file for other in answers for file in other.glob("*.json") if not (kept / file.name).exists()):
        shutil.copyfile(file, kept / file.name)
    return folder


def _link(to: Path, place: Path) -> None:
    if not place.exists():
        place.symlink_to(to.resolve())


def main() -> None:
    """Examine what is not examined yet, and put it together."""
    import homeroom.evaluate.stage as stage
    from homeroom.core.files import read_json, read_jsonl, write_json, write_text
    from homeroom.evaluate.seeds import seeds_page, seeds_report, seeds_table
    from homeroom.pipeline.course import open_course
    from homeroom.pipeline.reporting import make_report

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("course", type=Path)
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--name", required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--answers", type=Path, nargs="*", default=[])
    args = parser.parse_args()
    stage._likelihood = lambda *_: None  # half of the time, and no part of this table
    reports = []
    for number, model in enumerate(args.models):
        earlier = [args.work / str(n) / "out" / "report" / "answers" for n in range(number)]  # the base's among them
        course = course_of(args.course, model, args.work / str(number), [*args.answers, *earlier])
        out = course / "out" / "report"
        if not (out / "report.json").is_file():
            opened = open_course(course, ("evaluate.retention=short",))
            opened.progress = lambda stage, done, total, note="": print(f"\r{note} {done:.0f} of {total:.0f}  ", end="")
            make_report(opened, out)
            print(f"\n{model}: examined")
        reports.append(out)
    found = seeds_report(
        [read_json(out / "report.json") for out in reports],
        [read_jsonl(out / "items.jsonl") for out in reports],
        names=[f"seed {number}" for number in range(len(reports))],
    )
    write_json(RESULTS / f"seeds-{args.name}.json", found)
    write_text(args.work / f"{args.name}.html", seeds_page(found))
    print(seeds_table(found))


if __name__ == "__main__":
    main()
