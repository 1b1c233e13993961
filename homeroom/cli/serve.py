"""`homeroom serve`: answer over the OpenAI API."""

from __future__ import annotations

import click

from homeroom.cli.main import say


@click.command()
@click.argument("model", metavar="COURSE|MODEL")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535))
@click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0 lets other machines in.")
def serve(model: str, port: int, host: str) -> None:
    """Serve a COURSE's student (and its base, as "base"), or a MODEL, with the OpenAI API.

    The models are "tuned" and "base" for a course, "model" for anything else.
    """
    from pathlib import Path

    from homeroom.models.torch_engine import TorchEngine
    from homeroom.pipeline.course import base_of, student_folder
    from homeroom.serve.server import serve as serve_models

    folder = student_folder(model)
    is_course = (Path(model) / "out").is_dir()
    models = {"tuned" if is_course else "model": TorchEngine(folder)}
    if is_course:
        models["base"] = TorchEngine(base_of(model))
    names = ", ".join(models)
    serve_models(models, host=host, port=port, on_ready=lambda url: say(f"{url} answers as {names}; Ctrl-C stops it"))
