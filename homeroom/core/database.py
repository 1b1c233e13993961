"""SQLite files that several threads and processes share: one connection a thread, and writes that happen whole."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

WAIT_S = 30  # for another's write to end


class _Kept:
    """A thread's connection, closed when the thread or its owner is gone, which SQLite itself leaves to chance.

    Not by `__del__`: of a ring of objects that goes as a whole, the connection may be the first whose end is called.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self.database = database
        weakref.finalize(self, database.close)


def connection(path: Path, kept: threading.local, *pragmas: str) -> sqlite3.Connection:
    """Return this thread's connection to a file, opened at its first use.

    Args:
        kept: Where the owner keeps the connections of its threads.
        pragmas: Settings of a connection, such as "foreign_keys = ON".
    """
    own: _Kept | None = getattr(kept, "own", None)
    if own is None:  # closed by whichever thread drops the last word of it, used by this one alone
        own = _Kept(sqlite3.connect(path, timeout=WAIT_S, isolation_level=None, check_same_thread=False))
        own.database.row_factory = sqlite3.Row
        for pragma in ("journal_mode = WAL", *pragmas):
            own.database.execute(f"PRAGMA {pragma}")
        kept.own = own
    return own.database


@contextlib.contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Hold the file for writing; what was written holds at the end, and not at all after an error."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield database
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")
