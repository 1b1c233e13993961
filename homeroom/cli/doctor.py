"""`homeroom doctor`: what this machine has, what is missing, what would be used."""

from __future__ import annotations

import click

from homeroom.cli.main import print_json


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--teacher", "url", metavar="URL", help="Find out instead what an endpoint can, with six short requests.")
@click.option("--teacher-model", "model", metavar="NAME", default="default", help="The model to ask there.")
def doctor(as_json: bool, url: str | None, model: str) -> None:
    """Say what this machine has, which builds would be used, and what would stay idle or not suffice."""
    from dataclasses import asdict

    if url:
        _try_out(url, model, as_json=as_json)
        return
    from homeroom.models.machine import describe, warnings
    from homeroom.models.store import installed, store_home

    machine = describe()
    warned, models = warnings(machine), installed()
    if as_json:
        have = [{"name": m.name, "path": str(m.path)} for m in models]
        print_json({"version": 1, "machine": asdict(machine), "models": have, "warnings": warned})
        return
    torch = f"{machine.torch.version}" if machine.torch else "missing"
    rows = [
        ("system", f"{machine.platform}, Python {machine.python}"),
        (
            "processors",
            f"{machine.cpus} usable, {machine.physical_cores} cores; {', '.join(machine.isa) or 'no known extensions'}",
        ),
        ("memory", f"{machine.available_gib:g} of {machine.memory_gib:g} GiB free"),
        ("disk", f"{machine.disk_free_gib:g} GiB free"),
        ("GPU", ", ".join(f"{g.name} ({g.memory_gib:g} GiB)" for g in machine.gpus) or "none found: the CPU is used"),
        ("torch", torch),
        ("engine", f"xllamacpp {machine.engine}" if machine.engine else machine.llama_server or "missing"),
        ("models", f"{', '.join(m.name for m in models) or 'none yet'} (in {store_home()})"),
    ]
    for name, value in rows:
        click.echo(f"{name:<11} {value}")
    for text in warned:
        click.echo(f"warning: {text}", err=True)
    if not warned:
        click.echo("Nothing is missing.")


def _try_out(url: str, model: str, *, as_json: bool) -> None:
    from dataclasses import asdict

    from homeroom.pipeline.course import try_out

    can, without = try_out(url, model)
    if as_json:
        print_json({"version": 1, "teacher": url, "model": model, **asdict(can), "without": without})
        return
    rows = [
        ("answers", True),
        ("follows a JSON schema", can.schema),
        ("tells log-probabilities", can.logprobs),
        ("heeds a seed", can.seeds),
        ("streams", can.streams),
        ("says what it had read before", can.caches),
    ]
    for name, value in rows:
        click.echo(f"{name:<29} {'yes' if value else 'no'}")
    if without:
        click.echo(f"refused, and left out: {', '.join(without)}")
