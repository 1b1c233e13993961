"""`homeroom worker`: do the jobs that the page puts in line."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import click

from homeroom.cli.main import say

KINDS = ("run", "draft", "preview", "trial")  # of cli/task.py


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False), default=Path("."))
@click.option("--server", type=int, default=0, hidden=True, help="Leave when this process is gone and nothing waits.")
def worker(folder: Path, server: int) -> None:
    """Do the jobs of the courses in FOLDER, one after the other, until Ctrl-C.

    `homeroom web` starts one by itself. A job that is stopped, or whose worker is killed, goes on where it was.
    """
    from homeroom.core.files import lock_folder
    from homeroom.jobs.machine import identity, is_alive
    from homeroom.jobs.queue import Queue
    from homeroom.jobs.worker import work

    state = folder / ".homeroom"
    queue, stop = Queue(state / "jobs.db"), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    master = identity(server) if server else ""

    def until() -> bool:
        if stop.is_set():
            return True
        gone = bool(master) and not is_alive(master)
        return gone and not any(job.kind in KINDS for job in queue.jobs(states=("queued", "running")))

    with lock_folder(state / "worker"):
        say(f"worker {os.getpid()}: waiting for jobs of {folder.resolve().name}")
        program = (sys.executable, "-m", "homeroom.cli.task")
        work(queue, dict.fromkeys(KINDS, program), until=until)
