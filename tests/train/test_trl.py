"""Our loop beside TRL's SFTTrainer: the same conversations in, the same losses, gradients and weights out.

TRL's numbers are in `golden/trl.json`, made by `trl_reference.py` with TRL in an environment of its own; where `trl`
can be imported, the last test makes them anew.
"""

from __future__ import annotations

import importlib.util
import json
import math

import pytest
import torch
from trl_reference import BATCH, GOLDEN, LR, STEPS, WARMUP, batches, conversations, fingerprint, run_trl, student

from homeroom.core.config import Phase
from homeroom.core.files import read_jsonl
from homeroom.core.types import Message, Sample
from homeroom.models.student import load_student
from homeroom.train import loop
from homeroom.train.batches import Step
from homeroom.train.loop import train
from homeroom.train.weights import Weights

PHASE = Phase(
    lr=LR,
    warmup_share=WARMUP,
    weight_decay=0.0,
    frozen_share=0.0,
    blend=1.0,
    soft_replay=False,
    word_dropout=0.0,
    tokens=10**9,
)


@pytest.fixture(scope="module")
def trl():
    return json.loads(GOLDEN.read_text(encoding="utf-8"))


def samples() -> list[Sample]:
    return [
        Sample(id=str(n), kind="direct", messages=tuple(Message(role=t["role"], content=t["content"]) for t in talk))
        for n, talk in enumerate(conversations())
    ]


def fixed_steps(encoded, *_, **__) -> list[Step]:
    """The batches that TRL was given, in two rows each."""
    steps = []
    for batch in batches():
        rows = (tuple(batch[: BATCH // 2]), tuple(batch[BATCH // 2 :]))
        steps.append(Step(rows=rows, tokens=sum(len(encoded[n].ids) for n in batch)))
    return steps


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    """Our run of the same: its metrics, its first gradients after clipping, and its last weights."""
    folder, first = tmp_path_factory.mktemp("ours"), {}
    plain_update = Weights.update

    def update(self, lr):
        if lr and not first:  # 0: the rehearsal
            grads = {name: weight.grad.clone() for name, weight in zip(self.names, self.master, strict=True)}
            norm = float(torch.stack([g.norm() for g in grads.values()]).norm())
            first.update({name: grad * min(1.0, 1.0 / norm) for name, grad in grads.items()})
        return plain_update(self, lr)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setattr(loop, "schedule_phase", fixed_steps)
        patch.setattr(Weights, "update", update)
        train(student(folder / "student"), samples(), phase=PHASE, seed=0, dtype="float32", out=folder / "run")
    model = load_student(folder / "run" / "final").model
    weights = fingerprint(dict(model.named_parameters()))
    return {"metrics": read_jsonl(folder / "run" / "metrics.jsonl"), "first": first, "weights": weights}


def test_every_one_of_fifty_losses_is_trls(trl, ours):
    assert len(trl["losses"]) == len(ours["metrics"]) == STEPS
    assert [row["loss"] for row in ours["metrics"]] == pytest.approx(trl["losses"], rel=2e-4)
    assert trl["losses"][-1] < 0.5 * trl["losses"][0]  # it is a run in which something is learned


def test_the_first_gradients_are_trls_to_float_tolerance(trl, ours):
    assert ours["metrics"][0]["gradient_norm"] == pytest.approx(trl["gradient_norms"][0], rel=1e-4)
    gradients = fingerprint(ours["first"])
    assert gradients.keys() == trl["first_gradients_clipped"].keys()
    for name, told in trl["first_gradients_clipped"].items():
        assert gradients[name]["norm"] == pytest.approx(told["norm"], rel=1e-4), name
        assert gradients[name]["values"] == pytest.approx(told["values"], rel=1e-3, abs=1e-3 * told["norm"]), name


def test_after_fifty_steps_the_weights_are_trls(trl, ours, tiny):
    base = fingerprint(dict(load_student(tiny).model.named_parameters()))
    assert ours["weights"].keys() == trl["weights"].keys()
    for name, told in trl["weights"].items():
        mine, before = ours["weights"][name], base[name]
        way = math.dist(told["values"], before["values"])  # how far these values went in training
        assert way > 1e-3
        assert math.dist(mine["values"], told["values"]) < 0.01 * way, name
        assert mine["norm"] == pytest.approx(told["norm"], rel=1e-5), name


@pytest.mark.filterwarnings("ignore")  # TRL's own
@pytest.mark.skipif(importlib.util.find_spec("trl") is None, reason="trl is not installed (see trl_reference.py)")
def test_trl_as_it_is_installed_gives_the_kept_numbers(trl, tmp_path):
    assert run_trl(tmp_path)["losses"] == pytest.approx(trl["losses"], rel=1e-3)
