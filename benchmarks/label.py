"""Two readers, blind: 200 accepted samples are drawn into a sheet, read, and the two filled sheets compared.

    python benchmarks/label.py draw COURSE[=N] [...] --out benchmarks/labels/NAME.csv [--number 200] [--seed 0]
    python benchmarks/label.py score benchmarks/labels/NAME.reader-a.csv [benchmarks/labels/NAME.reader-b.csv]

A sheet has a row a sample: what is asked and answered (or told), and the passage. It does not say which recipe made it,
which checks it passed, or what another reader said. A reader copies the sheet and marks each row with y or n:
`supported`, n where anything that the answer, read with its question, says is not in the passage; `answers`, n where it
does not answer the question; `note` is free. `score` prints the share of n of each reader with its 95 % interval
(Wilson), of two sheets how often they agree and Cohen's kappa, and writes the same beside the sheet as JSON.
"""

from __future__ import annotations

import csv
import json
import math
import random
import sys
from collections import Counter
from pathlib import Path

COLUMNS = ("row", "id", "asked", "answered", "passage", "supported", "answers", "note")


def draw(courses: dict[Path, int], *, seed: int) -> list[dict[str, str]]:
    """Return the rows of a sheet: so many samples of each course that rest on a passage, in a random order."""
    rows = []
    for course, number in courses.items():
        chunks = {c["id"]: c for c in _read(course / "out" / "documents" / "chunks.jsonl")}
        samples = [s for s in _read(course / "out" / "samples" / "samples.jsonl") if s.get("chunk") in chunks]
        samples = [s for s in samples if s["kind"] != "passage"]  # the document itself
        drawn = random.Random(f"{seed}{course.name}").sample(samples, min(len(samples), number))
        rows += [_row(s, chunks[s["chunk"]]) for s in drawn]
    random.Random(seed).shuffle(rows)
    return [{**row, "row": str(n)} for n, row in enumerate(rows, 1)]


def _row(sample: dict, chunk: dict) -> dict[str, str]:
    told = sample.get("text", "").partition("\n\n")[2]
    asked = sample["messages"][0]["content"] if sample.get("messages") else "(a text to learn)"
    answered = sample["messages"][-1]["content"] if sample.get("messages") else told
    passage = f"{chunk['title']}: {chunk['heading']}\n{chunk['text']}"
    return {"id": sample["id"], "asked": asked, "answered": answered, "passage": passage}


def _read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def score(sheets: list[list[dict[str, str]]]) -> dict:
    """Return each reader's share of n with its interval, and of two readers the agreement and Cohen's kappa."""
    out: dict = {"version": 1, "readers": []}
    for sheet in sheets:
        reader = {}
        for column in ("supported", "answers"):
            marks = [m for row in sheet if (m := _mark(row, column))]
            reader[column] = {"read": len(marks), "no": marks.count("n"), "share": _share(marks)}
            reader[column]["ci95"] = _wilson(marks.count("n"), len(marks))
        out["readers"].append(reader)
    if len(sheets) == 2:
        other = {row["id"]: row for row in sheets[1]}
        for column in ("supported", "answers"):
            pairs = [(_mark(r, column), _mark(other.get(r["id"], {}), column)) for r in sheets[0]]
            out[f"agreement_{column}"] = _agreement([(a, b) for a, b in pairs if a and b])
    return out


def _mark(row: dict[str, str], column: str) -> str:
    mark = (row.get(column) or "").strip().casefold()[:1]
    if mark not in ("", "y", "n"):
        raise SystemExit(f"row {row.get('row')}: {column} is {row[column]!r}, but must be y, n or empty")
    return mark


def _share(marks: list[str]) -> float | None:
    return round(marks.count("n") / len(marks), 4) if marks else None


def _wilson(no: int, n: int, z: float = 1.96) -> list[float] | None:
    if not n:
        return None
    share, spread = no / n, z * math.sqrt(no / n * (1 - no / n) / n + z * z / (4 * n * n))
    return [round((share + z * z / (2 * n) + sign * spread) / (1 + z * z / n), 4) for sign in (-1, 1)]


def _agreement(pairs: list[tuple[str, str]]) -> dict | None:
    if not pairs:
        return None
    same = sum(a == b for a, b in pairs) / len(pairs)
    one, two = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    chance = sum(one[m] * two[m] for m in "yn") / len(pairs) ** 2
    kappa = 1.0 if chance == 1 else (same - chance) / (1 - chance)
    return {"both_read": len(pairs), "same": round(same, 4), "kappa": round(kappa, 4)}


def main(argv: list[str]) -> int:
    """Draw a sheet or score filled ones, and return the exit code."""
    if len(argv) < 2 or argv[0] not in ("draw", "score"):
        print(__doc__)
        return 2
    options = {argv[n]: argv[n + 1] for n in range(1, len(argv) - 1) if argv[n].startswith("--")}
    paths = [Path(a) for n, a in enumerate(argv[1:], 1) if not a.startswith("--") and not argv[n - 1].startswith("--")]
    if argv[0] == "draw":
        alike = int(options.get("--number", 200)) // len(paths)
        asked = [str(path).partition("=") for path in paths]
        rows = draw({Path(p): int(n or alike) for p, _, n in asked}, seed=int(options.get("--seed", 0)))
        with Path(options["--out"]).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, restval="")
            writer.writeheader()
            writer.writerows(rows)
        print(f"wrote {len(rows)} rows to {options['--out']}")
        return 0
    sheets = [list(csv.DictReader(path.open(encoding="utf-8", newline=""))) for path in paths[:2]]
    found = score(sheets)
    print(json.dumps(found, indent=2))
    paths[0].with_suffix(".score.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
