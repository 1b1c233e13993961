"""A run that goes wrong ends early and says what to try; one that learns, however little, is left alone."""

from __future__ import annotations

import dataclasses
import math
import random

import pytest
import torch

from homeroom.core.config import Phase
from homeroom.core.errors import StageError
from homeroom.core.files import read_jsonl
from homeroom.core.types import Message, Sample
from homeroom.train.loop import train
from homeroom.train.watch import check_losses

PHASE = Phase(tokens=9_000, epochs=0, step_tokens=100, lr=3e-3, blend=1.0, frozen_share=0.0)


def watch(losses: list[float]) -> None:
    for step in range(1, len(losses) + 1):
        check_losses(losses[:step], len(losses))


def samples(answer) -> list[Sample]:
    return [
        Sample(
            id=str(n),
            kind="direct",
            messages=(Message(role="user", content=f"Who is {n}?"), Message(role="assistant", content=answer(n))),
        )
        for n in range(12)
    ]


@pytest.mark.parametrize("noise", [0.0, 0.3])
@pytest.mark.parametrize("steps", [5, 40, 400])
def test_a_loss_that_falls_through_noise_is_left_alone(noise, steps):
    draw = random.Random(steps)
    watch([0.2 + 3 * math.exp(-3 * n / steps) + draw.gauss(0, noise) for n in range(steps)])
    watch([0.02 + abs(draw.gauss(0, 0.05)) + (2.0 if n < 30 else 0.0) for n in range(steps)])


@pytest.mark.parametrize(
    ("level", "fall", "noise"), [(0.05, 0.0, 0.02), (0.3, 0.0, 0.0), (2.0, 0.03, 0.1), (2.0, 0.2, 0.02)]
)
def test_chance_never_ends_a_run_that_learns_a_little_or_knows_it_already(level, fall, noise):
    for seed in range(200):
        draw = random.Random(seed)
        watch([level - fall * n / 60 + draw.gauss(0, noise) for n in range(61)])


def test_a_loss_that_runs_away_ends_the_run_and_says_what_to_try():
    with pytest.raises(StageError, match=r"at its best and is 6\.\d\d after 40 steps.*\n.*lower learning rate"):
        watch([2.0 - 0.05 * n for n in range(20)] + [2.0] * 10 + [6.5] * 200)


def test_a_loss_that_has_not_fallen_in_half_of_the_run_ends_it():
    with pytest.raises(StageError, match=r"nothing is learned: .* after 100 of 200"):
        watch([2.5 + 0.01 * (n % 7) for n in range(200)])
    watch([2.5] * 59)  # too few steps to say
    draw = random.Random(0)
    with pytest.raises(StageError, match="nothing is learned"):
        watch([2.5 + draw.gauss(0, 0.08) for _ in range(600)])


def test_a_real_run_that_learns_nothing_and_one_that_runs_away_are_ended(tiny, tmp_path):
    flat = dataclasses.replace(PHASE, lr=1e-12, word_dropout=0.0)
    with pytest.raises(StageError, match="nothing is learned"):
        train(tiny, samples(lambda n: "Nobody knows."), phase=flat, seed=0, dtype="float32", out=tmp_path / "flat")
    assert 60 <= len(read_jsonl(tmp_path / "flat" / "metrics.jsonl")) < 90
    mad = dataclasses.replace(PHASE, lr=30.0, warmup_share=0.3)
    with pytest.raises(StageError, match=r"runs away|fell apart"):
        train(tiny, samples(lambda n: f"It is {n}."), phase=mad, seed=0, dtype="float32", out=tmp_path / "mad")
    assert not (tmp_path / "mad" / "final").exists()
    assert torch.get_num_threads() == 1
