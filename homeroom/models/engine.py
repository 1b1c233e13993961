"""A GGUF file behind an `Endpoint`: llama.cpp in a child process that ends with us.

The child is a process of its own, so that a crash in native code is an error here and not the end of the run, and
its memory goes back to the machine before training begins.

One slot is the default, and on a CPU the fastest (2 cores, embedded teacher, 16 prompts over 2 passages of 340 tokens,
12 tokens each: 37 CPU seconds with one slot, 90 with four). Together, slots generate no faster than one does alone, and
each reads the shared beginning of its prompts for itself, while one slot reads it once. So put the shared part first
and order requests by it. Between different beginnings the engine swaps their state in and out of `CACHE_MIB` of memory.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import secrets
import select
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from homeroom.core.errors import MachineError
from homeroom.core.files import hash_file
from homeroom.models.endpoint import Endpoint
from homeroom.models.machine import describe
from homeroom.models.memory import check_memory

START_TIMEOUT_S = 180.0  # 1 GiB from a slow disk, arranged for the CPU, takes half a minute
CACHE_MIB = 384  # states of prompts read before; the teacher's take 28 KiB a token, so 14,000 tokens
INSTALL_HINT = "pip install 'homeroom[engine]', or give a server of your own: --teacher http://host:port/v1"


@contextlib.contextmanager
def local_engine(
    gguf: Path,
    *,
    slots: int = 1,
    context_tokens: int,
    threads: int | None = None,
    log: Path,
    timeout_s: float = 300.0,
    identity: str = "",
    program: str | None = None,
    params: dict[str, Any] | None = None,
) -> Iterator[Endpoint]:
    """Run a model on this machine for as long as the context lasts.

    Args:
        gguf: The model's file.
        slots: Requests answered at once; see above why 1. Each has its own `context_tokens`.
        context_tokens: Prompt and answer together, per slot.
        threads: CPU threads; None: the physical cores that this process may use.
        log: File that gets the engine's own messages.
        timeout_s: For one answer.
        identity: The file's sha256 where it is known already; empty: it is computed.
        program: Path of a `llama-server` to run; "" for xllamacpp, our own. None takes the `llama-server` on the PATH,
            which may know this machine's GPU, and ours where there is none or it does not start.
        params: xllamacpp's parameters by name, over ours; for measurements.

    Raises:
        MachineError: the file or the engine is missing, memory does not suffice, or the engine ended.
        ContentError: the file is not GGUF.
    """
    if not gguf.is_file():
        raise MachineError("the model's file does not exist", where=str(gguf), hint="See: homeroom models list")
    has_own, found = importlib.util.find_spec("xllamacpp") is not None, shutil.which("llama-server") or ""
    programs = [program] if program is not None else [found, ""] if found and has_own else [found]
    if not any(programs) and not has_own:
        raise MachineError("the local engine (xllamacpp) is not installed", hint=INSTALL_HINT)
    check_memory(gguf, slots=slots, context_tokens=context_tokens, cache_mib=CACHE_MIB)
    settings = {
        "gguf": str(gguf.resolve()),
        "slots": slots,
        "context_tokens": context_tokens,
        "threads": threads or describe().physical_cores,
        "cache_mib": CACHE_MIB,
        "key": secrets.token_urlsafe(24),
        "params": params or {},
    }
    with contextlib.ExitStack() as started:
        child, url = _start(settings, programs, log, started)
        endpoint = Endpoint(
            f"{url}/v1",
            gguf.stem,
            api_key=settings["key"],
            timeout_s=timeout_s,
            in_flight=slots,
            identity=identity or hash_file(gguf),
        )
        try:
            yield endpoint
        except MachineError as error:
            if error.where != endpoint.url or not _has_ended(child):
                raise
            raise _ended(child, log) from error


def _start(
    settings: dict[str, Any], programs: list[str], log: Path, started: contextlib.ExitStack
) -> tuple[subprocess.Popen[bytes], str]:
    """Start the first of these programs that does, and return it with its address."""
    for program in programs[:-1]:
        with contextlib.suppress(MachineError):
            return started.enter_context(_child({**settings, "program": program}, log))
    return started.enter_context(_child({**settings, "program": programs[-1]}, log))


# -- the child ---------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _child(settings: dict[str, Any], log: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as messages:
        child = subprocess.Popen(
            [sys.executable, "-m", "homeroom.models.engine_server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=messages,
            env=_env(),
            start_new_session=True,  # Ctrl-C in the terminal is for us; we end the child after what was answered
        )
        try:
            yield child, _wait_until_ready(child, settings, log)
        finally:
            _end(child)


def _env() -> dict[str, str]:
    import homeroom

    # Threads that spin while they wait for one another starve when anything else runs: with both cores shared, this
    # one setting took a model from 3 to 16 tokens a second.
    waiting = {"OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE")}
    paths = [str(Path(homeroom.__file__).parent.parent), os.environ.get("PYTHONPATH", "")]
    return os.environ | waiting | {"PYTHONPATH": os.pathsep.join(path for path in paths if path)}


def _wait_until_ready(child: subprocess.Popen[bytes], settings: dict[str, Any], log: Path) -> str:
    assert child.stdin is not None
    assert child.stdout is not None
    deadline = time.monotonic() + START_TIMEOUT_S
    with contextlib.suppress(BrokenPipeError):  # it ended already, and its log says why
        child.stdin.write(json.dumps(settings).encode() + b"\n")
        child.stdin.flush()
    line = b""
    while not line.endswith(b"\n"):
        if not select.select([child.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise MachineError(f"the engine did not start within {START_TIMEOUT_S:g} s", where=str(log))
        part = os.read(child.stdout.fileno(), 1000)
        if not part:
            raise _ended(child, log)
        line += part
    url = line.decode().strip()
    while not _is_healthy(url):
        if child.poll() is not None:
            raise _ended(child, log)
        if time.monotonic() > deadline:
            raise MachineError(f"the engine did not answer within {START_TIMEOUT_S:g} s", where=str(log))
        time.sleep(0.1)
    return url


def _is_healthy(url: str) -> bool:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"{url}/health", timeout=5) as response:
            return bool(response.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _has_ended(child: subprocess.Popen[bytes]) -> bool:
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(timeout=2)  # a connection breaks a moment before the process is gone
    return child.returncode is not None


def _ended(child: subprocess.Popen[bytes], log: Path) -> MachineError:
    try:
        status: int | str = child.wait(timeout=10)
    except subprocess.TimeoutExpired:
        status = "unknown"
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    said = " | ".join(line[:200] for line in lines[-5:]) or "it said nothing"
    killed = "The system killed it, most likely for memory: take fewer context_tokens or a smaller model."
    hint = killed if status == -9 else "Start again: answers so far are kept."
    return MachineError(f"the engine ended (status {status}); its last words: {said}", where=str(log), hint=hint)


def _end(child: subprocess.Popen[bytes]) -> None:
    assert child.stdin is not None
    assert child.stdout is not None
    with contextlib.suppress(OSError):
        child.stdin.close()  # it ends by itself when this closes
    try:
        child.wait(timeout=5)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    child.stdout.close()
