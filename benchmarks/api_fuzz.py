"""Schemathesis against the API of `homeroom web`, from an environment of its own: its packages stay out of ours.

    python -m venv /somewhere && /somewhere/bin/pip install schemathesis==4.32.5
    python benchmarks/api_fuzz.py /somewhere/bin/schemathesis [--examples 15]

It starts a server with the insurance course and a maintainer's key, runs the phases "coverage" and "fuzzing" with the
checks that a description can be held to (no server error, only described statuses, types and shapes, no way around the
key), and exits with what schemathesis says. A request whose values are valid only in the words of the description (a
course that is not there) may be refused, so that check is left out.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from web_process import running  # noqa: E402

from homeroom.web.desk import Desk  # noqa: E402

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,ignored_auth"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program", help="schemathesis")
    parser.add_argument("--examples", default="15")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        shutil.copytree(ROOT / "homeroom" / "data" / "examples" / "insurance", Path(temporary) / "insurance")
        desk = Desk(Path(temporary))
        key = desk.store.make_key(desk.store.add_person("Ann", role="maintainer"), "fuzz")
        with running(desk) as url:
            command = [given.program, "run", f"{url}/api/v1/openapi.json", "-H", f"Authorization: Bearer {key}"]
            command += ["--max-examples", given.examples, "--phases", "coverage,fuzzing", "--checks", CHECKS]
            return subprocess.run([*command, "--no-color"], cwd=temporary, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
