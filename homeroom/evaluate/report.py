"""The report of one evaluation, as a value: did the student move, what did it lose, and how sure is that.

    [Outcome] of the final exam, of retention and of the control --make_report--> report.json --table--> plain text

An `Outcome` is one question with the answers of the base and of the tuned model. Everything is compared question by
question. The verdict is "better" only where chance is an unlikely explanation and old abilities stayed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from homeroom.core.types import Question, Score
from homeroom.evaluate.statistics import difference, rate

VERSION = 1
MAX_P = 0.05

SEEDS_NOTE = (
    "The intervals say how much the choice of questions matters. They say nothing about training again with another "
    "seed: for that, train with several."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One question, and how the base and the tuned model answered it."""

    question: Question
    before: Score
    after: Score


def make_report(
    *,
    base: Mapping[str, Any],
    tuned: Mapping[str, Any],
    final: Sequence[Outcome],
    retention: Sequence[Outcome] = (),
    more: Sequence[Outcome] = (),
    control: Sequence[Outcome] = (),
    open_book: Sequence[Score] = (),
    with_sources: Sequence[Outcome] = (),
    corrections: Sequence[Outcome] = (),
    likelihood: Mapping[str, Any] | None = None,
    judge: Mapping[str, Any] | None = None,
    budget: Mapping[str, Any] | None = None,
    retention_floor: float = 0.9,
) -> dict[str, Any]:
    """Return the report in the shape of the contract, ready for JSON.

    Args:
        base: What is known of the model before: at least `name`, and `digest` where there is one.
        tuned: The same of the model after.
        final: The final exam, closed-book.
        retention: Old abilities; they decide.
        more: Further old abilities; they are shown and decide nothing, so that reports stay comparable.
        control: Facts of the same kind that were never taught; a gain here is guessing, or style, not knowledge.
        open_book: The base on final questions with their passage in front of it; may cover only some of them.
        with_sources: The final exam again, with what was looked up in the documents in front of each question.
        corrections: Questions that people corrected; they are taught as they stand, so they count for no score.
        likelihood: What `likelihood.py` measured; None where the models give no log-probabilities.
        judge: What a judge said of the rubric questions; None where there are none.
        budget: What the course cost; shown as it is.
        retention_floor: Least share of the base's right retention answers for the verdict "better".
    """
    report = {
        "version": VERSION,
        "base": dict(base),
        "tuned": dict(tuned),
        "closed_book": _compare(final),
        "open_book": _rate(open_book) if open_book else None,
        "control": _compare(control) if control else None,
        "with_sources": _compare(with_sources) if with_sources else None,
        "gap_closed": _gap_closed(final, open_book),
        "likelihood": dict(likelihood) if likelihood else None,
        "judge": dict(judge) if judge else None,
        "retention": _retention(retention, retention_floor) if retention else None,
        "forgetting": _forgetting(retention),
        "retention_more": _retention(more, retention_floor) if more else None,
        "abilities": _rows("ability", [*retention, *more], lambda outcome: outcome.question.leaf.rsplit("/", 1)[-1]),
        "corrections": [_corrected(outcome) for outcome in corrections],
        "leaves": _rows("leaf", final, lambda outcome: outcome.question.leaf),
        "kinds": _rows("kind", final, lambda outcome: outcome.question.kind),
        "budget": dict(budget or {}),
    }
    verdict, why = _verdict(report)
    return report | {"verdict": verdict, "why": why, "notes": [SEEDS_NOTE]}


