"""The worker: what becomes of a job when the child fails, floods, is cancelled, or the worker itself is killed."""

import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from homeroom.jobs.machine import is_alive
from homeroom.jobs.queue import Queue
from homeroom.jobs.worker import work

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
COUNT = [sys.executable, str(HERE / "counting.py")]
KILLS = int(os.environ.get("HOMEROOM_KILLS", "4"))  # 30 in `make kills`
TOTAL = 150 * KILLS
PATIENCE_S = 120  # a process starts slowly on a busy machine; only a test that fails takes so long


@pytest.fixture
def queue(tmp_path):
    return Queue(tmp_path / "jobs.db", lease_s=5)


def do_all(queue, seconds=PATIENCE_S, **settings):
    """Work until nothing waits or runs."""
    end = time.monotonic() + seconds

    def until():
        return not queue.jobs(states=("queued", "running")) or time.monotonic() > end

    work(queue, {"count": COUNT}, until=until, poll_s=0.02, heartbeat_s=0.1, grace_s=2, **settings)


def wait_for(what, seconds=PATIENCE_S):
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)
    return found


def test_a_job_is_done_and_its_progress_and_result_are_known(queue, tmp_path):
    job = queue.submit("count", {"n": 10, "file": str(tmp_path / "out")})
    do_all(queue)
    found = queue.get(job)
    assert (found.state, found.result) == ("done", {"sum": 55})
    assert found.progress == {"stage": "count", "part": 1.0, "whole": 1.0}


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"exit": 1}, "oh no"),
        ({"exit": 1, "says": ['{"error": "no such \\u001b[31mmodel", "hint": "pull it"}']}, "no such model"),
        ({"exit": 3, "says": ["just text"]}, "oh no"),
    ],
)
def test_a_child_that_fails_makes_a_failed_job_with_its_reason(queue, spec, reason):
    job = queue.submit("count", spec)
    do_all(queue)
    assert (queue.get(job).state, queue.get(job).reason) == ("failed", reason)


def test_row_72_what_a_child_writes_cannot_harm_a_terminal_or_a_page(queue):
    says = ["\x1b[2J\x1b]0;title\x07hello", "[" * 5000, "x" * 80_000, '{"say": {"a": 1}}', '{"progress": "no"}']
    job = queue.submit("count", {"exit": 1, "says": says})
    do_all(queue)
    lines = [e.data["text"] for e in queue.events(job) if e.kind == "say"]
    assert lines[0] == "hello"
    assert max(map(len, lines)) < 2100
    assert not [line for line in lines if "\x1b" in line]


def test_a_job_that_is_cancelled_stops_and_can_be_resumed_where_it_was(queue, tmp_path):
    out, go = tmp_path / "out", tmp_path / "go"
    job = queue.submit("count", {"n": 60, "file": str(out), "hold": str(go)})
    worker = threading.Thread(target=do_all, args=(queue,))
    worker.start()
    wait_for(lambda: out.is_file() and out.read_text().count("\n") > 5)
    queue.cancel(job)
    worker.join(PATIENCE_S)
    assert queue.get(job).state == "cancelled"
    kept = out.read_text().count("\n")
    assert 5 < kept <= 30
    go.touch()
    queue.resume(job)
    do_all(queue)
    assert queue.get(job).result == {"sum": 1830}


def test_a_worker_that_is_told_to_stop_gives_its_job_back(queue, tmp_path):
    out, go, stop = tmp_path / "out", tmp_path / "go", threading.Event()
    job = queue.submit("count", {"n": 60, "file": str(out), "hold": str(go)})
    settings = {"poll_s": 0.02, "heartbeat_s": 0.1, "grace_s": 2}
    worker = threading.Thread(target=work, args=(queue, {"count": COUNT}), kwargs={"until": stop.is_set, **settings})
    worker.start()
    wait_for(lambda: out.is_file() and out.read_text().count("\n") > 3)
    stop.set()
    worker.join(PATIENCE_S)
    assert (queue.get(job).state, queue.get(job).attempt) == ("queued", 0)
    go.touch()
    do_all(queue)
    assert queue.get(job).result == {"sum": 1830}


def test_a_child_that_has_closed_its_output_and_does_not_end_is_held_and_can_be_cancelled(tmp_path):
    queue = Queue(tmp_path / "jobs.db", lease_s=1)
    job = queue.submit("hang", {})
    hang = [sys.executable, "-c", "import os, time; os.close(1); time.sleep(600)"]
    settings = {"poll_s": 0.02, "heartbeat_s": 0.1, "grace_s": 600}

    def until():
        return queue.get(job).state not in ("queued", "running")

    worker = threading.Thread(target=work, args=(queue, {"hang": hang}), kwargs={"until": until, **settings})
    worker.start()
    child = wait_for(lambda: queue.get(job).child)
    begun = queue.clock.seconds()
    wait_for(lambda: queue.clock.seconds() > begun + 2)
    assert queue._open().execute("SELECT lease_until FROM jobs").fetchone()[0] > begun + 2, "the lease is renewed"
    queue.cancel(job)
    worker.join(20)
    assert queue.get(job).state == "cancelled"
    assert not is_alive(child)


