"""Ctrl-C and SIGTERM, heeded between two steps, when the weights are in order."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopSignals:
    """While entered, the first signal is only noted in `wanted`; `obey` hands it to whoever handled it before.

    A second signal does not wait. Outside the main thread Python gives no signals, and nothing is changed.
    """

    def __init__(self) -> None:
        self.wanted = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def obey(self) -> None:
        """Let the noted signal, if any, do what it did before: raise KeyboardInterrupt, end the process, ..."""
        if self.wanted:
            self._restore()
            signal.raise_signal(self.wanted)

    def _note(self, number: int, frame: FrameType | None) -> None:
        again, self.wanted = self.wanted, number
        if again:
            self.obey()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._before = {}
