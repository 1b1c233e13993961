"""Which files a pattern chooses, and that no `qna.yaml` reaches outside its course."""

import os
import subprocess
import time

import pytest

from homeroom.core.errors import ContentError
from homeroom.core.sources import boundary, find_files, is_git_address, local_folder, matching

NAMES = ["a.md", "x/b.md", "x/y/c.md", ".h.md", "x/.h/d.md", "x/d.txt", "[a].md", "docs/a b.md"]


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("*.md", ["a.md", "[a].md"]),
        ("**/*.md", ["a.md", "x/b.md", "x/y/c.md", "[a].md", "docs/a b.md"]),
        ("x/**/*.md", ["x/b.md", "x/y/c.md"]),
        ("x", ["x/b.md", "x/y/c.md", "x/d.txt"]),
        ("**/y/*.md", ["x/y/c.md"]),
        ("[ab].md", ["a.md"]),
        ("docs/a b.md", ["docs/a b.md"]),
        (".h.md", [".h.md"]),
        ("A.md", []),
        ("?.md", ["a.md"]),
    ],
)
def test_patterns_match_as_globs_do(pattern, wanted):
    assert matching(NAMES, pattern) == wanted


def test_a_pattern_of_many_stars_does_not_hang():
    begin = time.process_time()
    assert matching(["a" * 3000 + "/x"], "*a" * 20 + "*b") == []
    assert matching(["a/" * 300 + "x"], "**/" * 100 + "b") == []
    assert time.process_time() - begin < 3


@pytest.mark.parametrize("pattern", ["../a.md", "x/../../a.md", "/etc/passwd", "~/a", "a\\b", "a\nb", "a\0b", "-x"])
def test_a_pattern_that_climbs_out_is_refused(tmp_path, pattern):
    with pytest.raises(ContentError):
        find_files(tmp_path, pattern, inside=tmp_path)


def test_a_link_that_leads_outside_is_refused_and_one_inside_is_followed(tmp_path):
    course, secret = tmp_path / "course", tmp_path / "secret.md"
    course.mkdir()
    secret.write_text("secret")
    (course / "real.md").write_text("real")
    os.symlink("real.md", course / "inside.md")
    assert find_files(course, "inside.md", inside=course) == ["inside.md"]
    os.symlink(secret, course / "out.md")
    for pattern in ("out.md", "*.md"):
        with pytest.raises(ContentError, match=r"out\.md is a link that leads outside"):
            find_files(course, pattern, inside=course)
    os.symlink(tmp_path, course / "up")
    with pytest.raises(ContentError):
        find_files(course, "up/secret.md", inside=course)


def test_a_folder_must_lie_in_the_course_or_in_the_repository_around_it(tmp_path):
    course = tmp_path / "course"
    (course / "knowledge/a").mkdir(parents=True)
    (tmp_path / "shared").mkdir()
    leaf = {"leaf": "knowledge/a", "course": course}
    assert local_folder(".", **leaf) == course / "knowledge/a"
    assert local_folder("../..", **leaf) == course
    for repo in ("../../../shared", str(tmp_path / "shared"), "/"):
        with pytest.raises(ContentError, match="lies outside"):
            local_folder(repo, **leaf)
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    assert boundary(course) == tmp_path
    assert local_folder("../../../shared", **leaf) == tmp_path / "shared"
    with pytest.raises(ContentError, match="does not exist"):
        local_folder("nowhere", **leaf)


def test_git_addresses_are_told_from_folders():
    addresses = ["https://a.org/b.git", "git@a.org:b/c.git", "file:///x", "ext::sh -c x"]
    assert [is_git_address(a) for a in addresses] == [True] * 4
    assert [is_git_address(a) for a in (".", "docs/x", "/abs", "C:docs")] == [False] * 4
