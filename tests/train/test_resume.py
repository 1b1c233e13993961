"""Killed at any moment, also while a checkpoint is written, a run ends with the weights it would have had anyway.

A few points by default; `HOMEROOM_KILLS=20` for as many as the design asks for.
"""

from __future__ import annotations

import dataclasses
import os
import random
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from homeroom.core.config import Phase
from homeroom.core.errors import MachineError, RefusedError, UsageError
from homeroom.core.files import lock_folder, read_json, read_jsonl, write_json
from homeroom.core.types import Message, Sample
from homeroom.models.student import load_student
from homeroom.train import checkpoints, loop, measured
from homeroom.train.checkpoints import Cursor, save_checkpoint, writing_to
from homeroom.train.loop import train
from homeroom.train.weights import Weights

ROOT = Path(__file__).resolve().parents[2]
KILLS = int(os.environ.get("HOMEROOM_KILLS", "4"))
PHASE = Phase(tokens=4_000, epochs=0, lr=3e-3, step_tokens=200, blend=1.0, frozen_share=0.0, checkpoint_minutes=0.0)

# Imports torch once, then forks a child for every life of the run, so that 20 lives take seconds. A child gets its
# orders on stdin: "sleep S" is killed after so long, "write N" kills itself when N bytes of a checkpoint are on disk.
LIVES = """
import os, random, signal, sys, time
sys.path[:0] = [ROOT, TESTS]
from pathlib import Path
import test_resume as here
from homeroom.train import checkpoints, loop
loop.CHECKPOINT_SHARE = 1e9  # a checkpoint after every step
plain_save = checkpoints.save_file

def dying_save(share):
    def save(tensors, path):
        plain_save(tensors, path)
        os.truncate(path, int(os.path.getsize(path) * share))
        os.kill(os.getpid(), signal.SIGKILL)
    return save

for order in sys.stdin:
    how, value = order.split()
    child = os.fork()
    if not child:
        if how == "write":
            count = [0]
            def save(tensors, path):
                count[0] += 1
                (dying_save(float(value)) if count[0] == 2 else plain_save)(tensors, path)
            checkpoints.save_file = save
        here.train(Path(TINY), here.samples(), phase=here.PHASE, seed=3, dtype="float32", out=Path(OUT))
        os._exit(0)
    if how == "sleep":
        time.sleep(float(value))
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    torn = len(list(Path(OUT, "checkpoints").glob(".step-*.part")))
    print(os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status), torn, flush=True)
"""


def samples() -> list[Sample]:
    """Questions with words missing, and replay of which the base's doubts are learned too."""
    return [
        Sample(
            id=str(n),
            kind="direct" if n % 4 else "replay",
            teacher="" if n % 4 else "base",
            messages=(Message(role="user", content=f"Who is {n}?"), Message(role="assistant", content=f"{n * 7}.")),
        )
        for n in range(20)
    ]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


@pytest.fixture(scope="module")
def undisturbed(tiny, tmp_path_factory):
    """The folder of a run that nobody disturbed."""
    out = tmp_path_factory.mktemp("unbroken")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        train(tiny, samples(), phase=PHASE, seed=3, dtype="float32", out=out)
    return out


@pytest.fixture(scope="module")
def unbroken(undisturbed):
    return weights(undisturbed / "final")


