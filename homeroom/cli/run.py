"""`homeroom run`: all stages, the main job."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from homeroom.cli.main import say, show_progress


def course_options(command: Any) -> Any:
    """Add what every command on a course takes: the folder, settings, a teacher, a budget."""
    for add in (
        click.option("-o", "options", multiple=True, metavar="KEY=VALUE", help="A setting, as in -o train.seed=1."),
        click.option(
            "--teacher", "teacher_url", metavar="URL", help="An OpenAI-compatible endpoint, http://host:port/v1."
        ),
        click.option(
            "--teacher-model", metavar="NAME", help="The teacher: a name in the catalog, a .gguf, or the endpoint's."
        ),
        click.option(
            "--student", metavar="NAME", help="The student: a name in the catalog, a Hugging Face id, or a folder."
        ),
        click.option("--budget", metavar="TIME", help="Fit the work into this time, such as 45m or 2h."),
        click.argument("folder", type=click.Path(path_type=Path), metavar="COURSE"),
    ):
        command = add(command)
    return command


def open_planned(
    folder: Path, *, options: tuple[str, ...], budget: str | None, only_looks: bool = False, **named: str | None
) -> Any:
    """Return the course with its settings, fitted into the budget where one is given.

    Args:
        only_looks: Write nothing into the course, and start no model to time it.
    """
    from homeroom.pipeline.course import open_course
    from homeroom.pipeline.plan import fit, seconds_of

    given = {"teacher_url": "teacher.url", "teacher_model": "teacher.model", "student": "student.model"}
    more = tuple(f"{given[k]}={json.dumps(v)}" for k, v in named.items() if v)  # "@cf/..." is no YAML
    course = open_course(folder, (*options, *more))
    course.progress, course.say = show_progress, say
    return fit(course, seconds_of(budget), pilot=not only_looks, keep=not only_looks) if budget else course


def end_short(course: Any) -> None:
    """Say which leaves have too few samples, and end with 1: what was made is kept, but it is not what was asked for.

    Raises:
        StageError: a leaf has fewer accepted samples than `samples.least`.
    """
    from homeroom.core.errors import StageError
    from homeroom.pipeline.course import summary_of

    short = summary_of(course, "samples").get("short") or {}
    if short:
        told = ", ".join(f"{leaf} has {n}" for leaf, n in short.items())
        raise StageError(
            f"too few samples were accepted ({course.recipe.samples.least} are wanted of each leaf): {told}",
            hint="Everything else is done and kept. out/samples/rejected.jsonl has the reasons; then more examples, a"
            " longer document, more teacher tokens (-o samples.teacher_tokens=...) or another teacher may help.",
        )


@click.command()
@course_options
def run(folder: Path, **named: Any) -> None:
    """Run every stage of COURSE that is not up to date, and report whether the student moved.

    Stop it at any time with Ctrl-C; the same command goes on.
    """
    from homeroom.evaluate.report import table
    from homeroom.pipeline.course import read_report
    from homeroom.pipeline.foresee import actual_table, planned_and_actual
    from homeroom.pipeline.rounds import gains
    from homeroom.pipeline.run import funnel
    from homeroom.pipeline.run import run as run_course

    course = open_planned(folder, **named)
    run_course(course)
    prices = {"prompt_price": course.recipe.teacher.prompt_price, "answer_price": course.recipe.teacher.answer_price}
    click.echo("\n" + actual_table(planned_and_actual(folder, **prices)))
    click.echo("\n" + funnel(folder))
    click.echo("\n" + table(read_report(folder)))
    if told := gains(course):
        click.echo(f"\n{told[0].upper()}{told[1:]}.")
    click.echo(f"\nReport: {folder / 'out' / 'report' / 'report.html'}")
    click.echo(f"Talk to it: homeroom chat {folder} --compare")
    end_short(course)
