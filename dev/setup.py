"""Make `.venv` ready for work: `make setup` runs this with any Python 3.11 to 3.13 and nothing installed.

Four steps, each skipped when nothing that it depends on has changed, and begun again where it was cut off:

    venv       .venv, with the Python that runs this file
    packages   requirements/run.txt and dev.txt: pinned, every file checked against its hash
    torch      the build that fits this machine, which is why it cannot be pinned by hash:
               NVIDIA GPU -> the package index's CUDA build; Mac -> the index's plain build; else -> the CPU build
    homeroom   this folder, editable, so that a change of the code needs no set-up

The CPU build is asked for by its full name, `2.13.0+cpu`, and without dependencies. No index can answer that with
the build that drags gigabytes of CUDA along; where it is not to be had, the step refuses and says how to mend it.
Exit codes are those of `homeroom`: 0 good, 1 failed, 2 usage, 4 this machine cannot, 5 refused (a file has another
hash), 6 stopped by SIGTERM, 130 Ctrl-C; run it again to go on. Standard library only.

`homeroom.pyz` (dev/start.py) uses the same file, in a folder of its own, with the package's wheel in place of a clone.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TORCH = "2.13.0"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
OLDEST, NEWEST = (3, 11), (3, 13)
LOCKS = ("requirements/run.txt", "requirements/dev.txt")
HEARTBEAT_S = 15.0
# Settings of pip that would send packages elsewhere than into .venv.
FOREIGN = ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_REQUIRE_VIRTUALENV", "PYTHONPATH", "PYTHONHOME")


class SetupError(Exception):
    """The set-up cannot go on; the message says why, `hint` how to mend it."""

    def __init__(self, message: str, *, hint: str, code: int = 4) -> None:
        super().__init__(message)
        self.hint, self.code = hint, code


class Stopped(BaseException):
    """SIGTERM arrived."""


@dataclass(frozen=True)
class TorchBuild:
    """Which torch this machine gets."""

    spec: str  # for pip; "" for none
    why: str
    options: tuple[str, ...] = ()
    disk_gib: float = 0.0  # needed while installing
    check: bool = False  # ask pip first what it would bring


# -- which torch ---------------------------------------------------------------------------------------------------


def choose_torch(asked: str, *, system: str, machine: str, nvidia: bool) -> TorchBuild:
    """Return the torch build for a machine, with the reason.

    Args:
        asked: What the person asked for: "auto", "none", or anything that pip takes ("torch==2.9.1", a wheel).
        system: As `platform.system()` says it.
        machine: As `platform.machine()` says it.
        nvidia: An NVIDIA GPU and its driver are there.
    """
    if asked == "none":
        return TorchBuild("", "left out, as asked: no training, and its tests are skipped")
    if asked != "auto":
        return TorchBuild(asked, "as asked", disk_gib=1.5, check=not nvidia and system == "Linux")
    if system == "Darwin" and machine != "arm64":
        raise SetupError(
            f"there is no build of torch {TORCH} for a Mac with an Intel processor",
            hint="Go without (make setup TORCH=none), or name a build of your own (make setup TORCH=...).",
        )
    if system == "Darwin":
        return TorchBuild(f"torch=={TORCH}", "a Mac: the index's plain build", ("--no-deps",), 1.0)
    if nvidia:
        # A local version sorts above the plain one, so a CPU wheel lying about would win: it is named and left out.
        spec = f"torch=={TORCH},!={TORCH}+cpu"
        return TorchBuild(spec, "an NVIDIA GPU: the index's CUDA build (about 3 GB to download)", (), 10.0)
    options = ("--no-deps", "--extra-index-url", CPU_INDEX, "--retries", "1", "--timeout", "15")
    return TorchBuild(f"torch=={TORCH}+cpu", "no NVIDIA GPU: the CPU build (about 200 MB)", options, 1.5)


def has_nvidia() -> bool:
    """Return whether an NVIDIA driver answers on this machine."""
    if Path("/proc/driver/nvidia/version").is_file():
        return True
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return False
    try:
        listed = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return listed.returncode == 0 and "GPU " in listed.stdout


def cuda_packages(report: dict) -> list[str]:
    """Return the names of the CUDA packages in what `pip install --report` says it would install."""
    names = [entry["metadata"]["name"].lower() for entry in report.get("install", [])]
    return sorted(n for n in names if re.match(r"(nvidia|cuda|triton)([-_]|$)", n))


# -- the steps -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Setup:
    """The folder to set up, and what to say on the way."""

    root: Path
    build: TorchBuild
    wheel: str = ""  # the package's own, in `root`: what homeroom.pyz brings; "" for a clone, installed editable

    @property
    def locks(self) -> tuple[str, ...]:
        """The lists of pinned packages: a wheel is for use, a clone for work."""
        return LOCKS[:1] if self.wheel else LOCKS

    @property
    def venv(self) -> Path:
        """The virtual environment."""
        return self.root / ".venv"

    @property
    def python(self) -> Path:
        """The environment's Python."""
        return self.venv / "bin" / "python"

    @property
    def stamp(self) -> Path:
        """The file that says which steps are done, and from what."""
        return self.venv / "homeroom-setup.json"

    def keys(self) -> dict[str, str]:
        """Return for each step a hash of all that it depends on."""
        venv = _hash("{}.{}".format(*sys.version_info), str(self.root))  # a venv that was moved is broken
        files = [(self.root / name).read_text(encoding="utf-8") for name in self.locks]
        if self.wheel:
            ours = [hashlib.sha256((self.root / self.wheel).read_bytes()).hexdigest()]
        else:
            ours = [(self.root / n).read_text(encoding="utf-8") for n in ("pyproject.toml", "homeroom/__init__.py")]
        return {
            "venv": venv,
            "packages": _hash(venv, *files),
            "torch": _hash(venv, self.build.spec),
            "homeroom": _hash(venv, *ours),
        }

    def done(self) -> dict[str, str]:
        """Return the keys of the steps that are finished."""
        try:
            done = json.loads(self.stamp.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return done if self.python.exists() and isinstance(done, dict) else {}


def set_up(setup: Setup) -> None:
    """Do the steps that are not done, in order, marking each."""
    keys, done = setup.keys(), setup.done()
    if done == keys:
        print(f"set-up is up to date ({setup.venv.name}; torch: {setup.build.why})")
        return
    check_disk(setup)
    steps = {"venv": make_venv, "packages": install_packages, "torch": install_torch, "homeroom": install_homeroom}
    # Without torch all else is worth having: it comes last to be done, so that its refusal costs nothing else.
    for number, name in enumerate(("venv", "packages", "homeroom", "torch"), 1):
        started = time.monotonic()
        if done.get(name) == keys[name]:
            print(f"[{number}/4] {name}: up to date", flush=True)
            continue
        said = steps[name](setup, f"[{number}/4] {name}")
        done = ({} if name == "venv" else done) | {name: keys[name]}
        _write(setup.stamp, json.dumps(done, indent=1))
        print(f"[{number}/4] {name}: done in {time.monotonic() - started:.0f} s{said}", flush=True)
    print("set-up is done." + ("" if setup.wheel else " Next: make demo, or .venv/bin/homeroom --help"))


def check_disk(setup: Setup) -> None:
    """Refuse before anything is downloaded where the disk cannot hold it."""
    installed = 0.0 if not setup.done().get("packages") else 0.8
    needed = 1.0 + setup.build.disk_gib - installed
    free = shutil.disk_usage(setup.root).free / 2**30
    if free < needed:
        raise SetupError(
            f"{free:.1f} GiB free on the disk of {setup.root}, but about {needed:.1f} GiB are needed",
            hint="Free some space, or clone the repository to a larger disk.",
        )


def make_venv(setup: Setup, title: str) -> str:
    """Make `.venv` with the Python at work, replacing one that an earlier set-up made with another."""
    python = getattr(sys, "_base_executable", "") or sys.executable
    if Path(python).is_relative_to(setup.venv):  # the one about to be cleared, when an earlier set-up was cut off
        python = os.path.realpath(python)
    print(f"{title}: Python {platform.python_version()} ({python})", flush=True)
    foreign = setup.venv.is_dir() and any(setup.venv.iterdir()) and not setup.stamp.exists()
    if foreign:
        raise SetupError(
            f"{setup.venv} is there, and was not made by this set-up",
            hint=f"Move it away, or remove it: rm -r {setup.venv}",
        )
    setup.venv.mkdir(exist_ok=True)
    _write(setup.stamp, "{}")  # what is cut off from here on is ours, and may be cleared
    had = [entry for entry in setup.venv.iterdir() if entry != setup.stamp]
    for entry in had:  # what `venv --clear` does, but for the stamp
        shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    try:
        run([python, "-m", "venv", str(setup.venv)], setup, title)
    except SetupError as error:
        hint = "On Debian and Ubuntu the module is a package of its own: apt install python3-venv"
        raise SetupError(str(error), hint=hint, code=4) from None
    return ""


def install_packages(setup: Setup, title: str) -> str:
    """Install the pinned packages; pip refuses a file whose hash is not in the lists."""
    locks = [option for name in setup.locks for option in ("-r", str(setup.root / name))]
    print(f"{title}: pinned packages with their hashes (about 150 MB, minutes on a slow line)", flush=True)
    pip(["install", "--require-hashes", "--only-binary", ":all:", *locks], setup, title)
    return ""


def install_homeroom(setup: Setup, title: str) -> str:
    """Install this folder itself, editable, or the wheel that lies in it."""
    if setup.wheel:
        print(f"{title}: {setup.wheel}", flush=True)
        pip(["install", "--no-deps", "--no-index", "--force-reinstall", str(setup.root / setup.wheel)], setup, title)
        return ""
    print(f"{title}: this folder, editable", flush=True)
    pip(["install", "--no-deps", "--no-build-isolation", "--no-index", "--editable", str(setup.root)], setup, title)
    return ""


def install_torch(setup: Setup, title: str) -> str:
    """Install the build of torch that was chosen, and try to import it."""
    build = setup.build
    print(f"{title}: {build.why}", flush=True)
    if not build.spec:
        pip(["uninstall", "--yes", "torch"], setup, title)
        return ""
    if build.check:
        refuse_cuda(setup, title)
    try:
        pip(["install", *build.options, build.spec], setup, title)
    except SetupError as error:
        if "no index has it" not in str(error):
            raise
        version = "{}.{}".format(*sys.version_info)
        raise SetupError(
            f"no place this machine reaches has {build.spec} for Python {version} on {platform.machine()}",
            hint=f"Let it reach {CPU_INDEX}, or name a place that has the wheel (PIP_FIND_LINKS=folder make setup), "
            f"or another Python (PYTHON=python3.11), or another build (make setup TORCH='torch @ file:///...whl'), or "
            "go without training (make setup TORCH=none). The package index's own build is not taken: on Linux it "
            "brings gigabytes of CUDA that this machine cannot use.",
        ) from None
    found = run([str(setup.python), "-c", _TORCH_SAYS], setup, title).strip().splitlines()[-1]
    return f" (torch {found})"


_TORCH_SAYS = (
    "import torch; print(torch.__version__ + ', ' + (torch.cuda.get_device_name(0) if torch.cuda.is_available() else "
    "'MPS' if torch.backends.mps.is_available() else f'{torch.get_num_threads()} CPU threads'))"
)


def refuse_cuda(setup: Setup, title: str) -> None:
    """Refuse a torch of the person's choice that would bring CUDA to a machine without an NVIDIA GPU."""
    report = setup.venv / "would-install.json"
    pip(["install", "--dry-run", "--quiet", "--report", str(report), setup.build.spec], setup, title)
    found = cuda_packages(json.loads(report.read_text(encoding="utf-8")))
    if found:
        raise SetupError(
            f"{setup.build.spec} would bring CUDA to a machine without an NVIDIA GPU: {', '.join(found[:4])} ...",
            hint=f"Leave TORCH away for the CPU build, or name one: TORCH=torch=={TORCH}+cpu",
            code=5,
        )


# -- pip and other programs ----------------------------------------------------------------------------------------


def pip(args: list[str], setup: Setup, title: str) -> str:
    """Run pip of `.venv` and return what it said.

    Raises:
        SetupError: it failed; the message has its reason in our words.
    """
    return run([str(setup.python), "-m", "pip", "--no-input", "--disable-pip-version-check", *args], setup, title)


def run(command: list[str], setup: Setup, title: str) -> str:
    """Run a program, saying every few seconds what it is at, and return its output."""
    env = {k: v for k, v in os.environ.items() if k not in FOREIGN} | {"PIP_ROOT_USER_ACTION": "ignore"}
    log = setup.venv / "setup.log"
    started = beat = time.monotonic()
    with log.open("wb") as out:
        # A group of its own, so that what the program started ends with it; it inherits the lock (`_alone`).
        options = {"start_new_session": True, "close_fds": False, "env": env, "cwd": setup.root}
        child = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, **options)
        try:
            while child.poll() is None:
                time.sleep(0.1)
                if time.monotonic() - beat > HEARTBEAT_S:
                    beat = time.monotonic()
                    print(f"{title}: {beat - started:.0f} s, {_last_line(log)}", flush=True)
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(timeout=10)
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
    text = log.read_text(encoding="utf-8", errors="replace")
    if child.returncode:
        raise explain(text, log)
    return text


