"""The model card of a tuned student: what it is, what it was made from and by whom, and what the exam says of it.

It is the README.md of the exported folder, with the front matter that model hubs read. Nothing is said that the
course's own records do not say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What the card tells; fields that are empty are left out."""

    name: str
    base: str  # as the catalog or the hub calls it
    licence: str = ""  # SPDX, of the base
    note: str = ""  # such as "de-quantised from 4 bits"
    teacher: str = ""
    data_card: str = ""  # Markdown of the dataset's own card: proportions, sources, authors, licences
    training: Mapping[str, Any] = field(default_factory=dict)  # settings of the phases
    report: Mapping[str, Any] = field(default_factory=dict)  # report.json


def model_card(about: About) -> str:
    """Return the card in Markdown."""
    parts = [_front(about), f"# {about.name}\n"]
    parts.append(
        f"A small student, tuned from {about.base} with Homeroom on samples "
        f"that {about.teacher or 'a teacher model'} wrote from documents and examples of people."
    )
    if about.note:
        parts.append(f"The base was {about.note}.")
    parts.append(_exam(about.report))
    if about.data_card:
        parts.append("## Data\n\n" + re.sub(r"^(#+) ", r"##\1 ", about.data_card.strip(), flags=re.MULTILINE))
    if about.training:
        rows = "\n".join(f"| {name} | {value} |" for name, value in about.training.items())
        parts.append(f"## Training\n\n| setting | value |\n|---|---|\n{rows}")
    parts.append(
        "## Limits\n\nIt says what its documents said on the day it was made, and a model of this size also says what "
        "is not so. What the exam did not ask is not known."
    )
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def _front(about: About) -> str:
    lines = ["---", f"base_model: {_plain(about.base)}"]
    lines += [f"license: {_plain(about.licence.lower())}"] * bool(about.licence)
    lines += ["library_name: transformers", "pipeline_tag: text-generation", "tags: [homeroom]", "---"]
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Return a text that is one YAML word, whatever is in it."""
    if re.fullmatch(r"[\w./-]+", text):
        return text
    return '"' + "".join(sign for sign in text if sign.isprintable() and sign not in '"\\') + '"'


def _exam(report: Mapping[str, Any]) -> str:
    if not report:
        return "## Exam\n\nIt was not examined."
    rows = ["| | before | after |", "|---|---|---|"]
    named = {"closed_book": "final exam", "retention": "general knowledge", "control": "what nobody taught"}
    for key, name in named.items():
        row = report.get(key) or {}
        if row.get("before") and row.get("after"):
            rows.append(f"| {name} | {_rate(row['before'])} | {_rate(row['after'])} |")
    if report.get("open_book"):
        rows.append(f"| the base with the passage in front of it | {_rate(report['open_book'])} | |")
    verdict = f"\n\nVerdict: **{report['verdict']}**." if report.get("verdict") else ""
    return "## Exam\n\n" + "\n".join(rows) + verdict


def _rate(row: Mapping[str, Any]) -> str:
    low, high = (round(100 * x) for x in row["ci95"])
    return f"{row['correct']} of {row['n']} ({100 * row['accuracy']:.0f} %, 95 % interval {low} to {high})"
