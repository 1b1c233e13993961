"""`homeroom correct`: a wrong answer becomes a contribution."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from homeroom.cli.main import print_json, say, show


@click.command()
@click.argument("course", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("-q", "--question", required=True, help="What was asked.")
@click.option("-a", "--answer", required=True, help="The right answer.")
@click.option("--wrong", default="", metavar="TEXT", help="What the model said.")
@click.option("--leaf", default="", metavar="PATH", help="Where it belongs; without it the passage decides.")
@click.option("--passage", default="", metavar="TEXT", help="The words that the answer rests on.")
@click.option("--why", default="", metavar="TEXT", help="A word for the reviewer.")
@click.option("--name", "who", default="", help="Your name.")
@click.option("--email", default="")
@click.option("--sign-off", is_flag=True, help="You may hand this in: developercertificate.org.")
@click.option("--accept", "at_once", is_flag=True, help="Put it into the course at once: it is your own.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def correct(course: Path, at_once: bool, as_json: bool, **given: Any) -> None:
    """Turn a wrong answer of COURSE's student into a contribution.

    Homeroom looks for the passage of the course's documents that the right answer rests on, adds the question to the
    leaf that it belongs to, checks it, and leaves it in COURSE/contributions/ for review.
    """
    import dataclasses

    from homeroom.author.correct import correct as make
    from homeroom.core.contributions import accept
    from homeroom.pipeline.course import recipe_of

    recipe_of(course)  # its private mode holds for the sentence encoder too
    made = make(course, embed=encoder(), **given)
    contribution = accept(course, made.contribution.id) if at_once else made.contribution
    if as_json:
        print_json({"version": 1, "how": made.how, "contribution": dataclasses.asdict(contribution)})
        return
    for line in told(made):
        show(line)
    if at_once:
        click.echo(f"It is in {contribution.leaf}. Next: homeroom run {course}")
    elif not contribution.is_draft:
        click.echo("Review it there, or take it over at once: the same command with --accept")


def encoder() -> Any:
    """Return what finds passages in other words, or None where it is not on this machine."""
    from homeroom.pipeline import serving

    embed = serving.encoder()
    if embed is None:
        say("no sentence encoder is here, so passages are found by their words alone")
    return embed


def told(made: Any) -> list[str]:
    """Return what a person is told of a correction, line by line."""
    lines = [f"{made.contribution.leaf}: {made.how}"]
    if made.support:
        evidence = made.support.evidence
        place = f"{evidence.document}, {evidence.heading}".strip(", ") or "your own words"
        lines.append(f'It rests on: "{evidence.quote}" ({place})')
    for problem in made.contribution.problems:
        lines.append(f"{problem['severity']}: {problem['file']}: {problem['message']}")
    return [*lines, f"Contribution: {made.folder}"]
