"""`homeroom check`: every fault of a taxonomy at once."""

from __future__ import annotations

from pathlib import Path

import click

from homeroom.cli.main import print_json


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True), metavar="PATH...")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def check(ctx: click.Context, paths: tuple[Path, ...], as_json: bool) -> None:
    """Read every qna.yaml below PATH and say what is wrong, where, and how to mend it."""
    from homeroom.taxonomy.check import check as check_paths
    from homeroom.taxonomy.check import format_problem

    result = check_paths(paths)
    if as_json:
        print_json(result.to_json())
    else:
        for problem in result.problems:
            click.echo(format_problem(problem))
        errors = sum(p.severity == "error" for p in result.problems)
        warned = len(result.problems) - errors
        click.echo(f"{len(result.leaves)} leaves are good; {errors} errors, {warned} warnings.")
        if not result.leaves and not result.problems:
            click.echo("No qna.yaml was found below knowledge/ or compositional_skills/.")
    ctx.exit(0 if result.ok and result.leaves else 3)
