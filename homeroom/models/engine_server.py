"""The child process of the local engine: llama.cpp's own server on a free port of 127.0.0.1.

The first line of stdin is a JSON object of settings (not the command line, which every user of the machine can read:
it holds the key that this server asks for). The server's address is written as one line to stdout, everything else to
stderr. The process ends as soon as stdin closes or its parent is gone, so that no engine outlives the run that started
it, not even one that was killed with -9.
"""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
from typing import Any


def main() -> None:
    """Serve until the parent closes our stdin."""
    parent = os.getppid()
    settings = json.loads(sys.stdin.readline())
    address = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # llama.cpp prints where it likes; stdout is for the address only
    if settings["program"]:
        child, url = start_program(settings)
    else:
        child, (_server, url) = None, start_inside(settings)  # it serves for as long as it is referred to
    print(url, file=address, flush=True)
    status = 0
    while not select.select([sys.stdin], [], [], 0.5)[0] and os.getppid() == parent:
        if child is not None and child.poll() is not None:
            status = child.returncode & 255
            break
    if child is not None:
        child.kill()
    sys.stderr.flush()
    os._exit(status)  # generations under way are of no use to anyone: do not wait for them


def start_inside(settings: dict[str, Any]) -> tuple[Any, str]:
    """Return xllamacpp's server, running in this process, and its address."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = settings["gguf"]
    params.hostnames = ["127.0.0.1"]
    params.port = 0  # any free one
    params.api_keys = [settings["key"]]  # or any page in this machine's browser could ask
    params.n_parallel = settings["slots"]
    params.n_ctx = settings["slots"] * settings["context_tokens"]
    params.cont_batching = True
    params.cache_prompt = True  # a slot keeps what it read last; a request goes to the slot that begins most like it
    params.cache_ram_mib = settings["cache_mib"]
    params.ui = False
    params.offline = True
    params.endpoint_slots = False
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = settings["threads"]
    for name, value in settings["params"].items():
        setattr(params, name, value)
    server = xllamacpp.Server(params)
    return server, server.listening_address


def start_program(settings: dict[str, Any]) -> tuple[subprocess.Popen[bytes], str]:
    """Return a `llama-server` that somebody installed, as a child, and its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = settings["slots"] * settings["context_tokens"]
    command = [settings["program"], "-m", settings["gguf"], "--host", "127.0.0.1", "--port", str(port), "--offline"]
    command += ["-np", str(settings["slots"]), "-c", str(context), "-t", str(settings["threads"]), "--no-webui"]
    command += ["--cache-ram", str(settings["cache_mib"]), "--no-slots"]
    env = os.environ | {"LLAMA_API_KEY": settings["key"]}
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=env, preexec_fn=_die_with_parent)
    return child, f"http://127.0.0.1:{port}"


def _die_with_parent() -> None:
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL


if __name__ == "__main__":
    main()
