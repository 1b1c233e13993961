"""`homeroom evaluate`: examine a course's student, or any model on any exam."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from homeroom.cli.main import print_json, say, show_progress


@click.command()
@click.argument("model", metavar="COURSE|MODEL")
@click.option("--exam", type=click.Path(path_type=Path, exists=True), help="An exam (.jsonl) for MODEL.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--endpoint-model", default="", metavar="NAME", help="The model's name, where MODEL is a URL.")
@click.option("--tasks", default="", metavar="NAMES", help="Tasks of lm-eval instead, as arc_easy,my_task.")
@click.option(
    "--include",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="FOLDER",
    help="Where tasks of your own lie, for --tasks; they may run code.",
)
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Questions of a task at most, for --tasks.")
def evaluate(model: str, exam: Path | None, as_json: bool, endpoint_model: str, tasks: str, **more: Any) -> None:
    """Examine a COURSE's student before and after, or grade a MODEL on an exam or on tasks of lm-eval.

    MODEL is a folder, a .gguf file, a name in the catalog, or the URL of an OpenAI-compatible endpoint. With --tasks a
    COURSE's base and student are compared; that needs `pip install 'lm-eval[hf]'`, and no URL.
    """
    if tasks:
        _tasks(model, tasks, as_json=as_json, **more)
        return
    result = _course(Path(model)) if exam is None else _model(model, exam, endpoint_model)
    if as_json:
        print_json(result)
    elif exam is None:
        from homeroom.evaluate.report import table

        click.echo(table(result))
    else:
        low, high = result["ci95"]
        click.echo(f"{result['correct']} of {result['n']} right: {result['accuracy']:.1%} ({low:.1%} to {high:.1%})")


def _tasks(name: str, tasks: str, *, include: Path | None, limit: int | None, as_json: bool) -> None:
    from homeroom.core.errors import UsageError
    from homeroom.evaluate.harness import run_tasks, tasks_table
    from homeroom.pipeline.course import base_of, student_folder

    if name.startswith(("http://", "https://")):
        raise UsageError("lm-eval's tasks are asked of a folder, not of an endpoint", where=name)
    models = {"base": base_of(name), "tuned": student_folder(name)} if (Path(name) / "out").is_dir() else {}
    wanted = [task.strip() for task in tasks.split(",") if task.strip()]
    result = run_tasks(models or {"model": student_folder(name)}, wanted, include=include, limit=limit)
    if as_json:
        print_json(result)
    else:
        click.echo(tasks_table(result))


def _course(folder: Path) -> dict[str, Any]:
    from homeroom.pipeline.course import open_course, read_report, student_folder
    from homeroom.pipeline.made import as_made
    from homeroom.pipeline.run import run as run_course

    course = open_course(folder)
    student_folder(str(folder))  # there must be one
    course.recipe = as_made(folder, course.recipe)
    course.progress, course.say = show_progress, say
    run_course(course, only=True)
    return read_report(folder)


def _model(name: str, exam: Path, endpoint_model: str) -> dict[str, Any]:
    from homeroom.evaluate.exam import read_exam
    from homeroom.evaluate.stage import evaluate_one
    from homeroom.pipeline.course import open_answer

    questions = read_exam(exam)
    answer, about = open_answer(name, endpoint_model=endpoint_model)
    return evaluate_one(questions, answer, model=about, progress=show_progress)
