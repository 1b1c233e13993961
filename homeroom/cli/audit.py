"""`homeroom audit`: are the checks any good on this course?"""

from __future__ import annotations

from pathlib import Path

import click

from homeroom.cli.main import print_json, show


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True), metavar="COURSE")
@click.option("--seed", default=0, show_default=True, help="Which copies are corrupted, and how.")
@click.option("--missed", is_flag=True, help="Show what was missed and what was lost, for reading.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def audit(folder: Path, seed: int, missed: bool, as_json: bool) -> None:
    """Plant corrupted copies among the samples of COURSE, and count what the checks of generation catch.

    Wrong numbers, values of something else, exchanged subjects, dropped conditions, negations, invented reasons, and
    facts from nowhere. What is lost is counted on answers that people wrote. Nothing is changed.
    """
    from homeroom.generate.audit import audit_table
    from homeroom.pipeline.origins import audit_course

    found = audit_course(folder, seed=seed)
    if as_json:
        print_json(found)
        return
    click.echo(audit_table(found))
    if missed:
        click.echo("")
        for row in found["kinds"]:
            for text in row["missed"]:
                show(f"missed, {row['kind']} in {row['group']}: {text}")
        for lost in found["lost_samples"]:
            show(f"lost by {lost['check']} ({lost['reason']}): {lost['text']}")
