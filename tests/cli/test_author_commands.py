"""`tree`, `diff` and `draft` as a person meets them: output, exit codes, JSON, and what a mistake is answered with."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import scripted_teacher
from scripted_endpoint import scripted_server

ROOT = Path(__file__).parents[2]
HANDBOOK = ROOT / "homeroom/data/examples/insurance/knowledge/insurance/claims/claims-handbook.md"


@pytest.fixture
def homeroom(tmp_path):
    """Run the command in an empty folder, with an empty store and no network."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "HOMEROOM_HOME": str(tmp_path / "home"), "HOMEROOM_OFFLINE": "1"}

    def command(*args: str) -> subprocess.CompletedProcess[str]:
        whole = [sys.executable, "-m", "homeroom.cli.main", *args]
        return subprocess.run(whole, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=600)

    return command


def brief(messages):
    """The scripted teacher, in as few words as a draft gives it for questions."""
    text = scripted_teacher.answer(messages)
    return "\n".join(text.splitlines()[:3]) if messages[-1]["content"].startswith("Fact:") else text


def test_tree_shows_text_json_and_a_page(homeroom, tmp_path):
    homeroom("init", "course")
    shown = homeroom("tree", "course")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "claims  5 contexts, 15 questions  claims-handbook.md" in shown.stdout
    found = json.loads(homeroom("tree", "course", "--json").stdout)
    assert (found["version"], found["totals"]["leaves"]) == (1, 1)
    both = homeroom("tree", "course", "--html", "page.html", "--json")
    assert json.loads(both.stdout) == found
    assert "Wrote page.html" in both.stderr
    assert (tmp_path / "page.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    (tmp_path / "empty").mkdir()
    assert homeroom("tree", "empty").returncode == 3
    assert homeroom("tree", "gone").returncode == 2


def test_diff_exits_0_with_and_without_differences_and_2_for_what_is_no_base(homeroom, tmp_path):
    homeroom("init", "old")
    homeroom("init", "new")
    same = homeroom("diff", "new", "--base", "old")
    assert (same.returncode, same.stdout) == (0, "No leaf differs from old (1 leaf).\n")
    (tmp_path / "new/knowledge/insurance/claims/claims-handbook.md").write_text("# Other\n", encoding="utf-8")
    done = homeroom("diff", "new", "--base", "old")
    assert done.returncode == 0
    assert "document changed: claims-handbook.md" in done.stdout
    assert json.loads(homeroom("diff", "new", "--base", "old", "--json").stdout)["counts"]["changed"] == 1
    for base in ("--output=x", "gone"):
        refused = homeroom("diff", "new", f"--base={base}")
        assert refused.returncode == 2
        assert "Traceback" not in refused.stderr


def test_draft_writes_what_check_refuses_until_it_was_read(homeroom, tmp_path):
    with scripted_server(brief) as url:
        more = ["--teacher", url, "--teacher-model", "scripted", "--created-by", "ann"]
        done = homeroom("draft", str(HANDBOOK), "--leaf", "knowledge/claims", *more)
        assert done.returncode == 0, done.stderr
        again = homeroom("draft", str(HANDBOOK), "--leaf", "knowledge/claims", *more)
    assert "5 contexts, 15 questions" in done.stdout
    assert again.returncode == 5
    assert "never overwrites" in again.stderr
    refused = homeroom("check", ".")
    assert refused.returncode == 3
    assert "knowledge/claims/qna.yaml:1:1: error: this is a draft" in refused.stdout
    assert homeroom("plan", ".").returncode == 3
    path = tmp_path / "knowledge/claims/qna.yaml"
    path.write_text(path.read_text(encoding="utf-8").partition("\n")[2], encoding="utf-8")
    assert homeroom("check", ".").returncode == 0
    assert "claims  5 contexts, 15 questions" in homeroom("tree", ".").stdout


def test_draft_without_a_teacher_or_with_a_wrong_leaf_says_what_to_do(homeroom):
    wrong = homeroom("draft", str(HANDBOOK), "--leaf", "claims")
    assert wrong.returncode == 2
    assert "--leaf knowledge/claims" in wrong.stderr
    away = homeroom("draft", str(HANDBOOK), "--leaf", "knowledge/claims")
    assert away.returncode == 4
    assert "homeroom models pull" in away.stderr
