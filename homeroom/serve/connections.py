"""Connections that wait for nobody for ever: whoever opens one and sends no request makes room for others.

uvicorn waits for the first request of a connection without end, and for a later one as long as anything comes. So a few
hundred connections that send a byte now and then (the slowloris attack) would shut everybody else out.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S = 20.0  # in which the head of a request must have come, from the first byte or from the connection on
AT_ONCE = 300  # connections; a further one is told to come again later


class PatientProtocol(H11Protocol):
    """HTTP/1.1 over one connection, which is closed when a request's head takes too long."""

    _giving_up: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take what came; what is not yet a whole head does not make the wait longer."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop_watching()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:  # a request is being answered
            self._stop_watching()
        elif self._giving_up is None:
            self._giving_up = self.loop.call_later(HEAD_S, self.transport.close)

    def _stop_watching(self) -> None:
        if self._giving_up is not None:
            self._giving_up.cancel()
            self._giving_up = None
