"""A small course about a club that does not exist, and a process that works on it and dies when it is told to.

`make(folder)` writes the course; `made(folder)` returns all that a run made of it, without what differs between runs;
`Worker` runs the stages up to the samples in a child of its own, again and again.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HANDBOOK = """# Otter Club Handbook

## Hours

The Otter Club opens at 7 a.m. The Otter Club closes at 9 p.m. The gate code of the club is 4417.

## Boats

A member may borrow two boats for five hours. A lost paddle costs 35 crowns. Boats are mended by Odile Varrick.
Every boat has a green flag. The boats lie at Nettle Quay. A member pays 90 crowns for each year.
"""
EXAM = [
    {"question": "From when in the morning can I get in?", "must": [["7 am", "seven"]], "answer": "From 7 a.m."},
    {"question": "Which digits unlock the entrance?", "must": [["4417"]], "answer": "4417."},
    {"question": "Who repairs them?", "must": [["Varrick"]], "answer": "Odile Varrick.", "split": "dev"},
]
UNLIKE = (".lock", "planned.json")  # what differs from run to run
SETTINGS = ("train.phases.0.tokens=3000", "evaluate.max_tokens=6", "samples.manners=2", "samples.rewrites=1")


def make(folder: Path, handbook: str = HANDBOOK, *, has_quiz: bool = True) -> Path:
    """Write the course and return its folder; its quiz names no source, so no student is asked before the samples."""
    leaf = folder / "knowledge" / "club"
    leaf.mkdir(parents=True)
    (leaf / "handbook.md").write_text(handbook, encoding="utf-8")
    seeds = "".join(
        f"  - context: The Otter Club, part {n}.\n    questions_and_answers:\n"
        + "".join(f"      - question: Part {n}, point {m}?\n        answer: Point {m} of {n}.\n" for m in range(3))
        for n in range(5)
    )
    (leaf / "qna.yaml").write_text(
        f"version: 3\ncreated_by: a\ndomain: clubs\ndocument_outline: The club\nseed_examples:\n{seeds}"
        "document:\n  repo: .\n  commit: local\n  patterns:\n    - handbook.md\n",
        encoding="utf-8",
    )
    rows = [*EXAM, {"question": "What swims?", "must": [["otter"]], "split": "quiz"}] if has_quiz else EXAM
    lines = [json.dumps({"id": str(n), **row}) for n, row in enumerate(rows)]
    (folder / "exam.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def made(folder: Path) -> dict[str, Any]:
    """Return every file below `out/`, as bytes; of records and kept answers all but how long they took."""
    found: dict[str, Any] = {}
    for path in sorted(p for p in (folder / "out").rglob("*") if p.is_file() and p.name not in UNLIKE):
        content: Any = path.read_bytes()
        if path.name == "record.json" or path.parent.parent.name == "asked":
            content = json.loads(content)
            (content.get("reply") or content).pop("seconds", None)
            (content.get("reply") or content).pop("spent", None)
        found[path.relative_to(folder).as_posix()] = content
    return found


def kept_requests(folder: Path) -> set[str]:
    """Return what the kept answers were answers to, each as one comparable text."""
    kept = (json.loads(p.read_text(encoding="utf-8"))["request"] for p in (folder / "out" / "asked").glob("??/*.json"))
    return {comparable(request) for request in kept}


def comparable(request: dict[str, Any]) -> str:
    """Return a kept request, or one that a server was sent, as the same text where they are the same."""
    names = ("messages", "max_tokens", "temperature", "seed")
    return json.dumps([request[n] for n in names] + [list(request.get("stop") or [])], sort_keys=True)


# -- a process that dies -------------------------------------------------------------------------------------------

PROGRAM = """
import json, os, sys
import otter_course, homeroom.pipeline.generating, homeroom.pipeline.run, homeroom.generate.knowledge
import homeroom.models.endpoint
import homeroom.documents.stage, homeroom.generate.skill, homeroom.evaluate.exam, homeroom.taxonomy.check, tiny_embedder
import httpx
print("ready", flush=True)
for line in sys.stdin:
    pid = os.fork()
    if not pid:
        otter_course.work(**json.loads(line))
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


class Worker:
    """Runs the stages up to the samples in a fresh child; imports are paid once."""

    def __init__(self, home: Path) -> None:
        paths = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
        env = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "HOMEROOM_HOME": str(home)}
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def start(self, folder: Path, url: str, **when: Any) -> int:
        """Begin, and return the process's id; `when` is as `work` takes it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"folder": str(folder), "url": str(url), **when}) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def end(self) -> int:
        """Wait for it, and return its exit status."""
        assert self.process.stdout is not None
        return int(self.process.stdout.readline())

    def work(self, folder: Path, url: str, **when: Any) -> int:
        """Run once, and return the exit status."""
        self.start(folder, url, **when)
        return self.end()


@contextlib.contextmanager
def worker(home: Path) -> Iterator[Worker]:
    """Yield a worker for as long as the context lasts."""
    one = Worker(home)
    try:
        yield one
    finally:
        assert one.process.stdin is not None
        one.process.stdin.close()
        one.process.wait(120)
        one.process.stdout.close()  # type: ignore[union-attr]


def work(
    folder: str, url: str, *, kill_at: int = 0, full_at: int = 0, count_to: str = "", until: str = "samples"
) -> None:
    """Make all stages up to `until`, and leave the process with the exit code of the command line.

    Args:
        kill_at: Die by SIGKILL before this step; a step is a file below `folder` that is opened to be written,
            renamed, removed, or a folder that is made.
        full_at: From this step on the disk is full: nothing can be opened to be written, or else brought to the disk.
        count_to: File that gets the number of steps.
    """
    from tiny_embedder import TinyEmbedder

    from homeroom.core.errors import HomeroomError
    from homeroom.models import embedder
    from homeroom.pipeline import run as running
    from homeroom.pipeline.course import open_course

    embedder.shipped_embedder = lambda *args: TinyEmbedder()  # type: ignore[assignment,return-value]
    running.MIN_FREE_GIB = 0.0
    steps = _watch(folder, kill_at, full_at)
    options = (f"teacher.url={url}", "teacher.model=scripted", "samples.manners=3")
    status = 0
    try:
        running.run(open_course(Path(folder), options), until=until)
    except HomeroomError as error:
        sys.stderr.write(f"{error}\n")
        status = error.exit_code
    if count_to:
        Path(count_to).write_text(str(len(steps)))
    os._exit(status)


def _watch(folder: str, kill_at: int, full_at: int) -> list[str]:
    steps: list[str] = []
    writes = os.O_WRONLY | os.O_RDWR

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event not in ("open", "os.rename", "os.remove", "os.mkdir") or not str(args[0]).startswith(folder):
            return
        if event == "open" and not (isinstance(args[2], int) and args[2] & writes):
            return
        steps.append(event)
        if len(steps) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if 0 < full_at <= len(steps) and full_at % 2 and event == "open" and not str(args[0]).endswith(".lock"):
            raise OSError(errno.ENOSPC, "No space left on device", str(args[0]))

    to_disk = os.fsync

    def fsync(number: int) -> None:
        if 0 < full_at <= len(steps):
            raise OSError(errno.ENOSPC, "No space left on device")
        to_disk(number)

    os.fsync = fsync
    sys.addaudithook(hook)
    return steps
