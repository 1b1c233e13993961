"""Keys: where they come from, and that they go nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest
from scripted_endpoint import scripted_server

from homeroom.core.config import Judge, Recipe, Teacher
from homeroom.core.errors import MachineError, RefusedError
from homeroom.core.types import Message
from homeroom.models.keys import read_key
from homeroom.pipeline.course import open_judge

KEY = "sk-very-secret-0123456789"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "homeroom-key"
    path.write_text(KEY + "\n")
    path.chmod(0o600)
    return path


def test_the_environment_comes_before_the_file(key_file: Path, monkeypatch: pytest.MonkeyPatch):
    settings = Teacher(api_key_env="HOMEROOM_A_KEY", api_key_file=str(key_file))
    monkeypatch.delenv("HOMEROOM_A_KEY", raising=False)
    assert read_key(settings) == KEY
    monkeypatch.setenv("HOMEROOM_A_KEY", "sk-of-the-environment")
    assert read_key(settings) == "sk-of-the-environment"
    assert read_key(Teacher(api_key_env="HOMEROOM_NOT_SET")) == ""


def test_a_file_that_others_may_read_is_refused(key_file: Path):
    key_file.chmod(0o644)
    with pytest.raises(RefusedError, match="others") as caught:
        read_key(Teacher(api_key_env="", api_key_file=str(key_file)))
    assert "chmod 600" in caught.value.hint


@pytest.mark.parametrize("content", ["", "two words", "line\nline", "k\x00y", "schlüssel", "x" * 9000])
def test_what_is_no_key_is_said_without_showing_it(key_file: Path, content: str):
    key_file.write_text(content)
    with pytest.raises(MachineError) as caught:
        read_key(Teacher(api_key_env="", api_key_file=str(key_file)))
    assert not content or content not in str(caught.value)


def test_a_file_that_is_missing_or_a_folder_is_said(tmp_path: Path):
    (tmp_path / "homeroom").mkdir()
    for path in (tmp_path / "homeroom-none", tmp_path / "homeroom"):
        with pytest.raises(MachineError):
            read_key(Teacher(api_key_env="", api_key_file=str(path)))


@pytest.mark.parametrize(
    "settings",
    [
        {"url": "https://evil.example/v1", "api_key_env": "OPENAI_API_KEY"},
        {"url": "http://api.openai.com/v1", "api_key_env": "OPENAI_API_KEY"},
        {"url": "https://api.openai.com.evil.example/v1", "api_key_env": "OPENAI_API_KEY"},
        {"url": "https://evil.example/v1", "api_key_env": "GITHUB_TOKEN"},
        {"api_key_env": "", "api_key_keyring": "github/me"},
    ],
)
def test_a_strangers_recipe_gets_no_key_that_is_for_others(settings: dict[str, str], monkeypatch: pytest.MonkeyPatch):
    for name in ("OPENAI_API_KEY", "GITHUB_TOKEN"):
        monkeypatch.setenv(name, KEY)
    with pytest.raises(RefusedError) as caught:
        read_key(Teacher(**settings))
    assert KEY not in str(caught.value)
    assert "omeroom" in caught.value.hint.lower()
    assert read_key(Teacher(url="https://api.openai.com/v1", api_key_env="OPENAI_API_KEY")) == KEY


def test_a_file_that_is_for_others_is_not_read_even_through_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    token, folder = tmp_path / "huggingface" / "token", tmp_path / "homeroom"
    token.parent.mkdir()
    folder.mkdir()
    token.write_text(KEY)
    token.chmod(0o600)
    (folder / "homeroom-key").symlink_to(token)
    for path in (token, folder / "homeroom-key", f"{folder}/../huggingface/token"):
        with pytest.raises(RefusedError, match="something else"):
            read_key(Teacher(api_key_env="", api_key_file=str(path)))


def test_a_file_beside_homeroom_itself_is_no_key_for_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    clone, config, other = tmp_path / "homeroom", tmp_path / ".config" / "homeroom", tmp_path / "xdg"
    for folder in (clone, config, other / "homeroom"):
        folder.mkdir(parents=True)
        (folder / ".env").write_text(KEY)
        (folder / ".env").chmod(0o600)
    with pytest.raises(RefusedError, match="something else"):
        read_key(Teacher(api_key_env="", api_key_file="~/homeroom/.env"))
    assert read_key(Teacher(api_key_env="", api_key_file="~/.config/homeroom/.env")) == KEY
    monkeypatch.setenv("XDG_CONFIG_HOME", str(other))
    assert read_key(Teacher(api_key_env="", api_key_file=str(other / "homeroom" / ".env"))) == KEY


def test_a_judge_gets_its_own_key_and_no_other(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOMEROOM_API_KEY", KEY)
    monkeypatch.delenv("HOMEROOM_JUDGE_KEY", raising=False)
    with scripted_server(lambda messages: "A") as url:
        asked = [(Message(role="user", content="Which is better?"),)]
        open_judge(Recipe(judge=Judge(url=url))).answer(asked, max_tokens=2)
        assert "Authorization" not in url.headers[0]
        monkeypatch.setenv("HOMEROOM_JUDGE_KEY", "sk-judge")
        open_judge(Recipe(judge=Judge(url=url))).answer(asked, max_tokens=2)
        assert url.headers[1]["Authorization"] == "Bearer sk-judge"
    with pytest.raises(RefusedError):
        open_judge(Recipe(judge=Judge(url="https://evil.example/v1", api_key_env="GITHUB_TOKEN")))


@pytest.fixture
def keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The keyring's program, of which a test says what it holds."""
    program = tmp_path / "bin" / "secret-tool"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\n[ "$*" = "lookup service homeroom username teacher" ] && echo {KEY}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/bin:/usr/bin")
    monkeypatch.setattr("sys.platform", "linux")
    return program


def test_the_keyring_is_asked_for_a_service_and_a_user(keyring: Path):
    assert read_key(Teacher(api_key_env="", api_key_keyring="homeroom/teacher")) == KEY
    with pytest.raises(MachineError, match="no such key") as caught:
        read_key(Teacher(api_key_env="", api_key_keyring="homeroom/nobody"))
    assert "secret-tool store" in caught.value.hint
    with pytest.raises(MachineError, match="service/user"):
        read_key(Teacher(api_key_env="", api_key_keyring="homeroom"))
    keyring.unlink()
    with pytest.raises(MachineError, match="not installed"):
        read_key(Teacher(api_key_env="", api_key_keyring="homeroom/teacher"))
