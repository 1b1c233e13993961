"""`homeroom generate`: the stages up to the training data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from homeroom.cli.run import course_options, end_short, open_planned


@click.command()
@course_options
def generate(folder: Path, **named: Any) -> None:
    """Make the training data of COURSE: documents, facts, exam, samples, dataset."""
    from homeroom.pipeline.foresee import actual_table, planned_and_actual
    from homeroom.pipeline.run import funnel
    from homeroom.pipeline.run import run as run_course

    course = open_planned(folder, **named)
    run_course(course, until="dataset")
    prices = {"prompt_price": course.recipe.teacher.prompt_price, "answer_price": course.recipe.teacher.answer_price}
    click.echo(actual_table(planned_and_actual(folder, **prices)) + "\n")
    click.echo(funnel(folder))
    end_short(course)
