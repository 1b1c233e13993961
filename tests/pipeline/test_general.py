"""What ships with Homeroom is asked of a base once on a machine; what a course asks stays in the course."""

import pytest

from homeroom.core.types import Message
from homeroom.evaluate.exam import shipped
from homeroom.evaluate.grade import prompt
from homeroom.pipeline.general import SUITES, once

GENERAL = [prompt(question) for question in shipped("general")[:3]]
OWN = [(Message(role="user", content="What does our house pay for a stolen bicycle?"),)]


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """Two bases, and what each was asked."""
    monkeypatch.setenv("HOMEROOM_HOME", str(tmp_path / "home"))
    heard = {}
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_text(name)
        heard[name] = []

    def base(name):
        def answer(conversations, *, max_tokens):
            heard[name] += conversations
            return [f"{name}, {max_tokens} tokens: {c[0].content}" for c in conversations]

        return once(answer, tmp_path / name)

    return base, heard


def test_a_suite_is_asked_once_and_answered_alike(asked):
    base, heard = asked
    first = base("one")(GENERAL, max_tokens=8)
    assert first == base("one")(GENERAL, max_tokens=8) == [f"one, 8 tokens: {c[0].content}" for c in GENERAL]
    assert heard["one"] == GENERAL
    assert base("one")(GENERAL[:1], max_tokens=9) == [f"one, 9 tokens: {GENERAL[0][0].content}"]


def test_another_base_is_asked_itself(asked):
    base, heard = asked
    base("one")(GENERAL, max_tokens=8)
    assert base("other")(GENERAL, max_tokens=8)[0].startswith("other")
    assert heard["other"] == GENERAL


def test_a_courses_own_question_never_gets_into_the_store(asked, tmp_path):
    base, heard = asked
    for questions in (OWN, [*GENERAL, *OWN], OWN):
        base("one")(questions, max_tokens=8)
    assert heard["one"] == [*OWN, *GENERAL, *OWN, *OWN]
    assert not [p for p in (tmp_path / "home").rglob("*.json") if "bicycle" in p.read_text(encoding="utf-8")]


def test_all_suites_that_a_report_or_the_dial_asks_are_meant():
    assert {question.leaf.split("/")[0] for name in SUITES for question in shipped(name)} == {"retention", "control"}
