"""Keys: where they come from, and that they go nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from homeroom.core.config import Teacher
from homeroom.core.errors import MachineError, RefusedError
from homeroom.models.keys import read_key

KEY = "sk-very-secret-0123456789"


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text(KEY + "\n")
    path.chmod(0o600)
    return path


def test_the_environment_comes_before_the_file(key_file: Path, monkeypatch: pytest.MonkeyPatch):
    settings = Teacher(api_key_env="A_KEY", api_key_file=str(key_file))
    monkeypatch.delenv("A_KEY", raising=False)
    assert read_key(settings) == KEY
    monkeypatch.setenv("A_KEY", "sk-of-the-environment")
    assert read_key(settings) == "sk-of-the-environment"
    assert read_key(Teacher(api_key_env="NOT_SET_ANYWHERE")) == ""


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
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(MachineError):
            read_key(Teacher(api_key_env="", api_key_file=str(path)))


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
