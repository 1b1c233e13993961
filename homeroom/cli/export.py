"""`homeroom export`: samples or student in the form that another program reads."""

from __future__ import annotations

from pathlib import Path

import click

SAMPLES = ("messages", "instructlab-knowledge", "instructlab-skills", "alpaca", "sharegpt", "llama-factory")
STUDENT = ("hf", "gguf", "ollama")


@click.command()
@click.argument("name", metavar="COURSE|MODEL")
@click.option("--format", "form", type=click.Choice([*SAMPLES, *STUDENT]), required=True, help="What to write.")
@click.option("--weights", type=click.Choice(["f16", "q8_0"]), default="f16", help="Of gguf and ollama.")
@click.option("--out", type=click.Path(path_type=Path), help="Where to; by default COURSE/out/export/FORMAT.")
def export(name: str, form: str, weights: str, out: Path | None) -> None:
    """Write the samples of COURSE, or its student, for other programs, with the card beside them.

    hf: the student as a Hugging Face folder. gguf: as one file for llama.cpp. ollama: that with a Modelfile, for
    `ollama create NAME -f Modelfile`. The other forms are of the samples.
    """
    if form in STUDENT:
        from homeroom.pipeline.export import export_student

        click.echo(str(export_student(name, out, kind=form, weights=weights)))
        return
    from homeroom.pipeline.origins import export_course_samples

    if not Path(name).is_dir():
        raise click.BadParameter(f"{name} is not a course")
    done = export_course_samples(Path(name), form, out)
    for path in done.files:
        click.echo(str(path))
    left = f"; {done.left_out:,} have no place in this form" if done.left_out else ""
    click.echo(f"{done.rows:,} samples{left}", err=True)
