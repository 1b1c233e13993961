"""What leaves the house: a folder that loads as it is, a Modelfile whose prompts are the trained ones, a true card."""

from __future__ import annotations

import dataclasses
import errno
import re
import shutil
import stat

import jinja2
import pytest
import yaml
from click.testing import CliRunner
from transformers import AutoModelForCausalLM, AutoTokenizer

from homeroom.cli.main import cli
from homeroom.core.errors import ContentError, MachineError, RefusedError, UsageError
from homeroom.models.gguf_import import read_gguf
from homeroom.train import export
from homeroom.train.card import About, model_card
from homeroom.train.export import export_model, modelfile, turns_of

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA3 = (
    "{{ '<|begin|>' }}{% for m in messages %}{{ '<|head|>' + m['role'] + '<|/head|>\n\n' + m['content'] + '<|eot|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|head|>assistant<|/head|>\n\n' }}{% endif %}"
)
QWEN3 = CHATML.replace("'<|im_start|>assistant\n' }}", "'<|im_start|>assistant\n<think>\n\n</think>\n\n' }}")
GRANITE = CHATML.replace("<|im_start|>", "<|start_of_role|>").replace(
    " + '\n' + m['content']", " + '<|end|>' + m['content']"
)
TALKS = [
    [("user", "What is it?")],
    [("system", "Be short."), ("user", "What is it?")],
    [("user", "One?"), ("assistant", "First."), ("user", "Two?")],
]


@pytest.fixture
def tokenizer(tiny):
    return AutoTokenizer.from_pretrained(tiny)


def through_go(text: str, turns) -> str:
    """Render a Modelfile as Ollama does; what we write of Go's templates is Jinja's under other names."""
    template = re.search(r'TEMPLATE """(.*?)"""', text, re.DOTALL)[1]
    system = re.search(r'SYSTEM """(.*?)"""', text, re.DOTALL)
    if system and turns[0][0] != "system":
        turns = [("system", system[1]), *turns]
    for go, jinja in (
        ("{{ range .Messages }}", "{% for m in messages %}"),
        ("{{ .Content }}", "{{ m[1] }}"),
        ("{{ end }}{{ end }}", "{% endif %}{% endfor %}"),
    ):
        assert template.count(go)
        template = template.replace(go, jinja)
    template = re.sub(
        r'{{ (if|else if) eq .Role "(\w+)" }}',
        lambda m: "{% " + m[1].replace("else if", "elif") + f" m[0] == '{m[2]}' %}}",
        template,
    )
    return jinja2.Environment(keep_trailing_newline=True).from_string(template).render(messages=turns)


@pytest.mark.parametrize(
    "template", [None, CHATML, LLAMA3, QWEN3, GRANITE], ids=["smollm2", "chatml", "llama3", "qwen3", "granite"]
)
def test_a_modelfile_makes_the_prompts_that_the_tokenizer_makes(template, tokenizer):
    tokenizer.chat_template = template or tokenizer.chat_template
    text = modelfile(tokenizer, stops=[2, 0], licence="Apache-2.0")
    for talk in TALKS:
        messages = [{"role": role, "content": content} for role, content in talk]
        wanted = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        assert through_go(text, talk) == wanted == turns_of(tokenizer).render(talk)
    assert 'PARAMETER stop "<|im_end|>"\nPARAMETER stop "<|endoftext|>"\n' in text
    assert ('SYSTEM """You are a helpful AI assistant named SmolLM' in text) is (template is None)


@pytest.mark.parametrize(
    "template",
    [
        CHATML.replace("m['content']", "m['content'] + loop.index|string"),
        CHATML.replace("m['content']", "(m['content'] if loop.last else '')"),
        "{% for m in messages %}{{ m['content'] }}{% endfor %}{{ raise_exception('no') }}",
        CHATML.replace("<|im_end|>", '"""'),
    ],
    ids=["counts the turns", "forgets the turns before", "raises", "signs of a Modelfile"],
)
def test_a_template_that_a_modelfile_cannot_say_is_refused(template, tokenizer):
    tokenizer.chat_template = template
    with pytest.raises(ContentError, match="chat template"):
        modelfile(tokenizer, stops=[2])


@pytest.mark.parametrize("evil", ['<e>"\nADAPTER ./x.bin\n#', '"""\nFROM elsewhere', "two\nlines"])
def test_an_end_token_or_a_licence_writes_no_instructions(evil, tokenizer):
    with pytest.raises(ContentError, match="cannot hold"):
        modelfile(tokenizer, stops=[2], licence=evil)
    tokenizer.add_special_tokens({"additional_special_tokens": [evil]})
    with pytest.raises(ContentError, match="cannot hold"):
        modelfile(tokenizer, stops=[2, tokenizer.convert_tokens_to_ids(evil)])
    front = yaml.safe_load(model_card(About(name="x", base="y", licence=evil)).split("\n---")[0].removeprefix("---"))
    assert set(front) == {"base_model", "license", "library_name", "pipeline_tag", "tags"}


def test_the_folder_for_ollama_is_complete(tiny, tmp_path):
    out = export_model(tiny, tmp_path / "ollama", kind="ollama", weights="q8_0", name="ours", card="# Card\n")
    assert sorted(p.name for p in out.iterdir()) == ["Modelfile", "README.md", "model.gguf"]
    assert (out / "Modelfile").read_text().startswith("FROM ./model.gguf\nTEMPLATE")
    assert read_gguf(out / "model.gguf").tokenizer.chat_template == AutoTokenizer.from_pretrained(tiny).chat_template


