"""What a stage has cost so far: seconds, and the teacher's calls and tokens, over all the runs that it took.

Written beside the stage's files every few seconds while it works, so that a run that was killed still counts; when the
stage is finished it goes into the record.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from homeroom.core.errors import ContentError
from homeroom.core.files import from_json, read_json, write_json
from homeroom.core.types import Reply

FILE = "spent.json"
EVERY_S = 10.0


@dataclass(kw_only=True)
class Spent:
    """The cost of one stage."""

    seconds: float = 0.0
    calls: int = 0  # that were sent; kept answers cost nothing
    prompt_tokens: int = 0
    cached_tokens: int = 0  # of the prompts, that the server had read before
    answer_tokens: int = 0
    kept: int = 0  # answers that were there already

    def count(self, reply: Reply) -> None:
        """Add one reply."""
        if reply.kept:
            self.kept += 1
            return
        self.calls += 1
        self.prompt_tokens += reply.prompt_tokens
        self.answer_tokens += reply.completion_tokens
        self.cached_tokens += max(0, reply.cached_tokens)


class Meter:
    """Keeps the `Spent` of a stage in its folder while it works.

    Args:
        goes_on: The stage was begun before: what it has cost already counts.
    """

    def __init__(self, folder: Path, *, goes_on: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._clock = folder / FILE, clock
        self.spent = (_read(self._path) if goes_on else None) or Spent()
        self._before, self._began = self.spent.seconds, clock()
        self._written = self._began

    def count(self, reply: Reply) -> None:
        """Add one reply; writes what it comes to, now and then."""
        self.spent.count(reply)
        if self._clock() - self._written > EVERY_S:
            self.write()

    def write(self) -> None:
        """Write what the stage has cost up to now."""
        self._written = self._clock()
        self.spent.seconds = round(self._before + self._written - self._began, 1)
        write_json(self._path, asdict(self.spent))

    def close(self) -> Spent:
        """Return the whole cost; the file goes, for the record is written next."""
        self.spent.seconds = round(self._before + self._clock() - self._began, 1)
        self._path.unlink(missing_ok=True)
        return self.spent


def _read(path: Path) -> Spent | None:
    try:
        return from_json(Spent, read_json(path))
    except ContentError:
        return None
