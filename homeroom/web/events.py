"""What happens to a job, as server-sent events: the page is told at once, and after a reload or a lost line goes on.

Each event has the queue's own number as its id, so a browser that comes back says which it saw last (Last-Event-ID) and
gets what it missed. A stream ends when its session does, when the job does, or after a while: browsers come again.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool

from homeroom.core.errors import RefusedError

LONGEST_S, POLL_S, BEAT_S = 600.0, 0.4, 15.0
MOST = 60  # streams at once
ENDED = ("done", "failed", "cancelled")

_open = {"streams": 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """A job to follow."""

    since: Callable[[int], tuple[int, str, list[str]]]  # after an event -> its last event, the part of the page, lines
    state: Callable[[], str]
    is_allowed: Callable[[], bool]
    after: int


async def follow(stream: Stream, is_gone: Callable[[], Awaitable[bool]]) -> AsyncIterator[str]:
    """Yield events until the job ends, the reader goes, or may no longer see it."""
    if _open["streams"] >= MOST:
        raise RefusedError("too many pages are following jobs")
    _open["streams"] += 1
    try:
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
    finally:
        _open["streams"] -= 1
