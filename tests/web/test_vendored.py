"""What lies in static/: the one file that is not ours has the digest that was reviewed, and ours are small."""

import hashlib
import re
from pathlib import Path

STATIC = Path(__file__).resolve().parents[2] / "homeroom" / "web" / "static"
VENDORED = {  # npm's htmx.org 2.0.11, dist/htmx.min.js, under 0BSD
    "htmx-2.0.11.min.js": "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717",
}


def test_row_96_what_is_vendored_is_what_was_reviewed_and_has_its_licence():
    for name, digest in VENDORED.items():
        assert hashlib.sha256((STATIC / name).read_bytes()).hexdigest() == digest
    assert "Zero-Clause BSD" in (STATIC / "htmx-LICENSE.txt").read_text()
    ours = {"homeroom.css", "homeroom.js", "icon.svg", "htmx-LICENSE.txt"}
    assert {p.name for p in STATIC.iterdir()} == ours | set(VENDORED)


def test_our_script_is_short_and_our_files_name_no_other_place():
    script = (STATIC / "homeroom.js").read_text()
    assert len(script.splitlines()) < 150
    assert not re.search(r"\beval\(|new Function|document\.write", script)
    for name in ("homeroom.js", "homeroom.css"):
        assert not re.search(r"https?://|url\(|@import", (STATIC / name).read_text())
