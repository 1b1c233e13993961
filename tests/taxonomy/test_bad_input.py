"""Files that mean harm or went wrong, row by row of the list of threats: a clear error, exit 3, an untouched disk.

Rows 1 to 12 are about taxonomy files. Each runs `homeroom check --fix`, so that mending is shown to leave them alone.
"""

import json
import time
import unicodedata

import pytest
from click.testing import CliRunner
from qna_files import ATTRIBUTION, KNOWLEDGE, SKILL, put

from homeroom.cli.main import cli

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9)
)


@pytest.fixture
def course(tmp_path):
    path = put(tmp_path / "course", KNOWLEDGE)
    (path.parent / "boats.md").write_text("# Boats\n")
    (path.parent / "attribution.txt").write_text(ATTRIBUTION)
    return tmp_path / "course"


def on_disk(course):
    return {path: path.read_bytes() for path in course.rglob("*") if path.is_file()}


def run(course, *options):
    """Run `homeroom check --fix --json` and return (exit code, problems as (code, severity), all it said)."""
    done = CliRunner().invoke(cli, ["check", str(course), "--json", *options])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    said = json.loads(done.stdout)
    return done.exit_code, {(p["code"], p["severity"]) for p in said["problems"]}, said


def refused(course, content, code):
    """Assert that a file is refused with a code, quickly, and that nothing is changed on disk."""
    put(course, content)
    before, begin = on_disk(course), time.process_time()
    exit_code, problems, said = run(course, "--fix")
    assert exit_code == 3
    assert (code, "error") in problems
    assert said["ok"] is False
    assert all(p["hint"] for p in said["problems"] if p["code"] == code)
    assert all(p["message"].isprintable() for p in said["problems"])
    assert on_disk(course) == before
    assert time.process_time() - begin < 6


def test_row_1_aliases_that_unfold_into_gigabytes(course):
    refused(course, BOMB, "anchor")


@pytest.mark.parametrize(
    "text", ["[" * 1000, "{a: " * 1000, "- " * 1000, "".join(f"{' ' * n}a:\n" for n in range(1000))]
)
def test_row_2_nesting_a_thousand_deep(course, text):
    refused(course, text, "too-deep")


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system ['touch pwned']", "!!binary aGk=", "!!set {a}"])
def test_row_3_tags_that_make_objects(course, tag):
    refused(course, KNOWLEDGE.replace("domain: boats", f"domain: {tag}"), "tag")


def test_row_4_a_key_that_is_there_twice(course):
    refused(course, KNOWLEDGE.replace("domain: boats", "domain: boats\ndomain: ships"), "duplicate-key")
    assert "the first is on line 3" in run(course)[2]["problems"][0]["message"]


@pytest.mark.parametrize("value", ["no", "0x10", "2024-01-01", "12.5", ".inf"])
def test_row_5_values_that_yaml_takes_for_something_else(course, value):
    put(course, KNOWLEDGE.replace("It is red 2.", value, 1))
    exit_code, problems, said = run(course)
    assert (exit_code, problems) == (3, {("type", "error")})
    assert said["problems"][0]["hint"] == f'Put it in quotes: "{value}".'
    assert run(course, "--fix")[0] == 0


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("x" * 50_000_000, "too-large"),
        (KNOWLEDGE.replace("boats\n", "x" * 1_100_000 + "\n", 1), "too-large"),
        (KNOWLEDGE.replace("boats\n", "bo\0ats\n", 1), "control-character"),
        (KNOWLEDGE.replace("boats\n", "boats\n", 1).encode() + b"\xff\xfe\n", "encoding"),
        (b"\xff\xfe\x00\xd8", "encoding"),
    ],
    ids=["50 MB", "long line", "NUL", "not UTF-8", "broken UTF-16"],
)
def test_row_6_sizes_and_encodings(course, content, code):
    refused(course, content, code)


def test_row_6_line_ends_of_three_kinds_are_made_one(course):
    path = put(course, KNOWLEDGE.replace("me\n", "me\r\n").replace("boats\n", "boats\r", 1))
    assert run(course)[0] == 0
    run(course, "--fix")
    assert path.read_bytes() == KNOWLEDGE.encode()


