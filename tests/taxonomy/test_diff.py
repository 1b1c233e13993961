"""What changed in a taxonomy, in git and between two folders, and that a hostile repository runs nothing."""

import json
import os
import shutil
import subprocess

import pytest
from qna_files import KNOWLEDGE, SKILL, put

from homeroom.core.errors import ContentError, UsageError
from homeroom.taxonomy.diff import diff_text, since
from homeroom.taxonomy.history import last_changes, open_commit, read_blobs

BOATS, KIND = "knowledge/boats", "compositional_skills/kind"


@pytest.fixture
def course(tmp_path):
    path = put(tmp_path / "repo" / "course", KNOWLEDGE)
    (path.parent / "boats.md").write_text("# Boats\n\nBoat 1 is red.\n")
    put(tmp_path / "repo" / "course", SKILL, KIND)
    return tmp_path / "repo" / "course"


def git(folder, *arguments, given=None):
    names = {"GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "x", "GIT_COMMITTER_EMAIL": "x@y"}
    env = {**os.environ, **names, "GIT_CONFIG_GLOBAL": "/dev/null"}
    done = subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True, env=env, input=given)
    return done.stdout.decode().strip()


def commit(course):
    git(course.parent, "init", "-q", "-b", "main")
    git(course.parent, "add", "-A")
    git(course.parent, "commit", "-qm", "one")


@pytest.fixture(params=["git", "folder"])
def base(request, course, tmp_path):
    """The course as it was: a commit, or a copy of the folder."""
    if request.param == "git":
        commit(course)
        return "main"
    shutil.copytree(course, tmp_path / "old")
    return str(tmp_path / "old")


def statuses(diff):
    return {leaf.path: leaf.status for leaf in diff.leaves}


def changes(diff, path):
    return [(c.what, c.of) for leaf in diff.leaves if leaf.path == path for c in leaf.changes]


def test_nothing_changed_is_said(course, base):
    diff = since(course, base)
    assert (diff.leaves, diff.unchanged) == ((), 2)
    assert diff_text(diff).startswith("No leaf differs")


def test_added_changed_and_removed_leaves_are_listed(course, base):
    put(course, SKILL.replace("kindly", "bluntly").replace("Please", "No"), "compositional_skills/blunt")
    shutil.rmtree(course / BOATS)
    put(course, SKILL.replace("Please, 3.", "Please, 33."), KIND)
    diff = since(course, base)
    assert statuses(diff) == {"compositional_skills/blunt": "added", KIND: "changed", BOATS: "removed"}
    assert changes(diff, KIND) == [("answer changed", "Say 3 kindly.")]
    assert json.loads(json.dumps(diff.to_json()))["counts"] == {
        **{"added": 1, "changed": 1, "moved": 0, "removed": 1, "unchanged": 0},
    }


def test_inside_a_leaf_questions_contexts_fields_and_documents_are_told_apart(course, base):
    text = KNOWLEDGE.replace("domain: boats", "domain: ships").replace("What is boat 1.0?", "Which is boat 1.0?")
    text = text.replace("Boat 2 is red.", "Boat 2 is blue.").replace("answer: It is red 2.", "answer: It is blue.", 1)
    text += "      - question: And boat 9?\n        answer: It is red 9.\n"
    put(course, text)
    (course / BOATS / "boats.md").write_text("# Boats\n\nBoat 2 is blue.\n")
    (course / BOATS / "attribution.txt").write_text("Title of work: -\n")
    assert changes(since(course, base), BOATS) == [
        ("domain changed", ""),
        ("answer changed", "What is boat 0.2?"),
        ("context changed", ""),
        ("question added", "And boat 9?"),
        ("question changed", ""),
        ("attribution added", "attribution.txt"),
        ("document changed", "boats.md"),
    ]


def test_a_leaf_at_another_place_moved_even_if_it_was_changed_a_little(course, base):
    (course / "knowledge/water").mkdir()
    shutil.move(course / BOATS, course / "knowledge/water/ships")
    shutil.move(course / KIND, course / "compositional_skills/polite")
    put(course, KNOWLEDGE.replace("domain: boats", "domain: ships"), "knowledge/water/ships")
    diff = since(course, base)
    assert {(x.status, x.was, x.path) for x in diff.leaves} == {
        ("moved", BOATS, "knowledge/water/ships"),
        ("moved", KIND, "compositional_skills/polite"),
    }
    assert changes(diff, "knowledge/water/ships") == [("domain changed", "")]
    assert "moved    knowledge/boats -> knowledge/water/ships" in diff_text(diff)


def test_a_document_elsewhere_in_the_course_belongs_to_the_leaf_that_names_it(course, tmp_path):
    put(course, KNOWLEDGE.replace("boats.md", "{repo: ../../papers, commit: c, patterns: ['*.md']}"))
    put(course, "one", "knowledge/papers", "a.md")
    (course / BOATS / "boats.md").unlink()
    put(course, KNOWLEDGE.replace("boats.md", "{repo: ../papers, commit: c, patterns: ['*.md']}"))
    commit(course)
    put(course, "two", "knowledge/papers", "a.md")
    diff = since(course, "main")
    assert changes(diff, BOATS) == [("document changed", "a.md")]
    assert diff.unchanged == 1


def test_layout_alone_and_a_file_that_became_invalid_are_said_so(course, base):
    put(course, SKILL.replace("Make it kind", '"Make it kind"  # as it was'), KIND)
    assert changes(since(course, base), KIND) == [("layout only", "white space, comments or order")]
    put(course, "version: 3\n", KIND)
    assert changes(since(course, base), KIND) == [("not valid now", "homeroom check says why")]


