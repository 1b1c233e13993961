"""Requests that begin alike follow one another, and nothing is lost on the way."""

from __future__ import annotations

import itertools
import random

from homeroom.core.types import Message, Request
from homeroom.models.prefixes import STRETCH, alike_together


def request(*texts: str) -> Request:
    return Request(messages=tuple(Message(role="user", content=text) for text in texts), max_tokens=5)


def switches(requests: list[Request], order: list[int], depth: int) -> int:
    """How often one request does not begin as the one before it."""
    heads = [tuple(m.content for m in requests[n].messages[:depth]) for n in order]
    return sum(a != b for a, b in itertools.pairwise(heads))


def test_each_beginning_is_come_to_once_and_every_request_is_there():
    chance = random.Random(1)
    requests = [request("system", f"passage {chance.randrange(6)}", f"question {n}") for n in range(STRETCH)]
    order = alike_together(requests)
    assert sorted(order) == list(range(STRETCH))
    assert switches(requests, order, 2) == 5
    assert switches(requests, list(range(STRETCH)), 2) > 30
    firsts = [
        min(n for n in order if requests[n].messages[1] == m)
        for m in dict.fromkeys(requests[n].messages[1] for n in order)
    ]
    assert firsts == sorted(firsts)  # what came first still does


def test_no_request_moves_further_than_its_stretch():
    requests = [request("system", f"passage {n % 7}", str(n)) for n in range(5 * STRETCH + 3)]
    order = alike_together(requests)
    assert sorted(order) == list(range(len(requests)))
    assert all(place // STRETCH == n // STRETCH for n, place in enumerate(order))


def test_requests_of_any_length_and_none_at_all():
    assert alike_together([]) == []
    requests = [request("a"), request("a", "b"), request("a"), request("a", "b", "c"), request("a", "b", "d")]
    assert sorted(alike_together(requests)) == [0, 1, 2, 3, 4]
