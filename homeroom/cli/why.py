"""`homeroom why`: where a sample comes from."""

from __future__ import annotations

from pathlib import Path

import click

from homeroom.cli.main import print_json, show


@click.command()
@click.argument("sample")
@click.argument("folder", type=click.Path(path_type=Path, exists=True), metavar="[COURSE]", default=".")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def why(sample: str, folder: Path, as_json: bool) -> None:
    """Show where a SAMPLE comes from: its id, the first digits of it, or some of its words.

    Whose leaf, which file and bytes, the words it rests on, who made it with which prompt, what it passed; of one that
    was thrown out, by which check and why.
    """
    from homeroom.generate.provenance import why_text
    from homeroom.pipeline.origins import why_samples

    found = why_samples(folder, sample)
    if as_json:
        print_json({"version": 1, "samples": found})
    else:
        show("\n\n".join(why_text(origin) for origin in found))
