"""A course's tuned student in the form that other programs read, with a card of what the course's records say of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from homeroom.core.config import Recipe, read_recipe
from homeroom.core.files import read_json
from homeroom.pipeline.course import facts_of, student_folder

TOLD = (
    "name",
    "method",
    "tokens",
    "epochs",
    "lr",
    "step_tokens",
    "replay_share",
    "frozen_share",
    "blend",
)  # settings on the card


def export_student(name: str, out: Path | None = None, *, kind: str, weights: str = "f16") -> Path:
    """Write the student of a course, or any model folder, as "hf", "gguf" or "ollama" to `out`, and return that.

    Args:
        name: A course, a model folder, or a catalog name.
        out: A new folder; for "gguf" the file. None: `out/export/` of the course, or the folder one is in.
        kind: "hf", "gguf" or "ollama".
        weights: Of GGUF, "f16" or "q8_0".

    Raises:
        HomeroomError: as `train.export.export_model` does; or the course has no student yet.
    """
    from homeroom.train.export import export_model

    model, course = student_folder(name), Path(name)
    is_course = model == course / "out" / "model"
    title = course.resolve().name if is_course else Path(name).name
    if out is None:
        file = f"{title}.gguf" if kind == "gguf" else kind if is_course else f"{title}-{kind}"
        out = (course / "out" / "export" if is_course else Path()) / file
    if not is_course:
        return export_model(model, out, kind=kind, weights=weights, name=title)
    recipe = read_recipe(course)
    licence, card = str(facts_of(recipe.student.model).get("licence", "")), _card(course, recipe, title)
    return export_model(model, out, kind=kind, weights=weights, name=title, licence=licence, card=card)


def _card(course: Path, recipe: Recipe, title: str) -> str:
    from homeroom.train.card import About, model_card

    known = facts_of(recipe.student.model)
    data, report = course / "out" / "dataset" / "card.md", course / "out" / "report" / "report.json"
    training: dict[str, Any] = {}
    for phase in recipe.train.phases:
        values = dataclasses.asdict(phase)
        training[f"phase {phase.name}"] = ", ".join(f"{key} {values[key]}" for key in TOLD if key != "name")
    return model_card(
        About(
            name=title,
            base=recipe.student.model,
            licence=str(known.get("licence", "")),
            note=str(known.get("quantised", "")),
            teacher=recipe.teacher.model,
            data_card=data.read_text(encoding="utf-8") if data.is_file() else "",
            training=training | {"seed": recipe.train.seed},
            report=read_json(report) if report.is_file() else {},
        )
    )
