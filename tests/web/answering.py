"""A child that answers as `cli/task.py` does, with scripted engines behind the real server, and ends with its input."""

import json
import os
import sys
import threading
import time
from pathlib import Path

from scripted_engine import Script

from homeroom.serve.server import serve


class Held(Script):
    """Says no further word while there is a file `held` in the course's folder."""

    def __init__(self, text, folder):
        super().__init__(text)
        self.held = folder / "held"

    def stream(self, messages, **options):
        for piece in super().stream(messages, **options):
            yield piece
            while self.held.exists():
                time.sleep(0.01)


def end_with_input():
    while sys.stdin.readline():
        continue
    os._exit(6)


def main():
    job = json.loads(sys.stdin.readline())
    assert job["kind"] == "answer"
    threading.Thread(target=end_with_input, daemon=True).start()
    folder = Path(job["spec"]["folder"])
    tuned = f"word of {folder.name} " * 12 + "one\u2028two\x85three"
    models = {"base": Script(f"the base of {folder.name}"), "tuned": Held(tuned, folder)}
    serve(models, port=0, on_ready=lambda url, key: print(json.dumps({"url": url}), flush=True))


main()
