"""`homeroom tree`: the taxonomy with what it holds and what it lacks."""

from __future__ import annotations

from pathlib import Path

import click

from homeroom.cli.main import print_json, say, show


@click.command()
@click.argument("path", type=click.Path(path_type=Path, exists=True))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write a page.")
def tree(path: Path, as_json: bool, html: Path | None) -> None:
    """Show every leaf below PATH with its examples, documents, last change and author, and the gaps.

    Gaps are thin leaves, sections of a document that no seed example comes from, empty folders beside full ones, and,
    once the course has a report, what the student does not know.
    """
    from homeroom.author.survey import survey
    from homeroom.core.files import write_text
    from homeroom.taxonomy.tree import tree_text

    found = survey(path)
    if html:
        from homeroom.taxonomy.tree_page import tree_page

        write_text(html, tree_page(found))
        say(f"Wrote {html}")
    if as_json:
        print_json(found.to_json())
    elif not html:
        show(tree_text(found))
