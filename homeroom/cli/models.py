"""`homeroom models`: list, pull and verify."""

from __future__ import annotations

import click

from homeroom.cli.main import end_line, print_json, show_progress


@click.group()
def models() -> None:
    """List, pull and verify models; the digest decides, whoever delivers."""


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def list_models(as_json: bool) -> None:
    """List the catalog, and what is on this machine."""
    from homeroom.models.catalog import read_catalog
    from homeroom.models.store import installed

    have = {m.name for m in installed()}
    rows = [
        {"name": m.name, "role": m.role, "licence": m.licence, "size_bytes": m.size_bytes, "here": m.name in have}
        for m in read_catalog().values()
    ]
    if as_json:
        print_json({"version": 1, "models": rows})
        return
    for row in rows:
        size = f"{row['size_bytes'] / 1e6:,.0f} MB" if row["size_bytes"] else ""
        click.echo(
            f"{row['name']:<28} {row['role']:<8} {row['licence']:<12} {size:>9}  {'here' if row['here'] else ''}"
        )


@models.command()
@click.argument("names", nargs=-1, required=True)
def pull(names: tuple[str, ...]) -> None:
    """Fetch models by name, check their digests, and say where they are."""
    from homeroom.models.store import pull as pull_model

    for name in names:
        path = pull_model(name, progress=show_progress)
        end_line()
        click.echo(f"{name}: {path}")


@models.command()
@click.argument("names", nargs=-1)
def verify(names: tuple[str, ...]) -> None:
    """Compute the digests of models on this machine again (all, or those named)."""
    from homeroom.models.store import installed
    from homeroom.models.store import verify as verify_model

    for name in names or tuple(m.name for m in installed()):
        click.echo(f"{name}: {verify_model(name).path} is whole")