def test_the_hugging_face_folder_loads_with_transformers_alone(tiny, tmp_path):
    out = export_model(tiny, tmp_path / "hf", kind="hf", card="# Card\n")
    assert {"README.md", "config.json", "generation_config.json", "model.safetensors"} <= {
        p.name for p in out.iterdir()
    }
    assert AutoModelForCausalLM.from_pretrained(out).config.num_hidden_layers == 4
    assert AutoTokenizer.from_pretrained(out).chat_template
    assert stat.S_IMODE((out / "model.safetensors").stat().st_mode) & stat.S_IRGRP  # others may read what is given away


def test_a_full_folder_an_unknown_kind_no_student_and_a_full_disk(tiny, tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(RefusedError, match="something already"):
        export_model(tiny, tmp_path / "mine", kind="hf")
    with pytest.raises(UsageError, match="onnx"):
        export_model(tiny, tmp_path / "x", kind="onnx")
    with pytest.raises(ContentError, match="no tuned student"):
        export_model(tmp_path / "mine", tmp_path / "x", kind="hf")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(export.shutil, "copyfile", full)
    with pytest.raises(MachineError, match="disk is full"):
        export_model(tiny, tmp_path / "x", kind="hf")
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def test_the_card_says_what_the_records_say_and_its_front_is_yaml_whatever_the_name():
    rate = {"n": 96, "correct": 63, "accuracy": 0.6562, "ci95": [0.5569, 0.7436]}
    report = {"closed_book": {"before": rate | {"correct": 0, "accuracy": 0.0}, "after": rate}, "verdict": "better"}
    about = About(
        name="insurance",
        base='odd "name": [x]\n- y',
        licence="Apache-2.0",
        note="de-quantised from 4 bits",
        teacher="qwen2.5-coder-1.5b",
        data_card="# Data card\n\n| kind | samples |\n|---|---|\n| direct | 678 |\n\nAuthors: mara.\n",
        training={"phase flat": "lr 0.0003", "seed": 0},
        report=report,
    )
    text = model_card(about)
    front = yaml.safe_load(text.split("---")[1])
    assert front["license"] == "apache-2.0"
    assert front["base_model"] == "odd name: [x]- y"
    assert "| final exam | 0 of 96 (0 %" in text
    assert "63 of 96 (66 %, 95 % interval 56 to 74)" in text
    assert "### Data card" in text
    assert "Authors: mara." in text
    assert "de-quantised from 4 bits" in text
    assert "Verdict: **better**" in text
    assert "It was not examined" in model_card(About(name="x", base="y"))


def test_a_course_is_exported_with_its_card_which_says_what_was_done_and_not_what_the_recipe_wants(tiny, tmp_path):
    from homeroom.core.config import Phase
    from homeroom.core.files import Record, write_record
    from homeroom.pipeline.export import export_student

    course = tmp_path / "course"
    (course / "out" / "dataset").mkdir(parents=True)
    shutil.copytree(tiny, course / "out" / "model")
    (course / "out" / "dataset" / "card.md").write_text("# Data card\n\nAuthors: mara.\n")
    card = (export_student(str(course), tmp_path / "hf", kind="hf") / "README.md").read_text()
    assert "base_model: smollm2-135m" in card
    assert "license: apache-2.0" in card
    assert "Authors: mara." in card
    assert "## Training" not in card  # nothing says how
    phase = dataclasses.asdict(Phase(name="one", tokens=12_345, lr=1e-4))
    trained = {"phases": [phase], "seed": 7, "student": "qwen3-0.6b"}  # by options and a budget
    for stage, config in {"train": trained, "samples": {"teacher": {"model": "gpt-oss", "url": "http://a/v1"}}}.items():
        record = Record(kind=stage, format=1, config=config, summary={"dial": 0.8})
        (course / "out" / stage).mkdir()
        write_record(course / "out" / stage, record)
    card = (export_student(str(course), tmp_path / "again", kind="hf") / "README.md").read_text()
    assert "base_model: qwen3-0.6b" in card
    assert "| phase one | method full, lr 0.0001, tokens 12,345, epochs 5, " in card
    assert "| seed | 7 |" in card
    assert "| way from the base | 80% |" in card
    assert "gpt-oss" in card
    made = export_student(str(course), kind="gguf", weights="q8_0")
    assert made == course / "out" / "export" / "course.gguf"
    assert made.stat().st_size > 100_000


def test_the_command_writes_it_and_says_where_and_refuses_what_is_there(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for kind, made in (("hf", f"{tiny.name}-hf/README.md"), ("gguf", f"{tiny.name}.gguf")):
        told = CliRunner().invoke(cli, ["export", str(tiny), "--format", kind])
        assert told.exit_code == 0, told.output
        assert (tmp_path / made).exists() is (kind == "gguf")  # a model that is no course has no card of its own
    again = CliRunner().invoke(cli, ["export", str(tiny), "--format", "hf"])
    assert isinstance(again.exception, RefusedError)


def test_of_a_folder_that_is_no_course_no_samples_are_written(tmp_path):
    told = CliRunner().invoke(cli, ["export", str(tmp_path / "nowhere"), "--format", "alpaca"])
    assert told.exit_code == 2
    assert "is not a course" in told.output