@pytest.mark.parametrize("at_term", ["sys.exit(6)", "0"], ids=["ends", "must be killed"])
@pytest.mark.parametrize(
    ("says", "state", "reason", "result"),
    [
        ({"result": {"sum": 55}}, "done", "", {"sum": 55}),
        ({"say": "nearly"}, "failed", "It hung at its end, and was stopped.", {"hint": ""}),
        ({"error": "no such model", "hint": "Pull it."}, "failed", "no such model", {"hint": "Pull it."}),
    ],
    ids=["result", "nothing", "error"],
)
def test_a_child_that_hangs_at_its_end_has_done_what_it_said(queue, at_term, says, state, reason, result):
    code = (
        f"import os, signal, sys, time; signal.signal(15, lambda *_: {at_term})\n"
        f"print({json.dumps(says)!r}, flush=True); os.close(1)\nwhile True: time.sleep(600)"
    )
    job = queue.submit("hang", {})

    def until():
        return queue.get(job).state not in ("queued", "running")

    hang = {"hang": [sys.executable, "-c", code]}
    work(queue, hang, until=until, poll_s=0.02, heartbeat_s=0.1, grace_s=0.5)
    assert (queue.get(job).state, queue.get(job).reason, queue.get(job).result) == (state, reason, result)


def start_worker(path):
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, str(HERE / "worker_program.py"), str(path)], env=env)


def test_row_67_kill_9_at_random_points_loses_nothing_and_does_nothing_twice(queue, tmp_path):
    """The worker or its child is killed; another worker takes the job up, ends what is left, and the sum is right."""
    seed = int(os.environ.get("HOMEROOM_SEED", "7"))
    chance, out = random.Random(seed), tmp_path / "out"
    job = queue.submit("count", {"n": TOTAL, "pause": 0.005, "file": str(out)}, device="cpu")
    kills = 0
    for _ in range(KILLS):
        worker = start_worker(queue.path)
        child = wait_for(lambda: (j := queue.get(job)).state == "running" and j.child)
        time.sleep(chance.random() * 0.3)
        if chance.random() < 0.3:
            os.killpg(int(child.split(" ")[1]), signal.SIGSTOP)  # an orphan that hangs must be ended as well
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        kills += 1
    worker = start_worker(queue.path)
    wait_for(lambda: queue.get(job).state not in ("queued", "running"), seconds=3 * PATIENCE_S)
    worker.kill()
    worker.wait()
    assert queue.get(job).state == "done", queue.get(job).reason
    assert out.read_text().split() == [str(n) for n in range(1, TOTAL + 1)]
    assert kills == KILLS
    assert not is_alive(child)


def test_a_child_that_is_killed_from_outside_is_a_failure_that_says_why(queue, tmp_path):
    job = queue.submit("count", {"n": 60, "file": str(tmp_path / "out"), "hold": str(tmp_path / "never")})
    worker = threading.Thread(target=do_all, args=(queue,))
    worker.start()
    child = wait_for(lambda: queue.get(job).child)
    os.killpg(int(child.split(" ")[1]), signal.SIGKILL)
    worker.join(PATIENCE_S)
    assert queue.get(job).state == "failed"
    assert "memory" in queue.get(job).reason


def stop_between_writes(process, queue):
    """Stop a worker as a sleeping laptop does, but not while it holds the file: nobody could write then."""
    while True:
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)  # it has stopped
        try:
            with contextlib.closing(sqlite3.connect(queue.path, timeout=0.2, isolation_level=None)) as database:
                database.execute("BEGIN IMMEDIATE")
                database.execute("ROLLBACK")
            return
        except sqlite3.OperationalError:
            process.send_signal(signal.SIGCONT)
            time.sleep(0.01)


def test_row_69_a_worker_that_was_stopped_past_its_lease_finds_its_job_taken(tmp_path):
    queue = Queue(tmp_path / "jobs.db", lease_s=1)
    out, go = tmp_path / "out", tmp_path / "go"
    job = queue.submit("count", {"n": 50, "file": str(out), "hold": str(go)})
    code = (
        "import sys; from pathlib import Path; from homeroom.jobs.queue import Queue\n"
        "from homeroom.jobs.worker import work\n"
        f"work(Queue(Path({str(queue.path)!r}), lease_s=1), {{'count': {COUNT!r}}}, until=lambda: False,"
        " poll_s=0.02, heartbeat_s=0.1)"
    )
    sleeper = subprocess.Popen([sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(ROOT)})
    wait_for(lambda: out.is_file() and out.read_text().count("\n") > 5)
    stop_between_writes(sleeper, queue)
    fence = queue._open().execute("SELECT fence FROM jobs").fetchone()[0]
    wait_for(lambda: queue._open().execute("SELECT lease_until FROM jobs").fetchone()[0] < queue.clock.seconds())
    go.touch()
    do_all(queue)
    sleeper.send_signal(signal.SIGCONT)
    other = queue.submit("count", {"n": 1, "file": str(tmp_path / "other")})
    wait_for(lambda: queue.get(other).state == "done")  # it has seen that the first is not its own any more
    sleeper.kill()
    sleeper.wait()
    assert queue.get(job).result == {"sum": 1275}
    assert queue._open().execute("SELECT fence FROM jobs").fetchone()[0] > fence
    assert out.read_text().split() == [str(n) for n in range(1, 51)]
