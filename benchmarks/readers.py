"""Two readers, blind: do people give the marks that our grading gives? 100 exam answers, before and after training.

    python benchmarks/readers.py draw REPORT [REPORT ...] --out benchmarks/labels/answers.csv [--number 100] [--seed 0]
    python benchmarks/readers.py score benchmarks/labels/answers.reader-a.csv [benchmarks/labels/answers.reader-b.csv]

A REPORT is a folder with items.jsonl (COURSE/out/report). The sheet has a row an answer: the question with its text and
choices, what a right answer says, and what a model said. It does not say which model that was, whether our rules took
it for right, or what the other reader said; half of the rows are answers that the rules took for right, as many from
each report, in a random order. Our marks lie beside it in answers.key.json, which a reader does not open. A reader
copies the sheet and marks `right` with y or n, as a fair teacher would who accepts other words for the same thing;
`note` is free. `score` prints how often each reader agrees with the rules (asked: 98 %), the readers with each other,
and the rows where they do not, and writes the same beside the first sheet as JSON.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import random
from pathlib import Path
from typing import Any

from label import _agreement, _mark, _wilson

COLUMNS = ("row", "id", "asked", "expected", "answered", "right", "note")
SIDES = (
    ("before", "correct_before"),
    ("after", "correct_after"),
    ("with_sources", "correct_with_sources"),
    ("open_book", "correct_open_book"),
)
SETS = ("final", "retention", "retention_more", "control")


def answers(reports: list[Path]) -> dict[str, dict[str, Any]]:
    """Return every answer of the reports by an id that tells nothing: what was asked and said, and our mark."""
    found = {}
    for report in reports:
        for line in (report / "items.jsonl").read_text(encoding="utf-8").splitlines():
            item = json.loads(line)
            for side, mark in SIDES if item["set"] in SETS else ():
                if mark in item:
                    asked = [
                        item["question"],
                        item.get("context") or "",
                        *(f"- {c}" for c in item.get("choices") or ()),
                    ]
                    row = {
                        "asked": "\n".join(part for part in asked if part),
                        "expected": item["gold"],
                        "answered": item[side],
                        "ours": bool(item[mark]),
                        "report": report,
                    }
                    key = "\0".join((row["asked"], row["expected"], row["answered"]))
                    found[hashlib.sha256(key.encode()).hexdigest()[:12]] = row  # one answer is read once
    return found


def draw(reports: list[Path], *, number: int, seed: int) -> tuple[list[dict[str, str]], dict[str, bool]]:
    """Return the rows of a sheet, half of them right by our rules, and our marks."""
    every, drawn, told = answers(reports), random.Random(seed), ("asked", "expected", "answered")
    rows: dict[bool, list[str]] = {True: [], False: []}
    for ours, ids in rows.items():
        for report in reports:
            own = sorted(id for id, row in every.items() if row["report"] == report and row["ours"] is ours)
            ids += drawn.sample(own, min(len(own), -(-number // (2 * len(reports)))))
        drawn.shuffle(ids)
    mixed = [id for ids in rows.values() for id in ids[: number // 2]]
    drawn.shuffle(mixed)
    sheet = [{"row": str(n), "id": id, **{name: every[id][name] for name in told}} for n, id in enumerate(mixed, 1)]
    return sheet, {id: every[id]["ours"] for id in sorted(mixed)}


def score(key: dict[str, bool], sheets: list[list[dict[str, str]]]) -> dict[str, Any]:
    """Return how often readers and rules agree, and on what they do not."""
    out: dict[str, Any] = {"version": 1, "readers": []}
    for sheet in sheets:
        read = [(row, _mark(row, "right")) for row in sheet if row["id"] in key and _mark(row, "right")]
        same = [(mark == "y") == key[row["id"]] for row, mark in read]
        told = ("row", "asked", "expected", "answered", "note")
        differ = [
            {"ours": key[row["id"]], **{name: row[name] for name in told}}
            for (row, _), agrees in zip(read, same, strict=True)
            if not agrees
        ]
        share = round(sum(same) / len(same), 4) if same else None
        out["readers"].append(
            {"read": len(same), "same": share, "ci95": _wilson(sum(same), len(same)), "differ": differ}
        )
    if len(sheets) == 2:
        other = {row["id"]: row for row in sheets[1]}
        pairs = [(_mark(row, "right"), _mark(other.get(row["id"], {}), "right")) for row in sheets[0]]
        out["readers_with_each_other"] = _agreement([(a, b) for a, b in pairs if a and b])
    return out


def main() -> None:
    """Draw a sheet, or compare filled ones."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=("draw", "score"))
    parser.add_argument("paths", type=Path, nargs="+")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--number", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.what == "draw":
        rows, key = draw(args.paths, number=args.number, seed=args.seed)
        with args.out.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, restval="")
            writer.writeheader()
            writer.writerows(rows)
        write(args.out.with_suffix(".key.json"), key)
        print(f"wrote {len(rows)} rows to {args.out}")
        return
    sheets = [list(csv.DictReader(path.open(encoding="utf-8", newline=""))) for path in args.paths[:2]]
    key = json.loads((args.paths[0].parent / f"{args.paths[0].name.split('.')[0]}.key.json").read_text("utf-8"))
    found = score(key, sheets)
    print(json.dumps(found, indent=2, ensure_ascii=False))
    write(args.paths[0].with_suffix(".score.json"), found)


def write(path: Path, value: Any) -> None:
    """Write JSON for people."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
