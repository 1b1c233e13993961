"""Which boot this is, how long it has lasted, and whether a process is still the one it was.

A wall clock jumps and a process number is given away again, so leases count seconds since the machine was started and
processes are known by boot, number and the moment they began.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import time
from pathlib import Path


@functools.cache
def boot() -> str:
    """Return a name that changes with every start of the machine."""
    path = Path("/proc/sys/kernel/random/boot_id")
    if path.is_file():
        return path.read_text(encoding="ascii").strip()
    if sys.platform == "darwin":
        found = subprocess.run(["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"], capture_output=True, check=False)
        return found.stdout.decode("ascii", "replace").strip()
    return ""


def uptime_s() -> float:
    """Return seconds since the machine was started, sleep included where the system counts it; never goes back."""
    which = getattr(time, "CLOCK_BOOTTIME", None)
    return time.clock_gettime(which) if which is not None else time.monotonic()


def began(pid: int) -> str:
    """Return when a process began, as the system writes it; "" where there is none, or only its corpse."""
    if sys.platform == "linux":
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        state, *rest = stat.rpartition(")")[2].split()
        return "" if state in ("Z", "X") else rest[18]
    found = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, check=False)
    return found.stdout.decode("ascii", "replace").strip()


def identity(pid: int = 0) -> str:
    """Return a name for a process (this one by default) that no other process ever has.

    Example:
        >>> is_alive(identity()), is_alive("another-boot 1 0")
        (True, False)
    """
    pid = pid or os.getpid()
    return f"{boot()} {pid} {began(pid)}"


def is_alive(name: str) -> bool:
    """Say whether the process of this name still runs."""
    parts = name.split(" ", 2)
    return len(parts) == 3 and parts[0] == boot() and parts[1].isdigit() and began(int(parts[1])) == parts[2] != ""
