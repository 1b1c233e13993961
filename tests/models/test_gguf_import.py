from __future__ import annotations

import json

import gguf
import numpy
import pytest
import torch
from tiny_student import make_tiny_student

from homeroom.core.errors import ContentError
from homeroom.models.gguf_import import import_gguf, read_gguf
from homeroom.models.student import load_student, save_student

BACK = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return make_tiny_student(tmp_path_factory.mktemp("student"))


@pytest.fixture(scope="module")
def file(tiny, tmp_path_factory):
    return write_gguf(tiny, tmp_path_factory.mktemp("gguf") / "tiny.gguf")


def write_gguf(folder, path, *, kind="llama", pre="smollm", **changes):
    """Write a student as llama.cpp's converter does."""
    student = load_student(folder)
    config, core = student.model.config, json.loads((folder / "tokenizer.json").read_text())
    writer = gguf.GGUFWriter(path, kind)
    numbers = {
        "block_count": config.num_hidden_layers,
        "context_length": config.max_position_embeddings,
        "embedding_length": config.hidden_size,
        "feed_forward_length": config.intermediate_size,
        "attention.head_count": config.num_attention_heads,
        "attention.head_count_kv": config.num_key_value_heads,
    }
    for name, value in (numbers | changes).items():
        writer.add_uint32(f"{kind}.{name}", value)
    writer.add_float32(f"{kind}.attention.layer_norm_rms_epsilon", config.rms_norm_eps)
    vocabulary = sorted(core["model"]["vocab"], key=core["model"]["vocab"].get)
    vocabulary += [f"<unused{n}>" for n in range(config.vocab_size - len(vocabulary))]
    special = {token["content"] for token in core["added_tokens"]}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(vocabulary)
    writer.add_token_types([3 if token in special else 1 for token in vocabulary])
    writer.add_token_merges([" ".join(merge) for merge in core["model"]["merges"]])
    for role, number in (("bos", 1), ("eos", 2), ("unk", 0), ("pad", 2)):
        getattr(writer, f"add_{role}_token_id")(number)
    writer.add_chat_template(student.tokenizer.chat_template)
    for name, weight in student.model.state_dict().items():
        if name == "lm_head.weight":
            continue
        array = weight.numpy()
        if name.endswith(("q_proj.weight", "k_proj.weight")):
            heads = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
            array = array.reshape(heads, 2, -1, array.shape[1]).swapaxes(1, 2).reshape(array.shape)
        writer.add_tensor(gguf_name(name), numpy.ascontiguousarray(array))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def gguf_name(name: str) -> str:
    outer = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight"}
    if name in outer:
        return outer[name]
    _, _, number, inner = name.split(".", 3)
    return f"blk.{number}.{BACK[inner.removesuffix('.weight')]}.weight"


def test_a_student_comes_back_from_gguf_with_the_same_weights_and_tokens(tiny, file, tmp_path):
    original = load_student(tiny)
    folder = import_gguf(file, tmp_path / "out")
    for student in (load_student(folder), load_student(file)):
        theirs = dict(student.model.named_parameters())
        assert theirs.keys() == dict(original.model.named_parameters()).keys()
        for name, weight in original.model.named_parameters():
            assert torch.equal(weight, theirs[name]), name
        text = "It's 12 weeks,\n\n1. café 😀<|im_end|>"
        assert student.tokenizer(text).input_ids == original.tokenizer(text).input_ids
        assert student.tokenizer.chat_template == original.tokenizer.chat_template
        assert (student.eos_ids, student.tokenizer.pad_token_id) == ((2,), 2)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    save_student(load_student(file).model, original.tokenizer, tmp_path / "saved")


def test_digits_are_split_from_line_breaks_as_llama_cpp_does(file):
    tokenizer = read_gguf(file).tokenizer
    one, two = tokenizer("\n\n1").input_ids, tokenizer("\n\n").input_ids
    assert one[:-1] == two


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "mamba"}, "architecture 'mamba'"),
        ({"pre": "some-new-one"}, "tokenizer 'some-new-one'"),
        ({"block_count": 100_000}, "block_count is 100000"),
        ({"attention.head_count": 0}, "head_count is 0"),
    ],
)
def test_what_is_not_supported_is_said(options, message, tiny, tmp_path):
    with pytest.raises(ContentError, match=message):
        read_gguf(write_gguf(tiny, tmp_path / "odd.gguf", **options))


def test_tensors_that_do_not_fit_the_description_are_refused(tiny, tmp_path):
    for changes in ({"block_count": 5}, {"block_count": 3}, {"feed_forward_length": 300}):
        with pytest.raises(ContentError):
            load_student(write_gguf(tiny, tmp_path / "odd.gguf", **changes))


def test_a_damaged_file_is_refused_wherever_it_ends(file, tmp_path):
    whole = file.read_bytes()
    broken = tmp_path / "broken.gguf"
    for size in (0, 3, 20, 500, 5_000, len(whole) // 2, len(whole) - 100):
        broken.write_bytes(whole[:size])
        with pytest.raises(ContentError):
            load_student(broken)
    broken.write_bytes(whole[:24] + b"\xff" * 400 + whole[424:])
    with pytest.raises(ContentError):
        load_student(broken)
    with pytest.raises(ContentError, match="does not exist"):
        load_student(tmp_path / "missing.gguf")
