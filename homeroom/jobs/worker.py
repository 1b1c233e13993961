"""The process that does the jobs: it takes one, runs it as a child in a process group of its own, and tells the queue.

The child gets the job as one JSON line on its standard input, which stays open for as long as the worker lives: a child
whose input closes must end. What it writes to standard output is JSON lines:

    {"progress": {"stage": "train", "part": 0.4, "note": "..."}}    {"say": "a line of the log"}
    {"result": ...}    {"error": "what went wrong", "hint": "how to mend it"}

Any other line counts as a line of the log. Exit 0 is done, 6 or 130 stopped, anything else failed; a child that hangs
after it has closed its output is ended, and was done if it had said its result. A worker that is killed leaves its
child's identity in the queue; the next worker ends what is left of it before it begins.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import selectors
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from homeroom.jobs.machine import identity, is_alive
from homeroom.jobs.queue import Fenced, Lease, Queue

GRACE_S = 30.0  # for a child to save what it has, before it is killed
STOPPED = (6, 130, -signal.SIGTERM)
MAX_BUFFER = 2**20  # bytes of one line
_ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|.)|[\x00-\x08\x0b-\x1f\x7f]")


def work(
    queue: Queue,
    programs: Mapping[str, Sequence[str]],
    *,
    until: Callable[[], bool],
    poll_s: float = 0.5,
    heartbeat_s: float = 3.0,
    grace_s: float = GRACE_S,
) -> None:
    """Do jobs, one after the other, until `until()`; a job that is under way then is given back.

    Args:
        programs: The command of each kind of job.
        until: Asked several times a second.
    """
    while not until():
        try:
            lease = queue.claim(identity(), list(programs))
        except sqlite3.OperationalError:  # a full disk, or a lock held for half a minute: it is there the next time
            lease = None
        if lease is None:
            time.sleep(poll_s)
            continue
        _end(lease.job.child, grace_s=0.0)
        try:
            _Run(queue, lease, programs[lease.job.kind], until, heartbeat_s, grace_s).do()
        except Fenced:
            continue


@dataclass
class _Run:
    """One job while it is done."""

    queue: Queue
    lease: Lease
    program: Sequence[str]
    until: Callable[[], bool]
    heartbeat_s: float
    grace_s: float
    said: dict[str, Any] = field(default_factory=dict)  # the child's last "result" and "error"
    last: str = ""  # line of the log
    told_at: float = 0.0

    def do(self) -> None:
        """Run the child to its end, and tell the queue how it went."""
        with tempfile.TemporaryFile() as errors:
            child = subprocess.Popen(
                self.program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, start_new_session=True
            )
            why = "lost"
            try:
                self.queue.renew(self.lease, child=identity(child.pid))
                assert child.stdin
                job = {"id": self.lease.job.id, "kind": self.lease.job.kind, "spec": self.lease.job.spec}
                with contextlib.suppress(BrokenPipeError):
                    child.stdin.write(json.dumps(job).encode() + b"\n")
                    child.stdin.flush()
                why = self._follow(child)
            finally:
                if child.poll() is None:
                    why = why or "hung"
                    _end(identity(child.pid), grace_s=self.grace_s if why != "lost" else 0.0, reap=child.poll)
                child.wait()
                for pipe in (child.stdin, child.stdout):
                    with contextlib.suppress(BrokenPipeError):
                        pipe.close()  # type: ignore[union-attr]
            self._finish(child.returncode, why, _tail(errors))

    def _follow(self, child: subprocess.Popen[bytes]) -> str:
        """Take down what the child says until it ends or must end; return why: "", "cancel" or "stop"."""
        assert child.stdout
        os.set_blocking(child.stdout.fileno(), False)
        renewed, rest, late = time.monotonic(), b"", math.inf
        with selectors.DefaultSelector() as selector:
            selector.register(child.stdout, selectors.EVENT_READ)
            while True:
                ready = selector.select(timeout=0.2 if late == math.inf else 0.02)
                part = os.read(child.stdout.fileno(), 1 << 16) if ready else None
                if part:
                    *lines, rest = (rest + part).split(b"\n")
                    rest = rest[:MAX_BUFFER]
                    for line in lines:
                        self._take(line)
                if time.monotonic() - renewed > self.heartbeat_s:
                    renewed = time.monotonic()
                    if self._renew():
                        return "cancel"
                if self.until():
                    return "stop"
                if part == b"":  # it is about to end: let it, or its exit code would be ours
                    selector.unregister(child.stdout)
                    late = time.monotonic() + self.grace_s
                if part is None and (child.poll() is not None or time.monotonic() > late):
                    self._take(rest)
                    return ""

    def _renew(self) -> bool:
        try:
            return self.queue.renew(self.lease)
        except sqlite3.OperationalError:  # a full disk: the lease runs on for a while
            return False

    def _take(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace").strip()
        if not text:
            return
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict) or not value.keys() & {"progress", "say", "result", "error"}:
            value = {"say": text}
        self.said |= {k: v for k, v in value.items() if k in ("result", "error", "hint")}
        try:
            if isinstance(value.get("progress"), dict):
                self.queue.tell(self.lease, "progress", value["progress"])
            if "say" in value:
                self.last = plain(str(value["say"]))
                self.queue.tell(self.lease, "say", {"text": self.last})
        except sqlite3.OperationalError:
            pass  # what is not told is not lost: the work goes on, and the next progress says it all

    def _finish(self, code: int, why: str, errors: str) -> None:
        if code == 0 or (why == "hung" and "result" in self.said):
            state, reason = "done", ""
        elif why == "stop" and code in (*STOPPED, -signal.SIGKILL):
            state, reason = "queued", "The worker was stopped; it goes on where it was."
        elif why == "cancel" or (code in STOPPED and why != "hung"):
            state, reason = "cancelled", ""
        else:
            said = str(self.said.get("error") or "") or errors or self.last
            reason = plain(said)[:4000] or f"It ended with code {code}."
            if why == "hung" and not self.said.get("error"):
                reason = "It hung at its end, and was stopped."
            elif code == -signal.SIGKILL and not self.said.get("error"):
                reason = "It was killed, most likely because the machine ran out of memory."
            state = "failed"
        hint = {"hint": plain(str(self.said.get("hint") or ""))[:1000]}
        result = self.said.get("result") if state == "done" else hint
        for _ in range(600):  # how a job ended must be written, however long a disk is full
            try:
                self.queue.finish(self.lease, state, reason=reason, result=result)  # type: ignore[arg-type]
                return
            except sqlite3.OperationalError:
                if self.until():
                    return
                time.sleep(1)


def plain(text: str) -> str:
    r"""Return a text without what could write over a terminal or a page.

    Example:
        >>> plain("a\x1b[31mred\x1b]0;title\x07 b\x07")
        'ared b'
    """
    return _ESCAPES.sub("", text).strip()


def _tail(errors: Any) -> str:
    size = errors.seek(0, os.SEEK_END)
    errors.seek(max(0, size - 2000))
    lines = errors.read().decode("utf-8", "replace").strip().splitlines()
    return "\n".join(lines[-3:])


def _end(child: str, *, grace_s: float, reap: Callable[[], object] = lambda: None) -> None:
    """End a child and its whole group, if it is still that child: TERM, and KILL when the grace is over."""
    if not child or not is_alive(child):
        return
    group = int(child.split(" ")[1])
    end = time.monotonic() + grace_s
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGTERM)
        while time.monotonic() < end and is_alive(child):
            time.sleep(0.05)
            reap()
        os.killpg(group, signal.SIGKILL)
    end = time.monotonic() + 5
    while time.monotonic() < end and is_alive(child):
        reap()
        time.sleep(0.02)
