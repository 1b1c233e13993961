"""Tokens a second of the local engine: asked by Homeroom, and bare at its best concurrency, by turns in one run.

The same requests in kind (questions about the insurance handbook's facts, as `generate` puts them), different facts for
each asker, so that no one is helped by the other's cache. Bare means plain HTTP posts with so many at once and nothing
kept; with one slot (ours) one at a time, with four slots four at a time. Blocks of requests alternate between bare and
ours, so that whatever else the machine does disturbs both alike.

    python benchmarks/engine.py [--blocks 4] [--size 3]

32 requests, 7 minutes on two idle cores. Writes results/engine.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))
RESULT = Path(__file__).parent / "results" / "engine.json"


def requests_of(folder: Path) -> list[Any]:
    """Return the recipe's questions about every sentence of the example."""
    from homeroom.core.config import Samples
    from homeroom.core.files import read_jsonl
    from homeroom.core.types import Chunk
    from homeroom.generate.facts import read_facts, subject_of
    from homeroom.generate.questions import question_request
    from homeroom.pipeline.course import open_course
    from homeroom.pipeline.run import run

    run(open_course(folder), until="documents")
    chunks = read_jsonl(folder / "out" / "documents" / "chunks.jsonl", Chunk)
    subject = subject_of(chunks[0], [c.text for c in chunks])
    facts = [(f, c) for c in chunks for f in read_facts(c, None)]
    return [question_request(f, c, subject, wave=0, config=Samples()) for f, c in facts]


def bare(endpoint: Any, requests: list[Any], at_once: int) -> tuple[int, float]:
    """Post them as they are; return the tokens generated and the seconds."""
    import httpx

    headers = {"Authorization": f"Bearer {endpoint._key}"}
    with httpx.Client(headers=headers, timeout=600, trust_env=False) as client, ThreadPoolExecutor(at_once) as pool:

        def post(request: Any) -> int:
            body = endpoint.dialect.body(endpoint.model, request)
            answer = client.post(f"{endpoint.url}/chat/completions", json=body).raise_for_status()
            return int(answer.json()["usage"]["completion_tokens"])

        began = time.monotonic()
        tokens = sum(pool.map(post, requests))
        return tokens, time.monotonic() - began


def ours(endpoint: Any, requests: list[Any], keep: Path) -> tuple[int, float, int, int]:
    """Ask as a run does; return tokens, seconds, tokens of prompts, and those of them that were read before."""
    from homeroom.models.endpoint import ask_all

    began = time.monotonic()
    replies = ask_all(endpoint, requests, keep=keep)
    seconds = time.monotonic() - began
    tokens = sum(r.completion_tokens for r in replies)
    return tokens, seconds, sum(r.prompt_tokens for r in replies), sum(max(0, r.cached_tokens) for r in replies)


def main() -> None:
    """Alternate between both, with one slot and with four."""
    from homeroom.models.engine import local_engine
    from homeroom.models.store import pull

    parser = argparse.ArgumentParser()
    parser.add_argument("--blocks", type=int, default=4)
    parser.add_argument("--size", type=int, default=3)
    chosen = parser.parse_args()
    rates: dict[str, list[float]] = {}
    read = [0, 0]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "course"
        command = [sys.executable, "-m", "homeroom.cli.main", "init", str(folder), "--example", "insurance"]
        subprocess.run(command, check=True, cwd=ROOT, capture_output=True)
        requests, gguf = requests_of(folder), pull("qwen2.5-coder-1.5b")

        def some(slots: int) -> list[Any]:
            return [requests.pop(0) for _ in range(max(chosen.size, slots))]

        for slots in (1, 4):
            log = Path(place) / "log"
            with local_engine(gguf, slots=slots, context_tokens=2048, log=log, timeout_s=600) as endpoint:
                bare(endpoint, requests[-1:], 1)  # wakes it up, and reads the beginning that all share
                for block in range(chosen.blocks if slots == 1 else max(1, chosen.blocks // 2)):
                    tokens, seconds = bare(endpoint, some(slots), slots)
                    rates.setdefault(f"bare, {slots} at once", []).append(tokens / seconds)
                    if slots == 1:
                        tokens, seconds, prompts, cached = ours(endpoint, some(slots), Path(place) / f"keep{block}")
                        rates.setdefault("homeroom", []).append(tokens / seconds)
                        read = [read[0] + prompts, read[1] + cached]
    means = {name: round(sum(values) / len(values), 2) for name, values in rates.items()}
    best = max(value for name, value in means.items() if name != "homeroom")
    cell = {
        "tokens_a_second": means,
        "blocks": {name: [round(v, 2) for v in values] for name, values in rates.items()},
        "share_of_the_best_bare": round(means["homeroom"] / best, 3),
        "prompt_tokens_read_before": round(read[1] / max(1, read[0]), 3),
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(cell, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(cell, indent=2))


if __name__ == "__main__":
    main()
