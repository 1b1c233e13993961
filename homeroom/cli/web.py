"""`homeroom web`: the page where anyone can teach the model."""

from __future__ import annotations

from pathlib import Path

import click

from homeroom.cli.main import say


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False), default=Path("."))
@click.option("--port", default=8600, show_default=True, type=click.IntRange(0, 65535), help="0 takes any free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Others need a password, and TLS or --behind-tls.")
@click.option("--certificate", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="For TLS, as PEM.")
@click.option("--key", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="The certificate's, as PEM.")
@click.option("--behind-tls", is_flag=True, help="A proxy of yours speaks TLS to the outside.")
@click.option("--name", "names", multiple=True, metavar="HOST", help="A name under which browsers reach it.")
@click.option("--no-worker", is_flag=True, help="Let another `homeroom worker` do the jobs.")
@click.option("--open", "opens", is_flag=True, help="Open the browser.")
def web(folder: Path, opens: bool, **options: object) -> None:
    """Open the page for the courses in FOLDER (or for the one course that FOLDER is), on this machine only.

    It prints a link that lets you in once. Nothing is sent anywhere.
    """
    from homeroom.web.server import serve_pages

    def ready(link: str) -> None:
        say(
            f"Open this link; it works once:\n\n  {link}\n\nCtrl-C stops the page. Jobs go on when it is started again."
        )
        if opens:
            click.launch(link)

    serve_pages(folder, on_ready=ready, say=say, **options)  # type: ignore[arg-type]
