"""What happens to a job, as server-sent events: the page is told at once, and after a reload or a lost line goes on.

Each event has the queue's own number as its id, so a browser that comes back says which it saw last (Last-Event-ID) and
gets what it missed. A stream ends when its session does, when the job does, or after a while: browsers come again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from homeroom.web.asked import Busy

LONGEST_S, POLL_S, BEAT_S = 600.0, 0.4, 15.0
MOST, MOST_OF_ONE = 60, 8  # streams at once: of all, and of one person
ENDED = ("done", "failed", "cancelled")

_open: Counter[int] = Counter()  # streams, by person


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """A job to follow."""

    person: int  # who follows it
    since: Callable[[int], tuple[int, str, list[str]]]  # after an event -> its last event, the part of the page, lines
    state: Callable[[], str]
    is_allowed: Callable[[], bool]
    after: int


class Streamed(StreamingResponse):
    """A stream of events; what is `held` for it is given back when it ends, were it before its first line."""

    def __init__(
        self, lines: AsyncIterator[str], held: contextlib.AsyncExitStack, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(lines, media_type="text/event-stream", headers=headers)
        self.held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            with anyio.CancelScope(shield=True):
                await self.held.aclose()


@contextlib.contextmanager
def place(person: int) -> Iterator[None]:
    """Count a stream of a person's.

    Raises:
        Busy: there are too many.
    """
    if _open.total() >= MOST or _open[person] >= MOST_OF_ONE:
        raise Busy("too many pages are following jobs", hint="Close some of them.")
    _open[person] += 1
    try:
        yield
    finally:
        _open[person] -= 1


async def follow(stream: Stream, is_gone: Callable[[], Awaitable[bool]]) -> AsyncIterator[str]:
    """Yield events until the job ends, the reader goes, or may no longer see it."""
    seen, began, beat = stream.after, time.monotonic(), time.monotonic()
    yield "retry: 2000\n\n"
    while time.monotonic() - began < LONGEST_S and not await is_gone():
        if not await run_in_threadpool(stream.is_allowed):
            yield "event: bye\ndata: {}\n\n"
            return
        state = await run_in_threadpool(stream.state)
        last, html, lines = await run_in_threadpool(stream.since, seen)
        if last > seen:
            seen, beat = last, time.monotonic()
            yield f"id: {last}\ndata: {json.dumps({'html': html, 'lines': lines})}\n\n"
        elif time.monotonic() - beat > BEAT_S:
            beat = time.monotonic()
            yield ": still here\n\n"
        if state in ENDED and last <= seen:
            yield "event: bye\ndata: {}\n\n"
            return
        await asyncio.sleep(POLL_S)
