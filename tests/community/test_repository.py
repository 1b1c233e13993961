"""Contributions on plain git: no file of others is touched, nothing merged that does not fit, nothing run."""

import subprocess

import pytest

from homeroom.community import repository
from homeroom.community.repository import Conflict
from homeroom.core.errors import ContentError, RefusedError

ID, OTHER = "0123456789ab", "ba9876543210"
FILE = "knowledge/a/qna.yaml"
WHO = {"name": "Ann", "email": "ann@example.org"}


@pytest.fixture
def course(tmp_path):
    folder = tmp_path / "course"
    (folder / "knowledge/a").mkdir(parents=True)
    (folder / FILE).write_text("one\ntwo\nthree\nfour\nfive\nsix\n")
    (folder / "out").mkdir()
    (folder / "out/large").write_text("x")
    repository.open_repository(folder)
    return folder


def git(course, *arguments):
    return subprocess.run(["git", *arguments], cwd=course, capture_output=True, text=True, check=True).stdout


def hand_in(course, text, id=ID, **more):
    return repository.commit_files(course, id, {FILE: text}, message="A change", **(WHO | more))


def merge(course, commit, id=ID):
    return repository.merge(course, id, commit, message="Take it in", **WHO)


def test_a_course_without_a_repository_gets_one_with_what_is_its_own(course):
    assert git(course, "ls-files").split() == [FILE]
    assert git(course, "status", "--porcelain") == ""
    assert repository.open_repository(course) == repository.head_of(course)


def test_handing_in_leaves_the_files_that_somebody_edits_alone(course):
    (course / FILE).write_text("edited on disk, not recorded\n")
    commit = hand_in(course, "ONE\ntwo\nthree\nfour\nfive\nsix\n")
    assert (course / FILE).read_text() == "edited on disk, not recorded\n"
    assert git(course, "show", f"{commit}:{FILE}").startswith("ONE\n")
    before = repository.head_of(course)
    with pytest.raises(Conflict, match="on the server's disk"):
        merge(course, commit)
    assert repository.head_of(course) == before
    assert (course / FILE).read_text() == "edited on disk, not recorded\n"


def test_two_changes_in_different_places_both_fit_and_in_one_place_the_second_does_not(course):
    first = hand_in(course, "ONE\ntwo\nthree\nfour\nfive\nsix\n")
    far = hand_in(course, "one\ntwo\nthree\nfour\nfive\nSIX\n", id=OTHER)
    near = hand_in(course, "Uno\ntwo\nthree\nfour\nfive\nsix\n", id="aaaaaaaaaaaa")
    merge(course, first)
    merge(course, far, id=OTHER)
    assert (course / FILE).read_text() == "ONE\ntwo\nthree\nfour\nfive\nSIX\n"
    with pytest.raises(Conflict, match="same place"):
        merge(course, near, id="aaaaaaaaaaaa")
    assert git(course, "status", "--porcelain") == ""


def test_row_34_only_the_commit_that_was_looked_at_is_taken(course):
    seen = hand_in(course, "ONE\n")
    hand_in(course, "TWO\n")
    with pytest.raises(RefusedError, match="after you looked"):
        merge(course, seen)


def test_row_32_a_name_cannot_forge_another_line_or_address(course):
    commit = hand_in(course, "ONE\n", name="Eve\nauthor Ann <ann@example.org>", email="e>\n<x")
    lines = git(course, "cat-file", "commit", commit).split("\n\n")[0].splitlines()
    assert [line.split()[0] for line in lines] == ["tree", "parent", "author", "committer"]
    assert lines[2].startswith("author Eveauthor Ann ann@example.org <ex> ")


def test_rows_27_to_30_hooks_filters_and_odd_ids_run_nothing(course, tmp_path):
    mark = tmp_path / "ran"
    for name in ("pre-commit", "post-merge", "reference-transaction", "post-checkout", "post-index-change"):
        hook = course / ".git/hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {mark}\n")
        hook.chmod(0o755)
    git(course, "config", "filter.evil.clean", f"touch {mark}")
    git(course, "config", "core.fsmonitor", f"touch {mark}")
    commit = hand_in(course, "ONE\n")
    merge(course, commit)
    assert not mark.exists()
    for odd in ("--output=x", "../../heads/main", "HEAD", "", "0123456789AB", "0123456789ab\n"):
        with pytest.raises(ContentError):
            hand_in(course, "x", id=odd)


def test_a_patch_can_be_taken_in_elsewhere(course, tmp_path):
    git(tmp_path, "clone", "--quiet", str(course), "other")
    patch = repository.patch_of(course, hand_in(course, "ONE\ntwo\nthree\nfour\nfive\nsix\n"))
    other = tmp_path / "other"
    taken = ["git", "-c", "user.name=B", "-c", "user.email=b@example.org", "am", "--quiet"]
    subprocess.run(taken, cwd=other, input=patch, check=True, capture_output=True)
    assert (other / FILE).read_text().startswith("ONE\n")
    assert git(other, "log", "-1", "--format=%an").strip() == "Ann"
