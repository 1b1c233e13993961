"""Several runs of one recipe, each with another seed: what each of the ways to an answer brings, on average.

    report.json and items.jsonl of each run -> base, base with retrieval, tuned, tuned with retrieval -> table, page

The four ways stand in one table: the base alone, the base with what a search finds, the tuned student alone, and the
student with what a search finds. What a way brings is a mean over the seeds, on the questions that all runs were asked.
Its interval has two parts: another choice of questions (a bootstrap over sources of each question's mean over the
seeds), and another choice of seeds (Student's t over the runs' means); their half-widths are added as squares are. One
run has only the first part, and the page says so. Old abilities stand beside it, since a gain that forgets is none.
"""

from __future__ import annotations

import math
import statistics as plain
from collections.abc import Mapping, Sequence
from typing import Any

from homeroom.core.errors import ContentError
from homeroom.evaluate.compare import key_of
from homeroom.evaluate.page import render
from homeroom.evaluate.report import aligned
from homeroom.evaluate.statistics import mean, students_t

WAYS = (  # the set of items, which of its answers, what it is called; the others are compared with the first
    ("final", "correct_before", "base alone (closed-book)"),
    ("final", "correct_with_sources_before", "base with retrieval"),
    ("final", "correct_open_book", "base with the right passage"),
    ("final", "correct_after", "tuned alone"),
    ("final", "correct_with_sources", "tuned with retrieval"),
)
OLD = (
    ("retention", "old abilities"),
    ("retention_more", "further abilities"),
    ("control", "control, never taught"),
)
MAX_RUNS = 20
ONE_SEED = "The interval is about questions alone: one run says nothing of another seed."
SEEDS = "Each interval is about other questions and other seeds; the range is that of the runs."


def seeds_report(
    reports: Sequence[Mapping[str, Any]], items: Sequence[Sequence[Mapping[str, Any]]], *, names: Sequence[str]
) -> dict[str, Any]:
    """Return what each way to an answer brings, and what was kept, over runs of one recipe.

    Args:
        reports: `report.json` of each run, in the order of `names`; the items are the lines of its `items.jsonl`.

    Raises:
        ContentError: there are none or too many, their bases differ, or they have no final question in common.
    """
    if not 0 < len(reports) <= MAX_RUNS:
        raise ContentError(f"{len(reports)} runs were given; 1 to {MAX_RUNS} can be put together")
    bases = {str((report.get("base") or {}).get("digest") or "") for report in reports} - {""}
    if len(bases) > 1:
        raise ContentError("the runs do not have the same base, so they are not runs of one recipe")
    ways = [_row(title, items, group, answer, against="correct_before") for group, answer, title in WAYS]
    ways = [row for row in ways if row]
    if not ways:
        raise ContentError("the runs have no final question in common", hint="Name runs that have the same exam.")
    old = [_row(title, items, group, "correct_after", against="correct_before") for group, title in OLD]
    return {
        "version": 1,
        "names": list(names),
        "verdicts": [report.get("verdict") for report in reports],
        "ways": ways,
        "old": [row for row in old if row],
        "notes": [SEEDS if len(reports) > 1 else ONE_SEED],
    }


def seeds_table(found: Mapping[str, Any]) -> str:
    """Return the report as plain text."""
    rows = [("", "n", "right", "95 % interval", "runs", "above the base", "95 % interval")]
    for row in found["ways"]:
        rows.append((row["title"], str(row["n"]), *_cells(row)))
    for row in found["old"]:
        rows.append((f"{row['title']} (base: {100 * row['before']:.1f} %)", str(row["n"]), *_cells(row)))
    count = len(found["names"])
    head = f"{count} run{'s' if count > 1 else ''}: {', '.join(found['names'])}"
    return "\n".join([head, "", aligned(rows), "", *found["notes"]])


def seeds_page(found: Mapping[str, Any]) -> str:
    """Return the report as a self-contained page."""
    bars = [
        {**row, **{name: round(100 * row[name], 2) for name in ("mean", "lowest", "highest")}} for row in found["ways"]
    ]
    return render("seeds.html.j2", found=found, bars=bars)


def _row(
    title: str, items: Sequence[Sequence[Mapping[str, Any]]], group: str, answer: str, *, against: str
) -> dict[str, Any] | None:
    """Return one way over all runs; None where a run has no such answers."""
    runs = [{key_of(i): i for i in run if i.get("set") == group and answer in i and against in i} for run in items]
    keys = [key for key in runs[0] if all(key in run for run in runs)]
    if not keys:
        return None
    right = [[float(bool(run[key][answer])) for key in keys] for run in runs]
    gained = [[float(bool(run[key][answer])) - float(bool(run[key][against])) for key in keys] for run in runs]
    sources = [str(runs[0][key].get("source") or "") for key in keys]
    each = [sum(values) / len(values) for values in right]
    low, high = _interval(right, sources)
    return {
        "title": title,
        "answer": answer,
        "n": len(keys),
        "mean": round(plain.fmean(each), 4),
        "ci95": [max(0.0, low), min(1.0, high)],
        "runs": [round(value, 4) for value in each],
        "lowest": round(min(each), 4),
        "highest": round(max(each), 4),
        "before": round(plain.fmean(bool(run[key][against]) for run in runs for key in keys), 4),
        "gain": round(plain.fmean(sum(values) / len(values) for values in gained), 4),
        "gain_ci95": list(_interval(gained, sources)) if answer != against else None,
    }


def _interval(values: Sequence[Sequence[float]], sources: Sequence[str]) -> tuple[float, float]:
    """Return the 95 % interval of the mean of a table, a row a run and a column a question."""
    of_question = [plain.fmean(column) for column in zip(*values, strict=True)]
    found = mean(of_question, sources=sources, bound=1.0)
    middle, (low, high) = plain.fmean(of_question), found.ci95
    each = [plain.fmean(row) for row in values]
    seeds = 0.0
    if len(each) > 1:
        seeds = students_t(len(each) - 1) * plain.stdev(each) / math.sqrt(len(each))
    below, above = math.hypot(middle - low, seeds), math.hypot(high - middle, seeds)
    return round(max(-1.0, middle - below), 4), round(min(1.0, middle + above), 4)


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    low, high = (f"{100 * end:.1f}" for end in row["ci95"])
    runs = f"{100 * row['lowest']:.1f} to {100 * row['highest']:.1f}"
    if row["gain_ci95"] is None:
        return f"{100 * row['mean']:.1f} %", f"{low} to {high}", runs, "", ""
    low_gain, high_gain = (f"{100 * end:+.1f}" for end in row["gain_ci95"])
    gain = f"{100 * row['gain']:+.1f} points"
    return f"{100 * row['mean']:.1f} %", f"{low} to {high}", runs, gain, f"{low_gain} to {high_gain}"
