"""What a course's student was made of: what the records say, and of the recipe only what no record says yet.

Options and a budget are settings too, and no recipe.yaml has them. Whoever opens a finished course (chat, serve,
evaluate, export) has to name the base that was trained, not the one that the recipe would begin with today.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from homeroom.core.config import Phase, Recipe, Student
from homeroom.core.files import from_json, read_record

SECTIONS = ("documents", "exam", "samples", "dataset", "train")  # of a recipe, which its stages record


def as_made(course: Path, recipe: Recipe) -> Recipe:
    """Return a recipe with the settings that made what lies in `out/`; a stage without a record keeps the recipe's."""
    records = {stage: read_record(course / "out" / stage) for stage in SECTIONS}
    made = {stage: record.config for stage, record in records.items() if record}
    sections = {stage: _known(type(getattr(recipe, stage)), config) for stage, config in made.items()}
    if "student" in made.get("train", {}):
        sections["student"] = Student(model=made["train"]["student"])
    if "teacher" in made.get("samples", {}):
        sections["teacher"] = dataclasses.replace(recipe.teacher, **made["samples"]["teacher"])
    return dataclasses.replace(recipe, **sections)


def _known(kind: type, config: dict[str, Any]) -> Any:
    """Return a section as it was recorded, without what is no setting of it, or no longer one."""
    values = {f.name: config[f.name] for f in dataclasses.fields(kind) if f.name in config}
    if "phases" in values:
        names = {f.name for f in dataclasses.fields(Phase)}
        values["phases"] = [{k: v for k, v in phase.items() if k in names} for phase in values["phases"]]
    return from_json(kind, values)
