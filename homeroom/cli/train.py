"""`homeroom train`: the stages up to the tuned student; `--show` lets one see what of the samples is learned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from homeroom.cli.main import printable
from homeroom.cli.run import course_options, open_planned

COLOURS = {"shared": "cyan", "read": "bright_black", "learned": "green"}


@click.command()
@click.option("--show", type=click.IntRange(1, 1000), metavar="N", help="Only show N samples, token by token.")
@course_options
def train(folder: Path, show: int | None, **named: Any) -> None:
    """Tune the student of COURSE, making its data first where that is not up to date."""
    from homeroom.pipeline.run import run as run_course

    course = open_planned(folder, **named)
    if show:
        _show(course, show)
        return
    summary = run_course(course, until="train")
    click.echo(f"{summary['tokens']:,} tokens in {summary['seconds']:.0f} s; the student is {folder / 'out' / 'model'}")


def _show(course: Any, count: int) -> None:
    """Print samples with each token in the colour of its label; every other one is underlined, to tell them apart."""
    from homeroom.pipeline.training import labelled_samples

    legend = {"shared": "shared by all conversations", "read": "read, not learned", "learned": "learned"}
    click.echo("  ".join(click.style(told, fg=COLOURS[label]) for label, told in legend.items()) + "\n")
    for sample, tokens in labelled_samples(course, count):
        click.echo(
            f"{sample.id}  {sample.kind}  {len(tokens)} tokens, {sum(k == 'learned' for _, k in tokens)} learned"
        )
        for number, (text, label) in enumerate(tokens):
            visible = printable(text.replace("\n", "↵\n").replace("\x1b", "␛"))
            click.secho(visible, fg=COLOURS[label], underline=bool(number % 2), nl=False)
        click.echo("\n")
