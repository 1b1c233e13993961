"""Which files are leaves, and every rule of the schema at its line, on real files."""

import copy
import json
import os
import re
import time

import pytest
import yaml
from qna_files import KNOWLEDGE, SKILL, put

from homeroom.core.types import Seed, Source
from homeroom.taxonomy.check import check
from homeroom.taxonomy.read import read_taxonomy


def problems_of(course, text, folder="knowledge/boats"):
    put(course, text, folder)
    return [(p.line, p.column, p.code) for p in read_taxonomy(course).problems]


def test_a_knowledge_leaf_has_a_seed_for_each_question_with_its_context(tmp_path):
    put(tmp_path, KNOWLEDGE)
    taxonomy = read_taxonomy(tmp_path)
    (leaf,) = taxonomy.leaves
    assert (leaf.path, leaf.kind, leaf.task, leaf.domain) == ("knowledge/boats", "knowledge", "About boats", "boats")
    assert len(leaf.seeds) == 15
    assert leaf.seeds[3] == Seed(question="What is boat 1.0?", answer="It is red 0.", context="Boat 1 is red.")
    assert leaf.source == Source(repo=".", patterns=("boats.md",))
    assert taxonomy.problems == ()
    assert taxonomy.ok


def test_a_document_may_be_a_repository_a_name_or_a_list(tmp_path):
    forms = {
        "document:\n  repo: https://a.org/b.git\n  commit: abc\n  patterns: ['*.md', x.pdf]\n": Source(
            repo="https://a.org/b.git", commit="abc", patterns=("*.md", "x.pdf")
        ),
        "document: [a.md, docs/b.txt]\n": Source(repo=".", patterns=("a.md", "docs/b.txt")),
    }
    for text, source in forms.items():
        put(tmp_path, KNOWLEDGE.replace("document: boats.md\n", text))
        assert read_taxonomy(tmp_path).leaves[0].source == source


@pytest.mark.parametrize(("text", "column"), [("../x.md", 11), ("/etc/passwd", 11), ("[a.md, ../../x]", 18)])
def test_a_document_name_that_climbs_out_is_an_error_at_its_place(tmp_path, text, column):
    assert problems_of(tmp_path, KNOWLEDGE.replace("boats.md", text)) == [(5, column, "document")]


def test_a_skill_is_grounded_when_its_seeds_have_a_context(tmp_path):
    put(tmp_path, SKILL, "compositional_skills/kind")
    put(
        tmp_path,
        SKILL.replace("    answer", "    context: A letter.\n    answer"),
        "compositional_skills/grounded/kind",
    )
    assert [leaf.kind for leaf in read_taxonomy(tmp_path).leaves] == ["grounded_skill", "freeform_skill"]
    mixed = SKILL.replace("    answer", "    context: A letter.\n    answer", 2)
    put(tmp_path, mixed, "compositional_skills/kind")
    taxonomy = read_taxonomy(tmp_path)
    assert [(p.line, p.code, p.severity) for p in taxonomy.problems] == [(4, "mixed-context", "warning")]
    assert len(taxonomy.leaves) == 2


