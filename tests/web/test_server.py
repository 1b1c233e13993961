"""The server as a process: small, without torch, on this machine alone, with a worker that outlives it."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from web_process import start

from homeroom.core.errors import RefusedError
from homeroom.jobs.machine import identity
from homeroom.web.desk import Desk
from homeroom.web.server import check_host

ROOT = Path(__file__).resolve().parents[2]
MAX_MIB = 300


def mapped(pid):
    text = Path(f"/proc/{pid}/maps").read_text()
    return {line.rsplit("/", 1)[-1] for line in text.splitlines() if "/" in line}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_server_is_small_has_no_torch_in_it_and_its_worker_outlives_a_kill(home):
    process, link = start(home)
    base = link.split("/enter")[0]
    desk = Desk(home)
    for _ in range(2):  # one is done here, so the other waits for the machine, and the worker for it
        job = desk.queue.submit("run", {"course": "insurance"}, device="compute")
    lease = desk.queue.claim(identity(), ["run"])
    try:
        with urllib.request.urlopen(f"{base}/health", timeout=120) as answer:
            assert answer.read() == b'{"status": "ok"}'
        for path in ("/login", link[len(base) :], "/static/1/homeroom.css"):
            urllib.request.urlopen(base + path, timeout=120).read()
        resident = int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())[1]) / 1024
        assert resident < MAX_MIB, f"{resident:.0f} MiB"
        assert not [name for name in mapped(process.pid) if "torch" in name]
        lock, end = home / ".homeroom" / "worker" / ".lock", time.monotonic() + 120
        while not (lock.is_file() and lock.read_text()) and time.monotonic() < end:
            time.sleep(0.05)
        worker = int(lock.read_text())
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
    try:
        assert os.getpgid(worker) != os.getpgid(0)
        os.kill(worker, 0)  # it is still there: it has a job that waits
        time.sleep(0.5)
        os.kill(worker, 0)
    finally:
        os.kill(worker, signal.SIGTERM)
    assert desk.queue.get(job).state == "queued"
    desk.queue.finish(lease, "done")


def test_row_62_others_are_let_in_only_with_a_password_and_tls():
    for host in ("127.0.0.1", "::1", "localhost"):
        check_host(host, tls=False, passwords=False)
    for host in ("0.0.0.0", "::", "192.168.1.5", "example.org"):
        with pytest.raises(RefusedError, match="password"):
            check_host(host, tls=True, passwords=False)
        with pytest.raises(RefusedError, match="TLS"):
            check_host(host, tls=False, passwords=True)
        check_host(host, tls=True, passwords=True)


def test_row_62_the_default_host_is_this_machine():
    from homeroom.cli.web import web

    assert {p.name: p.default for p in web.params}["host"] == "127.0.0.1"


def test_importing_the_pages_imports_no_model():
    code = "import sys, homeroom.web.app, homeroom.web.server; print(sorted({m.split('.')[0] for m in sys.modules}))"
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True).stdout
    assert not [name for name in ("'torch'", "'transformers'", "'xllamacpp'") if name in loaded]
