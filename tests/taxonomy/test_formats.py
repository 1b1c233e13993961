"""The formats of `homeroom check`, as other programs read them."""

import json

import pytest
from click.testing import CliRunner
from qna_files import ATTRIBUTION, KNOWLEDGE, put

from homeroom.cli.main import cli
from homeroom.taxonomy.formats import format_github
from homeroom.taxonomy.problem import Problem


@pytest.fixture
def course(tmp_path, monkeypatch):
    path = put(tmp_path / "my course", KNOWLEDGE.replace("domain: boats\n", "").replace("me\n", "me \n"))
    (path.parent / "boats.md").write_text("x")
    (path.parent / "attribution.txt").write_text(ATTRIBUTION)
    monkeypatch.chdir(tmp_path)
    return "my course"


def run(*args):
    done = CliRunner().invoke(cli, ["check", *args])
    assert done.exit_code == 3
    return done.stdout


def test_text_is_what_compilers_write(course):
    lines = run(course).splitlines()
    assert lines[0] == "my course/knowledge/boats/qna.yaml:1:1: error: the file has no domain [missing-key]"
    assert lines[1] == "  -> Add `domain:` (the subject, in a few words)."
    assert lines[-1] == "0 leaves are good; 1 error, 1 warning."


def test_json_is_one_object_by_either_name(course):
    said = json.loads(run(course, "--json"))
    assert said == json.loads(run(course, "--format", "json"))
    assert (said["version"], said["ok"], len(said["problems"])) == (1, False, 2)


def test_github_annotates_the_line_and_prints_nothing_else_on_stdout(course):
    lines = run(course, "--format", "github").splitlines()
    assert [line.split(" file=")[0] for line in lines] == ["::error", "::warning"]
    assert "file=my course/knowledge/boats/qna.yaml,line=2,col=15,title=trailing-space::" in lines[1]


def test_a_message_cannot_end_the_command_that_carries_it():
    evil = Problem(file="a,line=9::b", line=1, column=1, code="x", message="%0A\n::error::no", hint="h")
    assert format_github(evil) == "::error file=a%2Cline=9%3A%3Ab,line=1,col=1,title=x::%250A%0A::error::no%0Ah"


def test_sarif_has_rules_places_and_addresses(course):
    log = json.loads(run(course, "--format", "sarif"))
    (only,) = log["runs"]
    assert (log["version"], only["tool"]["driver"]["name"]) == ("2.1.0", "homeroom")
    rules = [rule["id"] for rule in only["tool"]["driver"]["rules"]]
    assert rules == ["missing-key", "trailing-space"]
    for result in only["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        assert result["level"] in ("error", "warning")
    place = only["results"][1]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "my%20course/knowledge/boats/qna.yaml"
    assert place["region"] == {"startLine": 2, "startColumn": 15}


def test_strict_counts_white_space_as_errors(course):
    problems = json.loads(run(course, "--json", "--strict", "instructlab"))["problems"]
    assert [(p["code"], p["severity"]) for p in problems] == [("missing-key", "error"), ("trailing-space", "error")]


def test_mending_is_told_on_stderr_and_leaves_stdout_to_the_result(course):
    done = CliRunner().invoke(cli, ["check", "--fix", "--json", course])
    assert done.exit_code == 3
    assert json.loads(done.stdout)["problems"][0]["code"] == "missing-key"
    assert done.stderr == "mended my course/knowledge/boats/qna.yaml: white space at line ends removed\n"