FAULTS = [
    ("created_by: me\n", "", [(1, 1, "missing-key")]),
    ("created_by: me\n", "created_by:\n", [(2, 12, "empty")]),
    ("created_by: me\n", 'created_by: ""\n', [(2, 13, "empty")]),
    ("created_by: me\n", "created_by: 42\n", [(2, 13, "type")]),
    ("created_by: me\n", "created_by: 2024-01-01\n", [(2, 13, "type")]),
    ("created_by: me\n", "created_by: [a]\n", [(2, 13, "type")]),
    ("created_by: me\n", "created_by: me\ncreated_by: you\n", [(3, 1, "duplicate-key")]),
    ("created_by: me\n", "created_by: me\nauthor: you\n", [(3, 1, "unknown-key")]),
    ("created_by: me\n", "created_by: me\ntask_description: x\n", [(3, 1, "unknown-key")]),
    ("created_by: me\n", "created_by: &a me\n", [(2, 13, "anchor")]),
    ("created_by: me\n", "created_by: !!python/name:os.system me\n", [(2, 13, "tag"), (2, 13, "type")]),
    ("created_by: me\n", 'created_by: "a\\x00b"\n', [(2, 13, "control-character")]),
    ("created_by: me\n", "created_by: a: b\n", [(2, 14, "syntax")]),
    ("version: 3\n", "version: 4\n", [(1, 10, "version")]),
    ("version: 3\n", 'version: "3"\n', [(1, 10, "version")]),
    ("version: 3\n", "version: 2\n", [(1, 10, "deprecated-version")]),
    ("version: 3\n", "", [(1, 1, "deprecated-version")]),
    ("document: boats.md\n", "", [(1, 1, "missing-key")]),
    ("document: boats.md\n", "document: 7\n", [(5, 11, "type")]),
    ("document: boats.md\n", "document: []\n", [(5, 1, "too-few")]),
    ("document: boats.md\n", "document: {repo: r, commit: c, patterns: [a, a]}\n", [(5, 46, "duplicate")]),
    ("document: boats.md\n", "document: {repo: r, patterns: a}\n", [(5, 11, "missing-key"), (5, 31, "type")]),
    ("document: boats.md\n", "document: {repo: r, commit: c, patterns: [a], x: 1}\n", [(5, 47, "unknown-key")]),
    (
        "        answer: It is red 2.\n",
        "",
        [(13, 9, "missing-key")] + [(n, 9, "missing-key") for n in (20, 27, 34, 41)],
    ),
    (
        "  - context: Boat 1 is red.\n    questions_and_answers:\n",
        "  - questions_and_answers:\n",
        [(15, 5, "missing-key")],
    ),
    ("  - context: Boat 4 is red.", "  - context: Boat 4 is red.\n    colour: red", [(40, 5, "unknown-key")]),
]


@pytest.mark.parametrize(("old", "new", "wanted"), FAULTS, ids=lambda value: str(value)[:30])
def test_each_fault_of_knowledge_is_found_at_its_line_and_column(tmp_path, old, new, wanted):
    assert old in KNOWLEDGE
    assert problems_of(tmp_path, KNOWLEDGE.replace(old, new)) == wanted
    assert read_taxonomy(tmp_path).leaves == ()


def test_too_few_seeds_and_answers_and_repeated_ones_are_errors(tmp_path):
    head, *seeds = re.split(r"(?=  - context)", KNOWLEDGE)
    assert problems_of(tmp_path, head + "".join(seeds[:4])) == [(6, 1, "too-few")]
    assert problems_of(tmp_path, head + "".join([*seeds[:4], seeds[0]])) == [(39, 5, "duplicate")]
    short = KNOWLEDGE.replace("      - question: What is boat 0.2?\n        answer: It is red 2.\n", "")
    assert problems_of(tmp_path, short) == [(8, 5, "too-few")]


def test_all_faults_of_all_files_are_reported_at_once(tmp_path):
    put(tmp_path, KNOWLEDGE.replace("domain: boats\n", "").replace("created_by: me", "created_by:"))
    put(tmp_path, "just text", "knowledge/other")
    put(tmp_path, "a: [", "compositional_skills/broken")
    put(tmp_path, KNOWLEDGE, "knowledge/good")
    taxonomy = read_taxonomy(tmp_path)
    assert [leaf.path for leaf in taxonomy.leaves] == ["knowledge/good"]
    assert [(p.file, p.code) for p in taxonomy.problems] == [
        ("compositional_skills/broken/qna.yaml", "syntax"),
        ("knowledge/boats/qna.yaml", "missing-key"),
        ("knowledge/boats/qna.yaml", "empty"),
        ("knowledge/other/qna.yaml", "type"),
    ]