def test_killed_at_random_moments_and_while_it_writes_it_ends_with_the_same_bits(tiny, tmp_path, undisturbed):
    out, draw = tmp_path / "run", random.Random(KILLS)
    orders = [f"write {draw.choice([0.0, 0.5, 1.0])}", "write 0.3"]  # these two die at any speed
    orders += [f"sleep {draw.uniform(0.05, 1.2):.3f}" for _ in range(KILLS)]
    head = f"ROOT, TESTS, TINY, OUT = {str(ROOT)!r}, {str(Path(__file__).parent)!r}, {str(tiny)!r}, {str(out)!r}\n"
    ended = subprocess.run(
        [sys.executable, "-c", head + LIVES], input="\n".join(orders) + "\n", capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    lives = [tuple(map(int, line.split())) for line in ended.stdout.split("\n") if line]
    killed = [life for life in lives if life[0] == signal.SIGKILL]
    assert len(killed) >= 2
    assert any(torn for _, torn in killed)  # at least once in the middle of a checkpoint
    resumed = train(tiny, samples(), phase=PHASE, seed=3, dtype="float32", out=out)
    final, unbroken = weights(out / "final"), weights(undisturbed / "final")
    assert resumed.steps > 10
    assert final.keys() == unbroken.keys()
    assert all(torch.equal(final[name], unbroken[name]) for name in final)
    assert not list((out / "checkpoints").glob(".*"))
    lines, expected = (read_jsonl(folder / "metrics.jsonl") for folder in (out, undisturbed))
    assert [line["step"] for line in lines] == list(range(1, resumed.steps + 1))
    assert [line["loss"] for line in lines] == [line["loss"] for line in expected]


def test_a_disk_that_fills_up_leaves_the_last_good_checkpoint(tiny, tmp_path, unbroken, monkeypatch):
    """The limit on the size of a file is the kernel's own; the write fails as on a full disk."""
    monkeypatch.setattr(loop, "CHECKPOINT_SHARE", 1e9)
    plain, before, count = checkpoints.save_file, resource.getrlimit(resource.RLIMIT_FSIZE), []

    def save(tensors, path):
        count.append(path)
        if len(count) == 4:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, before[1]))
        plain(tensors, path)

    monkeypatch.setattr(checkpoints, "save_file", save)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with pytest.raises(MachineError, match="could not be written") as caught:
            train(tiny, samples(), phase=PHASE, seed=3, dtype="float32", out=tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert caught.value.exit_code == 4
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["step-000002", "step-000003"]
    train(tiny, samples(), phase=PHASE, seed=3, dtype="float32", out=tmp_path)
    final = weights(tmp_path / "final")
    assert all(torch.equal(final[name], unbroken[name]) for name in final)


def test_what_was_measured_at_the_start_stays_with_the_run(tiny, tmp_path, monkeypatch):
    config, name = load_student(tiny).model.config, tmp_path / "measured.json"

    def measure(made_from):
        return measured.measure_once(name, made_from=made_from, wanted="auto", config=config, device="cpu")

    first = measure("a")
    write_json(name, dataclasses.asdict(first) | {"dtype": "bfloat16", "threads": 2})  # as on another day
    before = torch.get_num_threads()
    try:
        again = measure("a")
        assert (again.dtype, again.threads) == ("bfloat16", 2)
        assert torch.get_num_threads() == 2
        other = measure("b")  # another run measures for itself
        assert (other.threads, torch.get_num_threads()) == (1, 1)
        name.write_text('{"made_from": "b", ')  # cut off
        assert measure("b") == other
    finally:
        torch.set_num_threads(before)


def test_a_run_that_begins_fixes_its_threads_as_one_that_goes_on_does(tiny, tmp_path, monkeypatch):
    config, fixed = load_student(tiny).model.config, []
    monkeypatch.setenv("OMP_NUM_THREADS", str(torch.get_num_threads()))  # nothing to change
    monkeypatch.setattr(torch, "set_num_threads", fixed.append)  # what tells MKL not to choose for itself
    for _ in ("begins", "goes on"):
        measured.measure_once(tmp_path / "m.json", made_from="a", wanted="float32", config=config, device="cpu")
    assert fixed == [torch.get_num_threads()] * 2


def test_a_run_that_goes_on_computes_as_it_began_whatever_the_machine_says_now(tiny, tmp_path, monkeypatch):
    class Stop(BaseException):
        pass

    def stop(stage, done, total, note=""):
        if done:
            raise Stop

    for threads, dtype in (("1", "float32"), ("2", "bfloat16")):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        monkeypatch.setattr(
            measured, "pick_dtype", lambda *_, d=dtype, **__: measured.Choice(getattr(torch, d), "test")
        )
        with pytest.raises(Stop):
            train(tiny, samples(), phase=PHASE, seed=3, out=tmp_path, progress=stop)
        kept = read_json(tmp_path / "measured.json")
        assert (kept["dtype"], kept["threads"]) == ("float32", 1)
        assert torch.get_num_threads() == 1


@pytest.mark.parametrize("keep", [1, 3])
def test_only_the_wanted_number_of_checkpoints_is_kept(keep, tiny, tmp_path):
    model = load_student(tiny).model
    state = Weights(model, dtype=torch.float32, weight_decay=0.0)
    for step in range(1, 6):
        save_checkpoint(tmp_path, state, Cursor(made_from="x", step=step), keep=keep)
        assert len(list(tmp_path.iterdir())) == min(step, keep)
    assert sorted(p.name for p in tmp_path.iterdir())[-1] == "step-000005"
    with pytest.raises(UsageError, match="checkpoints_kept"):
        train(tiny, samples(), phase=dataclasses.replace(PHASE, checkpoints_kept=0), seed=0, out=tmp_path / "run")


def test_a_second_run_on_the_same_folder_is_refused(tiny, tmp_path):
    with lock_folder(tmp_path), pytest.raises(RefusedError, match="another run") as caught:
        train(tiny, samples(), phase=PHASE, seed=0, out=tmp_path)
    assert caught.value.exit_code == 5
    assert [p.name for p in tmp_path.iterdir()] == [".lock"]


def test_a_place_that_cannot_be_written_to_is_said_and_nothing_is_lost(tiny, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(MachineError, match="cannot be written") as caught:
        train(tiny, samples(), phase=PHASE, seed=0, out=tmp_path / "file" / "run")
    assert caught.value.exit_code == 4
    assert (tmp_path / "file").read_text() == "mine"
    with pytest.raises(MachineError, match="Read-only"), writing_to(tmp_path):
        raise OSError(30, "Read-only file system", str(tmp_path))
    with pytest.raises(RefusedError), writing_to(tmp_path):  # ours, although it is a PermissionError
        raise RefusedError("no")
