"""Requests in an order in which those that begin alike follow one another.

A server keeps what it read of a prompt, but not of many: requests that share their beginning (the instructions, the
worked examples, the passage) should come one after the other. They are put in order within short stretches only: what
comes first for a reason (the important facts) still does, and a budget that ends early ends in the same place.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from homeroom.core.types import Request

STRETCH = 64  # requests; a wave of questions about a course's facts is one or a few


def alike_together(requests: Sequence[Request]) -> list[int]:
    """Return the places of `requests` in the order in which to ask them.

    Example:
        >>> from homeroom.core.types import Message
        >>> def request(*said):
        ...     return Request(messages=tuple(Message(role="user", content=text) for text in said), max_tokens=9)
        >>> alike_together([request("b", "1"), request("a", "1"), request("b", "2"), request("a", "2")])
        [0, 2, 1, 3]
    """
    order: list[int] = []
    for start in range(0, len(requests), STRETCH):
        order += _grouped(range(start, min(start + STRETCH, len(requests))), requests, 0)
    return order


def _grouped(places: Iterable[int], requests: Sequence[Request], depth: int) -> list[int]:
    """Put places whose messages are the same at `depth` together, groups and their members in the order they had."""
    groups: dict[tuple[str, str] | None, list[int]] = {}
    for place in places:
        messages = requests[place].messages
        key = (messages[depth].role, messages[depth].content) if depth < len(messages) else None
        groups.setdefault(key, []).append(place)
    out: list[int] = []
    for key, members in groups.items():
        out += members if key is None or len(members) < 3 else _grouped(members, requests, depth + 1)
    return out
