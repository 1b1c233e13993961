"""How fast a remote teacher is asked: ours beside distilabel, against a server with real latencies and limits.

The server is ours, on the loopback: each answer takes a time to the first token (log-normal, median 0.25 s) and then a
number of tokens (log-normal, median 60) at 60 a second. Four of them:

    open        takes whatever comes
    minute      a token bucket of 900 requests a minute, 120 at once; beyond it 429 with Retry-After, as hosted APIs do
    few         24 at once; beyond it 503, without a word on when
    flaky       takes all, but 3 % of the answers are 500 and 1 % are cut off

Both ask the same prompts in the same order, one after the other in one run, each in a process of its own. Measured is
from the first request that reaches the server to the last good answer that leaves it, so neither pays for its start.
distilabel asks with its own batches of 50 (its default) and of 64 (as many as ours may at most).

    python benchmarks/endpoints.py --distilabel /path/to/its/venv/bin/python [--requests 600] [--rounds 2]

Writes results/endpoints-<server>-<asker>-<round>.json, and skips the cells that are there.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
SERVERS: dict[str, dict[str, Any]] = {
    "open": {},
    "minute": {"per_minute": 900, "burst": 120},
    "few": {"at_once": 24},
    "flaky": {"errors": 0.03, "cut": 0.01},
}

OURS = """
import sys, tempfile
from pathlib import Path
from homeroom.core.types import Message, Request
from homeroom.models.endpoint import Endpoint, ask_all
url, count = sys.argv[1], int(sys.argv[2])
prompts = [(Message(role="user", content=f"Write about thing {n}."),) for n in range(count)]
requests = [Request(messages=prompt, max_tokens=400, temperature=0.7) for prompt in prompts]
with tempfile.TemporaryDirectory() as keep:
    replies = ask_all(Endpoint(url, "simulated", in_flight=64), requests, keep=Path(keep))
print(sum(bool(reply.text) for reply in replies))
"""

DISTILABEL = """
import sys
from distilabel.models.llms import OpenAILLM
from distilabel.pipeline import Pipeline
from distilabel.steps import LoadDataFromDicts
from distilabel.steps.tasks import TextGeneration
url, count, batch = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
rows = [{"instruction": f"Write about thing {n}."} for n in range(count)]
with Pipeline(name="endpoints") as pipeline:
    llm = OpenAILLM(model="simulated", base_url=url, api_key="none",
                    generation_kwargs={"max_new_tokens": 400, "temperature": 0.7})
    LoadDataFromDicts(data=rows, batch_size=batch) >> TextGeneration(llm=llm, input_batch_size=batch)
if __name__ == "__main__":
    made = pipeline.run(use_cache=False)
    print(sum(bool(row["generation"]) for row in made["default"]["train"]))
