"""Answers of the student, before and after: from a child process that holds the models, started when first asked.

The server never loads a model. The child is `homeroom serve`'s own server on a free port of this machine, behind a key
that this server alone knows. It ends when the server does, when nobody asked for a while, or when the weights on disk
are other ones: then it gets no new questions, and the next one after its last answer starts another.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio

from homeroom.core.errors import HomeroomError, MachineError
from homeroom.web.asked import Busy

START_S, ANSWER_S, IDLE_S = 120.0, 120.0, 600.0
MAX_TOKENS = 160
MOST = 40  # questions of programs at once, those that wait for the child included
MOST_OF_PAGES = 8  # the same of pages, each of which holds a thread of the server's
PROGRAM = (sys.executable, "-m", "homeroom.cli.task")


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A process that answers for a course."""

    process: subprocess.Popen[bytes]
    course: str
    stamp: tuple[Any, ...]  # of the weights that it holds, and of the settings
    key: str = field(repr=False)
    url: str
    models: tuple[str, ...]  # "base", and "tuned" where there is one

    @property
    def options(self) -> dict[str, Any]:
        """What an httpx client needs to ask it."""
        headers = {"Authorization": f"Bearer {self.key}"}
        return {"base_url": self.url, "headers": headers, "timeout": ANSWER_S, "trust_env": False}


@dataclass
class Answers:
    """At most one course's models at a time: they take a gigabyte."""

    program: tuple[str, ...] = PROGRAM
    options: Callable[[], tuple[str, ...]] = tuple  # settings that the server's owner gave, as `read_recipe` takes them
    num_lent: int = 0  # answers that are under way
    _child: Child | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _count: threading.Lock = field(default_factory=threading.Lock)
    _asking: threading.Lock = field(default_factory=threading.Lock)
    _programs: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(MOST))
    _pages: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(MOST_OF_PAGES))
    _starter: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(1))
    _timer: threading.Timer | None = None

    def ask(self, course: Path, question: str) -> dict[str, str]:
        """Return what each model ("base", and "tuned" where there is one) answers.

        Raises:
            MachineError: the models are not here, or did not answer in time, or too many ask (`Busy`).
        """
        import httpx

        with _place(self._pages), self._asking:  # one question after the other: they share the same cores
            child = self.borrow(course)
            try:
                with httpx.Client(**child.options) as client:
                    return {name: _answered(client, name, question) for name in child.models}
            except (httpx.HTTPError, KeyError, ValueError) as error:
                with self._lock:
                    if self.num_lent == 1:  # nobody else has an answer of it under way
                        self._stop()
                raise MachineError(f"the model gave no answer ({type(error).__name__})", hint="Ask again.") from None
            finally:
                self.give_back()

    @contextlib.asynccontextmanager
    async def lent(self, course: Path) -> AsyncIterator[Child]:
        """Lend the child that answers for a course; who waits for its start holds no thread that pages need.

        Raises:
            MachineError: as `borrow` does, or too many ask (`Busy`).
        """
        with _place(self._programs):
            child = await anyio.to_thread.run_sync(self.borrow, course, limiter=self._starter)
            try:
                yield child
            finally:
                self.give_back()

    def borrow(self, course: Path) -> Child:
        """Return the child that answers for a course, which stays until `give_back`.

        Raises:
            MachineError: the models are not here, or other ones are just answering.
        """
        with self._lock:
            child = self._running(course)
            self._watch()
            with self._count:
                self.num_lent += 1
            return child

    def give_back(self) -> None:
        """Say that an answer is complete, or no longer wanted."""
        with self._count:
            self.num_lent -= 1

    def stop(self) -> None:
        """End the child."""
        with self._lock:
            self._stop()

    def _running(self, course: Path) -> Child:
        options = self.options()
        child, name, stamp = self._child, str(course.resolve()), (*_stamp(course), options)
        if child is not None and child.process.poll() is None:
            if (child.course, child.stamp) == (name, stamp):
                return child
            if self.num_lent and child.course == name:
                raise MachineError("the student has just learned, and is loaded anew", hint="Try again in a minute.")
            if self.num_lent:
                raise MachineError("the models of another course are answering", hint="Try again in a minute.")
        self._stop()
        self._child = self._start(name, stamp, options)
        return self._child

    def _start(self, course: str, stamp: tuple[Any, ...], options: tuple[str, ...]) -> Child:
        process = subprocess.Popen(
            self.program,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert process.stdin
        key = secrets.token_urlsafe(24)
        job = {"kind": "answer", "spec": {"folder": course, "key": key, "options": options}}
        with contextlib.suppress(BrokenPipeError):  # a child that is gone says why on its output, or nothing
            process.stdin.write(json.dumps(job).encode() + b"\n")
            process.stdin.flush()
        try:
            said = _ready(process)
        except HomeroomError:
            _end(process)
            raise
        models = tuple(map(str, said["models"]))
        return Child(process=process, course=course, stamp=stamp, key=key, url=str(said["url"]), models=models)

    def _stop(self) -> None:
        if self._child is not None:
            _end(self._child.process)
        self._child = None

    def _watch(self) -> None:
        """End the child when nobody has asked for a while."""
        if self._timer is not None:
            self._timer.cancel()

        def idle() -> None:
            with self._lock:
                if self.num_lent:
                    self._watch()
                else:
                    self._stop()

        self._timer = threading.Timer(IDLE_S, idle)
        self._timer.daemon = True
        self._timer.start()


@contextlib.contextmanager
def _place(places: threading.Semaphore) -> Iterator[None]:
    if not places.acquire(blocking=False):
        raise Busy("too many questions are waiting", hint="Ask again in a minute.")
    try:
        yield
    finally:
        places.release()


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
    try:
        files = sorted((course / "out" / "model").glob("*.safetensors"))
        return tuple((p.name, p.stat().st_mtime_ns, p.stat().st_size) for p in files)
    except FileNotFoundError:  # a run puts its student there just now
        return ("being put there",)


def _ready(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """Return what the child says when it is ready: its address, and its models."""
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
                        return value
                    if isinstance(value, dict) and "error" in value:
                        raise MachineError(str(value["error"]), hint=str(value.get("hint", "")))
            if part == b"":
                break
    raise MachineError("the model could not be started", hint="`homeroom doctor` says what is missing on this machine.")
