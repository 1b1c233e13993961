"""A GGUF file behind an `Endpoint`: llama.cpp in a child process that ends with us.

The child is a process of its own, so that a crash in native code is an error here and not the end of the run, and
its memory goes back to the machine before training begins. What it needs is estimated, and compared with what the
machine has free, before it starts.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from homeroom.core.errors import MachineError
from homeroom.core.files import hash_file
from homeroom.models.endpoint import Endpoint

START_TIMEOUT_S = 180.0  # 1 GiB from a slow disk, repacked for the CPU, takes half a minute
COMPUTE_GIB = 0.5  # activations and Python, measured with a vocabulary of 150,000
INSTALL_HINT = "Install it: pip install 'homeroom[engine]'. Or give a server of your own: --teacher http://host:port/v1"


@contextlib.contextmanager
def local_engine(
    gguf: Path,
    *,
    slots: int,
    context_tokens: int,
    threads: int | None = None,
    log: Path,
    timeout_s: float = 300.0,
    identity: str = "",
    params: dict[str, Any] | None = None,
    program: str = "xllamacpp",
) -> Iterator[Endpoint]:
    """Run a model on this machine for as long as the context lasts.

    Args:
        gguf: The model's file.
        slots: Requests answered at once; each has its own `context_tokens`.
        context_tokens: Prompt and answer together, per slot.
        threads: CPU threads; None: the cores this process may use.
        log: File that gets the engine's own messages.
        timeout_s: For one answer.
        identity: The file's sha256 where it is known already; empty: it is computed.
        params: xllamacpp parameters by name that differ from ours, for measurements.
        program: "xllamacpp", or the path of a `llama-server` to run instead.

    Raises:
        MachineError: the file or xllamacpp is missing, memory does not suffice, or the engine did not start.
    """
    if not gguf.is_file():
        raise MachineError("the model's file does not exist", where=str(gguf), hint="homeroom models list")
    check_memory(gguf, slots=slots, context_tokens=context_tokens)
    threads = threads or usable_cpus()
    identity = identity or hash_file(gguf)
    settings = {"gguf": str(gguf), "slots": slots, "context_tokens": context_tokens, "threads": threads}
    command = _command(settings | {"params": params or {}}, program)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as messages:
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=messages, env=_env())
        try:
            url = _wait_for_address(child, log)
            yield Endpoint(f"{url}/v1", gguf.stem, timeout_s=timeout_s, in_flight=slots, identity=identity)
        finally:
            _end(child)


def usable_cpus() -> int:
    """Return how many CPUs this process may run on."""
    with contextlib.suppress(AttributeError):  # macOS has no affinity
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# -- the child ---------------------------------------------------------------------------------------------------


def _command(settings: dict[str, Any], program: str) -> list[str]:
    if program != "xllamacpp":
        raise NotImplementedError
    import importlib.util

    if importlib.util.find_spec("xllamacpp") is None:
        raise MachineError("the local engine is not installed (no package xllamacpp)", hint=INSTALL_HINT)
    return [sys.executable, "-m", "homeroom.models.engine_server", json.dumps(settings)]


def _env() -> dict[str, str]:
    import homeroom

    root = str(Path(homeroom.__file__).parent.parent)
    path = os.environ.get("PYTHONPATH")
    return os.environ | {"PYTHONPATH": f"{root}{os.pathsep}{path}" if path else root}


def _wait_for_address(child: subprocess.Popen[bytes], log: Path) -> str:
    assert child.stdout is not None
    deadline = time.monotonic() + START_TIMEOUT_S
    line = b""
    while not line.endswith(b"\n"):
        if not select.select([child.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise MachineError(f"the engine did not start within {START_TIMEOUT_S:g} s", where=str(log))
        part = os.read(child.stdout.fileno(), 1000)
        if not part:
            raise _died(child, log)
        line += part
    return line.decode().strip()


def _died(child: subprocess.Popen[bytes], log: Path) -> MachineError:
    status = child.wait(timeout=30)
    last = log.read_text(encoding="utf-8", errors="replace").splitlines()[-6:]
    said = " | ".join(line.strip()[:300] for line in last) or "it said nothing"
    hint = "Killed by the system, most likely for memory: fewer slots or a smaller model." if status == -9 else ""
    return MachineError(f"the engine ended with status {status}: {said}", where=str(log), hint=hint)


def _end(child: subprocess.Popen[bytes]) -> None:
    assert child.stdin is not None and child.stdout is not None
    with contextlib.suppress(OSError):
        child.stdin.close()
    try:
        child.wait(timeout=10)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    child.stdout.close()
