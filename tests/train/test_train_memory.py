from __future__ import annotations

import dataclasses

import pytest
from transformers import AutoConfig

from homeroom.core.config import Phase
from homeroom.core.errors import MachineError
from homeroom.models.student import load_student
from homeroom.train import memory as memory_module
from homeroom.train.memory import check_memory, estimate


def smollm2():
    return AutoConfig.for_model(
        "llama",
        vocab_size=49152,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        tie_word_embeddings=True,
    )


def test_the_weights_are_counted_to_within_a_percent(tiny):
    for config, count in ((smollm2(), 134_515_008), (load_student(tiny).model.config, 853_120)):
        assert estimate(config, Phase()).parts["weights"] * 2**30 == pytest.approx(4 * count, rel=0.01, abs=2**20)


@pytest.mark.parametrize(
    ("tokens", "dtype", "measured_gib"), [(1155, "bfloat16", 4.26), (2048, "bfloat16", 5.69), (1155, "float32", 4.39)]
)
def test_the_estimate_for_the_embedded_student_is_what_was_measured(tokens, dtype, measured_gib):
    """Peak resident memory after three updates with rows of that many tokens, 2026-11-23."""
    assert estimate(smollm2(), Phase(step_tokens=tokens, frozen_share=0.0), dtype=dtype).gib == pytest.approx(
        measured_gib, rel=0.2
    )


def test_lora_frozen_layers_and_smaller_steps_need_less():
    full = estimate(smollm2(), Phase(frozen_share=0.0, step_tokens=512))
    assert estimate(smollm2(), Phase(method="lora")).gib < 0.7 * full.gib
    assert estimate(smollm2(), Phase(step_tokens=256, frozen_share=0.0)).gib < full.gib
    assert estimate(smollm2(), Phase()).gib < 0.8 * full.gib
    assert full.gib == pytest.approx(sum(full.parts.values()), abs=0.01)


def test_too_little_memory_is_said_before_the_start(monkeypatch):
    monkeypatch.setattr(memory_module, "memory", lambda: (8.0, 1.5))
    with pytest.raises(MachineError, match=r"needs about \d\.\d GiB.* 1\.5 GiB are free"):
        check_memory(smollm2(), Phase(frozen_share=0.0), dtype="float32")
    small = dataclasses.replace(Phase(), method="lora", step_tokens=128)
    assert check_memory(smollm2(), small, dtype="float32").gib > 0
