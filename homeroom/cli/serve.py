"""`homeroom serve`: answer over the OpenAI API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from homeroom.cli.main import say


@click.command()
@click.argument("model", metavar="COURSE|MODEL")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535))
@click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0 lets other machines in, with a key.")
@click.option(
    "--key-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Holds the key that clients need. Off this machine one is made where none is given.",
)
def serve(model: str, port: int, host: str, key_file: Path | None) -> None:
    """Serve a COURSE's student (and its base, as "base"), or a MODEL, with the OpenAI API.

    The models are "tuned", "base" and, where the course has documents, "tuned-with-sources" for a course, "model" for
    anything else. A student that is trained anew is swapped in without dropping a request.
    """
    from homeroom.core.errors import UsageError
    from homeroom.pipeline.serving import open_served
    from homeroom.serve.server import serve as serve_models

    key = key_file.read_text(encoding="utf-8").strip() if key_file else ""
    if key_file and len(key) < 16:
        raise UsageError("the key is shorter than 16 characters", where=str(key_file))
    models, embed = open_served(model)
    for name, served in models.items():
        if served.proof:
            say(f"is it really on? {name}: {served.proof}")

    def ready(url: str, api_key: str) -> None:
        say(f"{url} answers as {', '.join(models)}; Ctrl-C stops it")
        if api_key and not key:
            say(f"clients need this key, made for this start alone: {api_key}")

    options: dict[str, Any] = {"host": host, "port": port, "api_key": key, "embed": embed}
    serve_models(models, **options, on_ready=ready, on_swap=lambda name: say(f"{name}: the newer model answers now"))
