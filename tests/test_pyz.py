"""`homeroom.pyz` in an empty home folder: what it holds, its page of progress, a failure, and going on where it was.

Without a network the set-up gets as far as the packages, which is enough to see that it says so and goes on from there;
the whole way was tried by hand (docs/web.md).
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "dev"))

from make_pyz import make_pyz  # noqa: E402


@pytest.fixture(scope="module")
def pyz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file, around a wheel that holds nothing: it is not reached without packages."""
    folder = tmp_path_factory.mktemp("dist")
    with zipfile.ZipFile(folder / "homeroom-0.0.1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("homeroom-0.0.1.dist-info/METADATA", "Name: homeroom\nVersion: 0.0.1\n")
    return make_pyz(folder / "homeroom-0.0.1-py3-none-any.whl", folder / "homeroom.pyz")


@contextlib.contextmanager
def started(pyz: Path, home: Path):
    """Start it as somebody would who has nothing but a home folder, and no network."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "PYTHON", "HOMEROOM", "XDG_"))}
    env = kept | {"HOME": str(home), "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "LC_ALL": "C.UTF-8"}
    command = [sys.executable, str(pyz), "--no-browser", "--torch", "none"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env)
    assert process.stdout
    try:
        address = next(m[0] for line in process.stdout if (m := re.search(r"http://127\.0\.0\.1:\S+", line)))
        yield process, address
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(120)
        process.stdout.close()


def page(address: str, host: str = "", **options: object) -> tuple[int, str]:
    request = urllib.request.Request(address, headers={"Host": host} if host else {}, **options)
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, ""


def wait_for(address: str, words: str) -> str:
    end = time.monotonic() + 600
    while words not in (text := page(address)[1]):
        assert time.monotonic() < end, text
        time.sleep(0.2)
    return text


def test_it_holds_the_wheel_the_locked_packages_and_the_set_up_and_the_same_gives_the_same_bytes(pyz: Path):
    with zipfile.ZipFile(pyz) as archive:
        names = archive.namelist()
        assert "--hash=sha256:" in archive.read("app/requirements/run.txt").decode()
        assert archive.read("app/dev/setup.py") == (ROOT / "dev" / "setup.py").read_bytes()
    wheel = "app/homeroom-0.0.1-py3-none-any.whl"
    assert sorted(names) == sorted(["__main__.py", "app/dev/setup.py", "app/requirements/run.txt", wheel])
    again = make_pyz(pyz.with_name(Path(wheel).name), pyz.with_name("again.pyz"))
    assert again.read_bytes() == pyz.read_bytes()
    assert os.access(pyz, os.X_OK)


def test_a_failure_is_shown_and_what_was_finished_is_not_done_again(pyz: Path, tmp_path: Path):
    with started(pyz, tmp_path) as (process, address):
        assert page(address)[0] == 200
        assert page(address[:-1] + "x")[0] == 404, "only who was told the address sees the page"
        assert page(address, host="evil.example")[0] == 404
        text = wait_for(address, "could not go on")
        assert "no index has it" in text
        assert "Is this machine online" in text
        assert page(address, method="POST")[0] == 200  # the button: try again
        wait_for(address, "could not go on")
        assert process.poll() is None, "it waits for the person"
    app = tmp_path / ".local" / "share" / "homeroom" / "app"
    assert (app / ".venv" / "bin" / "python").exists()
    assert (app / "homeroom-0.0.1-py3-none-any.whl").is_file()
    made = (app / ".venv" / "pyvenv.cfg").stat().st_mtime_ns
    with started(pyz, tmp_path) as (process, address):  # the next day
        wait_for(address, "could not go on")
    assert (app / ".venv" / "pyvenv.cfg").stat().st_mtime_ns == made


def test_another_python_is_told_which_one_is_needed(pyz: Path):
    with zipfile.ZipFile(pyz) as archive:
        code = (
            archive.read("__main__.py")
            .decode()
            .replace("OLDEST, NEWEST = (3, 11), (3, 13)", "OLDEST = NEWEST = (2, 7)")
        )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 4
    assert "is needed" in done.stderr


def test_it_runs_with_the_standard_library_alone():
    source = (ROOT / "dev" / "start.py").read_text(encoding="utf-8")
    imported = set(re.findall(r"^(?:from|import) ([a-z_]+)", source, re.M))
    assert imported <= sys.stdlib_module_names | {"__future__"}
