"""`homeroom chat`: talk to a student, or to base and tuned side by side."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click


@click.command()
@click.argument("model", metavar="COURSE|MODEL")
@click.option("--compare", is_flag=True, help="Ask the base as well, and show both answers.")
@click.option("--system", default="", help="A system prompt.")
@click.option("--max-tokens", default=200, show_default=True, type=click.IntRange(1, 4096))
@click.option("--temperature", default=0.0, show_default=True, type=click.FloatRange(0, 2))
@click.option("-q", "--question", help="Ask this one question and leave.")
def chat(model: str, compare: bool, question: str | None, **manner: Any) -> None:
    """Talk to a COURSE's student, or to a MODEL (a folder, a .gguf file, a name in the catalog).

    /new forgets what was said, /quit (or Ctrl-D) leaves.
    """
    from homeroom.core.errors import HomeroomError

    conversations = _conversations(model, compare, **manner)
    if question is None and not sys.stdin.isatty():
        question = sys.stdin.read()
    if question is not None:
        _ask(conversations, question)
        return
    click.echo("Ask, and press Enter. /new begins anew, /quit leaves.", err=True)
    while True:
        try:
            text = input("> ").strip()
        except EOFError:
            break
        if text == "/quit":
            break
        if text == "/new":
            for conversation in conversations.values():
                conversation.forget()
        elif text:
            try:
                _ask(conversations, text)
            except KeyboardInterrupt:
                click.echo(" (stopped)")
            except HomeroomError as error:
                click.echo(f"error: {error}", err=True)


def _conversations(model: str, compare: bool, *, system: str, max_tokens: int, temperature: float) -> dict[str, Any]:
    from homeroom.models.torch_engine import TorchEngine
    from homeroom.pipeline.course import base_of, student_folder
    from homeroom.serve.chat import Conversation, Manner

    folders: dict[str, Path] = {"tuned" if compare else "": student_folder(model)}
    if compare:
        folders = {"base": base_of(model)} | folders
    manner = Manner(max_tokens=max_tokens, temperature=temperature)
    return {name: Conversation(TorchEngine(folder), system=system, manner=manner) for name, folder in folders.items()}


def _ask(conversations: dict[str, Any], text: str) -> None:
    from homeroom.serve.chat import compare

    shown = None
    for piece in compare(conversations, text):
        if piece.name != shown:
            if shown is not None:
                click.echo("")
            shown = piece.name
            click.echo(click.style(f"{piece.name:>5}  ", bold=True) if piece.name else "", nl=False)
        click.echo(_printable(piece.text), nl=False)
    click.echo("")


def _printable(text: str) -> str:
    """Leave out control characters, with which an answer could write over the terminal."""
    return "".join(c for c in text if c in "\n\t" or c.isprintable())
