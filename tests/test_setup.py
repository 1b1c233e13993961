"""`make setup` picks the torch that fits, brings no CUDA to a machine without a GPU, and says how to mend a failure."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
_spec = importlib.util.spec_from_file_location("homeroom_setup", ROOT / "dev" / "setup.py")
setup = importlib.util.module_from_spec(_spec)
sys.modules["homeroom_setup"] = setup  # dataclasses look their module up
_spec.loader.exec_module(setup)


def choose(asked="auto", *, system="Linux", machine="x86_64", nvidia=False):
    return setup.choose_torch(asked, system=system, machine=machine, nvidia=nvidia)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_linux_without_a_gpu_gets_the_cpu_build_by_its_full_name_and_nothing_with_it(machine: str):
    build = choose(machine=machine)
    assert build.spec == f"torch=={setup.TORCH}+cpu"  # no package index may carry a version with "+": it is never CUDA
    assert "--no-deps" in build.options
    assert "no NVIDIA GPU" in build.why


def test_an_nvidia_gpu_gets_the_cuda_build_with_its_dependencies_even_where_a_cpu_wheel_lies_about():
    build = choose(nvidia=True)
    assert build.spec == f"torch=={setup.TORCH},!={setup.TORCH}+cpu"
    assert "--no-deps" not in build.options


def test_a_mac_gets_the_plain_build():
    assert choose(system="Darwin", machine="arm64").spec == f"torch=={setup.TORCH}"


def test_a_mac_for_which_no_build_exists_is_told_so():
    with pytest.raises(setup.SetupError, match="Intel") as error:
        choose(system="Darwin", machine="x86_64")
    assert "TORCH=none" in error.value.hint


def test_a_build_of_ones_own_is_looked_at_for_cuda_before_it_is_installed_on_a_cpu_machine():
    assert choose("torch==2.9.1").check
    assert not choose("torch==2.9.1", nvidia=True).check
    report = {"install": [{"metadata": {"name": n}} for n in ("torch", "nvidia-cublas", "triton", "sympy", "cudatext")]}
    assert setup.cuda_packages(report) == ["nvidia-cublas", "triton"]


@pytest.mark.parametrize(
    ("said", "code", "words"),
    [
        ("OSError: [Errno 28] No space left on device", 4, "disk is full"),
        ("THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE", 5, "not the one that was locked"),
        ("NewConnectionError(...)\nERROR: No matching distribution found for click==8.5.1", 4, "no network"),
        ("Segmentation fault", 1, "Segmentation fault"),
    ],
)
def test_a_failure_of_pip_is_told_in_words_with_a_way_to_mend_it(said: str, code: int, words: str):
    error = setup.explain(said, Path(".venv/setup.log"))
    assert words in str(error)
    assert error.code == code
    assert error.hint


def a_clone(folder: Path) -> setup.Setup:
    """Return the set-up of a folder that has what the set-up reads."""
    for name in (*setup.LOCKS, "pyproject.toml", "homeroom/__init__.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text((ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")
    return setup.Setup(folder, choose("none"))


def test_a_changed_lock_makes_packages_stale_and_nothing_else(tmp_path: Path):
    clone = a_clone(tmp_path)
    before = clone.keys()
    (tmp_path / "requirements/run.txt").write_text("click==1.0\n", encoding="utf-8")
    after = clone.keys()
    assert [name for name in before if before[name] != after[name]] == ["packages"]


def test_an_environment_that_somebody_else_made_is_not_touched(tmp_path: Path):
    clone = a_clone(tmp_path)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "precious").write_text("mine", encoding="utf-8")
    with pytest.raises(setup.SetupError, match="not made by this set-up"):
        setup.make_venv(clone, "venv")
    assert (tmp_path / ".venv" / "precious").read_text(encoding="utf-8") == "mine"


def test_a_disk_that_is_too_small_is_refused_before_anything_is_downloaded(tmp_path: Path):
    clone = setup.Setup(tmp_path, setup.TorchBuild("torch", "a test", disk_gib=1e6))
    with pytest.raises(setup.SetupError, match="GiB free") as error:
        setup.check_disk(clone)
    assert error.value.code == 4


def test_a_set_up_that_is_up_to_date_says_so_and_does_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    clone = a_clone(tmp_path)
    clone.python.parent.mkdir(parents=True)
    clone.python.symlink_to(sys.executable)
    clone.stamp.write_text(json.dumps(clone.keys()), encoding="utf-8")
    setup.set_up(clone)
    assert "up to date" in capsys.readouterr().out
    assert not (clone.venv / "setup.log").exists()


def test_it_runs_with_the_standard_library_alone():
    command = [sys.executable, "-I", "-S", str(ROOT / "dev" / "setup.py"), "--help"]
    assert subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout.startswith("usage")
