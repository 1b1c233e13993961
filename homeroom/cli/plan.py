"""`homeroom plan`: what a run would do, and how long it takes on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from homeroom.cli.main import print_json
from homeroom.cli.run import course_options, open_planned


@click.command()
@course_options
@click.option(
    "--pilot", is_flag=True, help="Ask the teacher the first few requests, to know its pace; answers are kept."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def plan(folder: Path, pilot: bool, as_json: bool, **named: Any) -> None:
    """Say per stage why it would run, and its calls, tokens, time, money, memory and disk; nothing is made.

    Times are ranges: wide where a model was never timed on this machine.
    """
    from homeroom.pipeline.foresee import make_plan, plan_table

    made = make_plan(open_planned(folder, only_looks=True, **named), pilot=pilot)
    if as_json:
        print_json(made)
    else:
        click.echo(plan_table(made))
