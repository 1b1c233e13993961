"""Accepted samples an hour: InstructLab's `full` knowledge pipeline beside ours, same document, same teacher server.

One local engine (the embedded teacher) is started, and both ask it, one after the other, each for some minutes:

- `instructlab-sdg` 0.8.3 from PyPI, its `full` knowledge pipeline as it ships (spell-checked copy of the document,
  questions and answers, faithfulness, relevancy, question check), in its own venv. What is not its own: the chunks and
  seed examples are those of our course (its chunker needs docling and a model from the hub), one row at a time, so that
  it can be stopped; the teacher's chat template is registered with it, since it knows none for Qwen; and requests are
  sent one by one, as it does to InstructLab's own llama.cpp server. docling is not installed and not needed for this.
- ours: `generate` up to the samples, on a fresh copy of the course, with a teacher budget that fits the time.

    python benchmarks/instructlab.py --sdg /path/to/its/venv/bin/python [--minutes 2.5] [--course insurance]

With the defaults 8 minutes on two idle cores, longer where its last row is long: a row is not cut off.

Writes results/instructlab-<course>.json, and results/instructlab-<course>-samples.jsonl with what their pipeline
accepted (question, response, document), for comparisons of what they teach.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
RESULTS = Path(__file__).parent / "results"

SDG = '''
import importlib.abc, importlib.machinery, json, sys, time, types
class Nothing(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """docling is imported by the chunker, which is not used here."""
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "docling":
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
    def create_module(self, spec):
        module = types.ModuleType(spec.name)
        module.__path__ = []
        module.__getattr__ = lambda name: type(name, (), {})
        return module
    def exec_module(self, module): pass
sys.meta_path.append(Nothing())
from datasets import Dataset
from openai import OpenAI
from instructlab.sdg.pipeline import FULL_PIPELINES_PACKAGE, Pipeline, PipelineContext
from instructlab.sdg.registry import PromptRegistry
from importlib import resources
@PromptRegistry.register("qwen")
def chatml():
    return ("{% for m in messages %}<|im_start|>{{ m['role'] }}\\n{{ m['content'] }}<|im_end|>\\n{% endfor %}"
            "<|im_start|>assistant\\n")
given = json.load(sys.stdin)
client = OpenAI(base_url=given["url"], api_key=given["key"], timeout=600)
client.server_supports_batched = False
ctx = PipelineContext(client=client, model_family="qwen", model_id=given["model"], batch_size=0, dataset_num_procs=1)
pipeline = Pipeline.from_file(ctx, str(resources.files(FULL_PIPELINES_PACKAGE) / "knowledge.yaml"))
end = time.monotonic() + given["seconds"]
for row in given["rows"]:
    if time.monotonic() > end:
        break
    began, faults, made = time.monotonic(), "", []
    try:
        made = pipeline.generate(Dataset.from_list([row])).to_list()
    except Exception as error:
        faults = f"{type(error).__name__}: {error}"[:500]
    print("ROW " + json.dumps({"seconds": time.monotonic() - began, "fault": faults, "made": made}), flush=True)
'''


def rows_of(course: Any) -> list[dict[str, str]]:
    """Return one row a chunk and seed context, as sdg makes them of a leaf: chunks first, so that all are seen."""
    from homeroom.core.files import read_jsonl
    from homeroom.core.types import Chunk

    chunks = read_jsonl(course.out / "documents" / "chunks.jsonl", Chunk)
    leaf = course.leaves[0]
    by_context: dict[str, list[Any]] = {}
    for seed in leaf.seeds:
        by_context.setdefault(seed.context, []).append(seed)
    rows = []
    for number in range(len(by_context)):
        for place, chunk in enumerate(chunks):
            seeds = list(by_context.values())[(number + place) % len(by_context)][:3]
            row = {"document": chunk.text, "document_outline": leaf.task, "domain": leaf.domain}
            row["icl_document"] = seeds[0].context
            for n, seed in enumerate(seeds, 1):
                row |= {f"icl_query_{n}": seed.question, f"icl_response_{n}": seed.answer}
            rows.append(row)
    return rows


def theirs(python: str, rows: list[dict[str, str]], endpoint: Any, seconds: float) -> dict[str, Any]:
    """Let the pipeline work for so long, and count what it accepted."""
    given = {"url": endpoint.url, "key": endpoint._key, "model": endpoint.model, "rows": rows, "seconds": seconds}
    env = os.environ | {"HF_HUB_OFFLINE": "1", "NO_PROXY": "127.0.0.1"}
    done = subprocess.run([python, "-W", "ignore", "-c", SDG], input=json.dumps(given), capture_output=True, text=True,
                          env=env, timeout=seconds + 400)  # fmt: skip
    lines = [json.loads(line[4:]) for line in done.stdout.splitlines() if line.startswith("ROW ")]
    if not lines:
        raise SystemExit(f"instructlab-sdg gave nothing:\n{done.stderr[-3000:]}")
    made = [sample for line in lines for sample in line["made"]]
    spent = sum(line["seconds"] for line in lines)
    return {
        "rows": len(lines),
        "rows_failed": Counter(line["fault"] for line in lines if line["fault"]),
        "seconds": round(spent, 1),
        "accepted": len(made),
        "accepted_an_hour": round(len(made) / spent * 3600, 1),
        "samples": made,
    }


def ours(folder: Path, endpoint: Any, tokens: int) -> dict[str, Any]:
    """Run a fresh course up to its samples on the same server."""
    from homeroom.core.files import read_jsonl
    from homeroom.pipeline.course import open_course
    from homeroom.pipeline.run import run

    os.environ["HOMEROOM_BENCH_KEY"] = endpoint._key
    options = (
        f"teacher.url={endpoint.url}",
        f"teacher.model={endpoint.model}",
        "teacher.api_key_env=HOMEROOM_BENCH_KEY",
        "teacher.in_flight=1",
        f"samples.teacher_tokens={tokens}",
    )
    began = time.monotonic()
    summary = run(open_course(folder, options), until="samples")
    seconds = time.monotonic() - began
    kinds = Counter(row["kind"] for row in read_jsonl(folder / "out" / "samples" / "samples.jsonl"))
    written = sum(kinds[kind] for kind in ("direct", "rewrite"))
    everything = sum(kinds.values()) - kinds["seed"]
    return {
        "seconds": round(seconds, 1),
        "teacher_tokens": summary["teacher_tokens"],
        "accepted": everything,
        "by_kind": dict(kinds),
        "accepted_an_hour": round(everything / seconds * 3600, 1),
        "written_by_the_teacher_an_hour": round(written / seconds * 3600, 1),
        "rejected": summary["rejected"],
    }


def main() -> None:
    """Start one engine, let both ask it, and write the cell."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sdg", required=True, help="the Python of a venv with instructlab-sdg")
    parser.add_argument("--minutes", type=float, default=2.5)
    parser.add_argument("--tokens", type=int, default=1800, help="of the teacher, for ours")
    parser.add_argument("--course", default="insurance")
    chosen = parser.parse_args()
    cell_path = RESULTS / f"instructlab-{chosen.course}.json"
    if cell_path.is_file():
        return
    from homeroom.models.engine import local_engine
    from homeroom.models.store import pull
    from homeroom.pipeline.course import open_course
    from homeroom.pipeline.run import run

    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "course"
        subprocess.run([sys.executable, "-m", "homeroom.cli.main", "init", str(folder), "--example", chosen.course],
                       check=True, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True)  # fmt: skip
        course = open_course(folder)
        run(course, until="documents")
        gguf = pull(course.recipe.teacher.model)
        with local_engine(gguf, slots=1, context_tokens=8192, log=Path(place) / "log", timeout_s=600) as endpoint:
            mine = ours(folder, endpoint, chosen.tokens)
            their = theirs(chosen.sdg, rows_of(course), endpoint, 60 * chosen.minutes)
    samples = their.pop("samples")
    ratio = mine["accepted_an_hour"] / their["accepted_an_hour"] if their["accepted"] else None
    written = mine["written_by_the_teacher_an_hour"] / their["accepted_an_hour"] if their["accepted"] else None
    cell = {"course": chosen.course, "ours": mine, "instructlab": their, "ratio": ratio, "ratio_written": written}
    RESULTS.mkdir(exist_ok=True)
    keep = ("question", "response", "document", "raw_document", "dataset_type")
    lines = [json.dumps({k: s.get(k) for k in keep}, ensure_ascii=False) for s in samples]
    (RESULTS / f"instructlab-{chosen.course}-samples.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    cell_path.write_text(json.dumps(cell, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(cell, indent=2))


if __name__ == "__main__":
    main()
