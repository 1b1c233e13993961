"""The local engine's child process: started, asked, ended, and found dead.

A scripted `llama-server` stands in for the model; one test runs the real engine with the embedded student.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import signal
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from homeroom.core.errors import ContentError, MachineError
from homeroom.core.files import hash_file
from homeroom.core.types import Message, Request
from homeroom.models import engine, memory
from homeroom.models.dialect import Abilities, abilities
from homeroom.models.endpoint import ask_all
from homeroom.models.engine import local_engine
from homeroom.models.store import store_home

ROOT = Path(__file__).parents[2]
STUDENT = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

PROGRAM = f"""#!{sys.executable}
import json, os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
print("loading", sys.argv, flush=True)
if "dies" in os.environ.get("HOW", ""):
    sys.exit("not enough magic in the tensors")
class Handler(BaseHTTPRequestHandler):
    def log_message(self, *args): pass
    def send(self, status, value):
        self.send_response(status); self.end_headers(); self.wfile.write(json.dumps(value).encode())
    def do_GET(self): self.send(200, {{"status": "ok"}})
    def do_POST(self):
        if self.headers["Authorization"] != "Bearer " + os.environ["LLAMA_API_KEY"]:
            return self.send(401, {{"error": "no key"}})
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if asked["messages"][0]["content"] == "crash": os._exit(9)
        self.send(200, {{"choices": [{{"message": {{"content": str(os.getpid())}}}}]}})
HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Handler).serve_forever()
"""


@pytest.fixture
def program(tmp_path: Path) -> str:
    path = tmp_path / "llama-server"
    path.write_text(PROGRAM)
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(struct.pack("<4sIQQ", b"GGUF", 3, 0, 0))
    return path


def request(text: str = "hello") -> Request:
    return Request(messages=(Message(role="user", content=text),), max_tokens=8)


def is_running(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return False


def wait_until_gone(pid: int) -> bool:
    deadline = time.monotonic() + 120
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not is_running(pid)


def test_an_engine_answers_and_is_gone_afterwards(tmp_path: Path, program: str, gguf: Path):
    with local_engine(gguf, context_tokens=64, log=tmp_path / "log.txt", program=program) as endpoint:
        assert (endpoint.in_flight, endpoint.identity) == (1, hash_file(gguf))
        (reply,) = ask_all(endpoint, [request()], keep=None)
        bare = urllib.request.Request(f"{endpoint.url}/chat/completions", b"{}")
        with pytest.raises(urllib.error.HTTPError, match="401"):  # no other program on this machine may ask
            urllib.request.urlopen(bare, timeout=120)
    pid = int(reply.text)
    assert wait_until_gone(pid)
    log = (tmp_path / "log.txt").read_text()
    assert "'-c', '64'" in log
    assert endpoint._key not in log  # the command line is public; the key must not be on it


def test_a_llama_server_on_the_path_is_used_and_one_that_does_not_start_is_not(
    tmp_path: Path, program: str, gguf: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with local_engine(gguf, context_tokens=64, log=tmp_path / "log.txt") as endpoint:
        assert int(ask_all(endpoint, [request()], keep=None)[0].text)  # the scripted one says who it is
    Path(program).write_text("#!/bin/sh\necho too old for this >&2\nexit 3\n")
    with (
        pytest.raises(MachineError) as ended,  # ours has been started, and the file holds no model
        local_engine(gguf, context_tokens=64, log=tmp_path / "log.txt"),
    ):
        pass
    has_own = importlib.util.find_spec("xllamacpp") is not None
    assert ("too old for this" in str(ended.value)) is not has_own


def test_an_error_in_the_run_ends_the_engine_too(tmp_path: Path, program: str, gguf: Path):
    pids = []

    def fails() -> None:
        with local_engine(gguf, context_tokens=64, log=tmp_path / "log.txt", program=program) as endpoint:
            pids.append(int(ask_all(endpoint, [request()], keep=None)[0].text))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fails()
    assert wait_until_gone(pids[0])


PARENT = """
import sys, time
from pathlib import Path
from homeroom.core.types import Message, Request
from homeroom.models.endpoint import ask_all
from homeroom.models.engine import local_engine
gguf, program, log = sys.argv[1:]
with local_engine(Path(gguf), context_tokens=64, log=Path(log), program=program) as endpoint:
    request = Request(messages=(Message(role="user", content="hi"),), max_tokens=8)
    print(ask_all(endpoint, [request], keep=None)[0].text, flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_an_engine_does_not_outlive_a_run_that_was_killed(tmp_path: Path, program: str, gguf: Path):
    command = [sys.executable, "-c", PARENT, str(gguf), program, str(tmp_path / "log.txt")]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert is_running(pid)
        parent.send_signal(signal.SIGKILL)
    assert wait_until_gone(pid)


def test_an_engine_that_does_not_start_leaves_its_last_words(
    tmp_path: Path, program: str, gguf: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOW", "dies")
    with (
        pytest.raises(MachineError, match="not enough magic in the tensors"),
        local_engine(gguf, context_tokens=64, log=tmp_path / "log.txt", program=program),
    ):
        pass


def test_an_engine_that_dies_on_the_way_is_reported_as_such(tmp_path: Path, program: str, gguf: Path):
    def crashes() -> None:
        with local_engine(gguf, context_tokens=64, log=tmp_path / "log.txt", program=program) as endpoint:
            endpoint._backoff_s = 0.01
            ask_all(endpoint, [request(), request("crash")], keep=None)

    with pytest.raises(MachineError, match="the engine ended") as caught:
        crashes()
    assert caught.value.where.endswith("log.txt")


def test_what_is_missing_is_said_before_anything_starts(tmp_path: Path, gguf: Path, monkeypatch: pytest.MonkeyPatch):
    log = tmp_path / "log.txt"
    with pytest.raises(MachineError, match="does not exist"), local_engine(tmp_path / "x", context_tokens=64, log=log):
        pass
    (tmp_path / "text.gguf").write_text("hello")
    with pytest.raises(ContentError), local_engine(tmp_path / "text.gguf", context_tokens=64, log=log, program="x"):
        pass
    monkeypatch.setattr(engine.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MachineError, match="xllamacpp") as caught, local_engine(gguf, context_tokens=64, log=log):
        pass
    assert "pip install" in caught.value.hint
    monkeypatch.setattr(memory, "memory", lambda: (1.0, 0.1))
    with (
        pytest.raises(MachineError, match="GiB of memory"),
        local_engine(gguf, context_tokens=64, log=log, program="x"),
    ):
        pass
    assert not log.exists()


def embedded_student() -> Path:
    return store_home() / "models" / STUDENT / "SmolLM2-135M-Instruct.Q4_1.gguf"


@pytest.mark.real_student
@pytest.mark.skipif(not embedded_student().is_file(), reason="the embedded student is not on this machine")
def test_the_real_engine_answers_follows_a_schema_and_reads_a_beginning_once(tmp_path: Path):
    pytest.importorskip("xllamacpp")
    schema = {"type": "object", "properties": {"colour": {"enum": ["red", "blue"]}}, "required": ["colour"]}
    passage = Message(role="system", content="The north gate opens at nine. " * 12)
    asked = [
        Request(messages=(passage, Message(role="user", content="When?")), max_tokens=4),
        Request(messages=(passage, Message(role="user", content="A colour as JSON.")), max_tokens=24, schema=schema),
    ]
    with local_engine(embedded_student(), context_tokens=256, log=tmp_path / "log.txt", identity=STUDENT) as endpoint:
        free, shaped = ask_all(endpoint, asked, keep=tmp_path / "kept")
        can = asyncio.run(abilities(endpoint))
        asyncio.run(endpoint.close())
    assert free.completion_tokens == 4
    assert '"colour"' in shaped.text
    assert can == Abilities(schema=True, logprobs=True, seeds=True, streams=True, caches=True)
    assert shaped.cached_tokens > 80  # by its own count as well
    evaluated = [line for line in (tmp_path / "log.txt").read_text().splitlines() if "prompt eval time" in line]
    read = [int(line.split("/")[1].split()[0]) for line in evaluated]
    assert read[0] > 80 > 20 > read[1]  # the passage was read for the first request only
