"""Two processes that share one student have the losses and the weights of one."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from homeroom.core.config import Phase
from homeroom.core.errors import UsageError
from homeroom.core.files import read_jsonl, write_jsonl
from homeroom.core.types import Message, Sample
from homeroom.train.batches import Step
from homeroom.train.loop import train
from homeroom.train.parallel import share_out, train_parallel

ROOT = Path(__file__).resolve().parents[2]
PHASE = Phase(tokens=2_500, epochs=0, step_tokens=300, lr=3e-3, soft_replay=False, blend=0.9, frozen_share=0.25)


def samples() -> list[Sample]:
    def turns(n: int) -> tuple[Message, ...]:
        return (
            Message(role="user", content=f"Who is {n}? " * (1 + n % 4)),
            Message(role="assistant", content="It is he. " * (n % 5 + 1)),
        )

    return [Sample(id=str(n), kind="direct", messages=turns(n)) for n in range(23)]


def test_samples_are_shared_out_by_tokens_and_every_process_has_as_many_rows():
    sizes = [50, 40, 30, 20, 10, 10, 5, 60, 35, 15]
    step = Step(rows=((0, 1, 2), (3, 4, 5, 6), (7, 8, 9)), tokens=275)
    for processes in (2, 3, 4):
        shares = share_out(step, sizes, processes)
        assert sorted(n for share in shares for row in share for n in row) == list(range(10))
        assert {len(share) for share in shares} == {2 if processes == 2 else 1}
        loads = [sum(sizes[n] for row in share for n in row) for share in shares]
        assert max(loads) <= 1.15 * sum(sizes) / processes
    alone = Step(rows=((3,),), tokens=20)
    assert share_out(alone, sizes, 2) == [[(3,)], [()]]  # the other reads nothing, and still takes part


def test_two_processes_have_the_losses_and_the_weights_of_one(tiny, tmp_path):
    write_jsonl(tmp_path / "train.jsonl", samples())
    one = train(tiny, samples(), phase=PHASE, seed=5, dtype="float32", out=tmp_path / "one")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "homeroom.train.parallel", "--student", str(tiny), "--samples", str(tmp_path / "train.jsonl")]
    command += ["--out", str(tmp_path / "two"), "--phase", json.dumps(dataclasses.asdict(PHASE))]
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    ended = subprocess.run([*command, "--dtype", "float32", "--seed", "5"], env=env, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-3000:]
    losses, expected = ([row["loss"] for row in read_jsonl(tmp_path / n / "metrics.jsonl")] for n in ("two", "one"))
    assert len(expected) == one.steps > 6
    assert losses == pytest.approx(expected, rel=1e-4)
    assert expected[-1] < 0.9 * expected[0]
    first, second = (load_file(tmp_path / n / "final" / "model.safetensors") for n in ("one", "two"))
    base = load_file(tiny / "model.safetensors")
    assert first.keys() == second.keys()
    for name, weight in first.items():
        moved = float((weight - base[name]).norm())
        assert float((weight - second[name]).norm()) <= 0.01 * moved, name
    assert any(not torch.equal(first[name], base[name]) for name in first)


def test_what_only_one_process_can_is_refused(tiny, tmp_path):
    with pytest.raises(UsageError, match="soft_replay"):
        train_parallel(tiny, samples(), phase=Phase(), seed=0, out=tmp_path)
    with pytest.raises(UsageError, match="torchrun"):
        train_parallel(tiny, samples(), phase=PHASE, seed=0, out=tmp_path)
