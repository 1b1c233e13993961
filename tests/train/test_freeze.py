"""Frozen layers stay as they were to the bit, whatever the run computed in; a blend lies on the way to the tuned."""

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
    phase = Phase(tokens=4000, epochs=0, lr=3e-3, step_tokens=150, frozen_share=0.5, blend=1.0)
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


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_blend_lies_between_the_base_and_what_was_learned(method, tiny, tmp_path):
    models = {"base": tiny}
    for share in (1.0, 0.25):
        phase = Phase(tokens=1500, epochs=0, lr=3e-3, step_tokens=150, frozen_share=0.0, method=method, blend=share)
        train(tiny, [sample(n) for n in range(20)], phase=phase, seed=0, dtype="float32", out=tmp_path / str(share))
        models[share] = tmp_path / str(share) / "final"
    base, whole, part = (dict(load_student(models[k]).model.named_parameters()) for k in ("base", 1.0, 0.25))
    assert any(not torch.equal(base[name], whole[name]) for name in base)
    for name, weight in part.items():
        torch.testing.assert_close(weight, torch.lerp(base[name], whole[name], 0.25), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("share", [-0.1, 0.0, 1.1])
def test_a_blend_that_is_no_way_between_the_two_is_refused_before_anything_is_done(share, tiny, tmp_path):
    with pytest.raises(UsageError, match="blend"):
        train(tiny, [sample(1)], phase=Phase(blend=share), seed=0, out=tmp_path)


@pytest.mark.parametrize("share", [-0.1, 1.0, 2.0])
def test_a_share_that_leaves_nothing_to_learn_is_refused(share, tiny):
    with pytest.raises(UsageError, match="frozen_share"):
        freeze(load_student(tiny).model, share)
