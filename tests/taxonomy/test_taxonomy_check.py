"""What `homeroom check` adds to the schema's verdict, and its contract."""

import json
from pathlib import Path

import pytest
from qna_files import ATTRIBUTION, KNOWLEDGE, SKILL, put

from homeroom.taxonomy.check import check, format_problem


@pytest.fixture
def course(tmp_path):
    path = put(tmp_path / "course", KNOWLEDGE)
    (path.parent / "boats.md").write_text("# Boats\n\nBoat 1 is red.\n")
    (path.parent / "attribution.txt").write_text(ATTRIBUTION)
    return tmp_path / "course"


def codes(*paths):
    return [(p.line, p.column, p.code, p.severity) for p in check(paths).problems]


def test_a_clean_course_has_no_problem(course):
    result = check([course])
    assert (result.ok, result.leaves, result.problems) == (True, ("knowledge/boats",), ())
    assert result.to_json() == {"version": 1, "ok": True, "leaves": ["knowledge/boats"], "problems": []}


def test_a_missing_document_is_an_error_at_the_line_that_names_it(course):
    (course / "knowledge/boats/boats.md").unlink()
    result = check([course])
    (problem,) = result.problems
    assert (problem.line, problem.code, result.ok, result.leaves) == (5, "missing-document", False, ())
    assert format_problem(problem).startswith(f"{course}/knowledge/boats/qna.yaml:5:1: error: the document boats.md")


def test_a_document_outside_the_course_is_an_error_and_a_git_address_is_not_looked_at(course):
    form = "document: {repo: %s, commit: c, patterns: ['*.md']}\n"
    put(course, KNOWLEDGE.replace("document: boats.md\n", form % "../../.."))
    assert codes(course) == [(5, 1, "document", "error")]
    put(course, KNOWLEDGE.replace("document: boats.md\n", form % "https://nowhere.invalid/x.git"))
    assert codes(course) == []


def test_white_space_that_instructlab_refuses_is_a_warning(course):
    put(course, KNOWLEDGE.replace("version: 3\n", "version: 3 \n").rstrip())
    assert codes(course) == [
        (1, 11, "trailing-space", "warning"),
        (46, 29, "final-newline", "warning"),
    ]
    assert check([course]).ok
    put(course, KNOWLEDGE.replace("\n", "\r\n"))
    assert codes(course) == [(1, 11, "line-ends", "warning")]
    assert check([course]).leaves == ("knowledge/boats",)


def test_a_missing_or_empty_attribution_is_a_warning(course):
    (course / "knowledge/boats/attribution.txt").write_text("")
    assert codes(course) == [(1, 1, "attribution", "warning")]


def test_two_leaves_that_answer_one_question_differently_are_a_warning(course):
    for name, answer in (("a", "Please, 1."), ("b", "Get out, 1.")):
        path = put(course, SKILL.replace("Please, 1.", answer), f"compositional_skills/{name}")
        (path.parent / "attribution.txt").write_text(ATTRIBUTION)
    (problem,) = check([course]).problems
    assert (problem.code, problem.severity) == ("contradiction", "warning")
    assert "compositional_skills/a" in problem.message
    assert problem.file.endswith("compositional_skills/b/qna.yaml")


def test_paths_are_checked_together_and_named_as_typed(course, monkeypatch):
    put(course, KNOWLEDGE.replace("domain: boats\n", ""), "knowledge/broken")
    monkeypatch.chdir(course.parent)
    result = check([Path("course/knowledge/boats"), Path("course/knowledge/broken/qna.yaml"), Path("gone")])
    errors = [p for p in result.problems if p.severity == "error"]
    assert [(p.file, p.code) for p in errors] == [
        ("course/knowledge/broken/qna.yaml", "missing-key"),
        ("gone", "missing-path"),
    ]
    assert result.leaves == ("knowledge/boats",)


def test_the_json_of_a_problem_has_every_field_of_the_contract(course):
    put(course, "a: 1\n")
    (first, *_) = json.loads(json.dumps(check([course]).to_json()))["problems"]
    assert list(first) == ["file", "line", "column", "code", "message", "hint", "severity"]


def test_several_processes_find_what_one_finds(course, monkeypatch):
    for number in range(6):
        text = SKILL.replace("Say", f"In {number}, say").replace("me\n", "me \n", number % 2)
        put(course, text if number < 5 else "a: [\n", f"compositional_skills/s{number}")
    monkeypatch.setattr("homeroom.taxonomy.read.MANY", 3)
    alone, together = check([course], strict=True), check([course], strict=True, processes=2)
    assert alone == together
    assert len(alone.leaves) == 4
    assert {p.code for p in alone.problems} == {"attribution", "trailing-space", "syntax"}
