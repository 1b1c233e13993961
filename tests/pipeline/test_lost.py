"""Nothing lost, nothing paid twice: runs that are killed or meet a full disk, at random points, and go on.

A sample of the points by default; HOMEROOM_KILLS=50 takes as many.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import otter_course
import pytest
import scripted_teacher
from otter_course import comparable, kept_requests, made, worker
from scripted_endpoint import scripted_server

KILLS = int(os.environ.get("HOMEROOM_KILLS", "5"))
IN_FLIGHT = 64


@pytest.fixture(scope="module")
def teacher():
    with scripted_server(scripted_teacher.answer) as url:
        yield url


@pytest.fixture(scope="module")
def hand(tmp_path_factory):
    with worker(tmp_path_factory.mktemp("home")) as one:
        yield one


@pytest.fixture(scope="module")
def whole(tmp_path_factory, teacher, hand):
    """A run that nothing disturbed: what it made, how many steps it took, what it asked."""
    folder = otter_course.make(tmp_path_factory.mktemp("whole") / "course")
    count = folder.parent / "steps"
    before = len(teacher.asked)
    assert hand.work(folder, teacher, count_to=str(count)) == 0
    asked = [comparable(request) for request in teacher.asked[before:]]
    assert len(asked) == len(set(asked)) == len(kept_requests(folder)) > 20
    return made(folder), int(count.read_text()), set(asked)


class Ledger:
    """Asserts, from one interruption to the next, that no kept answer is asked for again."""

    def __init__(self, teacher, folder):
        self.teacher, self.folder = teacher, folder
        self.place, self.kept = len(teacher.asked), set()

    def check(self):
        self.teacher.settle()  # what a run asked at its very end may be read after it has ended
        asked = [comparable(request) for request in self.teacher.asked[self.place :]]
        again = self.kept & set(asked)
        assert not again, f"{len(again)} answers were paid twice"
        assert len(asked) == len(set(asked))
        self.place, self.kept = len(self.teacher.asked), kept_requests(self.folder)
        return len(asked)


def test_a_run_killed_at_random_points_ends_with_the_same_bytes_and_pays_nothing_twice(teacher, hand, whole, tmp_path):
    made_whole, num_steps, all_asked = whole
    chance, kills, asked, courses = random.Random(4), 0, 0, 0
    while kills < KILLS:
        folder = otter_course.make(tmp_path / f"{courses}" / "course")
        ledger, here = Ledger(teacher, folder), 0
        while kills < KILLS and here < 12:
            status = hand.work(folder, teacher, kill_at=chance.randrange(1, num_steps))
            asked += ledger.check()
            if status == 0:
                break  # what was left had fewer steps than that
            assert status == -signal.SIGKILL
            kills, here = kills + 1, here + 1
        assert hand.work(folder, teacher) == 0
        asked += ledger.check()
        assert made(folder) == made_whole
        courses += 1
    # Lost is at most what was under way at the moment of a kill.
    assert len(all_asked) * courses <= asked <= len(all_asked) * courses + kills * IN_FLIGHT


def test_a_run_killed_by_the_clock_does_too(teacher, hand, whole, tmp_path):
    folder = otter_course.make(tmp_path / "course")
    ledger, chance = Ledger(teacher, folder), random.Random(9)
    for _ in range(max(3, KILLS // 2)):
        pid = hand.start(folder, teacher)
        time.sleep(chance.uniform(0.05, 0.9))
        os.kill(pid, signal.SIGKILL)  # not reaped yet, so the number is still its own
        hand.end()
        ledger.check()
    assert hand.work(folder, teacher) == 0
    ledger.check()
    assert made(folder) == whole[0]


def test_a_disk_that_is_full_is_said_and_the_run_goes_on_once_there_is_room(teacher, hand, whole, tmp_path):
    made_whole, num_steps, _ = whole
    chance = random.Random(5)
    for number in range(max(2, KILLS // 2)):
        folder = otter_course.make(tmp_path / f"{number}" / "course")
        ledger = Ledger(teacher, folder)
        at = chance.randrange(4, num_steps - 2) // 2 * 2 + number % 2  # odd: cannot open; even: cannot bring to disk
        assert hand.work(folder, teacher, full_at=at) == 4
        ledger.check()
        assert not list((folder / "out").rglob("*.part"))  # it cleans up behind itself
        assert hand.work(folder, teacher) == 0
        ledger.check()
        assert made(folder) == made_whole


ON_A_SMALL_DISK = """
set -e
mkdir -p "$COURSE/out"
mount -t tmpfs -o size=96k tmpfs "$COURSE/out"
"$PYTHON" -c "$RUN" && exit 90 || [ $? = 4 ]
mount -o remount,size=50m "$COURSE/out"
"$PYTHON" -c "$RUN"
cp -a "$COURSE/out" "$COURSE/copy"
"""


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("unshare"), reason="needs a mount of its own")
def test_a_disk_that_is_really_full(teacher, whole, tmp_path):
    """The same with a file system of 96 KiB, where this user may mount one."""
    may = subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", str(tmp_path)], capture_output=True)
    if may.returncode:
        pytest.skip("this user may not mount anything")
    folder = otter_course.make(tmp_path / "course")
    run = f"import otter_course; otter_course.work({str(folder)!r}, {str(teacher)!r})"
    paths = os.pathsep.join([str(Path(otter_course.__file__).parent), str(Path(__file__).parents[2])])
    env = {
        "COURSE": str(folder),
        "PYTHON": sys.executable,
        "RUN": run,
        "PYTHONPATH": paths,
        "HOMEROOM_HOME": str(tmp_path),
    }
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", ON_A_SMALL_DISK],
        env=os.environ | env,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert "the disk is full" in done.stderr
    (folder / "out").rmdir()
    (folder / "copy").rename(folder / "out")
    assert made(folder) == whole[0]


def test_what_an_interrupted_write_left_behind_is_cleared_away(teacher, hand, whole, tmp_path):
    folder = otter_course.make(tmp_path / "course")
    names = ("asked/ab/.abcd.json.77.part", "facts/.facts.jsonl.77.part", ".planned.json.77.part")
    left = [folder / "out" / name for name in names]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("half", encoding="utf-8")
    assert hand.work(folder, teacher) == 0
    assert not any(path.exists() for path in left)
    assert json.dumps(sorted(made(folder))) == json.dumps(sorted(whole[0]))
