"""Real documents through Homeroom's readers and a peer's, on the same files in one run: words kept, pages a second.

    apt-get install poppler-utils
    pip install -e '.[documents]' 'markitdown[pdf,docx,pptx]'
    python benchmarks/documents.py --peer markitdown FILE...

The files are not part of the repository; `docs/documents.md` names the Debian packages that carry them. Written is
`benchmarks/results/documents.json`: for each file and reader

- `kept`: the share of the characters of the file's own words that stand in the Markdown (each word as often as it
  stands in the file; the file's own words are what `pdftotext` gives for a PDF, and for the others every character
  outside the tags of its parts). Homeroom drops running heads and page numbers on purpose, so it cannot reach 1 where
  a book has them.
- `added`: characters of words that the file does not have, as a share of the same.
- `headings` and `table_rows` in the Markdown.
- `pages_per_s`: a second of processor time, children included, so that other work on the machine does not count;
  a file without pages counts 3,000 characters as a page.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import re
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from homeroom.documents.formats import read_text

RESULT = Path(__file__).parent / "results" / "documents.json"
PARTS = re.compile(r"(?:content\.xml|word/(?:document|footnotes)\.xml|slides/slide\d+\.xml|\.x?html?)$")


def own_words(path: Path) -> tuple[str, int]:
    """Return the file's own text, and its number of pages (0 where it has none)."""
    if path.suffix == ".pdf":
        text = subprocess.run(["pdftotext", "-layout", str(path), "-"], capture_output=True, check=True).stdout.decode()
        return text, text.count("\f")
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as file:
            parts = [file.read(n).decode("utf-8", "replace") for n in file.namelist() if PARTS.search(n)]
    else:
        parts = [path.read_text(encoding="utf-8", errors="replace")]
    if path.suffix in (".md", ".txt"):
        return parts[0], 0
    return " ".join(_untagged(part) for part in parts), 0


def _untagged(part: str) -> str:
    import html

    part = re.sub(r"(?is)<(script|style|head)\b.*?</\1>", " ", part)
    return html.unescape(re.sub(r"<[^>]*>", " " if "<p>" in part or "<w:p" not in part else "", _spaced(part)))


def _spaced(part: str) -> str:
    """Put a space where a paragraph or cell of Word ends: there a word may span several tags, and not paragraphs."""
    return re.sub(r"</w:p>|<w:tab/>|<w:br/>", " ", part)


def words(text: str) -> Counter[str]:
    """Count words; one that was cut at a line's end counts as a whole."""
    return Counter(re.findall(r"[^\W_]+", re.sub(r"(?<=\w)[-\u00ad\u2010]\s*\n\s*(?=[a-zß-ÿ])", "", text).casefold()))


def measure(path: Path, read: Callable[[Path], str]) -> dict[str, float | int | str]:
    """Return one reader's figures for one file."""
    own, pages = own_words(path)
    before = os.times()
    try:
        text = read(path)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {str(error)[:120]}"}
    after = os.times()
    seconds = sum(after[:4]) - sum(before[:4])
    wanted, found = words(own), words(text)
    total = sum(len(word) * n for word, n in wanted.items())
    kept = sum(len(word) * n for word, n in (wanted & found).items())
    added = sum(len(word) * n for word, n in (found - wanted).items())
    return {
        "kept": round(kept / total, 4),
        "added": round(added / total, 4),
        "headings": len(re.findall(r"(?m)^#{1,6} ", text)),
        "table_rows": len(re.findall(r"(?m)^\|(?! ?-)", text)),
        "pages_per_s": round((pages or len(own) / 3000) / seconds, 1),
    }


def peer(name: str) -> Callable[[Path], str]:
    """Return a function that reads a file with a peer."""
    if name == "markitdown":
        from markitdown import MarkItDown

        reader = MarkItDown(enable_plugins=False)
        return lambda path: reader.convert(str(path)).text_content
    if name == "kreuzberg":
        from kreuzberg import extract_file_sync

        return lambda path: extract_file_sync(str(path)).content
    from docling.document_converter import DocumentConverter

    converter = DocumentConverter()
    return lambda path: converter.convert(str(path)).document.export_to_markdown()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--peer", choices=["markitdown", "kreuzberg", "docling"], action="append", default=[])
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    readers: dict[str, Callable[[Path], str]] = {
        "homeroom": lambda path: read_text(path.name, path.read_bytes()).text,
        **{name: peer(name) for name in options.peer},
    }
    packages = {name: metadata.version(name) for name in ("pypdfium2", *options.peer)}
    machine = {"python": platform.python_version(), "machine": platform.machine(), "packages": packages}
    rows = []
    for path in options.files:
        row = {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "pages": own_words(path)[1]}
        for name, read in readers.items():
            row[name] = measure(path, read)
            print(path.name, name, row[name], file=sys.stderr, flush=True)
        rows.append(row)
        found = {"version": 1, "machine": machine, "files": rows}  # written after each, so that a run may be stopped
        options.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
