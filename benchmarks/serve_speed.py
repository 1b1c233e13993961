"""What share of the bare engine's speed does `homeroom serve` reach? The same prompts, by turns, in one run.

    python benchmarks/serve_speed.py MODEL [--rounds 4] [--prompts 4] [--tokens 48]

MODEL is a folder, a .gguf or a name of the catalog. The bare engine is `TorchEngine.stream` in this process; beside it
runs `homeroom serve MODEL` as people start it, in a process of its own, asked with plain HTTP: streamed, whole, and by
all clients at once (the server answers one after the other, so that this shows what the line costs). Only one of them
works at a time. Rounds alternate, so that other work on the machine falls on all alike; the median of the rounds'
shares counts (asked: 95 %). Answers are greedy and must be the same. Writes results/serve-speed.json; three minutes on
two cores.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
RESULT = Path(__file__).resolve().parent / "results" / "serve-speed.json"
PROMPTS = (
    "Tell me about the sea.",
    "How do I bake bread at home?",
    "Why is the sky blue?",
    "Write a short story about a lighthouse keeper and his dog.",
    "What should I see in Rome in two days?",
    "Explain how a bicycle stays upright.",
    "Describe a market in the morning.",
    "What is a good way to learn a language?",
)


@contextlib.contextmanager
def served(model: str) -> Iterator[tuple[str, str]]:
    """Run `homeroom serve` and yield its address and the name of what it serves."""
    command = [sys.executable, "-m", "homeroom.cli.main", "serve", model, "--port", "0"]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    child = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)
    try:
        told = next((line for line in child.stderr if "/v1 answers as" in line), "")
        found = re.search(r"(http://\S+/v1) answers as (\S+?)[,;]", told)
        if not found:
            sys.exit(f"the server did not start: {told}")
        yield found[1], found[2]
    finally:
        child.terminate()
        child.wait()


def ways_of(engine: Any, url: str, name: str, prompts: tuple[str, ...], tokens: int) -> dict[str, Callable[[], Any]]:
    """Return how the prompts are answered: by the bare engine, and by the server in three ways."""
    from homeroom.core.types import Message

    client = httpx.Client(trust_env=False, timeout=600)

    def bare() -> list[str]:
        asked = [(Message(role="user", content=p),) for p in prompts]
        return ["".join(engine.stream(a, max_tokens=tokens, temperature=0.0)) for a in asked]

    def body(prompt: str, **more: Any) -> dict[str, Any]:
        messages = [{"role": "user", "content": prompt}]
        return {"model": name, "messages": messages, "max_tokens": tokens, "temperature": 0, **more}

    def whole(prompt: str) -> str:
        answer = client.post(f"{url}/chat/completions", json=body(prompt)).raise_for_status().json()
        return str(answer["choices"][0]["message"]["content"])

    def streamed(prompt: str) -> str:
        with client.stream("POST", f"{url}/chat/completions", json=body(prompt, stream=True)) as answer:
            lines = [line[6:] for line in answer.iter_lines() if line.startswith("data: {")]
        return "".join(json.loads(line)["choices"][0]["delta"].get("content") or "" for line in lines)

    def at_once() -> list[str]:
        with ThreadPoolExecutor(len(prompts)) as pool:
            return list(pool.map(streamed, prompts))

    return {
        "bare": bare,
        "streamed": lambda: [streamed(p) for p in prompts],
        "whole": lambda: [whole(p) for p in prompts],
        "clients_at_once": at_once,
    }


def main() -> None:
    """Alternate between the bare engine and the server."""
    from homeroom.core.files import write_json
    from homeroom.models.torch_engine import TorchEngine
    from homeroom.pipeline.course import student_folder

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--prompts", type=int, default=4)
    parser.add_argument("--tokens", type=int, default=48)
    args = parser.parse_args()
    engine = TorchEngine(student_folder(args.model))
    with served(args.model) as (url, name):
        ways = ways_of(engine, url, name, PROMPTS[: args.prompts], args.tokens)
        said = {way: answer() for way, answer in ways.items()}  # wakes both up
        if len(set(map(tuple, said.values()))) > 1:
            sys.exit(f"the answers differ: {said}")
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(args.rounds):
            for way, answer in ways.items():
                began = time.perf_counter()
                answer()
                seconds[way].append(time.perf_counter() - began)
    shares = {
        way: [round(b / s, 3) for b, s in zip(seconds["bare"], found, strict=True)] for way, found in seconds.items()
    }
    tokens = sum(engine.count_tokens(text) for text in said["bare"])
    cell = {
        "version": 1,
        "model": args.model,
        "tokens_a_round": tokens,
        "tokens_a_second": {way: [round(tokens / s, 1) for s in found] for way, found in seconds.items()},
        "share_of_bare": {way: statistics.median(found) for way, found in shares.items() if way != "bare"},
        "shares": shares,
    }
    write_json(RESULT, cell)
    print(json.dumps(cell, indent=2))


if __name__ == "__main__":
    main()
