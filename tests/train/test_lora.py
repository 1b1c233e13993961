from __future__ import annotations

import pytest
import torch

from homeroom.core.errors import UsageError
from homeroom.models.student import load_student
from homeroom.train import lora
from homeroom.train.weights import Weights

IDS = torch.arange(3, 23)[None]


def test_it_begins_as_the_model_it_is_attached_to_and_merged_it_is_a_plain_model_that_says_the_same(tiny):
    model, base = load_student(tiny).model, load_student(tiny).model
    lora.attach(model, rank=4, seed=0)
    torch.testing.assert_close(model(IDS).logits, base(IDS).logits)
    for name, parameter in model.named_parameters():
        if "up_OR" in name:
            parameter.data.normal_(std=0.1)
    said = model(IDS).logits
    assert (said - base(IDS).logits).abs().max() > 0.1
    torch.testing.assert_close(lora.merge(model, base)(IDS).logits, said, rtol=1e-3, atol=1e-4)
    assert not any(isinstance(module, lora.LoraLinear) for module in base.modules())


def test_only_the_thin_matrices_learn_and_the_seed_decides_where_they_begin(tiny):
    first, again, other = (load_student(tiny).model for _ in range(3))
    for model, seed in ((first, 1), (again, 1), (other, 2)):
        lora.attach(model, rank=2, seed=seed)
    names = Weights(first, dtype=torch.float32, weight_decay=0.0).names
    assert len(names) == 2 * 7 * first.config.num_hidden_layers
    assert all(name.endswith(("down_RC", "up_OR")) for name in names)
    states = [model.state_dict() for model in (first, again, other)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in names)
    assert not all(torch.equal(states[0][name], states[2][name]) for name in names)


@pytest.mark.parametrize("rank", [0, -1, 10**9])
def test_a_rank_that_cannot_be_is_refused(rank, tiny):
    with pytest.raises(UsageError, match="rank"):
        lora.attach(load_student(tiny).model, rank=rank, seed=0)
