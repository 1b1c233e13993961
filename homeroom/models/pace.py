"""How many requests a server gets at once: found out by trying, less when it refuses, never none.

It begins with a few. After a window of answers it tries more, and stays there if they came faster by a good part of
what was hoped for; else it goes back, since more would only wait in the server's queue. A refusal (429, 503) takes some
away, at most once for the requests that were sent before it; a `Retry-After` holds everything back until then: it is
meant for the client and not for one request. From there it goes up again in small steps.

The idea is that of TCP's congestion control (additive increase, multiplicative decrease; Chiu and Jain, 1989), with a
second sign beside the refusals: a server that queues without end never refuses.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable

FIRST = 4
WINDOW = 8  # answers at least before it is judged
MAX_WAIT_S = 60.0  # between two tries, whatever Retry-After says
HOLD = 16  # windows without another try after more brought nothing
GAIN = 0.25  # of the hoped for speed-up that must show
CUT, CUT_WITH_WAIT = 0.7, 0.85  # told how long to wait, it is the rate that was too high, not so much the number


class Pace:
    """The door to one server: requests go through in order, as many at once as it takes now.

    Args:
        most: Requests at once, at most.
        first: Where to begin; `most` from the start where it is the same.
        clock: Seconds that only go on.
    """

    def __init__(self, most: int, *, first: int = FIRST, clock: Callable[[], float] = time.monotonic) -> None:
        self.most, self.limit = max(1, most), max(1, min(first, most))
        self.open = self.refusals = self.peak = 0
        self._clock, self._loop = clock, None
        self._waiting: collections.deque[asyncio.Future[None]] = collections.deque()
        self._timer: asyncio.TimerHandle | None = None
        self._resume_at = self._cut_at = float("-inf")
        self._in_a_row = 0  # refusals since the last answer
        self._before: tuple[int, float] | None = None  # limit and rate before more was tried
        self._hold, self._is_capped = 0, False
        self._begin_window()

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[float]:
        """Wait until there is room, and hold it; yields the time at which the request goes out."""
        await self._enter()
        try:
            yield self._clock()
        finally:
            self.open -= 1
            self._let_in()

    def answered(self, tokens: int) -> None:
        """Take note of an answer of so many tokens; tries more, or goes back, at the end of a window."""
        self._in_a_row = 0
        self._answers, self._tokens = self._answers + 1, self._tokens + max(1, tokens)
        self._full += bool(self._waiting)
        if self._answers >= max(WINDOW, 2 * self.limit):
            self._judge()
            self._begin_window()

    def refused(self, sent: float, retry_after_s: float = 0.0) -> None:
        """Take note that a request, sent at `sent`, was refused or not answered in time."""
        now = self._clock()
        self.refusals += 1
        is_news = sent > self._cut_at  # the others were on their way before we slowed down
        self._in_a_row += is_news
        wait_s = retry_after_s or (is_news and 0.1 * 2 ** min(self._in_a_row - 1, 12) * random.uniform(1.0, 1.25))
        self._resume_at = max(self._resume_at, now + min(wait_s, MAX_WAIT_S))
        if is_news:
            self.limit = max(1, int(self.limit * (CUT_WITH_WAIT if retry_after_s else CUT)))
            self._cut_at, self._is_capped, self._before, self._hold = now, True, None, 1
        self._begin_window()

    # -- more or less ----------------------------------------------------------------------------------------------

    def _begin_window(self) -> None:
        self._answers = self._tokens = self._full = 0
        self._window_at = self._clock()

    def _judge(self) -> None:
        rate = self._tokens / max(1e-6, self._clock() - self._window_at)
        if self._before:
            (limit, before), self._before = self._before, None
            if rate < before * (1 + GAIN * (self.limit / limit - 1)):
                self.limit, self._hold = limit, HOLD
                return
        self._hold = max(0, self._hold - 1)
        if self._hold or self.limit >= self.most or self._full < 0.8 * self._answers:  # was there anyone to let in?
            return
        self._before = (self.limit, rate)
        more = self.limit + max(1, self.limit // 8) if self._is_capped else 2 * self.limit
        self.limit = min(self.most, more)

    # -- the door --------------------------------------------------------------------------------------------------

    async def _enter(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:  # a new run: nobody of the last one waits any more
            self._loop, self._timer, self.open = loop, None, 0
            self._waiting.clear()
            self._begin_window()
        place = loop.create_future()
        self._waiting.append(place)
        self._let_in()
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.open -= 1
                self._let_in()
            raise

    def _let_in(self) -> None:
        wait_s = self._resume_at - self._clock()
        while self._waiting and wait_s <= 0 and self.open < self.limit:
            place = self._waiting.popleft()
            if not place.done():
                self.open += 1
                self.peak = max(self.peak, self.open)
                place.set_result(None)
        if self._waiting and wait_s > 0 and self._timer is None and self._loop is not None:
            self._timer = self._loop.call_later(wait_s, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._let_in()
