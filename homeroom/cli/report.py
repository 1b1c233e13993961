"""`homeroom report`: what a run showed, two runs side by side, or several seeds together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from homeroom.cli.main import print_json


@click.command()
@click.argument("courses", nargs=-1, required=True, metavar="COURSE...", type=click.Path(path_type=Path, exists=True))
@click.option("--compare", is_flag=True, help="Compare two courses on the questions that both were asked.")
@click.option("--seeds", is_flag=True, help="Put runs of one recipe with other seeds together: means and intervals.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write it as a page.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def report(courses: tuple[Path, ...], compare: bool, seeds: bool, html: Path | None, as_json: bool) -> None:
    """Show the report of a COURSE, with --compare of two side by side, with --seeds of several together.

    COURSE may be a folder that a report lies in, too.
    """
    from homeroom.core.errors import UsageError
    from homeroom.evaluate.report import table

    one = not compare and not seeds
    if (compare and seeds) or (one and len(courses) != 1) or (compare and len(courses) != 2):
        raise UsageError("one course, two with --compare, or several with --seeds", where="homeroom report")
    if html and one:
        raise UsageError("--html goes with --compare or --seeds; a run has its page already", where="homeroom report")
    reports = [_read(course) for course in courses]
    if not one:
        found, as_text, as_page = (_compared if compare else _together)(courses, reports)
        _show(found, as_text, as_page, html=html, as_json=as_json)
    elif as_json:
        print_json(reports[0])
    else:
        click.echo(table(reports[0]))
        click.echo(f"The page: {_folder(courses[0]) / 'report.html'}")


def _compared(courses: tuple[Path, ...], reports: list[Any]) -> tuple[Any, Callable[..., str], Callable[..., str]]:
    from homeroom.evaluate.compare import compare_page, compare_runs, compare_table

    one, two = (_items(course) for course in courses)
    first, second = _names(courses)
    return compare_runs(reports[0], one, reports[1], two, names=(first, second)), compare_table, compare_page


def _together(courses: tuple[Path, ...], reports: list[Any]) -> tuple[Any, Callable[..., str], Callable[..., str]]:
    from homeroom.evaluate.seeds import seeds_page, seeds_report, seeds_table

    found = seeds_report(reports, [_items(course) for course in courses], names=_names(courses))
    return found, seeds_table, seeds_page


def _show(
    found: Any, as_text: Callable[..., str], as_page: Callable[..., str], *, html: Path | None, as_json: bool
) -> None:
    from homeroom.core.files import write_text

    if html:
        write_text(html, as_page(found))
    if as_json:
        print_json(found)
    else:
        click.echo(as_text(found))


def _folder(course: Path) -> Path:
    return course if (course / "report.json").is_file() else course / "out" / "report"


def _read(course: Path) -> Any:
    from homeroom.core.files import read_json

    return read_json(_folder(course) / "report.json")


def _items(course: Path) -> Any:
    from homeroom.core.files import read_jsonl

    return read_jsonl(_folder(course) / "items.jsonl")


def _names(courses: tuple[Path, ...]) -> list[str]:
    """Return the folders' names, or where two are the same, their paths."""
    names = [course.resolve().name for course in courses]
    return names if len(set(names)) == len(names) else [str(course) for course in courses]
