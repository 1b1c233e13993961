"""Make `dist/homeroom.pyz`: one file for people who will not open a terminal (see dev/start.py for what it does).

    python dev/make_pyz.py [WHEEL]

It holds `__main__.py` (dev/start.py) and below `app/` what that puts into a folder of its own: the package's wheel,
`requirements/run.txt` with the hash of every package, and `dev/setup.py`. The same wheel gives the same bytes.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WHEN = (1980, 1, 1, 0, 0, 0)


def make_pyz(wheel: Path, target: Path) -> Path:
    parts = {
        "__main__.py": (ROOT / "dev" / "start.py").read_bytes(),
        "app/dev/setup.py": (ROOT / "dev" / "setup.py").read_bytes(),
        "app/requirements/run.txt": (ROOT / "requirements" / "run.txt").read_bytes(),
        f"app/{wheel.name}": wheel.read_bytes(),
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    with part.open("wb") as file:
        file.write(b"#!/usr/bin/env python3\n")
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in parts.items():
                archive.writestr(zipfile.ZipInfo(name, WHEN), content, zipfile.ZIP_DEFLATED)
    part.chmod(0o755)
    part.replace(target)
    return target


def main() -> None:
    wheels = [Path(name) for name in sys.argv[1:]] or sorted((ROOT / "dist").glob("homeroom-*.whl"))
    if len(wheels) != 1:
        raise SystemExit(f"make_pyz: one wheel is needed, found {len(wheels)}; make build, or name it")
    made = make_pyz(wheels[0], ROOT / "dist" / "homeroom.pyz")
    print(f"{made.relative_to(ROOT)}: {made.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
