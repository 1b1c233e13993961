"""The teacher's prompts, read from `data/prompts/*.yaml` and filled in."""

from __future__ import annotations

import functools
from importlib import resources
from string import Template
from typing import Any

from homeroom.core.types import Message, Request


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
