"""`--fix`: what it mends, and that it changes nothing else (a property over hundreds of untidy files)."""

import json
import os
import re

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from qna_files import ATTRIBUTION, KNOWLEDGE, SKILL, put
from qna_mutations import BASES, STYLES, dump, some_values

from homeroom.core.errors import MachineError
from homeroom.taxonomy.check import check
from homeroom.taxonomy.fix import fix_text
from homeroom.taxonomy.mend import mend


def fixed(text, tree="knowledge"):
    return fix_text(text.encode() if isinstance(text, str) else text, tree_of=lambda top: tree)


def strict(course):
    return [(p.code, p.severity) for p in check([course], strict=True).problems]


SLIPS = ["no", "yes", "42", "1.5", "1.0e+3", "0x10", "2024-01-01", "12:30:00", "Off", ".5", "1_000"]
SIGNS = ["Note: this", "@home", "`code` first", "%d per cent", "*bold* words", "&more", "!important", "[x", "a: b # c"]


@st.composite
def untidy(draw):
    """Draw a file that is untidy but sound, and what it says; `no` and the like stand where text is meant."""
    folder = draw(st.sampled_from(["knowledge/a", "compositional_skills/a"]))
    value = draw(some_values(draw(st.sampled_from(BASES[folder]))))
    text = dump(value, **draw(st.sampled_from(STYLES)))
    try:
        said = yaml.safe_load(text)
    except (ValueError, yaml.YAMLError):
        said = None
    if not isinstance(said, dict):
        said, text = {"created_by": "me"}, "created_by: me\n"
    slip = draw(st.sampled_from(SLIPS))
    if re.search(r"^domain: boats$", text, re.MULTILINE):
        text, said["domain"] = text.replace("domain: boats", f"domain: {slip}"), slip
    lines = text.split("\n")
    for number in draw(st.lists(st.integers(0, len(lines) - 1), max_size=4)):
        if re.match(r"[a-z_]+:", lines[number]) or not lines[number]:
            blank = draw(st.sampled_from(["", "\n", "\n\n\n", "\n\n\n\n\n"]))
            lines[number] = f"# note {number}{draw(st.sampled_from(['', '  ']))}\n{blank}{lines[number]}"
    lines = "\n".join(lines).split("\n")
    for number in draw(st.lists(st.integers(0, len(lines) - 1), max_size=6)):
        lines[number] += draw(st.sampled_from([" ", "   "]))
    text = "\n".join(lines)
    text = draw(st.sampled_from([text, text, text.rstrip("\n"), text + "\n\n"]))
    text = draw(st.sampled_from(["", "", "\n\n", "\ufeff"])) + text
    return folder, text.replace("\n", draw(st.sampled_from(["\n", "\n", "\r\n", "\r"]))), said


def tidy(value):
    """Return a value as a person reads it: without white space at the ends of lines, which nobody sees."""
    if isinstance(value, dict):
        return {key: tidy(item) for key, item in value.items()}
    if isinstance(value, list):
        return [tidy(item) for item in value]
    return "\n".join(line.rstrip() for line in value.split("\n")).rstrip("\n") if isinstance(value, str) else value


def in_order(value):
    """Return a value as text, the order of keys included; spaces that a folded text gained or lost are one."""
    return re.sub(" +", " ", json.dumps(tidy(value), default=str))


def with_texts_of(said, after):
    """Return what was said, with a number or a `no` as text where that is what became of it."""
    if isinstance(said, dict) and isinstance(after, dict):
        return {key: with_texts_of(item, after.get(key)) for key, item in said.items()}
    if isinstance(said, list) and isinstance(after, list) and len(said) == len(after):
        return [with_texts_of(*pair) for pair in zip(said, after, strict=True)]
    meant = isinstance(after, str) and said is not None and not isinstance(said, str) and yaml.safe_load(after) == said
    return after if meant else said


