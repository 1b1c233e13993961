"""The queue: who may work on what, and what a late, lost or second worker may no longer do."""

import contextlib
import os
import sqlite3
import subprocess
import sys
import threading

import pytest

from homeroom.core.errors import MachineError, RefusedError
from homeroom.jobs import queue as module
from homeroom.jobs.machine import identity, is_alive
from homeroom.jobs.queue import Clock, Fenced, Queue


class Now:
    """A clock that a test sets."""

    def __init__(self):
        self.boot, self.seconds = "first", 0.0

    def clock(self):
        return Clock(boot=lambda: self.boot, seconds=lambda: self.seconds)


@pytest.fixture
def now():
    return Now()


@pytest.fixture
def queue(tmp_path, now):
    return Queue(tmp_path / "jobs.db", clock=now.clock(), lease_s=30)


def states(queue):
    return {job.id: job.state for job in queue.jobs()}


def test_jobs_are_taken_in_order_and_end_with_what_they_gave(queue):
    first, second = queue.submit("a", {"n": 1}), queue.submit("a", {"n": 2})
    lease = queue.claim("", ["a"])
    assert (lease.job.id, lease.job.spec) == (first, {"n": 1})
    queue.tell(lease, "say", {"text": "half"})
    queue.finish(lease, "done", result={"made": 3})
    assert states(queue) == {first: "done", second: "queued"}
    assert queue.get(first).result == {"made": 3}
    said = [(e.kind, e.data) for e in queue.events(first)]
    assert said[2] == ("say", {"text": "half"})
    assert [d["state"] for k, d in said if k == "state"] == ["queued", "running", "done"]


def test_row_70_the_same_key_twice_is_one_job(queue):
    assert queue.submit("a", {}, key="click") == queue.submit("a", {}, key="click")
    assert queue.submit("a", {}, key="other") != queue.submit("a", {}, key="click")


def test_one_device_is_never_given_to_two_jobs(queue):
    for device in ("cpu", "cpu", "gpu0", ""):
        queue.submit("a", {}, device=device)
    taken = [queue.claim("", ["a"]) for _ in range(4)]
    assert [lease.job.device if lease else None for lease in taken] == ["cpu", "gpu0", "", None]
    with contextlib.closing(sqlite3.connect(queue.path)) as database, pytest.raises(sqlite3.IntegrityError):
        database.execute("UPDATE jobs SET state = 'running' WHERE device = 'cpu'")
    queue.finish(taken[0], "done")
    assert queue.claim("", ["a"]).job.device == "cpu"


def test_two_hundred_claims_at_once_give_every_job_to_one(queue):
    for n in range(100):
        queue.submit("a", {"n": n})
    taken, lock = [], threading.Lock()

    def take():
        while (lease := queue.claim("", ["a"])) is not None:
            with lock:
                taken.append(lease.job.id)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(1, 101))


def test_row_69_a_worker_that_slept_through_its_lease_can_write_nothing_more(queue, now):
    job = queue.submit("a", {}, device="cpu")
    late = queue.claim("", ["a"])
    now.seconds = 31
    queue.submit("a", {})
    next_one = queue.claim("", ["a"])
    assert next_one.job.id == job
    assert next_one.fence > late.fence
    for write in (
        lambda: queue.renew(late),
        lambda: queue.tell(late, "say", {"text": "zombie"}),
        lambda: queue.finish(late, "done"),
    ):
        with pytest.raises(Fenced):
            write()
    queue.finish(next_one, "done")
    assert states(queue)[job] == "done"
    assert "zombie" not in str(queue.events(job))


def test_a_wall_clock_that_jumps_takes_no_job_from_anybody(queue, now, monkeypatch):
    queue.submit("a", {})
    lease = queue.claim(identity(), ["a"])
    for jump in (86_400.0, -86_400.0, 0.0):
        monkeypatch.setattr(module.time, "time", lambda jump=jump: 1_800_000_000.0 + jump)
        assert queue.claim("", ["a"]) is None
        assert queue.renew(lease) is False


def test_after_a_reboot_a_job_is_taken_up_at_once_whatever_the_seconds_say(queue, now):
    now.seconds = 1_000_000
    job = queue.submit("a", {})
    queue.claim("", ["a"])
    now.boot, now.seconds = "second", 5
    assert queue.claim("", ["a"]).job.id == job
    assert "restarted" in str([e.data for e in queue.events(job)])


