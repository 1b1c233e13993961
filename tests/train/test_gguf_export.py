"""A model goes to GGUF and back, llama.cpp computes the same from it, and what GGUF cannot say is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from homeroom.core.errors import ContentError, MachineError, UsageError
from homeroom.core.types import Message
from homeroom.models.gguf_import import read_gguf
from homeroom.models.rendering import prompt_tokens
from homeroom.train import gguf_export
from homeroom.train.gguf_export import export_gguf, splitter_name

SHAPE = {
    "vocab_size": 520,  # more than the tokenizer has
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 2,
    "rms_norm_eps": 1e-5,
}
ARCHITECTURES = {
    "llama": {"tie_word_embeddings": True},
    "qwen2": {"tie_word_embeddings": False},
    "qwen3": {"tie_word_embeddings": True, "head_dim": 32},
}


def make(folder: Path, tiny: Path, kind: str = "llama", **more) -> Path:
    """A model with random weights that are far apart, so that one token is clearly the likeliest."""
    torch.manual_seed(3)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **{**SHAPE, **ARCHITECTURES[kind], **more}))
    for name, parameter in model.named_parameters():
        parameter.data = torch.randn_like(parameter) * (0.02 if "norm" in name or "bias" in name else 0.12)
        parameter.data += 1.0 * name.endswith("norm.weight")
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "generation_config.json"):
        shutil.copy(tiny / name, folder)
    return folder


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_there_and_back_it_is_the_same_model_with_the_same_tokens(kind, tiny, tmp_path):
    folder = make(tmp_path / "model", tiny, kind)
    back = read_gguf(export_gguf(folder, tmp_path / "model.gguf", name="Ours", licence="Apache-2.0"))
    config = json.loads((folder / "config.json").read_text())
    for name in ("model_type", "hidden_size", "num_hidden_layers", "num_key_value_heads", "vocab_size", "eos_token_id"):
        assert back.config[name] == config[name], name
    assert back.config["tie_word_embeddings"] is config["tie_word_embeddings"]
    assert back.config["rope_parameters"]["rope_theta"] == config["rope_parameters"]["rope_theta"]
    weights, seen = load_file(folder / "model.safetensors"), set()
    for name, weight in back.tensors():
        wanted = weights[name].numpy()
        seen.add(name)
        assert np.array_equal(weight, wanted if wanted.ndim == 1 else wanted.astype("float16").astype("float32")), name
    assert seen == {name for name in weights if not (config["tie_word_embeddings"] and name == "lm_head.weight")}
    ours, theirs = AutoTokenizer.from_pretrained(folder), back.tokenizer
    assert theirs.chat_template == ours.chat_template
    for text in ("What is the limit? 1234 <|im_end|>", "Größe\n\n 7x — the bicycle's"):
        messages = [Message(role="system", content="Be short."), Message(role="user", content=text)]
        assert prompt_tokens(theirs, messages) == prompt_tokens(ours, messages)
    fields = {name: field.contents() for name, field in back.reader.fields.items()}
    assert (fields["general.name"], fields["general.license"]) == ("Ours", "Apache-2.0")
    assert fields["tokenizer.ggml.eos_token_id"] == fields["tokenizer.ggml.eot_token_id"] == 2
    assert fields["tokenizer.ggml.add_bos_token"] is False


@pytest.mark.parametrize("kind", ARCHITECTURES)
@pytest.mark.parametrize(("file_kind", "least", "tie"), [("f16", 0.97, 0.02), ("q8_0", 0.9, 0.2)])
def test_llama_cpp_finds_the_same_token_likeliest_or_one_that_is_as_likely(kind, file_kind, least, tie, tiny, tmp_path):
    """Of a model that was trained, 99 % of 5,000 tokens agree: benchmarks/gguf_parity.py."""
    xllamacpp = pytest.importorskip("xllamacpp")
    folder = make(tmp_path / "model", tiny, kind)
    gguf = export_gguf(folder, tmp_path / "model.gguf", kind=file_kind)
    params = xllamacpp.CommonParams()
    params.model.path, params.n_ctx, params.n_parallel = str(gguf), 256, 1
    params.hostnames, params.port, params.verbosity = ["127.0.0.1"], 0, 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(params)
    ids = torch.randint(3, 400, (120,), generator=torch.Generator().manual_seed(0)).tolist()
    with torch.inference_mode():
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        logits_TV = model(input_ids=torch.tensor([ids])).logits[0]
    ours = logits_TV.argmax(-1).tolist()
    theirs = []
    with httpx.Client(trust_env=False, timeout=120) as http:
        for place in range(1, len(ids) + 1):
            ask = {"prompt": ids[:place], "n_predict": 1, "temperature": 0, "cache_prompt": True, "return_tokens": True}
            theirs += http.post(f"{server.listening_address}/completion", json=ask).json()["tokens"]
    assert len(theirs) == len(ours)
    assert len(set(ours)) > 40  # not one token over and over
    assert np.mean(np.array(ours) == np.array(theirs)) >= least
    gaps = [float(logits_TV[n, a] - logits_TV[n, b]) for n, (a, b) in enumerate(zip(ours, theirs, strict=True))]
    assert max(gaps) < tie * float(logits_TV.std())


def test_eight_bits_take_half_the_room_and_norms_stay_whole(tiny, tmp_path):
    folder = make(tmp_path / "model", tiny)
    half, eighth = (export_gguf(folder, tmp_path / f"{kind}.gguf", kind=kind) for kind in ("f16", "q8_0"))
    assert eighth.stat().st_size < 0.75 * half.stat().st_size  # the vocabulary takes the same in both
    kinds = {tensor.name: tensor.tensor_type.name for tensor in read_gguf(eighth).reader.tensors}
    assert {kind for name, kind in kinds.items() if "norm" in name} == {"F32"}
    assert {kind for name, kind in kinds.items() if "norm" not in name} == {"Q8_0"}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"model_type": "granite"}, "architecture 'granite'"),
        ({"rope_parameters": {"rope_type": "llama3", "rope_theta": 1e4, "factor": 8.0}}, "scaled positions"),
        ({"use_sliding_window": True}, "sliding window"),
        ({"attention_bias": True}, "biases"),
        ({"hidden_act": "gelu"}, "activation gelu"),
        ({"vocab_size": 300}, "more tokens than the model"),
        ({"num_hidden_layers": 3}, "weights are missing"),
        ({"num_hidden_layers": 1}, "has no name in GGUF"),
    ],
)
def test_what_gguf_cannot_say_is_refused_and_no_file_is_left(change, told, tiny, tmp_path):
    folder = make(tmp_path / "model", tiny)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(ContentError, match=told):
        export_gguf(folder, tmp_path / "model.gguf")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_tokenizer_that_cuts_text_in_an_unknown_way_is_refused(tiny, tmp_path):
    folder = make(tmp_path / "model", tiny)
    assert splitter_name(AutoTokenizer.from_pretrained(folder)) == "smollm"
    told = json.loads((folder / "tokenizer.json").read_text())
    told["pre_tokenizer"]["pretokenizers"][0] = {"type": "Whitespace"}
    (folder / "tokenizer.json").write_text(json.dumps(told))
    with pytest.raises(ContentError, match="cuts text"):
        export_gguf(folder, tmp_path / "model.gguf")


def test_weights_that_are_no_numbers_a_full_disk_and_an_unknown_kind_are_refused(tiny, tmp_path, monkeypatch):
    folder = make(tmp_path / "model", tiny)
    with pytest.raises(UsageError, match="f16 or q8_0"):
        export_gguf(folder, tmp_path / "model.gguf", kind="q4")
    weights = load_file(folder / "model.safetensors")
    weights["model.layers.1.mlp.up_proj.weight"][0, 0] = float("nan")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ContentError, match=r"blk\.1\.ffn_up"):
        export_gguf(folder, tmp_path / "model.gguf")
    monkeypatch.setattr(gguf_export, "free_gib", lambda path: 0.0)
    with pytest.raises(MachineError, match="the disk has"):
        export_gguf(folder, tmp_path / "model.gguf")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
