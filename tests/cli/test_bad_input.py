"""What people hand to `evaluate`, `serve` and training by mistake or in bad faith: the exit code, and what is said."""

import json
import shutil
import socket
import sys

import pytest
from tiny_student import make_tiny_student

from homeroom.cli import main as cli
from homeroom.core.config import Phase
from homeroom.core.errors import MachineError
from homeroom.core.types import Message, Sample
from homeroom.train.loop import train

QUESTION = {"question": "What is the limit?", "answer": "Nine weeks."}


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return make_tiny_student(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def model(original, tmp_path):
    return shutil.copytree(original, tmp_path / "model")


@pytest.fixture
def exam(tmp_path):
    path = tmp_path / "exam.jsonl"
    path.write_text(json.dumps(QUESTION) + "\n")
    return path


@pytest.fixture
def homeroom(monkeypatch, capsys):
    """Run the program in this process, and return its exit code and what it said on stderr."""

    def run(*args):
        monkeypatch.setattr(sys, "argv", ["homeroom", *map(str, args)])
        monkeypatch.setattr(cli.signal, "signal", lambda *_: None)
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code, capsys.readouterr().err

    return run


def with_code(model):
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"auto_map": {"AutoModelForCausalLM": "evil.Model"}}))
    (model / "evil.py").write_text("raise SystemExit('code was run')")


BAD_MODELS = {
    "pickle": (lambda m: (m / "model.safetensors").rename(m / "pytorch_model.bin"), "safetensors"),
    "code": (with_code, "own code"),
    "no template": (lambda m: (m / "chat_template.jinja").write_text(""), "no chat template"),
    "torn": (lambda m: (m / "model.safetensors").write_bytes(b"\xff" * 50), "cannot be loaded"),
}


@pytest.mark.parametrize("fault", BAD_MODELS)
def test_a_bad_model_is_refused_with_exit_3_by_evaluate_and_serve(fault, model, exam, homeroom):
    spoil, said = BAD_MODELS[fault]
    spoil(model)
    for command in (("evaluate", model, "--exam", exam), ("serve", model, "--port", "0")):
        code, message = homeroom(*command)
        assert (code, said in message) == (3, True), message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no question"),
        (json.dumps(QUESTION) * 2, "line 1"),
        (f"{json.dumps(QUESTION)}\n{json.dumps(QUESTION)}\n", "was used before, on line 1"),
        ("{}\n" * 3, "line 3"),
        ('{"question": "x", "anwser": "y"}\n', "anwser"),
    ],
)
def test_a_bad_exam_is_refused_with_exit_3_and_its_lines(text, said, model, exam, homeroom):
    exam.write_text(text)
    code, message = homeroom("evaluate", model, "--exam", exam)
    assert (code, said in message) == (3, True), message


def test_a_port_in_use_is_exit_4_with_a_way_out(model, homeroom):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        code, message = homeroom("serve", model, "--port", other.getsockname()[1])
    assert (code, "--port" in message, "is taken" in message) == (4, True, True)


def test_a_folder_that_cannot_be_written_to_is_exit_4(original, tmp_path):
    (tmp_path / "file").write_text("")
    sample = Sample(
        id="s", kind="direct", messages=(Message(role="user", content="A?"), Message(role="assistant", content="B."))
    )
    with pytest.raises(MachineError) as caught:
        train(original, [sample], phase=Phase(), seed=0, out=tmp_path / "file" / "run")
    assert caught.value.exit_code == 4
