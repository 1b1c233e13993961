"""`homeroom train --show N`: what of each sample is learned, in colour, before anything is trained."""

from __future__ import annotations

import re

import pytest
from click.testing import CliRunner
from tiny_student import make_tiny_student

from homeroom.cli.main import cli
from homeroom.core.errors import ContentError
from homeroom.core.files import write_jsonl
from homeroom.core.types import Message, Sample


def sample(name: str, kind: str, answer: str) -> Sample:
    turns = (Message(role="user", content=f"What is {name}?"), Message(role="assistant", content=answer))
    return Sample(id=name, kind=kind, messages=turns)


@pytest.fixture
def course(tmp_path):
    made = CliRunner().invoke(cli, ["init", str(tmp_path / "course"), "--example", "insurance"])
    assert made.exit_code == 0, made.output
    return tmp_path / "course"


def test_samples_of_every_kind_are_shown_token_by_token_and_nothing_is_trained(course, tmp_path):
    student = make_tiny_student(tmp_path / "student")
    samples = [sample(f"d{n}", "direct", "Nine\nweeks.") for n in range(5)] + [sample("r", "replay", "Red \x1b[2J.")]
    write_jsonl(course / "out/dataset/train.jsonl", samples)
    shown = CliRunner().invoke(cli, ["train", str(course), "--show", "2", "--student", str(student)], color=True)
    assert shown.exit_code == 0, shown.output
    assert re.findall(r"^(\w+)  (\w+)  \d+ tokens, (\d+) learned", shown.output, re.MULTILINE)[0][:2] == (
        "d0",
        "direct",
    )
    assert "r  replay" in shown.output  # a kind's first before any kind's second
    assert "d1" not in shown.output
    assert "\x1b[2J" not in shown.output  # a sample does not get to move the cursor
    green = "".join(re.findall(r"\x1b\[32m(?:\x1b\[2?4m)?(.*?)\x1b\[0m", shown.output, re.DOTALL))
    assert "Nine↵\nweeks.<|im_end|>" in green
    assert "What" not in green
    assert not (course / "out" / "runs").exists()


def test_without_training_data_it_says_how_to_make_it(course, tmp_path):
    student = make_tiny_student(tmp_path / "student")
    shown = CliRunner().invoke(cli, ["train", str(course), "--show", "2", "--student", str(student)])
    assert isinstance(shown.exception, ContentError)
    assert "homeroom generate" in str(shown.exception)
