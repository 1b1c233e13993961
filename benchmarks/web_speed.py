"""How fast the page answers ten people at once, with 10,000 leaves and 100,000 samples, and what memory it takes.

    python benchmarks/web_speed.py [--seconds 20] [--leaves 10000] [--samples 100000]

Makes a course in a temporary folder, starts `homeroom web` without a worker, lets ten people open pages, and
writes `results/web-speed.json`: for each page the median and the 95th percentile as ten people saw it, and the
processor's milliseconds a request, which other work on the machine does not change.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).parent))

from check_speed import knowledge

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "results" / "web-speed.json"
PEOPLE = 10


def make_course(folder: Path, leaves: int, samples: int) -> None:
    for n in range(leaves):
        leaf = folder / "knowledge" / f"area{n % 100}" / f"topic{n}"
        leaf.mkdir(parents=True)
        (leaf / "qna.yaml").write_text(knowledge(n), encoding="utf-8")
    made = folder / "out" / "samples"
    made.mkdir(parents=True)
    with (made / "samples.jsonl").open("w", encoding="utf-8") as file:
        for n in range(samples):
            asked = {"role": "user", "content": f"What is rule {n} of the house, and who keeps it in room {n % 977}?"}
            said = {"role": "assistant", "content": f"Rule {n} is kept by keeper {n % 313} in room {n % 977}."}
            leaf = f"knowledge/area{n % 100}/topic{n % leaves}"
            row = {"id": f"{n:012x}", "kind": ("direct", "reverse")[n % 2], "leaf": leaf, "messages": [asked, said]}
            file.write(json.dumps(row) + "\n")
    (made / "rejected.jsonl").touch()
    (made / "record.json").write_text('{"kind": "samples", "format": 1}', encoding="utf-8")


def processor_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mib(pid: int, name: str = "VmRSS") -> float:
    return int(re.search(rf"{name}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) / 1024


def pages(course: str, leaves: int) -> dict[str, str]:
    here = f"/courses/{course}"
    return {
        "courses": "/",
        "course": here,
        "folder": f"{here}/leaves?below=knowledge/area{{n100}}",
        "search": f"{here}/leaves?q=topic{{n}}",
        "leaf": f"{here}/leaf?place=knowledge/area{{n100}}/topic{{n}}",
        "teach": f"{here}/teach",
        "contributions": f"{here}/contributions",
        "runs": f"{here}/runs",
        "samples": f"{here}/samples?page={{page}}",
        "samples, words": f"{here}/samples?q=rule+{{n}}",
        "samples, leaf": f"{here}/samples?leaf=knowledge/area{{n100}}/topic{{n}}",
        "report": f"{here}/report",
    }


def person(base: str, cookie: str, addresses: dict[str, str], leaves: int, end: float, took: dict, lock) -> None:
    chance = random.Random(threading.get_ident())
    with httpx.Client(base_url=base, cookies={"homeroom": cookie}, timeout=60, trust_env=False) as client:
        while time.monotonic() < end:
            name = chance.choice(list(addresses))
            n = chance.randrange(leaves)
            path = addresses[name].format(n=n, n100=n % 100, page=chance.randrange(200))
            began = time.monotonic()
            found = client.get(path)
            seconds = time.monotonic() - began
            assert found.status_code == 200, (path, found.status_code)
            with lock:
                took[name].append(seconds)


def measure(folder: Path, leaves: int, seconds: float) -> dict:
    command = [sys.executable, "-m", "homeroom.cli.main", "web", str(folder), "--port", "0", "--no-worker"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    try:
        link = next(m[0] for line in server.stderr if (m := re.search(r"http://\S+/enter/\S+", line)))
        base, token = link.split("/enter/")
        with httpx.Client(base_url=base, follow_redirects=True, timeout=900, trust_env=False) as client:
            client.post("/welcome", data={"token": token, "name": "Bench"})
            cookie = client.cookies["homeroom"]
            addresses = pages("course", leaves)
            for path in addresses.values():  # the first of each reads what is then kept
                client.get(path.format(n=1, n100=1, page=0)).raise_for_status()
        took: dict[str, list[float]] = defaultdict(list)
        before, end, lock = processor_s(server.pid), time.monotonic() + seconds, threading.Lock()
        given = (base, cookie, addresses, leaves, end, took, lock)
        threads = [threading.Thread(target=person, args=given) for _ in range(PEOPLE)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        spent = processor_s(server.pid) - before
        count = sum(map(len, took.values()))
        rows = {name: {"n": len(s), **_percentiles(s)} for name, s in sorted(took.items())}
        return {
            "pages": rows,
            "all": {"n": count, **_percentiles([s for found in took.values() for s in found])},
            "processor_ms_a_request": round(1000 * spent / count, 1),
            "memory_mib": round(memory_mib(server.pid)),
            "most_memory_mib": round(memory_mib(server.pid, "VmHWM")),
        }
    finally:
        server.terminate()
        server.wait(30)


def _percentiles(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {
        "median_ms": round(1000 * ordered[len(ordered) // 2], 1),
        "p95_ms": round(1000 * ordered[int(0.95 * (len(ordered) - 1))], 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--leaves", type=int, default=10_000)
    parser.add_argument("--samples", type=int, default=100_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        make_course(Path(temporary) / "course", given.leaves, given.samples)
        found = measure(Path(temporary), given.leaves, given.seconds)
    machine = f"{os.cpu_count()} cores, {platform.machine()}, load {os.getloadavg()[0]:.1f} at the end"
    result = {"leaves": given.leaves, "samples": given.samples, "people": PEOPLE, "machine": machine, **found}
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
