"""The wheel that `make build` makes works by itself: in an environment of its own, away from the source, offline."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "homeroom"


def call(*command: str | Path, cwd: Path, good: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a program that sees neither the source nor a network that answers."""
    dropped = ("PYTHONPATH", "VIRTUAL_ENV", "PIP_NO_INDEX")
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    env = {k: v for k, v in os.environ.items() if k not in dropped} | nowhere | {"PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([str(c) for c in command], cwd=cwd, env=env, capture_output=True, text=True, timeout=600)
    assert not good or done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built as `make build` does: with the backend that is installed, and without an index."""
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("dist")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    call(sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", folder, ROOT, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def homeroom(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `homeroom` of an empty environment into which the wheel, and nothing else, was installed.

    What it depends on is lent by a .pth file that names the folder of the packages at work here; an editable
    Homeroom in that folder is not seen, because a .pth file does not act on the .pth files of what it names.
    """
    folder = tmp_path_factory.mktemp("empty")
    venv.create(folder, with_pip=False, symlinks=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = folder / "lib" / version / "site-packages"
    options = ["--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"]
    call(sys.executable, "-m", "pip", "--python", folder / "bin" / "python", "install", *options, wheel, cwd=folder)
    assert (packages / "homeroom" / "__init__.py").is_file()
    (packages / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return folder / "bin" / "homeroom"


def test_the_wheel_holds_all_code_and_data_and_nothing_else(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
        metadata = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        said = archive.read(metadata).decode()
        licences = [name for name in archive.namelist() if name.endswith("licenses/LICENSE")]
    files = [p for p in PACKAGE.rglob("*") if p.is_file() and "__pycache__" not in p.parts and p.name != ".DS_Store"]
    assert inside == {p.relative_to(ROOT).as_posix() for p in files}
    assert licences
    assert "License-Expression: Apache-2.0" in said
    assert "Requires-Dist: click" in said


def test_the_installed_package_is_the_wheel_and_not_the_source(homeroom: Path, tmp_path: Path):
    asked = call(homeroom.parent / "python", "-c", "import homeroom; print(homeroom.__file__)", cwd=tmp_path)
    assert Path(asked.stdout.strip()).is_relative_to(homeroom.parent.parent)


@pytest.mark.parametrize("example", sorted(p.name for p in (PACKAGE / "data" / "examples").iterdir() if p.is_dir()))
def test_an_example_is_made_checked_and_planned_with_the_wheel_alone(homeroom: Path, tmp_path: Path, example: str):
    call(homeroom, "init", "course", "--example", example, cwd=tmp_path)
    assert list((tmp_path / "course").rglob("qna.yaml"))
    checked = json.loads(call(homeroom, "check", "course", "--json", cwd=tmp_path).stdout)
    assert (checked["version"], checked["ok"]) == (1, True)
    planned = json.loads(call(homeroom, "plan", "course", "--json", cwd=tmp_path).stdout)
    assert planned["version"] == 1


def test_a_faulty_leaf_is_refused_with_the_exit_code_of_the_contract(homeroom: Path, tmp_path: Path):
    call(homeroom, "init", "course", "--example", "insurance", cwd=tmp_path)
    (leaf,) = (tmp_path / "course").rglob("qna.yaml")
    leaf.write_text("version: 3\nseed_examples: nothing\n", encoding="utf-8")
    checked = call(homeroom, "check", "course", "--json", cwd=tmp_path, good=False)
    assert checked.returncode == 3, checked.stderr
    assert json.loads(checked.stdout)["ok"] is False
