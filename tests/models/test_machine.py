"""What is read from the system, with the files of other machines."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from homeroom.models import machine
from homeroom.models.machine import Gpu, Machine, Torch, describe, memory, usable_cpus, warnings

MEMINFO = "MemTotal:       16777216 kB\nMemFree:         1000000 kB\nMemAvailable:    8388608 kB\n"
FINE = Machine(
    platform="Linux",
    python="3.12.1",
    cpus=8,
    physical_cores=4,
    isa=("avx2",),
    memory_gib=16,
    available_gib=12,
    disk_free_gib=100,
    torch=Torch(version="2.13.0+cpu"),
    engine="2026.10",
)


def test_this_machine_is_described():
    here = describe()
    assert 1 <= here.physical_cores <= here.cpus
    assert 0 < here.available_gib <= here.memory_gib
    assert here.disk_free_gib > 0


def test_a_fine_machine_gets_no_warning():
    assert warnings(FINE) == []


def test_a_gpu_that_would_stay_idle_is_named_with_the_mend():
    (said,) = warnings(dataclasses.replace(FINE, gpus=(Gpu(name="NVIDIA H200", kind="nvidia", memory_gib=139),)))
    assert "this GPU would stay idle: NVIDIA H200" in said
    assert "download.pytorch.org" in said
    cuda = Torch(version="2.13.0", cuda="12.8")
    assert warnings(dataclasses.replace(FINE, gpus=(Gpu(name="H200", kind="nvidia"),), torch=cuda)) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"torch": None}, "torch is missing"),
        ({"torch": Torch(version="2.13.0", cuda="12.8")}, "no NVIDIA GPU is here"),
        ({"gpus": (Gpu(name="AMD GPU", kind="amd"),)}, "rocm"),
        ({"engine": None}, "no local engine"),
        ({"available_gib": 1.5}, "1.5 of 16 GiB of memory"),
        ({"disk_free_gib": 2.0}, "2 GiB of disk"),
    ],
)
def test_what_is_missing_is_said(changes: dict, said: str):
    (warning,) = warnings(dataclasses.replace(FINE, **changes))
    assert said in warning


def test_a_llama_server_on_the_path_is_an_engine_too():
    assert warnings(dataclasses.replace(FINE, engine=None, llama_server="/usr/bin/llama-server")) == []


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    (tmp_path / "meminfo").write_text(MEMINFO)
    (tmp_path / "own").write_text("0::/jobs/one\n")
    (tmp_path / "cgroup" / "jobs" / "one").mkdir(parents=True)
    return {"meminfo": tmp_path / "meminfo", "cgroup": tmp_path / "cgroup", "own": tmp_path / "own"}


pytestmark = pytest.mark.skipif(machine.sys.platform != "linux", reason="reads Linux's files")


def limit(folder: Path, bytes_max: int | str, current: int, inactive: int = 0) -> None:
    (folder / "memory.max").write_text(f"{bytes_max}\n")
    (folder / "memory.current").write_text(f"{current}\n")
    (folder / "memory.stat").write_text(f"anon 5\ninactive_file {inactive}\n")


def test_without_a_container_the_system_decides(files: dict[str, Path]):
    limit(files["cgroup"] / "jobs" / "one", "max", 2**30)
    assert memory(**files) == (16.0, 8.0)


def test_a_containers_limit_counts_and_cached_pages_are_given_back(files: dict[str, Path]):
    limit(files["cgroup"] / "jobs" / "one", 4 * 2**30, 3 * 2**30, inactive=2**30)
    assert memory(**files) == (4.0, 2.0)


def test_the_tightest_of_nested_limits_counts(files: dict[str, Path]):
    limit(files["cgroup"] / "jobs" / "one", 4 * 2**30, 2**30)
    limit(files["cgroup"] / "jobs", 2 * 2**30, 2**30)
    assert memory(**files) == (2.0, 1.0)


def test_a_quota_of_cpus_counts(tmp_path: Path):
    every = usable_cpus(cgroup=tmp_path)
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    assert usable_cpus(cgroup=tmp_path) == 1
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert usable_cpus(cgroup=tmp_path) == every


def test_cores_are_counted_once_however_many_threads_they_have(tmp_path: Path):
    cpus = "".join(f"processor : {n}\nphysical id\t: 0\ncore id\t\t: {n // 2}\nflags : x\n\n" for n in range(8))
    (tmp_path / "cpuinfo").write_text(cpus)
    assert machine._physical_cores(cpuinfo=tmp_path / "cpuinfo") == 4


def test_a_cuda_build_without_a_plus_in_its_version_is_recognised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    info = tmp_path / "torch-2.13.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 2.13.0\n")
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "version.py").write_text("cuda: Optional[str] = '12.8'\nhip: Optional[str] = None\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert machine._torch() == Torch(version="2.13.0", cuda="12.8")