@settings(
    max_examples=100,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(untidy())
def test_a_mended_file_says_the_same_with_its_comments_and_the_order_of_its_keys(drawn):
    folder, text, said = drawn
    mended = fixed(text, folder.split("/")[0])
    if mended is None:  # it cannot be read: nothing is written
        return
    after = yaml.safe_load(mended.text)
    said = with_texts_of(said, after)
    if in_order(after) != in_order(said):  # then the version was raised, and nothing else
        assert any(change.startswith("version 3") for change in mended.changes)
        assert after["version"] == 3
        if "task_description" not in after:
            said = {("document_outline" if key == "task_description" else key): item for key, item in said.items()}
        assert in_order(said | {"version": 0}) == in_order(after | {"version": 0}) or "version" not in said
        del after["version"]
        assert in_order({key: item for key, item in said.items() if key != "version"}) == in_order(after)
    notes = re.findall("# note [0-9]+", text)
    assert re.findall("# note [0-9]+", mended.text) == notes
    assert "\r" not in mended.text
    again = fixed(mended.text, folder.split("/")[0])
    assert (again.text, again.changes) == (mended.text, ())


@pytest.mark.parametrize("slip", SLIPS)
def test_what_yaml_takes_for_a_number_a_date_or_a_truth_is_put_in_quotes(slip):
    mended = fixed(KNOWLEDGE.replace("domain: boats", f"domain: {slip} # or so"))
    assert f"domain: '{slip}' # or so\n" in mended.text
    assert mended.changes == ("1 text put in quotes",)


@pytest.mark.parametrize("sign", SIGNS)
def test_a_text_that_begins_with_a_sign_or_holds_a_colon_is_put_in_quotes(sign):
    mended = fixed(KNOWLEDGE.replace("answer: It is red 2.", f"answer: {sign}", 1))
    if sign == "[x":
        assert mended is None  # it may be a list that lacks its end
    else:
        answer = yaml.safe_load(mended.text)["seed_examples"][0]["questions_and_answers"][2]["answer"]
        assert answer == sign.partition(" #")[0]
        assert ("# c" in mended.text) == ("# c" in sign)


def test_a_pattern_with_a_star_is_put_in_quotes():
    mended = fixed(
        KNOWLEDGE.replace("document: boats.md", "document:\n  repo: r\n  commit: c\n  patterns:\n    - *.md")
    )
    assert "    - '*.md'\n" in mended.text


def test_white_space_that_instructlab_refuses_goes_and_what_is_left_passes_its_lint(tmp_path):
    folded = ">\n          It is \n          red.\n\n\n"
    text = KNOWLEDGE.replace("It is red 2.", folded, 1).replace(
        "Boat 1 is red.", "|\n      Boat 1  \n   \n      is red."
    )
    path = put(tmp_path, "\ufeff\n\n" + text.replace("domain", "\n\n\n\ndomain").replace("me\n", "me  \t\n") + "\n\n\n")
    (path.parent / "boats.md").write_text("x")
    (path.parent / "attribution.txt").write_text(ATTRIBUTION)
    os.chmod(path, 0o640)
    (change,) = mend([tmp_path])
    assert strict(tmp_path) == []
    assert path.stat().st_mode & 0o777 == 0o640
    assert "\n      Boat 1\n\n      is red.\n" in path.read_text()
    assert "white space at line ends removed" in change.changes
    assert mend([tmp_path]) == []
    assert sorted(p.name for p in path.parent.iterdir()) == ["attribution.txt", "boats.md", "qna.yaml"]


def test_tabs_become_spaces_where_there_is_one_way_to_read_them():
    tabbed = SKILL.replace("  - question: ", "\t- question:\t").replace("    answer", "\t  answer")
    assert yaml.safe_load(fixed(tabbed, "compositional_skills").text) == yaml.safe_load(SKILL)
    code = SKILL.replace("Please, 1.", "|\n      all:\n      \tmake")
    assert fixed(code, "compositional_skills").text == code
    # with a tab of two columns the domain stands beside created_by, with one of four below it: two ways to read it
    assert fixed("seed_examples:\n  created_by:\n\tdomain: d\n") is None
    assert fixed("seed_examples:\n    - context: c\n\t- context: d\n").text.endswith("\n    - context: d\n")


def test_old_versions_become_version_3_where_the_content_fits():
    old = KNOWLEDGE.replace("version: 3", "version: 2 # old").replace("document_outline", "task_description")
    mended = fixed("# mine\n" + old)
    assert mended.text == "# mine\n" + KNOWLEDGE.replace("version: 3", "version: 3 # old")
    assert mended.changes == ("version 3, task_description is document_outline",)
    bare = SKILL.replace("version: 3\n", "# first\n")
    assert fixed(bare, "compositional_skills").text == "# first\nversion: 3\n" + SKILL.removeprefix("version: 3\n")
    small = "created_by: me\ntask_description: t\nseed_examples:\n- question: q\n  answer: a\n"
    assert fixed(small, "compositional_skills").changes == ()
    flat = small.replace("task", "domain: d\ndocument: b.md\ntask")
    assert fixed(flat).changes == ()


def test_what_old_knowledge_lacks_is_said(tmp_path):
    put(tmp_path, KNOWLEDGE.replace("version: 3\n", ""))
    assert "The content fits version 3: --fix writes it." in [p.hint for p in check([tmp_path]).problems]
    put(tmp_path, KNOWLEDGE.replace("version: 3", "version: 1").replace("  - context: Boat 1 is red.\n    q", "  - q"))
    (problem,) = (p for p in check([tmp_path]).problems if p.severity == "error")
    assert (problem.code, problem.hint) == ("deprecated-version", "For version 3: seed example 2 has no context.")


def test_a_missing_or_empty_attribution_is_laid_out_and_one_that_is_there_is_left(tmp_path):
    git = "document: {repo: 'https://a.org/b.git', commit: abc, patterns: ['*.md']}"
    one = put(tmp_path, KNOWLEDGE.replace("document: boats.md", git))
    two = put(tmp_path, SKILL, "compositional_skills/kind")
    (two.parent / "attribution.txt").write_text("")
    three = put(tmp_path, SKILL, "compositional_skills/other")
    (three.parent / "attribution.txt").write_text("mine")
    put(tmp_path, "a: [", "compositional_skills/broken")
    assert [c.file.name for c in mend([tmp_path])] == ["attribution.txt"] * 2
    assert (one.parent / "attribution.txt").read_text() == (
        "Title of work:\nLink to work: https://a.org/b.git\nRevision: abc\nLicense of the work:\nCreator names: me\n"
    )
    assert "Creator names: me\n" in (two.parent / "attribution.txt").read_text()
    assert (three.parent / "attribution.txt").read_text() == "mine"
    assert not (tmp_path / "compositional_skills/broken/attribution.txt").exists()


def test_windows_and_utf_16_files_are_written_as_utf_8(tmp_path):
    path = put(tmp_path, KNOWLEDGE.replace("boats", "bôats", 1).replace("\n", "\r\n").encode("utf-16"))
    mend([tmp_path])
    assert path.read_bytes() == KNOWLEDGE.replace("boats", "bôats", 1).encode()


def test_a_disk_that_is_full_leaves_the_old_file(tmp_path, monkeypatch):
    path = put(tmp_path, KNOWLEDGE.replace("me\n", "me \n"))

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("homeroom.core.files.os.replace", full)
    with pytest.raises(MachineError, match="the disk is full"):
        mend([tmp_path])
    assert path.read_text() == KNOWLEDGE.replace("me\n", "me \n")
