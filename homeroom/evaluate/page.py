"""The report as one self-contained page: no script, no network, readable on a phone and on paper.

    report (see `report.py`) + items (the lines of items.jsonl) + about --page--> report.html

Everything that a person or a model wrote is hostile: the template escapes it, shortens it, and keeps its writing
direction to itself. A content security policy in the page forbids whatever escaping might have missed.

`about` says what the report itself does not know; every part may be missing:

    {"course": "insurance", "title": "Claims handbook",
     "models":  {"base": {"name", "digest", "licence", "quantised": "4 bits"}, "tuned": {...}, "teacher": {...}},
     "funnel":  {"made": 912, "kept": 604, "rejected": {"a number is not in the source": 143, ...}},
     "taught":  {"facts": 62, "covered": 60, "samples": 604, "documents": 1},
     "sources": [{"leaf", "author", "documents", "licence", "samples", "share"}],
     "settings": [{"phase": "flat", "method": "full", "told": "lr 0.0003, tokens 160000"}],
     "again":   {"command", "versions", "inputs": {"exam": "1f0a..."}},
     "stages":  [{"name": "generate", "seconds": 1057.0, "note": "21,499 tokens"}],
     "budget":  {"limit_s": 2700, "teacher_tokens": 21499, "train_tokens": 160000},
     "machine": "2 cores, 8 GiB"}
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

MAX_CHARACTERS = 700  # of one text on the page; items.jsonl has it whole
MAX_ROWS = 600  # questions on the page

_DATA = Path(__file__).resolve().parent.parent / "data"
_GROUPS = (
    ("learned", "Learned", "wrong before, right after", False, True),
    ("lost", "Lost", "right before, wrong after", True, False),
    ("open", "Not learned", "wrong before and after", False, False),
    ("kept", "Known all along", "right before and after", True, True),
)
_OLD = ("retention", "retention_more")
_VERDICTS = {
    "better": ("Better", "✓"),
    "no evidence": ("No evidence", "?"),
    "worse": ("Worse", "✗"),
}


def page(report: Mapping[str, Any], items: Sequence[Mapping[str, Any]], about: Mapping[str, Any]) -> str:
    """Return the HTML of the report.

    Args:
        report: What `make_report` gave.
        items: One mapping for each question: set, question, gold, before, after, correct_before, correct_after,
            reason, source, ...
        about: See the module.
    """
    final = [item for item in items if item.get("set") == "final"]
    word, sign = _VERDICTS[report["verdict"]]
    return render(
        "report.html.j2",
        report=report,
        about=about,
        title=about.get("title") or about.get("course") or "A course",
        verdict={"word": word, "sign": sign, "kind": report["verdict"].replace(" ", "-")},
        bars=_bars(report),
        groups=_groups(final[:MAX_ROWS]),
        left_out=max(0, len(final) - MAX_ROWS),
        forgotten=[i for i in items if i.get("set") in _OLD and i["correct_before"] and not i["correct_after"]],
        funnel=_funnel(about.get("funnel") or {}),
        models=[
            {"role": role, **about["models"][role]}
            for role in ("base", "tuned", "teacher", "judge")
            if (about.get("models") or {}).get(role)
        ],
        stages=_stages(about.get("stages") or ()),
    )


def render(template: str, **values: Any) -> str:
    """Return a page of a template in `data/`; every value is escaped."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Any:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_DATA),
        autoescape=True,
        undefined=jinja2.ChainableUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": lambda share: "–" if share is None else f"{100 * share:.1f}\u202f%",
        "points": lambda share: f"{100 * share:+.1f}".replace("-", "−"),
        "count": lambda number: f"{number:,}" if isinstance(number, int) else number,
        "clock": clock,
        "short": _short,
        "p_alone": lambda p: "<\u00a00.001" if p < 0.001 else f"{p:.3f}",
        "p": lambda p: "p\u00a0<\u00a00.001" if p < 0.001 else f"p\u00a0=\u00a0{p:.3f}",
    }
    return environment


def clock(seconds: float) -> str:
    """Return a duration for people.

    Example:
        >>> clock(7.4), clock(1057), clock(7260)
        ('7 s', '18 min', '2 h 1 min')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def _short(text: Any) -> str:
    text = str(text or "").strip()
    return text if len(text) <= MAX_CHARACTERS else text[:MAX_CHARACTERS].rstrip() + " …"


def _bars(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One section of bars for the exam, one for the control, one for old abilities; all in percent of the track."""
    sections = []
    for key, title, note in (
        ("closed_book", "Final exam", "closed-book: the question alone"),
        ("with_sources", "Final exam, with sources", "what a search in the documents finds stands before the question"),
        ("control", "Control", "facts of the same kind that were never taught"),
        ("retention", "Old abilities", "what the base could do before"),
        ("retention_more", "Further abilities", "facts, sums, common sense, reading, instructions, safety"),
    ):
        found = report.get(key)
        if not found:
            continue
        rows = [("before", found["before"], "before"), ("after", found["after"], "after")]
        if key == "closed_book" and report.get("open_book"):
            rows.append(("base with the passage before it", report["open_book"], "open"))
        sections.append(
            {
                "title": title,
                "note": note,
                "difference": found["difference"],
                "needed": found["difference"].get("needed", 0),
                "rows": [_bar(label, row, kind) for label, row, kind in rows],
            }
        )
    return sections


def _bar(label: str, row: Mapping[str, Any], kind: str) -> dict[str, Any]:
    low, high = (round(100 * bound, 2) for bound in row["ci95"])
    return {**row, "label": label, "kind": kind, "width": round(100 * row["accuracy"], 2), "low": low, "high": high}


def _groups(items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for key, title, note, before, after in _GROUPS:
        rows = [i for i in items if bool(i["correct_before"]) is before and bool(i["correct_after"]) is after]
        if rows:
            found.append({"key": key, "title": title, "note": note, "rows": rows})
    return found


def _funnel(funnel: Mapping[str, Any]) -> dict[str, Any]:
    """Kept and rejected with their shares, the commonest reason first; {} where nothing is known."""
    rejected = {str(reason): int(count) for reason, count in (funnel.get("rejected") or {}).items()}
    kept = int(funnel.get("kept") or 0)
    total = max(int(funnel.get("made") or 0), kept + sum(rejected.values()))
    if not total:
        return {}
    rows = sorted(rejected.items(), key=lambda row: -row[1])
    return {
        "made": total,
        "kept": kept,
        "rows": [
            {"label": label, "count": count, "width": round(100 * count / total, 2), "kept": label == "kept"}
            for label, count in [("kept", kept), *rows]
        ],
    }


def _stages(stages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    total = sum(float(stage.get("seconds") or 0) for stage in stages)
    rows = [
        {
            **stage,
            "seconds": float(stage.get("seconds") or 0),
            "width": round(100 * float(stage.get("seconds") or 0) / total, 2) if total else 0,
        }
        for stage in stages
    ]
    return {"rows": rows, "total": total} if rows else {}
