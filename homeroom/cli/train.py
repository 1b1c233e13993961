"""`homeroom train`: the stages up to the tuned student."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from homeroom.cli.run import course_options, open_planned


@click.command()
@course_options
def train(folder: Path, **named: Any) -> None:
    """Tune the student of COURSE, making its data first where that is not up to date."""
    from homeroom.pipeline.run import run as run_course

    summary = run_course(open_planned(folder, **named), until="train")
    click.echo(f"{summary['tokens']:,} tokens in {summary['seconds']:.0f} s; the student is {folder / 'out' / 'model'}")
