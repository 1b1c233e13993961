from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from homeroom.core.types import Message, Sample
from homeroom.models.student import load_student
from homeroom.train import attention, batches, loss, soft
from homeroom.train.attention import can_pack
from homeroom.train.batches import pack
from homeroom.train.loss import plain_loss, row_loss
from homeroom.train.soft import with_soft_targets
from homeroom.train.template import Encoded, encode_all

SHAPE = {
    "vocab_size": 300,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 256,
    "pad_token_id": 0,
}
FAMILIES = {
    "llama": {},
    "mistral": {},
    "qwen2": {},
    "qwen3": {},
    "granite": {"logits_scaling": 4.0, "residual_multiplier": 0.5, "embedding_multiplier": 3.0},
    "granitemoehybrid": {
        "layer_types": ["attention"] * 3,
        "num_local_experts": 0,
        "shared_intermediate_size": 96,
        "logits_scaling": 4.0,
        "position_embedding_type": "rope",
    },
    "smollm3": {"no_rope_layers": [1, 1, 0]},
    "gemma3_text": {"sliding_window": 200, "query_pre_attn_scalar": 16},
}


def random_samples() -> list[Encoded]:
    draw = torch.Generator().manual_seed(0)
    samples = []
    for number, length in enumerate((9, 30, 31, 33, 12, 60, 5)):
        ids = tuple(torch.randint(1, 300, (length,), generator=draw).tolist())
        learn = (False, *[n >= length // 2 for n in range(1, length)])
        samples.append(Encoded(prefix=(7, 8, 9, 10, 11) if number % 3 else (), ids=ids, learn=learn))
    return samples


def other_model(config):
    torch.manual_seed(2)
    return AutoModelForCausalLM.from_config(config, attn_implementation="sdpa").eval()


def test_soft_targets_are_the_bases_own_and_cost_it_nothing(monkeypatch):
    monkeypatch.setattr(soft, "TOP", SHAPE["vocab_size"])
    config = AutoConfig.for_model("llama", **SHAPE)
    base, student = other_model(config), AutoModelForCausalLM.from_config(config).eval()
    samples = with_soft_targets(base, random_samples())
    for sample in samples:
        torch.testing.assert_close(sample.soft.probs_NK.sum(1), torch.ones(sum(sample.learn)))
    none, gradients = loss_and_gradients(base, plain_loss(base, samples))
    much, others = loss_and_gradients(student, plain_loss(student, samples))
    assert abs(none) < 1e-3 < 0.01 * much
    assert max(float(g.abs().max()) for g in gradients) < 1e-4 * max(float(g.abs().max()) for g in others)


def test_of_a_distribution_the_likeliest_tokens_are_kept_and_hold_all_of_it():
    sample = with_soft_targets(other_model(AutoConfig.for_model("llama", **SHAPE)), random_samples())[0]
    assert sample.soft.ids_NK.shape == (sum(sample.learn), soft.TOP)
    assert torch.equal(sample.soft.probs_NK, sample.soft.probs_NK.sort(1, descending=True).values)
    torch.testing.assert_close(sample.soft.probs_NK.sum(1), torch.ones(sum(sample.learn)))


def loss_and_gradients(model, value) -> tuple[float, list[torch.Tensor]]:
    model.zero_grad()
    value.backward()
    return value.item(), [p.grad.clone() for p in model.parameters() if p.grad is not None]


@pytest.mark.parametrize("short", [256, 30, 0], ids=["products", "both", "kernel"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_packed_row_has_the_loss_and_the_gradients_of_its_samples_one_by_one(family, short, monkeypatch):
    monkeypatch.setattr(attention, "SHORT", short)
    monkeypatch.setattr(loss, "PIECE", 40)
    monkeypatch.setattr(loss, "CACHED", 16)
    torch.manual_seed(1)
    config = AutoConfig.for_model(family, **SHAPE, **FAMILIES[family])
    model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa").eval()
    for parameter in model.parameters():
        parameter.data += 0.02 * torch.randn_like(parameter)
    samples = random_samples()
    samples[1:4] = with_soft_targets(other_model(config), samples[1:4])
    plain, plain_gradients = loss_and_gradients(model, plain_loss(model, samples))
    assert can_pack(config, 65)
    model.set_attn_implementation(attention.NAME)
    packed, gradients = loss_and_gradients(model, row_loss(model, pack(samples, dtype=torch.float32)))
    assert packed == pytest.approx(plain, rel=1e-5)
    assert len(gradients) == len(plain_gradients)
    for one, other in zip(gradients, plain_gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4 * float(other.abs().max()))


def test_real_conversations_and_texts_packed_together_equal_separate_rows(tiny):
    student = load_student(tiny)
    talks = [
        (Message(role="user", content="What is the limit? " * n), Message(role="assistant", content="Nine weeks. " * n))
        for n in (1, 2, 2, 5)
    ]
    samples = [Sample(id="c", kind="direct", messages=messages) for messages in talks]
    samples.append(Sample(id="t", kind="text", text="The river and the bridge. " * 9, learn="all"))
    encoded = encode_all(samples, student.tokenizer, eos_id=2, max_tokens=300)
    plain, plain_gradients = loss_and_gradients(student.model, plain_loss(student.model, encoded))
    student.model.set_attn_implementation(attention.NAME)
    row = pack(encoded, dtype=torch.float32)
    packed, gradients = loss_and_gradients(student.model, row_loss(student.model, row))
    assert len(row.ids_T) < sum(len(e.prefix) + len(e.ids) for e in encoded) - 2 * len(encoded[0].prefix)
    assert packed == pytest.approx(plain, rel=1e-6)
    for one, other in zip(gradients, plain_gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5 * float(other.abs().max()))


def test_lengths_in_buckets_as_on_a_mac_give_the_same_loss_and_gradients(tiny, monkeypatch):
    student = load_student(tiny)
    student.model.set_attn_implementation(attention.NAME)
    samples = [replace(sample, prefix=(1, 2, 3)) for sample in random_samples()[:5]]

    def of_row():
        row = pack(samples, dtype=torch.float32)
        return row, *loss_and_gradients(student.model, row_loss(student.model, row))

    row, plain, gradients = of_row()
    monkeypatch.setitem(batches.BUCKET, "cpu", 16)
    bucketed, same, alike = of_row()
    assert len(row.ids_T) % 16
    assert len(bucketed.ids_T) % 16 == 0
    assert not any(block.query_SL.shape[1] % 16 for block in bucketed.blocks)
    assert same == pytest.approx(plain, rel=1e-6)
    for one, other in zip(alike, gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5 * float(other.abs().max()))


def test_models_whose_layers_mix_neighbours_are_not_packed():
    hybrid = AutoConfig.for_model("granitemoehybrid", **SHAPE, layer_types=["mamba", "attention", "mamba"])
    assert not can_pack(hybrid, 50)
    assert not can_pack(AutoConfig.for_model("mamba"), 50)
    window = AutoConfig.for_model("gemma3_text", **SHAPE, sliding_window=40)
    assert can_pack(window, 40)
    assert not can_pack(window, 41)
