"""`homeroom web` as a process of its own, for tests that look at it from outside."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def start(home, *options):
    code = "import homeroom.cli.main as m, sys; sys.argv[0] = 'homeroom'; m.main()"
    env = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-c", code, "web", str(home), "--port", "0", *options]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, env=env, text=True)
    said = ""
    for line in process.stderr:
        said += line
        if found := re.search(r"http://127\.0\.0\.1:\d+/enter/\S+", line):
            return process, found[0]
    pytest.fail(said)
