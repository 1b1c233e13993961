"""How time and memory grow with a course: documents, facts and samples with a scripted teacher, at several sizes.

A handbook of so many sections is made up (each with five facts of its own names and numbers), a scripted endpoint
answers at once, and the stages up to the samples run in a child whose peak
memory is read. What is measured is therefore Homeroom itself: asking, keeping, checking, writing. Sentence vectors are
the tests' arithmetic ones.

    python benchmarks/growth.py [--chunks 125 250 500 1000] [--questions 16]

Writes results/growth-<chunks>.json, and skips the sizes that are there.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
RESULTS = Path(__file__).parent / "results"
ROOTS = ("bel", "dor", "fen", "gal", "hal", "ker", "lum", "mar", "nor", "pel", "quin", "ros", "sel", "tor", "ul", "vel")
TONES = [
    "kindly",
    "gently",
    "softly",
    "loudly",
    "slowly",
    "quickly",
    "gladly",
    "sadly",
    "boldly",
    "calmly",
    "drily",
    "dully",
    "eagerly",
    "fondly",
    "gravely",
    "hotly",
    "idly",
    "justly",
    "keenly",
    "lightly",
    "meekly",
    "neatly",
    "openly",
    "plainly",
]
THINGS = ("gate", "boat", "lamp", "key", "ledger", "kiln", "rope", "bell", "cart", "oven", "seal", "tent")


def name(number: int) -> str:
    """Return a name that no other number has."""
    out = ""
    while True:
        number, rest = divmod(number, len(ROOTS))
        out += ROOTS[rest]
        if not number:
            return out.capitalize()


def handbook(chunks: int) -> str:
    """Return a handbook of so many sections, each of five facts."""
    parts = ["# Handbook of the Isles\n"]
    for n in range(chunks):
        house, keeper = name(n + 16), name(7 * n + 300)
        parts.append(
            f"\n## House {house}\n\nThe {THINGS[n % 12]} of house {house} is kept by {keeper}. "
            f"House {house} opens at {n % 12 + 1} in the morning. A night in house {house} costs {n + 20} crowns. "
            f"The old bridge of house {house} was built in {1100 + n}. "
            f"Guests of house {house} bring {n % 9 + 2} blankets of wool.\n"
        )
    return "".join(parts)


def answer(text: str, seed: int) -> str:
    """Answer a prompt of the recipe: facts as they stand, and questions in wordings that differ."""
    if "List the facts worth knowing" in text:
        return "\n".join(
            f"[{n}] {s.strip()}" for n, s in re.findall(r"\[(\d+)\] (.*?)(?= \[\d+\] |\nList the)", text, re.S)
        )
    if text.startswith("Fact:"):
        fact = re.search(r"Fact: (.*)", text)[1]
        house = re.search(r"[Hh]ouse (\w+)", fact)
        where = f"house {house[1]}" if house else "it"
        thing = next((t for t in THINGS if t in fact), "thing")
        asks = {
            "kept": f"Who keeps the {thing} of {where}",
            "opens": f"At what hour in the morning does {where} open",
            "costs": f"How many crowns does a night in {where} cost",
            "built": f"In what year was the old bridge of {where} built",
            "bring": f"How many blankets of wool do guests of {where} bring",
        }
        asked = next((ask for word, ask in asks.items() if word in fact), f"What of {where}")
        salt = zlib.crc32(f"{seed}{text}".encode())
        tones = [(TONES[(salt >> n) % 24], TONES[(salt >> 2 * n) % 24]) for n in range(6)]
        return "\n".join(f"{n}. Asked {a} and {b}: {asked}?" for n, (a, b) in enumerate(tones, 1))
    return "1. Nothing."


CHILD = """
import contextlib, json, resource, sys, time
from pathlib import Path
import growth
from homeroom.models.endpoint import FakeEndpoint
from homeroom.pipeline import course as opening
from tiny_embedder import TinyEmbedder
from homeroom.models import embedder
from homeroom.pipeline import run as running
from homeroom.pipeline.course import open_course
embedder.shipped_embedder = lambda *args: TinyEmbedder()
folder, questions, calls = Path(sys.argv[1]), sys.argv[2], [0]
@contextlib.contextmanager
def scripted(*args):
    def script(request):
        calls[0] += 1
        return growth.answer(request.messages[-1].content, request.seed)
    class Fake(FakeEndpoint):
        async def ask(self, request):
            reply = await super().ask(request)
            self.asked.clear()
            return reply
    yield Fake(script)
opening.open_teacher = scripted
options = ("teacher.url=http://127.0.0.1:9", "teacher.model=scripted", "samples.teacher_tokens=1000000000",
           f"samples.questions={questions}",
           "train.phases.0.tokens=1000000000", "samples.rewrites=0", "samples.manners=8")
running.MIN_FREE_GIB = 0.0
seconds = {}
for stage in ("documents", "facts", "exam", "samples"):
    began = time.process_time()
    running.run(open_course(folder, options), until=stage)
    seconds[stage] = round(time.process_time() - began, 2)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"calls": calls[0], "cpu_seconds": seconds, "peak_mib": round(peak, 1)}))
"""


def measure(chunks: int, questions: int) -> dict[str, object]:
    """Run one size."""
    import otter_course

    with tempfile.TemporaryDirectory() as place:
        folder = otter_course.make(Path(place) / "course", handbook=handbook(chunks))
        rows = [
            json.dumps({"id": s, "split": s, "question": f"Which isle has no {s} at all?", "must": [["none"]]}) + "\n"
            for s in ("quiz", "dev", "final")
        ]
        (folder / "exam.jsonl").write_text("".join(rows))
        env = os.environ | {
            "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}:{Path(__file__).parent}",
            "HOMEROOM_HOME": str(Path(place) / "home"),
        }
        began = time.monotonic()
        done = subprocess.run([sys.executable, "-c", CHILD, str(folder), str(questions)], env=env,
                              capture_output=True, text=True, check=False)  # fmt: skip
        if done.returncode:
            raise SystemExit(done.stderr[-3000:])
        samples = sum(1 for _ in (folder / "out" / "samples" / "samples.jsonl").open(encoding="utf-8"))
        rejected = sum(1 for _ in (folder / "out" / "samples" / "rejected.jsonl").open(encoding="utf-8"))
        facts = sum(1 for _ in (folder / "out" / "facts" / "facts.jsonl").open(encoding="utf-8"))
    cell = json.loads(done.stdout.strip().splitlines()[-1])
    counts = {"chunks": chunks, "facts": facts, "samples": samples, "rejected": rejected}
    return {**counts, **cell, "seconds": round(time.monotonic() - began, 1)}


def main() -> None:
    """Measure every size that is missing."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--chunks", type=int, nargs="*", default=[125, 250, 500, 1000])
    parser.add_argument("--questions", type=int, default=16)
    chosen = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    for chunks in chosen.chunks:
        path = RESULTS / f"growth-{chunks}.json"
        if not path.is_file():
            cell = measure(chunks, chosen.questions)
            path.write_text(json.dumps(cell, indent=2) + "\n")
            print(cell, flush=True)


if __name__ == "__main__":
    main()
