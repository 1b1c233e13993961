"""`homeroom init`: copy an example into a new course."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import click

from homeroom.core.errors import UsageError


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--example", default="insurance", show_default=True, help="Which example to copy.")
def init(folder: Path, example: str) -> None:
    """Make a course in DIR from an example: a taxonomy, a document, an exam."""
    import shutil

    from homeroom.core.files import nearest

    examples = Path(str(resources.files("homeroom.data") / "examples"))
    names = sorted(p.name for p in examples.iterdir() if p.is_dir())
    if example not in names:
        raise UsageError(f"there is no example {example!r}{nearest(example, names)}", where="--example")
    if folder.exists() and any(folder.iterdir() if folder.is_dir() else [folder]):
        raise UsageError("is there already, and not empty", where=str(folder), hint="Name a new folder.")
    shutil.copytree(examples / example, folder, dirs_exist_ok=True)
    click.echo(f"{folder} is a course now, from the example {example}. It holds:")
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        click.echo(f"  {path.relative_to(folder).as_posix()}")
    click.echo(f"Next: homeroom run {folder}")