"""


class Simulated:
    """An OpenAI-compatible server whose answers take time; counts what it was asked and when."""

    def __init__(self, *, per_minute: int = 0, burst: int = 0, at_once: int = 0, errors: float = 0.0, cut: float = 0.0):
        self.per_minute, self.burst, self.at_once = per_minute, float(burst), at_once
        self.errors, self.cut = errors, cut
        self.allowance, self.filled_at = float(burst), time.monotonic()
        self.open = self.peak = self.tokens = 0
        self.statuses: Counter[int] = Counter()
        self.first = self.last = 0.0
        self.seen: Counter[str] = Counter()

    async def answer(self, body: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        """Answer one chat completion."""
        self.first = self.first or time.monotonic()
        prompt = body["messages"][-1]["content"]
        self.seen[prompt] += 1
        if self.per_minute:
            now = time.monotonic()
            self.allowance = min(self.burst, self.allowance + (now - self.filled_at) * self.per_minute / 60)
            self.filled_at = now
            if self.allowance < 1:
                wait = (1 - self.allowance) * 60 / self.per_minute
                return 429, {"Retry-After": f"{max(1, round(wait + 0.5))}"}, b'{"error": {"message": "rate limit"}}'
            self.allowance -= 1
        if self.at_once and self.open >= self.at_once:
            return 503, {}, b'{"error": {"message": "busy"}}'
        self.open += 1
        self.peak = max(self.peak, self.open)
        chance = random.Random(f"{prompt}{self.seen[prompt]}")
        tokens = max(5, min(400, int(chance.lognormvariate(4.1, 0.5))))
        await asyncio.sleep(chance.lognormvariate(-1.4, 0.4) + tokens / 60)
        self.open -= 1
        if chance.random() < self.errors:
            return 500, {}, b'{"error": {"message": "internal"}}'
        text = "word " * tokens
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 12, "completion_tokens": tokens, "total_tokens": 12 + tokens}
        said = {"id": "x", "object": "chat.completion", "created": 1, "model": "simulated", "choices": [choice]}
        raw = json.dumps(said | {"usage": usage}).encode()
        if chance.random() < self.cut:
            return 200, {}, raw[: len(raw) // 2]
        self.tokens += tokens
        self.last = time.monotonic()
        return 200, {}, raw

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().split("\r\n")
                length = next((int(x.split(":")[1]) for x in lines if x.lower().startswith("content-length")), 0)
                body = json.loads(await reader.readexactly(length)) if length else {}
                status, headers, raw = await self.answer(body)
                self.statuses[status] += 1
                said = "".join(f"{k}: {v}\r\n" for k, v in headers.items())
                writer.write(f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{said}".encode())
                writer.write(f"Content-Length: {len(raw)}\r\n\r\n".encode() + raw)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def serve(server: Simulated) -> tuple[str, asyncio.AbstractEventLoop]:
    """Start it in a thread and return its address."""
    ready: list[tuple[int, asyncio.AbstractEventLoop]] = []

    async def run() -> None:
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, backlog=2048)
        ready.append((listening.sockets[0].getsockname()[1], asyncio.get_running_loop()))
        await asyncio.Event().wait()

    threading.Thread(target=lambda: asyncio.run(run()), daemon=True).start()
    while not ready:
        time.sleep(0.01)
    return f"http://127.0.0.1:{ready[0][0]}/v1", ready[0][1]


def measure(name: str, asker: str, count: int, python: str) -> dict[str, Any]:
    """Let one asker put all prompts to a fresh server."""
    server = Simulated(**SERVERS[name])
    url, _ = serve(server)
    env = os.environ | {"PYTHONPATH": str(ROOT), "HOMEROOM_OFFLINE": "1", "HF_HUB_OFFLINE": "1"}
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "asker.py"
        program.write_text(OURS if asker == "homeroom" else DISTILABEL)
        batch = asker.partition("-")[2]
        command = [sys.executable if asker == "homeroom" else python, str(program), url, str(count)]
        command += [batch] if batch else []
        done = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, timeout=900)
    if done.returncode:
        raise SystemExit(f"{asker} failed:\n{done.stderr[-3000:]}")
    good, seconds = int(done.stdout.strip().splitlines()[-1]), server.last - server.first
    return {
        "server": name,
        "asker": asker,
        "requests": count,
        "answered": good,
        "seconds": round(seconds, 2),
        "answers_a_second": round(good / seconds, 2),
        "tokens_a_second": round(server.tokens / seconds, 1),
        "seconds_with_its_start": round(time.monotonic() - began, 1),
        "most_at_once": server.peak,
        "statuses": dict(server.statuses),
    }


def main() -> None:
    """Measure every cell that is missing, all askers of a round one after the other."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--distilabel", default="", help="the Python of a venv with distilabel[openai]")
    parser.add_argument("--requests", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--servers", nargs="*", default=list(SERVERS))
    chosen = parser.parse_args()
    askers = ["homeroom", *(["distilabel-50", "distilabel-64"] if chosen.distilabel else [])]
    RESULTS.mkdir(exist_ok=True)
    for number in range(chosen.rounds):
        for name in chosen.servers:
            for asker in askers:
                path = RESULTS / f"endpoints-{name}-{asker}-{number}.json"
                if path.is_file():
                    continue
                cell = measure(name, asker, chosen.requests, chosen.distilabel)
                path.write_text(json.dumps(cell, indent=2) + "\n")
                print(f"{name:<8} {asker:<14} {cell['answered']:>4} of {cell['requests']} in {cell['seconds']:.1f} s, "
                      f"{cell['answers_a_second']:>5.1f} a second, at most {cell['most_at_once']} at once, "
                      f"{cell['statuses']}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
