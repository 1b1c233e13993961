"""The commands as a person meets them: messages, exit codes, JSON on stdout."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import scripted_teacher
from scripted_endpoint import Raw, scripted_server

from homeroom.cli import main as main_module
from homeroom.cli.main import printable, show_progress

ROOT = Path(__file__).parents[2]
HAS_TORCH = importlib.util.find_spec("torch") is not None
EXAMPLES = ROOT / "homeroom" / "data" / "examples"


@pytest.fixture
def homeroom(tmp_path):
    """Run the command in an empty folder, with an empty store and no network."""

    def command(*args: str, stdin: str | None = None, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "homeroom.cli.main", *args],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "HOMEROOM_HOME": str(tmp_path / "home"), **env},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=600,
        )

    return command


def test_init_makes_every_example_and_never_overwrites(homeroom, tmp_path):
    for example in ("insurance", "inclusive-language", "transcript"):
        done = homeroom("init", example, "--example", example)
        assert done.returncode == 0, done.stderr
        assert f"homeroom run {example}" in done.stdout
        assert homeroom("check", example).returncode == 0
    again = homeroom("init", "insurance")
    assert again.returncode == 2
    assert "not empty" in again.stderr
    unknown = homeroom("init", "x", "--example", "insurence")
    assert unknown.returncode == 2
    assert "did you mean insurance?" in unknown.stderr


def test_check_says_file_line_and_column_and_exits_3(homeroom, tmp_path):
    homeroom("init", "course")
    leaf = next((tmp_path / "course").rglob("qna.yaml"))
    leaf.write_text(leaf.read_text(encoding="utf-8").replace("version: 3", "version: 9"), encoding="utf-8")
    done = homeroom("check", "course")
    assert done.returncode == 3
    assert "qna.yaml:1:" in done.stdout
    found = json.loads(homeroom("check", "course", "--json").stdout)
    assert found["version"] == 1
    assert found["ok"] is False
    assert set(found["problems"][0]) == {"file", "line", "column", "code", "message", "hint", "severity"}
    run = homeroom("run", "course")
    assert run.returncode == 3
    assert "qna.yaml:1:" in run.stderr


def test_what_others_wrote_steers_no_terminal(homeroom, tmp_path, capsys):
    course = tmp_path / "course"
    course.mkdir()
    (course / "recipe.yaml").write_text('"\\e[2Jtrain\\u202e": {}\n')
    done = homeroom("plan", str(course))
    assert done.returncode == 3
    assert r"\x1b[2Jtrain\u202e" in done.stderr
    show_progress("samples", 1, 2, "12 kept: What is \x1b]0;pwned\x07?")
    said = capsys.readouterr().err
    assert "pwned" in said
    assert "\x1b]" not in said
    assert printable("\u0645\u06cc\u200c\u062e 3\u00a0m\n") == "\u0645\u06cc\u200c\u062e 3\u00a0m\n"


def test_an_unknown_command_option_and_recipe_key_name_the_nearest(homeroom, tmp_path):
    assert "did you mean run?" in homeroom("rnu").stderr
    homeroom("init", "course")
    option = homeroom("plan", "course", "-o", "train.sede=1")
    assert option.returncode == 2
    assert "train.sede" in option.stderr
    assert "did you mean seed?" in option.stderr
    (tmp_path / "course" / "recipe.yaml").write_text("sampels:\n  manners: 3\n", encoding="utf-8")
    recipe = homeroom("plan", "course")
    assert recipe.returncode == 3
    assert "recipe.yaml" in recipe.stderr
    assert "did you mean samples?" in recipe.stderr


def test_no_network_and_no_model_is_exit_4_with_what_to_do(homeroom):
    homeroom("init", "course")
    command = "run" if HAS_TORCH else "generate"  # without torch a run says that first
    done = homeroom(command, "course", HOMEROOM_OFFLINE="1")
    assert done.returncode == 4, done.stderr
    assert "homeroom models pull" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_torch_what_needs_it_says_how_to_install_it(monkeypatch, capsys):
    def needs(*, standalone_mode):
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(main_module.cli, "main", needs)
    monkeypatch.setattr(main_module.signal, "signal", lambda *args: None)  # this process keeps its own
    with pytest.raises(SystemExit) as ended:
        main_module.main()
    assert ended.value.code == 4
    assert "make setup" in capsys.readouterr().err


def test_a_document_that_is_missing_is_named(homeroom, tmp_path):
    homeroom("init", "course")
    next((tmp_path / "course").rglob("claims-handbook.md")).unlink()
    done = homeroom("run", "course")
    assert done.returncode == 3
    assert "claims-handbook.md" in done.stderr


def test_plan_and_doctor_print_json(homeroom):
    homeroom("init", "course")
    plan = json.loads(homeroom("plan", "course", "--json").stdout)
    assert plan["stages"][0]["name"] == "documents"
    assert plan["facts"] > 40
    doctor = json.loads(homeroom("doctor", "--json").stdout)
    assert doctor["machine"]["cpus"] >= 1
    models = json.loads(homeroom("models", "list", "--json").stdout)["models"]
    assert {"smollm2-135m", "qwen2.5-coder-1.5b"} <= {m["name"] for m in models}


def test_evaluate_grades_an_endpoint_on_an_exam(homeroom):
    with scripted_server(lambda messages: "Paris, of course.") as url:
        exam = ROOT / "homeroom" / "data" / "retention" / "general.jsonl"
        done = homeroom("evaluate", url, "--exam", str(exam), "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["n"] == 120
    assert 1 <= result["correct"] < 20


def test_doctor_finds_out_what_an_endpoint_can(homeroom):
    def answer(messages, request):
        if "seed" in request:
            return Raw(status=400, body=b'{"error": "seed is not supported"}')
        return '{"z": 7}' if "response_format" in request else "Red"

    with scripted_server(answer) as url:
        done = homeroom("doctor", "--teacher", url, "--teacher-model", "scripted")
    assert done.returncode == 0, done.stderr
    rows = dict(line.rsplit(" ", 1) for line in done.stdout.splitlines())
    found = {name.strip(): value for name, value in rows.items()}
    assert (found["follows a JSON schema"], found["heeds a seed"], found["streams"]) == ("yes", "no", "yes")
    assert "refused, and left out: seed" in done.stdout


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 6)])
def test_stopping_a_run_exits_as_promised_and_says_that_it_goes_on(tmp_path, number, code):
    asked, ended = [], threading.Event()

    def answer(messages):
        asked.append(messages)
        if len(asked) > 40:  # it is never done before it is stopped
            ended.wait(240)
        return scripted_teacher.answer(messages)

    def kept():
        return list((tmp_path / "course" / "out" / "asked").glob("??/*.json"))

    env = {**os.environ, "PYTHONPATH": str(ROOT), "HOMEROOM_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-m", "homeroom.cli.main"]
    subprocess.run([*command, "init", "course"], cwd=tmp_path, env=env, check=True, capture_output=True)
    with scripted_server(answer) as url:
        more = ["generate", "course", "--teacher", url, "--teacher-model", "@maker/a: b"]
        with subprocess.Popen([*command, *more], cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True) as child:
            deadline = time.monotonic() + 240  # a machine may be busy with other work
            while len(kept()) < 8 and time.monotonic() < deadline:
                time.sleep(0.02)
            child.send_signal(number)
            stderr = child.communicate(timeout=240)[1]
        ended.set()
    assert child.returncode == code, stderr
    assert "goes on from here" in stderr
    assert "Traceback" not in stderr
    assert len(kept()) >= 8
