"""A worker process for the tests: `python worker_program.py jobs.db`, until it is killed."""

import sys
from pathlib import Path

from homeroom.jobs.queue import Queue
from homeroom.jobs.worker import work

COUNT = [sys.executable, str(Path(__file__).with_name("counting.py"))]

if __name__ == "__main__":
    queue = Queue(Path(sys.argv[1]))
    work(queue, {"count": COUNT}, until=lambda: False, poll_s=0.02, heartbeat_s=0.1, grace_s=2)
