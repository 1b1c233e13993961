"""Private mode holds for whatever opens a course, not only for a run: nothing outside is called."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from tiny_student import make_tiny_student

import homeroom
from homeroom.author.correct import documents_of
from homeroom.cli.main import main
from homeroom.cli.task import KINDS
from homeroom.core import network
from homeroom.core.errors import RefusedError
from homeroom.core.types import Leaf, Source
from homeroom.pipeline.course import student_folder
from homeroom.pipeline.serving import open_served

INSURANCE = Path(homeroom.__file__).parent / "data" / "examples" / "insurance"
RECIPE = 'network: {private: true}\nteacher: {url: "http://teacher.example/v1", model: theirs}\n'


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A private course with a student, on a machine that has no model; what would be fetched must not be."""
    monkeypatch.setenv("HOMEROOM_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("homeroom.models.wheels.subprocess", None)
    folder = tmp_path / "course"
    shutil.copytree(INSURANCE, folder)
    (folder / "recipe.yaml").write_text(RECIPE)
    make_tiny_student(folder / "out" / "model")
    return folder


@pytest.mark.parametrize(
    ("command", "outside"),
    [
        ("draft DOCUMENT COURSE --leaf knowledge/claims", "teacher.example"),
        ("run COURSE", "must not be called"),
        ("chat COURSE --compare -q Who?", "must not be called"),
        ("serve COURSE", "must not be called"),
        ("evaluate COURSE --tasks arc_easy", "must not be called"),
    ],
)
def test_a_command_of_a_private_course_calls_nobody(course, command, outside, monkeypatch, capsys):
    document = INSURANCE / "knowledge/insurance/claims/claims-handbook.md"
    named = {"COURSE": str(course), "DOCUMENT": str(document)}
    monkeypatch.setattr(sys, "argv", ["homeroom", *(named.get(word, word) for word in command.split())])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == RefusedError.exit_code
    assert outside in capsys.readouterr().err


def test_the_pages_answers_call_nobody(course):
    with pytest.raises(RefusedError, match="must not be called"):
        KINDS["answer"]({"folder": str(course)}, lambda **value: None)


def test_private_mode_among_the_servers_own_settings_holds_for_the_pages_answers(course):
    (course / "recipe.yaml").unlink()
    with pytest.raises(RefusedError, match="must not be called"):
        KINDS["answer"]({"folder": str(course), "options": ["network.private=true"]}, lambda **value: None)


def test_a_document_elsewhere_is_not_fetched_for_a_correction(course):
    source = Source(repo="https://git.example/a.git", commit="main", patterns=("*.md",))
    leaf = Leaf(path="knowledge/a", kind="knowledge", seeds=(), source=source)
    with pytest.raises(RefusedError, match=r"git\.example"):
        documents_of(course, [leaf])
    assert not network.is_private(), "a server's other courses may have documents elsewhere"
    (course / "recipe.yaml").unlink()
    with pytest.raises(RefusedError, match=r"git\.example"):
        documents_of(course, [leaf], ("network.private=true",))


def test_a_private_course_answers_without_the_sentence_encoder(course):
    (course / "recipe.yaml").write_text(f"{RECIPE}student: {{model: {course / 'out' / 'model'}}}\n")
    models, embed = open_served(str(course))
    assert sorted(models) == ["base", "tuned"]
    assert embed is None


def test_whoever_takes_a_private_courses_student_is_private(course):
    student_folder(str(course))
    assert network.is_private()
    with pytest.raises(RefusedError):
        network.refuse_unless_allowed("hub.example")