def explain(text: str, log: Path) -> SetupError:
    """Turn the output of a program that failed into an error that a person can act on."""
    tail = "\n".join(f"    {line}" for line in text.strip().splitlines()[-6:])
    if "No space left on device" in text:
        return SetupError("the disk is full", hint="Free some space and run it again: what is there is kept.")
    if "DO NOT MATCH THE HASHES" in text:
        return SetupError(
            f"a package is not the one that was locked:\n{tail}",
            hint="A mirror or a proxy changed it, or the download broke off: pip cache purge, then try again.",
            code=5,
        )
    if "No matching distribution" in text or "Could not find a version" in text:
        offline = re.search(r"NewConnectionError|name resolution|ConnectTimeout|ProxyError|unreachable", text)
        also = " (and no network: connections failed)" if offline else ""
        hint = "Is this machine online, and does it reach a Python package index (pip config list)?"
        return SetupError(f"no index has it{also}:\n{tail}", hint=hint)
    return SetupError(f"failed:\n{tail}", hint=f"The whole output is in {log}; run it again to go on.", code=1)


def _last_line(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 2000))
        text = file.read().decode(errors="replace").strip()
    lines = [line for line in text.splitlines() if not line.startswith(("WARNING", "  "))]
    if not lines or "uninstall" in lines[-1] or lines[-1].startswith("Installing collected"):
        return "unpacking"
    return re.sub(r"\s+", " ", lines[-1])[:90]


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _write(path: Path, text: str) -> None:
    part = path.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Hold this file's lock: two set-ups at once (make demo beside make test) would spoil one another's `.venv`.

    The programs that are started inherit it, so that a pip that outlives a killed set-up is waited for.
    """
    with Path(__file__).open("rb") as file:
        os.set_inheritable(file.fileno(), True)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            print("another set-up is at work here: waiting for it", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main(argv: list[str] | None = None) -> int:
    """Set up the folder this file lies in and return the exit code."""
    parser = argparse.ArgumentParser(description="Make .venv ready for work.")
    parser.add_argument("--torch", default="auto", help="auto (fits this machine), none, or anything that pip takes")
    parser.add_argument("--wheel", default="", help="install this wheel of ours, in the folder above this file's")
    asked = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: (_ for _ in ()).throw(Stopped()))
    try:
        version = sys.version_info[:2]
        if not OLDEST <= version <= NEWEST:
            hint = "Install Python 3.11, 3.12 or 3.13 and name it: make setup PYTHON=python3.11"
            raise SetupError(f"this is Python {version[0]}.{version[1]}, but 3.11 to 3.13 is needed", hint=hint)
        where = {"system": platform.system(), "machine": platform.machine()}
        build = choose_torch(asked.torch or "auto", **where, nvidia=has_nvidia())
        with _alone():
            set_up(Setup(ROOT, build, asked.wheel))
    except SetupError as error:
        print(f"set-up: {error}\n  -> {error.hint}", file=sys.stderr)
        return error.code
    except OSError as error:
        print(f"set-up: {error}\n  -> Run it again; if that does not help: make clean", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nset-up: stopped; run it again to go on", file=sys.stderr)
        return 130
    except Stopped:
        print("set-up: stopped by SIGTERM; run it again to go on", file=sys.stderr)
        return 6
    return 0


if __name__ == "__main__":
    sys.exit(main())
