"""A child that answers as `cli/task.py` does, with scripted engines behind the real server, and ends with its input.

While the course's folder has a file `late`, it does not become ready.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path

from scripted_engine import Script

from homeroom.serve.server import serve
from homeroom.web.answers import has_tuned


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
    models = {"base": Script(" ".join(["the base of", folder.name, *job["spec"]["options"]]))}
    if has_tuned(folder):
        models["tuned"] = Held(tuned, folder)
    while (folder / "late").exists():
        time.sleep(0.01)
    said = {"models": list(models)}
    key = job["spec"]["key"]
    serve(models, port=0, api_key=key, on_ready=lambda url, _: print(json.dumps(said | {"url": url}), flush=True))


main()
