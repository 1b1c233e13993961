"""`homeroom report`: what a run showed, or two runs side by side."""

from __future__ import annotations

from pathlib import Path

import click

from homeroom.cli.main import print_json


@click.command()
@click.argument("courses", nargs=-1, required=True, metavar="COURSE...", type=click.Path(path_type=Path, exists=True))
@click.option("--compare", is_flag=True, help="Compare two courses on the questions that both were asked.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write the comparison.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def report(courses: tuple[Path, ...], compare: bool, html: Path | None, as_json: bool) -> None:
    """Show the report of a COURSE, or with --compare of two, side by side."""
    from homeroom.core.errors import UsageError
    from homeroom.core.files import read_jsonl, write_text
    from homeroom.evaluate.compare import compare_page, compare_runs, compare_table
    from homeroom.evaluate.report import table
    from homeroom.pipeline.course import read_report

    if len(courses) != (2 if compare else 1) or (html and not compare):
        raise UsageError("one course, or two with --compare (which alone writes --html)", where="homeroom report")
    reports = [read_report(course) for course in courses]
    if not compare:
        if as_json:
            print_json(reports[0])
            return
        click.echo(table(reports[0]))
        click.echo(f"The page: {courses[0] / 'out' / 'report' / 'report.html'}")
        return
    items = [read_jsonl(course / "out" / "report" / "items.jsonl") for course in courses]
    first, second = (course.resolve().name for course in courses)
    names = (first, second) if first != second else (str(courses[0]), str(courses[1]))
    found = compare_runs(reports[0], items[0], reports[1], items[1], names=names)
    if html:
        write_text(html, compare_page(found))
    if as_json:
        print_json(found)
    else:
        click.echo(compare_table(found))
