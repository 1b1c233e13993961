from __future__ import annotations

import json
import shutil

import pytest
import torch
from tiny_student import make_tiny_student

from homeroom.core.errors import ContentError
from homeroom.models.student import load_student, save_student


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return make_tiny_student(tmp_path_factory.mktemp("student"))


@pytest.fixture
def copy(tiny, tmp_path):
    return shutil.copytree(tiny, tmp_path / "copy")


def test_saving_and_loading_give_the_same_weights_and_tokens(tiny, tmp_path):
    student = load_student(tiny)
    again = load_student(save_student(student.model, student.tokenizer, tmp_path / "out"))
    for one, other in zip(student.model.parameters(), again.model.parameters(), strict=True):
        assert torch.equal(one, other)
    assert again.tokenizer("nine weeks").input_ids == student.tokenizer("nine weeks").input_ids
    assert (again.eos_ids, again.context_tokens) == ((2,), 512)


def test_saving_replaces_an_older_student_and_leaves_nothing_beside_it(tiny, tmp_path):
    student = load_student(tiny)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/old.txt").write_text("old")
    save_student(student.model, student.tokenizer, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert not (tmp_path / "out/old.txt").exists()


def test_in_bfloat16_only_the_weights_are_rounded(tiny):
    model = load_student(tiny, dtype=torch.bfloat16).model
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
    assert {b.dtype for b in model.buffers()} == {torch.float32}


def test_pickled_weights_are_not_read(copy):
    weights = copy / "model.safetensors"
    weights.rename(copy / "pytorch_model.bin")
    with pytest.raises(ContentError, match="safetensors"):
        load_student(copy)


def test_code_that_comes_with_a_model_is_not_run(copy):
    config = json.loads((copy / "config.json").read_text())
    config["auto_map"] = {"AutoModelForCausalLM": "evil.Model"}
    (copy / "config.json").write_text(json.dumps(config))
    (copy / "evil.py").write_text("raise SystemExit('code was run')")
    with pytest.raises(ContentError, match="own code"):
        load_student(copy)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model.safetensors", b"\xff" * 100, "cannot be loaded"),
        ("config.json", b"{", "not valid JSON"),
        ("config.json", b'{"model_type": "no-such-model"}', "cannot be loaded"),
        ("tokenizer.json", b"{}", "cannot be loaded"),
        ("chat_template.jinja", b"", "no chat template"),
    ],
)
def test_a_damaged_model_is_named(name, content, message, copy):
    (copy / name).write_bytes(content)
    with pytest.raises(ContentError, match=message) as caught:
        load_student(copy)
    assert "copy" in caught.value.where


def test_a_folder_without_a_model_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(ContentError, match="no config"):
            load_student(path)