def test_messages_name_the_entry_what_was_found_and_what_to_do(tmp_path):
    put(tmp_path, KNOWLEDGE.replace("It is red 1.", "yes", 1).replace("domain:", "domian:"))
    found = read_taxonomy(tmp_path).problems
    unknown, answer = found[1], found[2]
    assert unknown.message == "'domian' is not a known key (did you mean domain?)"
    assert answer.message == "answer of question 2 of seed example 1 must be text, found true or false (yes)"
    assert answer.hint == 'Put it in quotes: "yes".'


def test_skills_of_version_1_may_be_small_and_later_ones_may_not(tmp_path):
    one = "task_description: ''\ncreated_by: me\nseed_examples:\n- question: a\n  answer: b\n"
    folder = "compositional_skills/a"
    assert problems_of(tmp_path, one, folder) == []
    assert read_taxonomy(tmp_path).leaves[0].version == 1
    assert problems_of(tmp_path, "version: 2\n" + one, folder) == [(2, 19, "empty"), (4, 1, "too-few")]
    assert problems_of(tmp_path, SKILL.replace("version: 3", "version: 2"), folder) == []


def test_a_folder_inside_a_course_or_a_single_file_gives_the_same_leaf(tmp_path):
    path = put(tmp_path / "course", KNOWLEDGE, "knowledge/sea/boats")
    leaves = [read_taxonomy(p).leaves for p in (tmp_path / "course", path.parent.parent, path.parent, path)]
    assert {leaf[0].path for leaf in leaves} == {"knowledge/sea/boats"}
    path.write_text(KNOWLEDGE.replace("domain: boats\n", ""))
    files = [read_taxonomy(p).problems[0].file for p in (tmp_path / "course", path.parent.parent, path)]
    assert files == ["knowledge/sea/boats/qna.yaml", "boats/qna.yaml", "qna.yaml"]


def test_a_leaf_on_its_own_is_told_apart_by_its_document(tmp_path):
    assert read_taxonomy(put(tmp_path, KNOWLEDGE, "mine").parent).leaves[0].kind == "knowledge"
    assert read_taxonomy(put(tmp_path, SKILL, "yours")).leaves[0].path == "yours"


def test_what_would_be_ignored_is_said(tmp_path):
    put(tmp_path, KNOWLEDGE)
    put(tmp_path, KNOWLEDGE, "knowledge/a", "qna.yml")
    put(tmp_path, KNOWLEDGE, "knowledge/b", "QNA.yaml")
    put(tmp_path, KNOWLEDGE, "skills/c")
    for skipped in ("foundational_skills/x", "out/knowledge/x", ".git/knowledge/x", "knowledge/.x"):
        put(tmp_path, "not: checked", skipped)
    taxonomy = read_taxonomy(tmp_path)
    assert [(p.file, p.code, p.severity) for p in taxonomy.problems] == [
        ("knowledge/a/qna.yml", "file-name", "warning"),
        ("knowledge/b/QNA.yaml", "file-name", "warning"),
        ("skills/c/qna.yaml", "outside-taxonomy", "warning"),
    ]
    assert len(taxonomy.leaves) == 1


def test_links_that_lead_outside_are_not_read(tmp_path):
    outside = put(tmp_path / "outside", KNOWLEDGE)
    course = tmp_path / "course"
    put(course, KNOWLEDGE, "knowledge/real")
    (course / "knowledge/file").mkdir()
    os.symlink(outside, course / "knowledge/file/qna.yaml")
    os.symlink(outside.parent, course / "knowledge/folder")
    taxonomy = read_taxonomy(course)
    assert [leaf.path for leaf in taxonomy.leaves] == ["knowledge/real"]
    assert [(p.file, p.code) for p in taxonomy.problems] == [
        ("knowledge/file/qna.yaml", "link-outside"),
        ("knowledge/folder", "link"),
    ]


