"""Frozen layers stay as they were to the bit, whatever the run computed in; the others learn."""

from __future__ import annotations

import pytest
import torch

from homeroom.core.config import Phase
from homeroom.core.errors import UsageError
from homeroom.core.types import Message, Sample
from homeroom.models.student import load_student
from homeroom.train.freeze import freeze
from homeroom.train.loop import train


def sample(number: int) -> Sample:
    turns = (Message(role="user", content=f"What is {number}?"), Message(role="assistant", content=f"It is {number}."))
    return Sample(id=str(number), kind="direct", messages=turns)


def is_upper(name: str) -> bool:
    return any(f"layers.{n}." in name for n in (2, 3)) or name == "model.norm.weight"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_lower_half_is_the_base_to_the_bit_and_the_upper_half_has_learned(dtype, tiny, tmp_path):
    phase = Phase(tokens=4000, lr=3e-3, step_tokens=150, frozen_share=0.5)
    result = train(tiny, [sample(n) for n in range(20)], phase=phase, seed=0, dtype=dtype, out=tmp_path)
    assert result.loss_last < result.loss_first
    base, tuned = (dict(load_student(p).model.named_parameters()) for p in (tiny, tmp_path / "final"))
    for name, weight in tuned.items():
        assert torch.equal(weight, base[name]) == (not is_upper(name)), name


def test_nothing_is_frozen_at_a_share_of_zero_and_the_word_embeddings_go_with_the_lowest_layer(tiny):
    model = load_student(tiny).model
    freeze(model, 0.0)
    assert all(p.requires_grad for p in model.parameters())
    freeze(model, 0.24)  # rounded down: of four layers, none
    assert all(p.requires_grad for p in model.parameters())
    freeze(model, 0.25)
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert "model.embed_tokens.weight" in frozen
    assert all("embed_tokens" in name or "layers.0." in name for name in frozen)


@pytest.mark.parametrize("share", [-0.1, 1.0, 2.0])
def test_a_share_that_leaves_nothing_to_learn_is_refused(share, tiny):
    with pytest.raises(UsageError, match="frozen_share"):
        freeze(load_student(tiny).model, share)
