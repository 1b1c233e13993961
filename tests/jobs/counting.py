"""A job for the tests: adds the numbers from 1 to n, a line on disk each, and goes on where it was stopped.

Run as a program by the worker; its spec makes it do what a test wants to see: with `hold` it waits in the middle until
there is a file of that name.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path


def end_with_parent():
    sys.stdin.read()
    os._exit(6)


def main():
    job = json.loads(sys.stdin.readline())
    spec = job["spec"]
    threading.Thread(target=end_with_parent, daemon=True).start()
    for line in spec.get("says", []):
        print(line, flush=True)
    if "exit" in spec:
        print("oh no", file=sys.stderr)
        os._exit(spec["exit"])
    path, done = Path(spec["file"]), 0
    path.touch()
    lines = path.read_text().split("\n")
    done = len(lines) - 1  # a line that is not whole is written again
    with path.open("r+") as file:
        file.truncate(sum(len(line) + 1 for line in lines[:-1]))
        file.seek(0, os.SEEK_END)
        for n in range(done + 1, spec["n"] + 1):
            file.write(f"{n}\n")
            file.flush()
            print(
                json.dumps({"progress": {"stage": "count", "part": n / spec["n"], "whole": n / spec["n"]}}), flush=True
            )
            while n == spec["n"] // 2 and "hold" in spec and not Path(spec["hold"]).exists():
                time.sleep(0.01)
            time.sleep(spec.get("pause", 0.01))
    print(json.dumps({"result": {"sum": sum(map(int, path.read_text().split()))}}), flush=True)


main()
