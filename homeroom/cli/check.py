"""`homeroom check`: every fault of a taxonomy at once, and the mending of those that a program can mend."""

from __future__ import annotations

import os
from pathlib import Path

import click

from homeroom.cli.main import print_json, say, show


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True), metavar="PATH...")
@click.option("--fix", is_flag=True, help="Mend white space, line ends, quotes, versions and missing attributions.")
@click.option("--strict", type=click.Choice(["instructlab"]), help="Refuse what InstructLab's lint refuses, too.")
@click.option("--format", "form", type=click.Choice(["text", "json", "github", "sarif"]), default="text")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json: one JSON object.")
@click.pass_context
def check(ctx: click.Context, paths: tuple[Path, ...], fix: bool, strict: str | None, form: str, as_json: bool) -> None:
    """Read every qna.yaml below PATH and say what is wrong, where, and how to mend it."""
    from homeroom.taxonomy.check import check as check_paths
    from homeroom.taxonomy.formats import format_github, format_problem, to_sarif

    if fix:
        from homeroom.taxonomy.mend import mend

        for change in mend(paths):
            say(f"mended {change.file}: {', '.join(change.changes)}")
    result = check_paths(paths, strict=strict == "instructlab", processes=os.cpu_count() or 1)
    if as_json or form == "json":
        print_json(result.to_json())
    elif form == "sarif":
        print_json(to_sarif(result.problems))
    else:
        for problem in result.problems:
            show(format_github(problem) if form == "github" else format_problem(problem))
        errors = sum(p.severity == "error" for p in result.problems)
        say_or_print = say if form == "github" else click.echo
        say_or_print(f"{_num(len(result.leaves), 'leaf is', 'leaves are')} good; {_num(errors, 'error')}, "
                     f"{_num(len(result.problems) - errors, 'warning')}.")  # fmt: skip
    ctx.exit(0 if result.ok and result.leaves else 3)


def _num(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"
