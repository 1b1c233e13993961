"""`homeroom diff`: what changed in a taxonomy."""

from __future__ import annotations

from pathlib import Path

import click

from homeroom.cli.main import print_json, show


@click.command()
@click.argument("path", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--base", required=True, metavar="REF|FOLDER", help="A commit, branch or tag, or another folder.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def diff(path: Path, base: str, as_json: bool) -> None:
    """List the leaves of PATH that were added, changed, moved or removed since --base, and what changed in each.

    PATH is compared as it lies on disk. Nothing is checked out.
    """
    from homeroom.taxonomy.diff import diff_text, since

    found = since(path, base)
    if as_json:
        print_json(found.to_json())
    else:
        show(diff_text(found))
