"""`homeroom draft`: a first qna.yaml from a document."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from homeroom.cli.main import say, show, show_progress


@click.command()
@click.argument("document", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("course", type=click.Path(path_type=Path, exists=True, file_okay=False), default=Path("."))
@click.option("--leaf", required=True, metavar="PATH", help="Where to put it, such as knowledge/insurance/claims.")
@click.option("--created-by", default="homeroom-draft", show_default=True, metavar="NAME", help="Who answers for it.")
@click.option("--teacher", "teacher_url", metavar="URL", help="An OpenAI-compatible endpoint, http://host:port/v1.")
@click.option("--teacher-model", metavar="NAME", help="The teacher: in the catalog, a .gguf, or the endpoint's name.")
@click.option("-o", "options", multiple=True, metavar="KEY=VALUE", help="A setting, as in -o samples.seed=1.")
def draft(document: Path, course: Path, leaf: str, created_by: str, options: tuple[str, ...], **named: Any) -> None:
    """Let the teacher write a draft of a leaf from DOCUMENT, in COURSE (this folder, if none is named).

    The draft quotes its contexts and answers from the document and is marked: `check` and `run` refuse it until a
    person has read it and removed the mark. The document is copied beside it. Nothing is overwritten.
    """
    from homeroom.author.draft import draft_in

    given = {"teacher_url": "teacher.url", "teacher_model": "teacher.model"}
    more = tuple(f"{given[key]}={value}" for key, value in named.items() if value)
    made = draft_in(
        document, leaf, course, options=(*options, *more), created_by=created_by, progress=show_progress, say=say
    )
    questions = sum(len(passage.seeds) for passage in made.passages)
    click.echo(f"{made.path}: {len(made.passages)} contexts, {questions} questions, from:")
    for section in made.sections:
        show(f"  {section}")
    thrown = ", ".join(f"{count} for {check}" for check, count in sorted(made.rejected.items()))
    if thrown:
        click.echo(f"Questions that were thrown out: {thrown}.")
    click.echo("Next: read every line, mend it, remove the line that begins with # DRAFT, then: homeroom check")