def test_pipes_and_names_that_cannot_be_shown_are_refused(tmp_path):
    put(tmp_path, KNOWLEDGE, "knowledge/a\nb")
    (tmp_path / "knowledge/pipe").mkdir()
    os.mkfifo(tmp_path / "knowledge/pipe/qna.yaml")
    os.makedirs(os.fsencode(tmp_path) + b"/knowledge/\xff")
    with open(os.fsencode(tmp_path) + b"/knowledge/\xff/qna.yaml", "w") as file:
        file.write(KNOWLEDGE)
    result = check([tmp_path])
    errors = {(p.file.removeprefix(f"{tmp_path}/"), p.code) for p in result.problems if p.severity == "error"}
    assert errors == {
        ("knowledge/a\\nb/qna.yaml", "folder-name"),
        ("knowledge/pipe/qna.yaml", "unreadable"),
        ("knowledge/\\udcff/qna.yaml", "folder-name"),
    }
    assert result.leaves == ()
    json.dumps(result.to_json(), ensure_ascii=False).encode()


def test_nothing_to_read_is_an_error_and_not_an_exception(tmp_path):
    assert [p.code for p in read_taxonomy(tmp_path / "none").problems] == ["missing-path"]
    assert [p.code for p in read_taxonomy(tmp_path).problems] == ["no-leaf"]
    put(tmp_path, "# nothing\n")
    taxonomy = read_taxonomy(tmp_path)
    assert [(p.code, p.severity) for p in taxonomy.problems] == [("empty-file", "warning")]
    assert [p.code for p in read_taxonomy(put(tmp_path, KNOWLEDGE, "x", "other.yaml")).problems] == ["file-name"]


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9)
)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (BOMB, "anchor"),
        ("[" * 500_000, "too-deep"),
        ("- " * 300_000, "too-deep"),
        ("a:\n" + "- x\n" * 110_000, "too-deep"),
        ("x" * 2_000_000, "too-large"),
        (b"version: \xff\n", "encoding"),
        (b"\x00\x01\x02", "control-character"),
        ("a: b\x07", "control-character"),
        ("--- 1\n--- 2\n", "syntax"),
        ("? [a]\n: b\n", "complex-key"),
        ("a: 'x", "syntax"),
        ("\ta: b", "syntax"),
        ("a: *x", "anchor"),
        ("%TAG ! tag:x,2000:\n---\n!foo a\n", "tag"),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_hostile_files_are_refused_quickly(tmp_path, content, code):
    put(tmp_path, content)
    begin = time.process_time()
    assert code in [p.code for p in read_taxonomy(tmp_path).problems]
    assert time.process_time() - begin < 5
    assert read_taxonomy(tmp_path).leaves == ()


def test_a_file_with_thousands_of_faults_reports_a_bounded_number(tmp_path):
    put(tmp_path, "version: 3\n" + "".join(f"k{n}: 1\n" for n in range(5000)))
    found = read_taxonomy(tmp_path).problems
    assert len(found) == 201
    assert sum(p.code == "too-many" for p in found) == 1


def test_any_yaml_is_read_without_raising(tmp_path):
    """Every value of a good file, one after the other, is replaced by values of every type."""
    good = yaml.safe_load(KNOWLEDGE.replace("document: boats.md", "document: {repo: r, commit: c, patterns: [a]}"))
    places = [("version",), ("seed_examples",), ("seed_examples", 0), ("document",), ("document", "patterns")]
    places += [
        ("seed_examples", 0, "questions_and_answers"),
        ("seed_examples", 0, "questions_and_answers", 0),
        ("domain",),
    ]
    for place in places:
        for value in (None, "", " ", 0, 3.5, True, [], {}, [[]], {"a": 1}, [None], float("inf"), -1, 10**30):
            changed = copy.deepcopy(good)
            *parents, last = place
            inner = changed
            for part in parents:
                inner = inner[part]
            inner[last] = value
            put(tmp_path, yaml.dump(changed, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), sort_keys=False))
            taxonomy = read_taxonomy(tmp_path)
            accepted = value == " " and place == ("domain",)  # the schema takes white space; it is warned of
            assert taxonomy.ok == accepted or (place, value) == (("document",), " "), (place, value)
            assert taxonomy.problems
