"""What `serve` and `chat` open of a course: its models, its documents, and the proof that the tuned one is on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from homeroom.core.errors import ContentError, MachineError, RefusedError
from homeroom.core.files import read_jsonl
from homeroom.pipeline.course import base_of, recipe_of, student_folder
from homeroom.serve.proof import prove
from homeroom.serve.retrieval import Embed, Library, read_library
from homeroom.serve.server import Served


def open_served(name: str) -> tuple[dict[str, Served], Embed | None]:
    """Return a course's models ("tuned", "base"), or one "model", and a sentence encoder where there is one.

    Raises:
        MachineError: there is no such model.
        RefusedError: the tuned model answers as the base does.
    """
    from homeroom.models.torch_engine import TorchEngine

    folder, embed = student_folder(name), encoder()
    engine = TorchEngine(folder)
    if not (Path(name) / "out").is_dir():
        return {"model": Served(engine=engine, load=lambda: TorchEngine(folder))}, embed
    course = Path(name)
    base = base_of(name)
    items = read_jsonl(course / "out" / "report" / "items.jsonl") if _has_report(course) else []
    proof = prove(items, engine.answer, max_tokens=recipe_of(course).evaluate.max_tokens)
    tuned = Served(
        engine=engine,
        load=lambda: TorchEngine(folder),
        newer=newer(folder, lambda: TorchEngine(folder)),
        library=open_library(course, embed),
        proof=proof.in_words(),
    )
    return {"tuned": tuned, "base": Served(engine=TorchEngine(base), load=lambda: TorchEngine(base))}, embed


def _has_report(course: Path) -> bool:
    return all((course / "out" / "report" / name).is_file() for name in ("items.jsonl", "record.json"))


def open_library(course: Path, embed: Embed | None) -> Library | None:
    """Return a course's documents to look things up in; None where it has none."""
    try:
        library = read_library(course / "out" / "documents", embed=embed)
    except ContentError:
        return None
    return library if library.chunks else None


def encoder() -> Embed | None:
    """Return the sentence encoder, or None where it is not on this machine and cannot, or must not, be fetched."""
    from homeroom.models.embedder import shipped_embedder

    try:
        return shipped_embedder().embed
    except (MachineError, RefusedError, ImportError):
        return None


def newer(folder: Path, load: Callable[[], Any]) -> Callable[[], Any]:
    """Return a function that gives the model anew when its weights were replaced since it was last asked, else None."""

    def seen() -> tuple[int, int, int]:
        try:
            found = (folder / "model.safetensors").stat()
        except OSError:  # just being replaced
            return (0, 0, 0)
        return (found.st_ino, found.st_mtime_ns, found.st_size)

    last = seen()

    def look() -> Any:
        nonlocal last
        now = seen()
        if now in (last, (0, 0, 0)):
            return None
        last = now
        return load()

    return look
