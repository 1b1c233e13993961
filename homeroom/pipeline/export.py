"""A course's tuned student in the form that other programs read, with a card of what the course's records say of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from homeroom.core.config import read_recipe
from homeroom.core.files import read_json, read_record
from homeroom.pipeline.background import phase_in_words
from homeroom.pipeline.course import facts_of, student_folder
from homeroom.pipeline.made import as_made


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
    trained = _trained(course)
    licence, card = str(facts_of(trained["student"]).get("licence", "")), _card(course, trained, title)
    return export_model(model, out, kind=kind, weights=weights, name=title, licence=licence, card=card)


def _trained(course: Path) -> dict[str, Any]:
    """Return how a course's student was made; without settings where no record says how."""
    recipe, record = as_made(course, read_recipe(course)), read_record(course / "out" / "train")
    settings: dict[str, Any] = {}
    if record:
        settings = {f"phase {p.name}": f"method {p.method}, {phase_in_words(p)}" for p in recipe.train.phases}
        settings |= {"way from the base": f"{record.summary['dial']:.0%}"} if "dial" in record.summary else {}
        settings["seed"] = recipe.train.seed
    return {"student": recipe.student.model, "teacher": recipe.teacher.model, "settings": settings}


def _card(course: Path, trained: dict[str, Any], title: str) -> str:
    from homeroom.train.card import About, model_card

    known = facts_of(trained["student"])
    data, report = course / "out" / "dataset" / "card.md", course / "out" / "report" / "report.json"
    return model_card(
        About(
            name=title,
            base=trained["student"],
            licence=str(known.get("licence", "")),
            note=str(known.get("quantised", "")),
            teacher=trained["teacher"],
            data_card=data.read_text(encoding="utf-8") if data.is_file() else "",
            training=trained["settings"],
            report=read_json(report) if report.is_file() else {},
        )
    )
