"""The teacher's prompts, read from `data/prompts/*.yaml` and filled in, and the lines of what it answers."""

from __future__ import annotations

import functools
from importlib import resources
from string import Template
from typing import Any

from homeroom.core.types import Message, Reply, Request

MAX_LINE = 4000  # characters of a line of an answer; a longer one is none that was asked for


@functools.cache
def prompts(name: str) -> dict[str, Any]:
    """Return the prompts of one recipe, as `data/prompts/<name>.yaml` has them."""
    import yaml

    return yaml.safe_load((resources.files("homeroom.data") / "prompts" / f"{name}.yaml").read_text(encoding="utf-8"))


def fill(template: str, **values: str) -> str:
    """Put `values` where the template has `$names`; a value is never read as a template itself."""
    return Template(template).substitute(values)


def request(
    system: str, *turns: str, max_tokens: int, temperature: float = 0.0, seed: int = 0, stop: tuple[str, ...] = ()
) -> Request:
    """Return a request of a system prompt and turns that alternate between user and assistant, ending with the user."""
    messages = [Message(role="system", content=system)]
    for index, text in enumerate(turns):
        messages.append(Message(role="assistant" if index % 2 else "user", content=text))
    return Request(messages=tuple(messages), max_tokens=max_tokens, temperature=temperature, seed=seed, stop=stop)


def told_lines(reply: Reply | None) -> list[str]:
    """Return the lines of an answer with single spaces, without those that are too long: patterns go over them.

    Runs of spaces cost a pattern the square of their length, or its cube.
    """
    lines = [" ".join(line.split()) for line in reply.text.splitlines()] if reply else []
    return [line for line in lines if len(line) <= MAX_LINE]
