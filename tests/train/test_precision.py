from __future__ import annotations

import pytest
import torch
from transformers import LlamaConfig

from homeroom.core.errors import UsageError
from homeroom.train import precision
from homeroom.train.precision import pick_dtype

CONFIG = LlamaConfig(hidden_size=64, intermediate_size=128)


@pytest.mark.parametrize(
    ("slower", "picked", "reason"),
    [(0.5, "bfloat16", "2.0 times as fast"), (1.0, "float32", "1.0 times as fast"), (9.0, "float32", "emulated")],
)
def test_the_faster_arithmetic_is_picked_and_the_reason_given(slower, picked, reason, monkeypatch):
    precision._measured.cache_clear()
    monkeypatch.setattr(precision, "SECONDS", 0.01)
    monkeypatch.setattr(precision, "_seconds", lambda dtype, *_, **__: slower if dtype == torch.bfloat16 else 1.0)
    choice = pick_dtype("auto", CONFIG)
    precision._measured.cache_clear()
    assert choice.name == picked
    assert reason in choice.reason


def test_the_real_measurement_takes_a_moment_and_is_made_once(monkeypatch):
    precision._measured.cache_clear()
    first = pick_dtype("auto", CONFIG)
    monkeypatch.setattr(precision, "_seconds", None)
    assert pick_dtype("auto", CONFIG) == first
    assert first.name in ("float32", "bfloat16")


def test_what_is_asked_for_is_taken_and_nonsense_refused():
    assert pick_dtype("bfloat16", CONFIG).dtype == torch.bfloat16
    assert pick_dtype("auto", CONFIG, device="mps").dtype == torch.float32
    with pytest.raises(UsageError, match="float16"):
        pick_dtype("float16", CONFIG)
