"""Each thread has a connection of its own, which ends with it."""

import gc
import sqlite3
import threading

import pytest

from homeroom.core.database import connection


def test_a_threads_connection_is_its_own_and_is_closed_with_it(tmp_path):
    kept, seen = threading.local(), []

    def look() -> None:
        seen.append(connection(tmp_path / "a.db", kept))
        assert connection(tmp_path / "a.db", kept) is seen[-1]
        seen[-1].execute("CREATE TABLE IF NOT EXISTS t (n)")

    for _ in range(2):
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    assert seen[0] is not seen[1]
    for database in seen:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            database.execute("SELECT 1")


def test_a_connection_is_closed_with_a_ring_of_objects_that_holds_it(tmp_path):
    class Owner:
        def __init__(self) -> None:
            self.kept, self.itself = threading.local(), self
            connection(tmp_path / "a.db", self.kept)

    owners = [Owner() for _ in range(20)]
    databases = [connection(tmp_path / "a.db", owner.kept) for owner in owners]
    owners += [Owner() for _ in range(20)]  # of these nobody else holds the connection: Python 3.13 warned of them
    owners.clear()
    gc.collect()
    for database in databases:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            database.execute("SELECT 1")