def test_row_7_an_anchor_that_holds_itself(course):
    refused(course, "a: &a [*a]\n", "anchor")


@pytest.mark.parametrize("name", ["CON", "aux.txt", "boats.", "boats ", ".git~1", "git~2", "a\\b", "tab\there"])
def test_row_8_names_that_some_machine_cannot_hold(course, name):
    put(course, SKILL + "# x \n", f"compositional_skills/{name}")
    before = on_disk(course)
    exit_code, problems, _ = run(course, "--fix")
    if name.startswith("."):
        assert exit_code == 0  # a hidden folder is not entered
    else:
        assert (exit_code, ("folder-name", "error") in problems) == (3, True)
    assert on_disk(course) == before


def test_row_8_names_that_are_taken_for_one_another(course):
    accent = "caf\u00e9"
    for name in ("Rope", "rope", accent, unicodedata.normalize("NFD", accent), "a/b_c", "a_b/c"):
        path = put(course, SKILL.replace("kindly", f"kindly, {name!a}"), f"compositional_skills/{name}")
        (path.parent / "attribution.txt").write_text(ATTRIBUTION)
    exit_code, problems, said = run(course)
    assert (exit_code, problems) == (0, {("collision", "warning")})
    messages = " ".join(p["message"] for p in said["problems"])
    for why in ("differ only in case", "how an accent is written", "become one name in InstructLab"):
        assert why in messages


@pytest.mark.parametrize("sign", ["\U000e0041", "\u202e", "\u2066"])
def test_row_9_text_that_readers_do_not_see(course, sign):
    refused(course, KNOWLEDGE.replace("It is red 2.", f"It is {sign}red.", 1), "hidden-character")
    escape = f"\\U{ord(sign):08X}"
    put(course, KNOWLEDGE.replace("It is red 2.", f'"It is {escape}red."', 1))
    assert run(course)[:2] == (0, set())  # written so that it is seen: confirmed


def test_row_9_characters_without_width_are_said_and_a_flag_is_none(course):
    put(course, KNOWLEDGE.replace("It is red 2.", "It\u200b is red.", 1))
    assert run(course)[:2] == (0, {("zero-width", "warning")})
    england = "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"
    put(course, KNOWLEDGE.replace("It is red 2.", f"It is {england}.", 1))
    assert run(course)[:2] == (0, set())


def test_row_10_a_name_with_letters_of_another_alphabet(course):
    for name in ("python", "\u0440ython"):
        path = put(course, SKILL.replace("kindly", ascii(name)), f"compositional_skills/{name}")
        (path.parent / "attribution.txt").write_text(ATTRIBUTION)
    (problem,) = run(course)[2]["problems"]
    assert problem["code"] == "collision"
    assert "letter of another alphabet" in problem["message"]


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("version: 3", "version: 4", "version"),
        ("version: 3", 'version: "three"', "version"),
        ("domain:", "domian:", "unknown-key"),
        ("  - context: Boat 1 is red.", "  - contxt: Boat 1 is red.", "unknown-key"),
    ],
)
def test_row_11_versions_and_keys_that_nobody_knows(course, old, new, code):
    refused(course, KNOWLEDGE.replace(old, new), code)


def test_row_11_old_versions_are_raised_and_white_space_is_never_an_error(course):
    path = put(course, KNOWLEDGE.replace("version: 3", "version: 2  ").rstrip() + "\n\n\n")
    assert run(course)[0] == 3
    assert run(course, "--fix")[0] == 0
    assert path.read_text() == KNOWLEDGE
    put(course, KNOWLEDGE.replace("me\n", "me   \n").rstrip())
    assert {severity for _, severity in run(course)[1]} == {"warning"}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (KNOWLEDGE + "---\n" + KNOWLEDGE, "syntax"),
        ("%TAG ! tag:x,2000:\n---\n!foo {a: b}\n", "tag"),
        (KNOWLEDGE.replace("domain: boats", "<<: {domain: boats}"), "tag"),
    ],
    ids=["two documents", "%TAG", "<<"],
)
def test_row_12_streams_tags_and_merge_keys(course, text, code):
    refused(course, text, code)
