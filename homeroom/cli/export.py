"""`homeroom export`: samples or student in the form that another program reads."""

from __future__ import annotations

from pathlib import Path

import click

SAMPLES = ("messages", "instructlab-knowledge", "instructlab-skills", "alpaca", "sharegpt", "llama-factory")
STUDENT = ("hf", "gguf", "ollama")  # see pipeline/export.py


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True), metavar="COURSE")
@click.option("--format", "form", type=click.Choice(SAMPLES), required=True, help="What to write.")
@click.option("--out", type=click.Path(path_type=Path), help="Where to; by default COURSE/out/export/FORMAT.")
def export(folder: Path, form: str, out: Path | None) -> None:
    """Write the samples of COURSE for other programs, with the data card beside them."""
    from homeroom.pipeline.origins import export_course_samples

    done = export_course_samples(folder, form, out)
    for path in done.files:
        click.echo(str(path))
    left = f"; {done.left_out:,} have no place in this form" if done.left_out else ""
    click.echo(f"{done.rows:,} samples{left}", err=True)