def test_a_part_of_a_course_is_compared_alone(course, base):
    put(course, SKILL.replace("Please, 3.", "Please, 33."), KIND)
    assert since(course / "knowledge", base).leaves == ()
    assert statuses(since(course / "compositional_skills", base)) == {KIND: "changed"}


def test_links_hidden_files_and_out_are_not_compared(course, base):
    (course / BOATS / "link.md").symlink_to("/etc/passwd")
    put(course, SKILL, "knowledge/.hidden")
    put(course, SKILL, "out/knowledge/x")
    assert since(course, base).leaves == ()


def test_changed_texts_are_shown_from_where_they_differ_and_without_control_characters(course, base):
    put(course, SKILL.replace("answer: Please, 3.", f'answer: "{"Please, 3 " * 60} \\e[31m\\u202e end"'), KIND)
    ((change,),) = [leaf.changes for leaf in since(course, base).leaves]
    assert change.what == "not valid now"  # a control character is an error of its own
    put(course, SKILL.replace("answer: Please, 3.", f"answer: {'Please, 3 ' * 60} \u202e end"), KIND)
    ((change,),) = [leaf.changes for leaf in since(course, base).leaves]
    assert "\u202e" not in change.after
    assert len(change.after) <= 120


# -- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ref", ["--output=/tmp/x", "-p", "--upload-pack=touch x", "HEAD:course", "\x1b[2J", " "])
def test_a_ref_that_could_be_an_option_or_a_path_is_refused(course, ref):
    commit(course)
    with pytest.raises(UsageError, match="cannot be the name"):
        since(course, ref)


def test_an_unknown_ref_and_a_folder_that_is_not_there_are_named(course):
    with pytest.raises(UsageError, match="no folder 'main'"):
        since(course, "main")
    commit(course)
    with pytest.raises(UsageError, match="no commit 'nope'"):
        since(course, "nope")


def test_a_name_that_is_a_folder_and_a_branch_is_not_guessed(course, tmp_path, monkeypatch):
    commit(course)
    shutil.copytree(course, tmp_path / "main")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="a folder and a commit"):
        since(course, "main")
    assert since(course, "./main").leaves == ()


def test_a_hostile_repository_runs_nothing(course, tmp_path):
    commit(course)
    first = git(course.parent, "cat-file", "commit", "HEAD").replace("\n\none", "\n\none")
    head, _, message = first.partition("\n\n")
    signed = f"{head}\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----\n\n{message}\n"
    made = git(course.parent, "hash-object", "-t", "commit", "-w", "--stdin", "--literally", given=signed.encode())
    git(course.parent, "update-ref", "refs/heads/main", made)
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\n")
    trap.chmod(0o755)
    for name in ("post-checkout", "post-index-change", "reference-transaction"):
        shutil.copy(trap, course.parent / ".git" / "hooks" / name)
    settings = {
        **{"core.fsmonitor": trap, "core.pager": trap, "pager.log": trap, "diff.external": trap, "gpg.program": trap},
        **{"log.showSignature": "true", "core.sshCommand": trap, "core.editor": trap, "filter.x.smudge": trap},
        **{"filter.x.process": trap, "filter.x.clean": trap, "diff.x.textconv": trap, "diff.x.command": trap},
        **{"remote.origin.url": f"ext::{trap}", "remote.origin.promisor": "true", "protocol.ext.allow": "always"},
        **{"core.partialClone": "origin", "extensions.partialClone": "origin", "alias.log": f"!{trap}"},
        **{"core.hooksPath": course.parent / ".git/hooks", "core.alternateRefsCommand": trap},
    }
    for name, value in settings.items():
        git(course.parent, "config", name, str(value))
    (course.parent / ".gitattributes").write_text("* filter=x diff=x\n")
    git(course.parent, "log", "-1")
    (tmp_path / "sprung").unlink()  # the trap works: it is there
    put(course, SKILL.replace("Please, 3.", "Please, 33."), KIND)
    assert statuses(since(course, "main")) == {KIND: "changed"}
    assert set(last_changes(course, [KIND, BOATS])) == {KIND, BOATS}
    blob = git(course.parent, "rev-parse", f"main:course/{KIND}/qna.yaml")
    (course.parent / ".git/objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(ContentError, match="missing in this repository"):
        since(course, "main")
    assert not (tmp_path / "sprung").exists()


def test_contents_come_in_one_exchange_whatever_their_names(course):
    odd = "knowledge/ü \n x"
    put(course, KNOWLEDGE, odd)
    commit(course)
    found = open_commit(course, "HEAD")
    contents = read_blobs(found, [f"{odd}/qna.yaml", f"{BOATS}/qna.yaml", f"{BOATS}/boats.md"])
    assert [len(content) for content in contents.values()] == [
        len(KNOWLEDGE.encode()),
        len(KNOWLEDGE.encode()),
        len("# Boats\n\nBoat 1 is red.\n"),
    ]


def test_a_worktree_on_another_hash_and_a_course_at_the_top_work(tmp_path):
    put(tmp_path / "r", SKILL, KIND)
    git(tmp_path, "init", "-q", "-b", "main", "--object-format=sha256", "r")
    git(tmp_path / "r", "add", "-A")
    git(tmp_path / "r", "commit", "-qm", "one")
    assert since(tmp_path / "r", "main").unchanged == 1
    git(tmp_path / "r", "worktree", "add", "-q", "../w", "-b", "other")
    put(tmp_path / "w", SKILL + "\n", KIND)
    assert changes(since(tmp_path / "w", "main"), KIND) == [("layout only", "white space, comments or order")]
