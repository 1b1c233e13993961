"""Answers of the student, before and after: from a child process that holds the models, started when first asked.

The server never loads a model. The child is `homeroom serve`'s own server on a free port of this machine; it ends when
the server does, when nobody asked for a while, or when the weights on disk are other ones.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from homeroom.core.errors import HomeroomError, MachineError

START_S, ANSWER_S, IDLE_S = 120.0, 120.0, 600.0
MAX_TOKENS = 160
PROGRAM = (sys.executable, "-m", "homeroom.cli.task")


@dataclass(slots=True)
class _Child:
    process: subprocess.Popen[bytes]
    url: str
    stamp: tuple[Any, ...]
    used: float


@dataclass
class Answers:
    """At most one course's models at a time: they take a gigabyte."""

    program: tuple[str, ...] = PROGRAM
    _child: dict[str, _Child] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _asking: threading.Lock = field(default_factory=threading.Lock)
    _count: threading.Lock = field(default_factory=threading.Lock)
    num_lent: int = 0  # answers that are under way
    _timer: threading.Timer | None = None

    def ask(self, course: Path, question: str) -> dict[str, str]:
        """Return what each model ("base", and "tuned" where there is one) answers.

        Raises:
            MachineError: the models are not here, or did not answer in time.
        """
        import httpx

        with self._asking:  # one question after the other: they share the same cores
            url = self.borrow(course)
            try:
                with httpx.Client(base_url=url, timeout=ANSWER_S, trust_env=False) as client:
                    names = [m["id"] for m in client.get("/models").json()["data"]]
                    return {name: _answered(client, name, question) for name in names}
            except (httpx.HTTPError, KeyError, ValueError) as error:
                self.stop()
                raise MachineError(f"the model gave no answer ({type(error).__name__})", hint="Ask again.") from None
            finally:
                self.give_back()

    def borrow(self, course: Path) -> str:
        """Return the address of the child that answers for a course, which stays until `give_back`.

        Raises:
            MachineError: the models are not here, or those of another course are just answering.
        """
        with self._lock:
            child = self._running(course)
            child.used = time.monotonic()
            self._watch()
            with self._count:
                self.num_lent += 1
            return child.url

    def give_back(self) -> None:
        """Say that an answer is complete, or no longer wanted."""
        with self._count:
            self.num_lent -= 1

    def stop(self) -> None:
        """End the child."""
        with self._lock:
            self._stop()

    def _running(self, course: Path) -> _Child:
        key, stamp = str(course.resolve()), _stamp(course)
        child = self._child.get(key)
        if child is not None and child.process.poll() is None and (child.stamp == stamp or self.num_lent):
            return child
        if child is None and self.num_lent and self._child:
            raise MachineError("the models of another course are answering", hint="Try again in a minute.")
        self._stop()
        self._child[key] = self._start(course, stamp)
        return self._child[key]

    def _start(self, course: Path, stamp: tuple[Any, ...]) -> _Child:
        process = subprocess.Popen(
            self.program,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert process.stdin
        assert process.stdout
        with contextlib.suppress(BrokenPipeError):  # a child that is gone says why on its output, or nothing
            process.stdin.write(json.dumps({"kind": "answer", "spec": {"folder": str(course)}}).encode() + b"\n")
            process.stdin.flush()
        try:
            return _Child(process, _address(process), stamp, time.monotonic())
        except HomeroomError:
            _end(process)
            raise

    def _stop(self) -> None:
        for child in self._child.values():
            _end(child.process)
        self._child.clear()

    def _watch(self) -> None:
        """End the child when nobody has asked for a while."""
        if self._timer is not None:
            self._timer.cancel()

        def idle() -> None:
            with self._lock:
                if not self.num_lent and all(time.monotonic() - c.used >= IDLE_S - 1 for c in self._child.values()):
                    self._stop()

        self._timer = threading.Timer(IDLE_S, idle)
        self._timer.daemon = True
        self._timer.start()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):
            pipe.close()  # type: ignore[union-attr]


def has_tuned(course: Path) -> bool:
    """Say whether a course's student has learned something yet."""
    return (course / "out" / "model" / "config.json").is_file()


def _answered(client: Any, name: str, question: str) -> str:
    asked = [{"role": "user", "content": question}]
    body = {"model": name, "messages": asked, "max_tokens": MAX_TOKENS, "temperature": 0}
    answer = client.post("/chat/completions", json=body)
    if answer.status_code != 200:
        raise MachineError(str(answer.json()["error"]["message"]))
    return str(answer.json()["choices"][0]["message"]["content"])


def _stamp(course: Path) -> tuple[Any, ...]:
    files = sorted((course / "out" / "model").glob("*.safetensors"))
    return tuple((p.name, p.stat().st_mtime_ns, p.stat().st_size) for p in files)


def _address(process: subprocess.Popen[bytes]) -> str:
    """Return the address that the child names when it is ready."""
    assert process.stdout
    os.set_blocking(process.stdout.fileno(), False)
    end, text = time.monotonic() + START_S, b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while time.monotonic() < end:
            part = os.read(process.stdout.fileno(), 65536) if selector.select(timeout=0.5) else None
            text += part or b""
            for line in text.split(b"\n")[:-1]:
                with contextlib.suppress(ValueError):
                    value = json.loads(line)
                    if isinstance(value, dict) and "url" in value:
                        return str(value["url"])
                    if isinstance(value, dict) and "error" in value:
                        raise MachineError(str(value["error"]), hint=str(value.get("hint", "")))
            if part == b"":
                break
    raise MachineError("the model could not be started", hint="`homeroom doctor` says what is missing on this machine.")
