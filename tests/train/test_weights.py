from __future__ import annotations

import pytest
import torch
from torch import nn

from homeroom.core.errors import StageError
from homeroom.train.weights import Weights, learning_rate


def step(weights: Weights, model: nn.Linear, x: torch.Tensor, lr: float) -> float:
    model(x.to(model.weight.dtype)).float().square().sum().backward()
    weights.collect()
    return weights.update(lr)


def test_in_bfloat16_many_small_steps_add_up():
    models = [nn.Linear(4, 4, bias=False) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    before = models[0].weight.detach().clone()
    moved = []
    for model, dtype in zip(models, (torch.float32, torch.bfloat16), strict=True):
        weights = Weights(model, dtype=dtype, weight_decay=0.0)
        for _ in range(50):
            step(weights, model, torch.eye(4), 1e-5)
        assert model.weight.dtype == dtype
        weights.finish()
        assert model.weight.dtype == torch.float32
        moved.append(model.weight.detach() - before)
    assert moved[0].abs().min() > 1e-4
    torch.testing.assert_close(moved[0], moved[1], rtol=0.05, atol=1e-5)


def test_one_step_is_that_of_a_plain_adamw_with_clipping():
    ours, plain = nn.Linear(4, 3), nn.Linear(4, 3)
    plain.load_state_dict(ours.state_dict())
    weights = Weights(ours, dtype=torch.float32, weight_decay=0.1)
    optimizer = torch.optim.AdamW(plain.parameters(), lr=1e-2, betas=(0.9, 0.95), weight_decay=0.1)
    for n in range(3):
        x = torch.full((2, 4), float(n + 1))
        norm = step(weights, ours, x, 1e-2)
        plain(x).square().sum().backward()
        assert norm == pytest.approx(float(nn.utils.clip_grad_norm_(plain.parameters(), 1.0)), rel=1e-5)
        optimizer.step()
        optimizer.zero_grad()
    torch.testing.assert_close(ours.weight, plain.weight)


def test_a_gradient_that_is_not_finite_leaves_the_weights_alone():
    model = nn.Linear(4, 4)
    weights = Weights(model, dtype=torch.float32, weight_decay=0.0)
    before = model.weight.detach().clone()
    with pytest.raises(StageError, match="lower learning rate"):
        step(weights, model, torch.full((1, 4), float("nan")), 1.0)
    assert torch.equal(model.weight, before)


def test_the_learning_rate_warms_up_and_falls_to_a_tenth():
    rates = [learning_rate(n, 100, peak=1.0, warmup_share=0.1) for n in range(100)]
    assert rates[:10] == sorted(rates[:10])
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == 1.0
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(0.1)
    assert learning_rate(0, 1, peak=1.0, warmup_share=0.0) == 1.0
