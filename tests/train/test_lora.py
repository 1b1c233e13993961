from __future__ import annotations

import importlib.util
import json

import pytest
import torch

from homeroom.core.config import Phase
from homeroom.core.errors import ContentError, UsageError
from homeroom.core.types import Message, Sample
from homeroom.models.student import load_student
from homeroom.train import lora
from homeroom.train.loop import train
from homeroom.train.lora import Shape
from homeroom.train.weights import Weights

SHAPES = {
    "all": Shape(rank=4),
    "mlp": Shape(rank=4, mlp_only=True),
    "stable": Shape(rank=16, stable=True),
}

IDS = torch.arange(3, 23)[None]


def test_it_begins_as_the_model_it_is_attached_to_and_merged_it_is_a_plain_model_that_says_the_same(tiny):
    model, base = load_student(tiny).model, load_student(tiny).model
    lora.attach(model, Shape(rank=4), seed=0)
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
        lora.attach(model, Shape(rank=2), seed=seed)
    names = Weights(first, dtype=torch.float32, weight_decay=0.0).names
    assert len(names) == 2 * 7 * first.config.num_hidden_layers
    assert all(name.endswith(("down_RC", "up_OR")) for name in names)
    states = [model.state_dict() for model in (first, again, other)]
    assert all(torch.equal(states[0][name], states[1][name]) for name in names)
    assert not all(torch.equal(states[0][name], states[2][name]) for name in names)


@pytest.mark.parametrize("rank", [0, -1, 10**9])
def test_a_rank_that_cannot_be_is_refused(rank, tiny):
    with pytest.raises(UsageError, match="rank"):
        lora.attach(load_student(tiny).model, Shape(rank=rank), seed=0)


def learned(tiny, shape):
    """A model with a correction that is not zero, as after training."""
    model = load_student(tiny).model
    lora.attach(model, shape, seed=0)
    torch.manual_seed(1)
    for name, parameter in model.named_parameters():
        if "up_OR" in name:
            parameter.data.normal_(std=0.1)
    return model


def test_of_the_mlp_only_the_mlp_is_corrected_and_a_stable_scale_is_the_root_of_the_rank(tiny):
    model = learned(tiny, SHAPES["mlp"])
    assert {name.rpartition(".")[2] for name, _ in lora._layers(model)} == {"gate_proj", "up_proj", "down_proj"}
    assert Shape(rank=16).scale == 2.0
    assert Shape(rank=16, stable=True).scale == 8.0


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("share", [1.0, 0.5])
def test_an_adapter_that_is_saved_and_loaded_is_what_was_merged(share, shape, tiny, tmp_path):
    model = learned(tiny, shape)
    lora.save_adapter(model, shape, tmp_path / "adapter", base=tiny, share=share)
    merged = lora.merge(model, load_student(tiny).model, share)(IDS).logits
    again = lora.load_adapter(load_student(tiny).model, tmp_path / "adapter")(IDS).logits
    assert (merged - load_student(tiny).model(IDS).logits).abs().max() > 0.05
    torch.testing.assert_close(again, merged, rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore")  # peft's own
@pytest.mark.skipif(importlib.util.find_spec("peft") is None, reason="peft is not installed: pip install peft")
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_peft_loads_our_adapter_and_we_load_pefts(shape, tiny, tmp_path):
    import peft

    model = learned(tiny, shape)
    ours = lora.save_adapter(model, shape, tmp_path / "ours", base=tiny)
    wrapped = peft.PeftModel.from_pretrained(load_student(tiny).model, ours)
    torch.testing.assert_close(wrapped(input_ids=IDS).logits, model(IDS).logits, rtol=1e-4, atol=1e-5)
    wrapped.save_pretrained(tmp_path / "theirs")
    again = lora.load_adapter(load_student(tiny).model, tmp_path / "theirs")
    torch.testing.assert_close(again(IDS).logits, model(IDS).logits, rtol=1e-4, atol=1e-5)


def test_an_adapter_of_another_base_a_damaged_one_and_another_sort_are_refused(tiny, tmp_path):
    lora.save_adapter(learned(tiny, SHAPES["all"]), SHAPES["all"], tmp_path, base=tiny)
    other = load_student(tiny).model
    other.model.layers[1].mlp.up_proj = torch.nn.Linear(64, 64, bias=False)
    before = [p.detach().clone() for p in other.parameters()]
    with pytest.raises(ContentError, match="another base"):
        lora.load_adapter(other, tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(before, other.parameters(), strict=True))  # not half of it
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    for change, told in (
        ({"peft_type": "IA3"}, "a sort"),
        ({"use_dora": True}, "use_dora"),
        ({"r": "many"}, "cannot be"),
    ):
        (tmp_path / "adapter_config.json").write_text(json.dumps(config | change))
        with pytest.raises(ContentError, match=told):
            lora.load_adapter(load_student(tiny).model, tmp_path)
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    (tmp_path / "adapter_model.safetensors").write_bytes(b"no")
    with pytest.raises(ContentError, match="cannot be read"):
        lora.load_adapter(load_student(tiny).model, tmp_path)
    with pytest.raises(ContentError, match="does not exist"):
        lora.load_adapter(load_student(tiny).model, tmp_path / "nowhere")


def test_a_run_leaves_an_adapter_that_makes_the_student_of_the_base(tiny, tmp_path):
    turns = (Message(role="user", content="What is the limit?"), Message(role="assistant", content="Nine weeks."))
    phase = Phase(
        tokens=2_000, epochs=0, lr=1e-2, step_tokens=100, method="lora", lora_rank=4, lora_layers="mlp", blend=0.5
    )
    samples = [Sample(id="s", kind="direct", messages=turns)]
    train(tiny, samples, phase=phase, seed=0, dtype="float32", out=tmp_path)
    student, made = (
        load_student(tmp_path / "final").model,
        lora.load_adapter(load_student(tiny).model, tmp_path / "adapter"),
    )
    torch.testing.assert_close(made(IDS).logits, student(IDS).logits, rtol=1e-4, atol=1e-5)
    assert json.loads((tmp_path / "adapter/adapter_config.json").read_text())["target_modules"] == [
        "down_proj",
        "gate_proj",
        "up_proj",
    ]