def _compare(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    before, after = [o.before.correct for o in outcomes], [o.after.correct for o in outcomes]
    change = difference(before, after, sources=[o.question.source for o in outcomes])
    return {
        "before": _rate([o.before for o in outcomes]),
        "after": _rate([o.after for o in outcomes]),
        "difference": {
            "difference": change.difference,
            "ci95": list(change.ci95),
            "p": change.p,
            "gained": change.gained,
            "lost": change.lost,
            "needed": change.needed,
        },
    }


def _rate(scores: Sequence[Score]) -> dict[str, Any]:
    found = asdict(rate([score.correct for score in scores]))
    return found | {"ci95": list(found["ci95"])}


def _rows(name: str, outcomes: Sequence[Outcome], key: Callable[[Outcome], str]) -> list[dict[str, Any]]:
    """One comparison for each value of `key`, in the order of first appearance."""
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault(key(outcome), []).append(outcome)
    return [{name: value, "n": len(group)} | _compare(group) for value, group in groups.items()]


def _gap_closed(final: Sequence[Outcome], open_book: Sequence[Score]) -> float | None:
    """Return (after - before) / (open - before) on the questions that were asked open-book too.

    None where the passage in front of it does not help the base: then there is no gap to close.
    """
    read = {score.question: score.correct for score in open_book}
    both = [outcome for outcome in final if outcome.question.id in read]
    gap = sum(read[o.question.id] - o.before.correct for o in both)
    if gap <= 0:
        return None
    return round(sum(o.after.correct - o.before.correct for o in both) / gap, 4)


def _retention(outcomes: Sequence[Outcome], floor: float) -> dict[str, Any]:
    before = sum(o.before.correct for o in outcomes)
    after = sum(o.after.correct for o in outcomes)
    return {
        **_compare(outcomes),
        "ratio": round(after / before, 4) if before else None,
        "floor": floor,
        "lost": [o.question.id for o in outcomes if o.before.correct and not o.after.correct],
        "gained": [o.question.id for o in outcomes if o.after.correct and not o.before.correct],
    }


def _corrected(outcome: Outcome) -> dict[str, Any]:
    question = outcome.question
    return {
        "id": question.id,
        "question": question.question,
        "answer": question.answer,
        "before": outcome.before.answer,
        "after": outcome.after.answer,
        "correct_before": outcome.before.correct,
        "correct_after": outcome.after.correct,
    }


def _forgetting(outcomes: Sequence[Outcome]) -> float | None:
    """Return the share of what was right before and is wrong after; None where nothing was right before."""
    known = [o for o in outcomes if o.before.correct]
    return round(sum(not o.after.correct for o in known) / len(known), 4) if known else None


def _verdict(report: Mapping[str, Any]) -> tuple[str, str]:
    """Return the verdict and the reason for it in a sentence or two."""
    change, retention = report["closed_book"]["difference"], report["retention"]
    low, high = change["ci95"]
    sure = change["p"] < MAX_P  # with few questions the interval alone is too sure of itself
    ratio = retention["ratio"] if retention else None
    points = f"{abs(100 * change['difference']):.1f} points"
    kept = "What it keeps of old abilities was not measured."
    if ratio is not None:
        kept = (
            f"It keeps {_percent(ratio)} of the base's score on old abilities (floor {_percent(retention['floor'])})."
        )
    if ratio is not None and ratio < retention["floor"]:
        moved = (
            f"The exam went {'up' if change['difference'] > 0 else 'down'} by {points}. "
            if change["difference"]
            else ""
        )
        forgot = f"It forgets too much: it keeps {kept.removeprefix('It keeps ')}"
        return "worse", f"{moved}{forgot}"
    if low > 0 and sure:
        return "better", f"The student answers {points} more of the exam right, more than chance explains. {kept}"
    if high < 0 and sure:
        return "worse", f"The student answers {points} less of the exam right, more than chance explains. {kept}"
    n, needed = report["closed_book"]["before"]["n"], change["needed"]
    more = f"About {needed:,} questions like these would show a change of 5 points. " if needed > n else ""
    return (
        "no evidence",
        f"With {n} questions, the change of {_signed(change['difference'])} may be chance. {more}{kept}",
    )


# -- plain text ----------------------------------------------------------------------------------------------------


def table(report: Mapping[str, Any]) -> str:
    """Return the one table that ends a run: what moved, what was forgotten, and the verdict in words."""
    rows = [("", "n", "before", "after", "change", "95 % interval", "p")]
    rows.append(_line("exam, closed-book", report["closed_book"]))
    for name, title in (("leaves", "leaf"), ("kinds", "kind")):
        if len(report.get(name, ())) > 1:
            rows += [_line(f"  {_printable(row[title]) or 'no ' + title}", row) for row in report[name]]
    if report.get("open_book"):
        found = report["open_book"]
        rows.append(("exam, open-book (base)", str(found["n"]), _percent(found["accuracy"]), "", "", "", ""))
    if report.get("with_sources"):
        rows.append(_line("exam, with sources", report["with_sources"]))
    if report.get("control"):
        rows.append(_line("control, never taught", report["control"]))
    if report.get("retention"):
        rows.append(_line("old abilities", report["retention"]))
    if report.get("retention_more"):
        rows.append(_line("further abilities", report["retention_more"]))
    remarks = "\n".join(_remarks(report))
    return f"{aligned(rows)}\n\n{remarks}\n\nVerdict: {report['verdict']}. {report['why']}\n"


def _remarks(report: Mapping[str, Any]) -> list[str]:
    remarks = []
    if report.get("gap_closed") is not None:
        remarks.append(
            f"Gap to reading closed: {_percent(report['gap_closed'])} of what the passage itself would bring."
        )
    likelihood = report.get("likelihood")
    if likelihood and likelihood["n"] > 1:
        low, high = likelihood["specific"]["ci95"]
        remarks.append(
            f"Right answers became likelier by {likelihood['specific']['mean']:.2f} bits a character more than answers "
            f"of other questions did (95 %: {low:.2f} to {high:.2f})."
        )
    if likelihood and likelihood["choice"]:
        found = likelihood["choice"]
        remarks.append(
            f"Choices by log-probability: {found['before']['correct']} before, {found['after']['correct']} after, "
            f"of {found['before']['n']}."
        )
    if report.get("judge"):
        remarks.append(_of_judge(report["judge"]))
    if report.get("corrections"):
        now = sum(row["correct_after"] for row in report["corrections"])
        remarks.append(f"Corrected by people: {now} of {len(report['corrections'])} are answered right now.")
    retention = report.get("retention")
    if retention:
        share = f" ({_percent(report['forgetting'])} of what was known)" if report.get("forgetting") is not None else ""
        remarks.append(f"Forgotten: {len(retention['lost'])}{share}; newly right: {len(retention['gained'])}.")
        if retention["lost"]:
            remarks.append(f"  {_shortened(retention['lost'])}")
    return [*remarks, *report.get("notes", ())]


def _of_judge(judge: Mapping[str, Any]) -> str:
    if not judge["name"]:
        return f"{judge['n']} rubric questions were not judged: the recipe names no judge."
    right = judge["agreement"]
    return (
        f"The judge {_printable(judge['name'])} prefers the student's answer to {judge['wins']} of {judge['n']} rubric "
        f"questions and the base's to {judge['losses']} (p = {judge['p']:.3f}); it tells right from wrong in "
        f"{right['correct']} of {right['n']} labelled pairs. It does not decide the verdict."
    )


def _shortened(ids: Sequence[str], most: int = 6) -> str:
    return ", ".join(map(_printable, ids[:most])) + (f" and {len(ids) - most} more" if len(ids) > most else "")


def _line(title: str, found: Mapping[str, Any]) -> tuple[str, ...]:
    change = found["difference"]
    low, high = (f"{100 * bound:+.1f}" for bound in change["ci95"])
    return (
        title,
        str(found["before"]["n"]),
        _percent(found["before"]["accuracy"]),
        _percent(found["after"]["accuracy"]),
        _signed(change["difference"]),
        f"{low} to {high}",
        "< 0.001" if change["p"] < 0.001 else f"{change['p']:.3f}",
    )


def _printable(text: str, most: int = 60) -> str:
    """Leave out what could move a terminal's cursor; names come from files that others wrote."""
    return "".join(c for c in text if c.isprintable())[:most]


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _signed(share: float) -> str:
    return f"{100 * share:+.1f} points"


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of cells as lines: the first column to the left, the rest to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