def test_a_job_of_a_process_that_is_gone_is_taken_up_before_its_lease_ends(tmp_path):
    queue = Queue(tmp_path / "jobs.db")
    job = queue.submit("a", {})
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    holder = identity(child.pid)
    queue.claim(holder, ["a"])
    assert is_alive(holder)
    assert queue.claim("", ["a"]) is None
    child.kill()
    child.wait()
    child.stdin.close()
    assert queue.claim("", ["a"]).job.id == job


def test_a_process_number_that_was_given_away_again_is_not_the_old_process():
    boot, pid, began = identity().split(" ", 2)
    assert not is_alive(f"{boot} {pid} {int(began) - 1 if began.isdigit() else 'x'}")
    assert not is_alive(f"{boot} {2**22 + 1} {began}")
    assert not is_alive("nonsense")


def test_a_job_that_is_lost_again_and_again_fails_and_can_be_resumed(queue, now):
    job = queue.submit("a", {})
    for _ in range(module.MAX_ATTEMPTS):
        assert queue.claim("", ["a"]).job.id == job
        now.seconds += 31
    assert queue.claim("", ["a"]) is None
    assert queue.get(job).state == "failed"
    assert "Lost 8 times" in queue.get(job).reason
    queue.resume(job)
    assert queue.claim("", ["a"]).job.attempt == 1


def test_a_job_is_cancelled_at_once_while_it_waits_and_asked_to_stop_while_it_runs(queue):
    waits, runs = queue.submit("b", {}), queue.submit("a", {})
    lease = queue.claim("", ["a"])
    queue.cancel(waits)
    queue.cancel(runs)
    assert queue.get(waits).state == "cancelled"
    assert queue.get(runs).state == "running"
    assert queue.renew(lease) is True


def test_row_72_a_log_that_floods_is_cut_and_says_so(queue, monkeypatch):
    monkeypatch.setattr(module, "MAX_LINES", 20)
    job = queue.submit("a", {})
    lease = queue.claim("", ["a"])
    for n in range(50):
        queue.tell(lease, "say", {"text": f"{n} " + "x" * 10_000})
    lines = [e.data["text"] for e in queue.events(job) if e.kind == "say"]
    assert len(lines) == 21
    assert max(map(len, lines)) <= module.MAX_LINE + 2
    assert lines[-1] == "… more was said than is kept."
    for n in range(50):
        queue.tell(lease, "progress", {"part": n})
    assert [e.data for e in queue.events(job) if e.kind == "progress"] == [{"part": 49}]


def test_a_full_line_refuses_and_a_large_job_too(queue, monkeypatch):
    monkeypatch.setattr(module, "MAX_WAITING", 2)
    queue.submit("a", {})
    queue.submit("a", {})
    with pytest.raises(RefusedError, match="2 jobs wait"):
        queue.submit("a", {})
    with pytest.raises(ValueError, match="characters"):
        queue.submit("a", {"x": "y" * 200_000})


def test_row_68_a_full_disk_loses_no_job_and_the_queue_works_on_afterwards(queue):
    job = queue.submit("a", {})
    lease = queue.claim("", ["a"])
    database = queue._open()
    pages = database.execute("PRAGMA page_count").fetchone()[0]
    database.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        any(queue.tell(lease, "say", {"text": "x" * 2000}) for _ in range(100))
    assert queue.get(job).state == "running"
    database.execute("PRAGMA max_page_count = 100000")
    queue.finish(lease, "done")
    assert queue.get(job).state == "done"


def test_a_damaged_file_is_said_and_not_written_over(tmp_path):
    path = tmp_path / "jobs.db"
    path.write_bytes(b"this is no database" * 1000)
    with pytest.raises(MachineError, match="damaged"):
        Queue(path)
    assert path.read_bytes().startswith(b"this is no database")


def test_a_copy_of_the_file_in_the_middle_of_a_job_goes_on_like_after_a_power_cut(queue, now, tmp_path):
    job = queue.submit("a", {})
    queue.claim("", ["a"])
    queue.backup(tmp_path / "copy.db")
    now.boot = "after the cut"
    copy = Queue(tmp_path / "copy.db", clock=now.clock())
    assert copy.claim("", ["a"]).job.id == job


def test_ten_thousand_jobs_are_listed_and_claimed_quickly(queue, monkeypatch):
    monkeypatch.setattr(module, "MAX_WAITING", 20_000)
    with queue._write() as database:
        database.executemany(
            "INSERT INTO jobs (kind, spec, owner, device, state, created) VALUES ('a', '{}', '', '', ?, 0)",
            [("done" if n % 2 else "queued",) for n in range(10_000)],
        )
    began = os.times().user
    for _ in range(20):
        queue.finish(queue.claim("", ["a"]), "done")
    assert len(queue.jobs(limit=50)) == 50
    assert os.times().user - began < 2
