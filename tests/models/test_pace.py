"""How many requests a server gets at once, against servers that refuse, ask to wait, or are no faster with more."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from scripted_endpoint import Raw, scripted_server

from homeroom.core.errors import MachineError
from homeroom.core.types import Message, Request
from homeroom.models.asking import ask_all
from homeroom.models.endpoint import Endpoint
from homeroom.models.pace import MAX_WAIT_S, Pace
from homeroom.models.replies import retry_after_s


def requests(count: int) -> list[Request]:
    return [Request(messages=(Message(role="user", content=f"say {i}"),), max_tokens=10) for i in range(count)]


class Clock:
    """A clock that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def steady(pace: Pace, clock: Clock, rate: Callable[[int], float], *, windows: int) -> list[int]:
    """Let a server answer with `rate(open)` answers a second, always somebody waiting; return the limits."""
    seen = []
    for _ in range(windows):
        before = pace.limit
        for _ in range(max(8, 2 * before)):
            clock.now += 1 / rate(pace.limit)
            pace._waiting.append(None)  # type: ignore[arg-type]
            pace.answered(10)
            pace._waiting.clear()
        seen.append(pace.limit)
    return seen


def test_it_rises_as_long_as_more_at_once_is_faster():
    clock = Clock()
    pace = Pace(64, clock=clock)
    assert steady(pace, clock, lambda limit: limit, windows=6) == [8, 16, 32, 64, 64, 64]


def test_it_goes_back_where_more_only_waits_in_the_servers_queue():
    clock = Clock()
    pace = Pace(64, clock=clock)
    limits = steady(pace, clock, lambda limit: min(limit, 16), windows=12)
    assert max(limits) == 32
    assert limits[4:] == [16] * 8


def test_it_does_not_rise_while_nobody_waits():
    clock = Clock()
    pace = Pace(64, clock=clock)
    for _ in range(100):
        clock.now += 0.1
        pace.answered(5)
    assert pace.limit == 4


def test_a_refusal_lowers_it_once_for_all_that_were_under_way_and_never_below_one():
    clock = Clock()
    pace = Pace(64, first=40, clock=clock)
    for _ in range(40):
        pace.refused(sent=0.0)
    assert pace.limit == 28
    for second in range(1, 60):
        clock.now = 100.0 * second
        pace.refused(sent=clock.now)
    assert pace.limit == 1
    assert steady(pace, clock, lambda limit: limit, windows=30)[-1] > 8  # and up again


def test_retry_after_holds_everything_back_until_then():
    answers = iter([Raw(status=429, headers={"Retry-After": "0.4"})] + ["fine"] * 20)
    sent: list[float] = []

    def noting(messages: list[dict]) -> str | Raw:
        sent.append(time.monotonic())
        return next(answers)

    with scripted_server(noting) as url:
        replies = ask_all(Endpoint(url, "scripted", in_flight=1), requests(12), keep=None)
    assert [r.text for r in replies] == ["fine"] * 12
    first, *later = (b - a for a, b in itertools.pairwise(sent))
    assert first >= 0.4
    assert min(later) < 0.4  # nothing is held back after that


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("3", 3.0), ("99999", MAX_WAIT_S), ("Fri, 01 Jan 2100 00:00:00 GMT", MAX_WAIT_S), ("-5", 0.0), ("soon", 0.0),
     ("nan", 0.0), ("inf", 0.0), ("", 0.0), ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0)],
)  # fmt: skip
def test_a_wait_is_read_as_a_number_or_a_date_and_bounded(said: str, seconds: float):
    assert retry_after_s({"retry-after": said}) == seconds


@contextmanager
def strict_server(most: int, *, status: int, seconds: float = 0.02) -> Iterator[tuple[str, dict[str, int]]]:
    """A server that refuses when more than `most` requests are open."""
    seen = {"open": 0, "peak": 0, "refused": 0}
    lock = threading.Lock()

    def answer(messages: list[dict]) -> str | Raw:
        with lock:
            seen["open"] += 1
            is_full = seen["open"] > most
            seen["peak"] = max(seen["peak"], seen["open"])
            seen["refused"] += is_full
        if not is_full:
            time.sleep(seconds)
        with lock:
            seen["open"] -= 1
        return Raw(status=status, body=b"busy") if is_full else "fine"

    with scripted_server(answer) as url:
        yield url, seen


@pytest.mark.parametrize("status", [429, 503])
def test_every_request_is_answered_by_a_server_that_takes_only_a_few_at_once(status: int):
    with strict_server(6, status=status, seconds=0.1) as (url, seen):  # longer than a busy machine takes to ask
        endpoint = Endpoint(url, "scripted", in_flight=32)
        replies = ask_all(endpoint, requests(200), keep=None, max_failures=0)
    assert all(reply.text == "fine" for reply in replies)
    assert seen["peak"] > 6  # it tried more
    assert seen["refused"] < 60  # and learned
    assert 1 <= endpoint.pace.limit <= 12


def test_a_server_that_takes_many_gets_many():
    with strict_server(10**6, status=429, seconds=0.2) as (url, seen):
        ask_all(Endpoint(url, "scripted", in_flight=32), requests(100), keep=None)
    assert seen["peak"] >= 16


def test_a_server_that_always_refuses_ends_the_run_with_what_to_do():
    with scripted_server(lambda messages: Raw(status=503, body=b"overloaded")) as url:
        endpoint = Endpoint(url, "scripted", in_flight=8, patience_s=0.5)
        with pytest.raises(MachineError, match="refuses for 0 s: answered 503: overloaded") as caught:
            ask_all(endpoint, requests(20), keep=None)
        assert len(url.asked) < 60
    assert "goes on later" in caught.value.hint


def test_an_account_without_money_is_said_at_once():
    body = b'{"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}'
    with scripted_server(lambda messages: Raw(status=429, body=body)) as url:
        with pytest.raises(MachineError, match="exceeded your current quota"):
            ask_all(Endpoint(url, "scripted"), requests(1), keep=None)
        assert len(url.asked) == 1


def test_a_cancelled_request_gives_its_place_back():
    async def once() -> int:
        pace = Pace(1)

        async def hold(seconds: float) -> None:
            async with pace.turn():
                await asyncio.sleep(seconds)

        first, second = asyncio.create_task(hold(9)), asyncio.create_task(hold(9))
        await asyncio.sleep(0.01)
        second.cancel()
        first.cancel()
        await asyncio.gather(first, second, return_exceptions=True)
        await asyncio.wait_for(hold(0), 60)
        return pace.open

    assert asyncio.run(once()) == 0
