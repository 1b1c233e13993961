"""How long `homeroom check` takes for 10,000 leaves, and how many times as fast it is as instructlab-schema.

Makes a taxonomy in a temporary folder (half knowledge with five contexts of three questions, half skills), checks it
whole, and validates a sample of the same files with instructlab-schema as it ships, one process, one run. Writes
`results/check-speed.json`. instructlab-schema comes with `make setup`; without it only our time is taken.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from homeroom.taxonomy.check import check

RESULT = Path(__file__).parent / "results" / "check-speed.json"
WORDS = ["harbour", "lantern", "crossing", "granite", "meadow", "signal", "timber", "orchard", "kettle", "voyage"]


def sentence(seed: int, num_words: int) -> str:
    return " ".join(WORDS[(seed * 7 + n * n) % len(WORDS)] for n in range(num_words)).capitalize() + f" {seed}."


def knowledge(number: int) -> str:
    text = f"version: 3\ncreated_by: bench\ndomain: {WORDS[number % 10]}\ndocument_outline: {sentence(number, 12)}\n"
    text += "document:\n  repo: https://example.org/a.git\n  commit: abc123\n  patterns:\n    - '*.md'\n"
    text += "seed_examples:\n"
    for n in range(5):
        text += f"  - context: >-\n      {sentence(number + n, 40)}\n      {sentence(n, 40)}\n"
        text += "    questions_and_answers:\n"
        for q in range(3):
            text += f"      - question: What is {WORDS[q]} {n} of leaf {number}?\n"
            text += f"        answer: {sentence(number + q, 15)}\n"
    return text


def skill(number: int) -> str:
    text = f"version: 3\ncreated_by: bench\ntask_description: {sentence(number, 12)}\nseed_examples:\n"
    for n in range(5):
        text += f"  - question: Say {WORDS[n]} kindly in leaf {number}.\n"
        text += f"    answer: |\n      {sentence(number + n, 30)}\n"
    return text


def make_taxonomy(folder: Path, num_leaves: int) -> list[Path]:
    files = []
    for number in range(num_leaves):
        tree, text = ("knowledge", knowledge) if number % 2 else ("compositional_skills", skill)
        path = folder / tree / f"area{number % 97}" / f"topic{number % 13}" / f"leaf{number}" / "qna.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(text(number), encoding="utf-8")
        credit = f"Title of work: Leaf {number}\nLink to work: -\nLicense of the work: MIT\nCreator names: bench\n"
        (path.parent / "attribution.txt").write_text(credit, encoding="utf-8")
        files.append(path)
    return files


def time_ours(folder: Path, processes: int) -> tuple[float, float, int]:
    """Return the seconds by the clock and of processor time, of all processes, and the number of good leaves."""
    begin, used = time.perf_counter(), sum(os.times()[:4])
    result = check([folder], processes=processes)
    if not result.ok or result.problems:
        sys.exit(f"the taxonomy should be good: {result.problems[:3]}")
    return time.perf_counter() - begin, sum(os.times()[:4]) - used, len(result.leaves)


def time_theirs(files: list[Path]) -> float:
    """Return the seconds that instructlab-schema needs for some files, its lint program included, as it ships."""
    from instructlab.schema.taxonomy import TaxonomyParser

    parser = TaxonomyParser(schema_version=0)
    parser.yq_available = False  # an optional program for line numbers; without it InstructLab is faster
    begin = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        faults = sum(parser.parse(path).errors for path in files)
    if faults:
        sys.exit("instructlab-schema finds faults in the taxonomy")
    return time.perf_counter() - begin


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--leaves", type=int, default=10_000)
    options.add_argument("--sample", type=int, default=200, help="files that instructlab-schema validates")
    given = options.parse_args()
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # where yamllint is
    with tempfile.TemporaryDirectory() as name:
        files = make_taxonomy(Path(name), given.leaves)
        num_bytes = sum(path.stat().st_size for path in files)
        load = os.getloadavg()[0]
        seconds, processor_s, leaves = min(time_ours(Path(name), os.cpu_count() or 1) for _ in range(2))
        alone, alone_processor_s, _ = time_ours(Path(name), 1)
        result = {
            "command": "python benchmarks/check_speed.py",
            "leaves": leaves,
            "mib": round(num_bytes / 2**20, 1),
            "homeroom_s": round(seconds, 2),
            "homeroom_processor_s": round(processor_s, 2),
            "homeroom_one_process_s": round(alone, 2),
            "homeroom_one_process_processor_s": round(alone_processor_s, 2),
            "load_before": round(load, 1),
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        }
        if importlib.util.find_spec("instructlab"):
            sample = files[:: max(1, len(files) // given.sample)][: given.sample]
            theirs = time_theirs(sample)
            result |= {
                "instructlab_sample": len(sample),
                "instructlab_ms_a_leaf": round(1000 * theirs / len(sample), 3),
                "times_as_fast": round(theirs / len(sample) / (seconds / leaves), 1),
                "times_as_fast_in_one_process": round(theirs / len(sample) / (alone / leaves), 1),
            }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
