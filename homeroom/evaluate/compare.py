"""Two runs side by side: the tuned students of two courses on the questions that both were asked.

    items.jsonl and report.json of A and of B -> what B answers better or worse than A, with intervals -> table, page

Compared is question by question, as base and tuned are in a report. What only one of them was asked is counted and
left out. Two runs of one recipe with other seeds differ by some answers; the page says so, because a recipe that is
chosen by one run of each is chosen partly by luck.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from homeroom.core.errors import ContentError
from homeroom.evaluate.page import render
from homeroom.evaluate.report import aligned
from homeroom.evaluate.statistics import difference, rate

SETS = (
    ("final", "exam, closed-book"),
    ("with_sources", "exam, with sources"),
    ("control", "control, never taught"),
    ("retention", "old abilities"),
    ("retention_more", "further abilities"),
)
MAX_LISTED = 200  # questions on the page


def compare_runs(
    first: Mapping[str, Any],
    first_items: Sequence[Mapping[str, Any]],
    second: Mapping[str, Any],
    second_items: Sequence[Mapping[str, Any]],
    *,
    names: tuple[str, str],
) -> dict[str, Any]:
    """Return how the tuned student of the second run differs from that of the first.

    Args:
        first: `report.json` of one run; the items are the lines of its `items.jsonl`.
        second: The same of the other.
        names: What to call them.

    Raises:
        ContentError: they were not asked a single question in common.
    """
    rows, changed = [], []
    for key, title in SETS:
        pairs = _pairs(key, first_items, second_items)
        if pairs:
            rows.append({"set": key, "title": title, **_row(pairs, key)})
            changed += [_listed(a, b, key) for a, b in pairs if _right(a, key) != _right(b, key)]
    if not rows:
        raise ContentError("the two runs have no question in common", hint="Compare runs that have the same exam.")
    return {
        "version": 1,
        "names": list(names),
        "verdicts": [first.get("verdict"), second.get("verdict")],
        "rows": rows,
        "changed": changed,
        "left_out": _left_out(first_items, second_items),
        "budgets": [dict(first.get("budget") or {}), dict(second.get("budget") or {})],
    }


def compare_table(found: Mapping[str, Any]) -> str:
    """Return the comparison as plain text."""
    one, two = found["names"]
    rows = [("", "n", one[:20], two[:20], "change", "95 % interval", "p")]
    for row in found["rows"]:
        low, high = (f"{100 * end:+.1f}" for end in row["ci95"])
        before, after = (f"{100 * row[name]['accuracy']:.1f} %" for name in ("first", "second"))
        change = f"{100 * row['difference']:+.1f} points"
        rows.append((row["title"], str(row["n"]), before, after, change, f"{low} to {high}", f"{row['p']:.3f}"))
    lines = [aligned(rows), ""]
    for row in found["rows"]:
        here = [changed["after"] for changed in found["changed"] if changed["set"] == row["set"]]
        if here:
            lines.append(f"{row['title']}: {sum(here)} right in {two} alone, {len(here) - sum(here)} in {one} alone.")
    if found["left_out"]:
        lines.append(f"{found['left_out']} questions were asked in one of the runs only; they are left out.")
    lines.append("Two runs of one recipe with other seeds differ by some answers too: compare several of each.")
    return "\n".join(lines)


def compare_page(found: Mapping[str, Any]) -> str:
    """Return the comparison as a self-contained page."""
    return render("compare.html.j2", found=found, changed=found["changed"][:MAX_LISTED])


def _pairs(
    key: str, first: Sequence[Mapping[str, Any]], second: Sequence[Mapping[str, Any]]
) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    wanted, needs = ("final", "correct_with_sources") if key == "with_sources" else (key, "correct_after")
    other = {key_of(i): i for i in second if i.get("set") == wanted and needs in i}
    return [(i, other[key_of(i)]) for i in first if i.get("set") == wanted and needs in i and key_of(i) in other]


def key_of(item: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what two runs' items of the same question have in common: its set, words, context and choices."""
    choices = (str(choice) for choice in item.get("choices") or ())
    return str(item.get("set")), str(item.get("question")), str(item.get("context") or ""), *choices


def _right(item: Mapping[str, Any], key: str) -> bool:
    return bool(item["correct_with_sources" if key == "with_sources" else "correct_after"])


def _row(pairs: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]], key: str) -> dict[str, Any]:
    one, two = [_right(a, key) for a, _ in pairs], [_right(b, key) for _, b in pairs]
    change = difference(one, two, sources=[str(a.get("source") or "") for a, _ in pairs])
    rates = {
        name: {"correct": rate(right).correct, "accuracy": rate(right).accuracy}
        for name, right in (("first", one), ("second", two))
    }
    return {"n": change.n, **rates, "difference": change.difference, "ci95": list(change.ci95), "p": change.p}


def _listed(a: Mapping[str, Any], b: Mapping[str, Any], key: str) -> dict[str, Any]:
    said = "with_sources" if key == "with_sources" else "after"
    return {
        "set": key,
        "question": a["question"],
        "gold": a.get("gold", ""),
        "first": a[said],
        "second": b[said],
        "before": _right(a, key),
        "after": _right(b, key),
    }


def _left_out(first: Sequence[Mapping[str, Any]], second: Sequence[Mapping[str, Any]]) -> int:
    return len({key_of(i) for i in first} ^ {key_of(i) for i in second})
