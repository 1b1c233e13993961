"""`homeroom web` as a process of its own, for tests that look at it from outside."""

import contextlib
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def start(home, *options):
    code = "import homeroom.cli.main as m, sys; sys.argv[0] = 'homeroom'; m.main()"
    env = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-c", code, "web", str(home), "--port", "0", *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env=env, text=True)
    said = ""
    for line in process.stderr:
        said += line
        if found := re.search(r"http://127\.0\.0\.1:\d+/enter/\S+", line):
            return process, found[0]
    pytest.fail(said)


@contextlib.contextmanager
def running(desk):
    """Yield the address of a real server for a desk, in a thread of this process."""
    import uvicorn

    from homeroom.serve.server import listen
    from homeroom.web.app import make_app

    listener = listen("127.0.0.1", 0)
    config = uvicorn.Config(make_app(desk, hosts=("127.0.0.1",)), log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(120)
        listener.close()
