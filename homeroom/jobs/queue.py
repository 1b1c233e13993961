"""A queue of jobs in one SQLite file: who works on what, until when, and what happened.

    queued -> running -> done | failed | cancelled          a lost worker: running -> queued, at most MAX_ATTEMPTS times

A worker holds a job by a *lease* that it renews. A lease that ran out, belongs to a process that is gone or to an
earlier boot is given to the next who asks. Every claim raises the job's *fence*; a write with an older fence is
refused, so a worker that slept through its lease cannot spoil what the next one does. A job may need a *device*
("cpu", "gpu0"); the database itself refuses a second running job with the same one. Wall-clock times are for people.

Twelve methods are all that anything else uses, so another store or a queue behind HTTPS can take its place.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from homeroom.core.database import connection, transaction
from homeroom.core.errors import MachineError, RefusedError, UsageError
from homeroom.jobs.machine import boot, is_alive, uptime_s

LEASE_S = 30.0
MAX_ATTEMPTS = 8  # times that a job is lost without having got on; a failure is final until a person resumes
MAX_WAITING = 200  # jobs in line
MAX_SPEC = 100_000  # characters of JSON
MAX_LINES = 5_000  # of the log of a job
MAX_LINE = 2_000  # characters
State = Literal["queued", "running", "done", "failed", "cancelled"]

_TABLES = """
CREATE TABLE IF NOT EXISTS jobs (
  id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, spec TEXT NOT NULL, owner TEXT NOT NULL,
  device TEXT NOT NULL, key TEXT UNIQUE, state TEXT NOT NULL, attempt INTEGER NOT NULL DEFAULT 0,
  fence INTEGER NOT NULL DEFAULT 0, holder TEXT NOT NULL DEFAULT '', child TEXT NOT NULL DEFAULT '',
  lease_boot TEXT NOT NULL DEFAULT '', lease_until REAL NOT NULL DEFAULT 0, cancel INTEGER NOT NULL DEFAULT 0,
  reason TEXT NOT NULL DEFAULT '', result TEXT NOT NULL DEFAULT 'null', progress TEXT NOT NULL DEFAULT '{}',
  created REAL NOT NULL, started REAL NOT NULL DEFAULT 0, ended REAL NOT NULL DEFAULT 0, told REAL NOT NULL DEFAULT 0);
CREATE UNIQUE INDEX IF NOT EXISTS one_job_a_device ON jobs (device) WHERE state = 'running' AND device != '';
CREATE INDEX IF NOT EXISTS by_state ON jobs (state, id);
CREATE TABLE IF NOT EXISTS events (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, job INTEGER NOT NULL REFERENCES jobs (id), at REAL NOT NULL,
  kind TEXT NOT NULL, data TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS by_job ON events (job, seq);
"""


class Fenced(RefusedError):
    """Another worker has taken the job over; what this one does no longer counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job as it is now."""

    id: int
    kind: str
    spec: dict[str, Any]
    owner: str
    device: str
    state: State
    attempt: int
    cancel: bool
    reason: str  # why it failed or waits again
    result: Any
    progress: dict[str, Any]
    created: float  # wall clock, like all times here
    started: float
    ended: float
    told: float  # when it was last heard of
    child: str  # identity of the process that does it


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to work on a job."""

    job: Job
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to a job; `seq` grows."""

    seq: int
    job: int
    at: float
    kind: str  # "state", "say" or "progress", of which only the last is kept
    data: dict[str, Any]


@dataclass(kw_only=True)
class Clock:
    """What time it is for leases."""

    boot: Callable[[], str] = boot
    seconds: Callable[[], float] = uptime_s


@dataclass
class Queue:
    """Jobs in one file; safe to use from several threads and processes at once.

    Raises:
        MachineError: the file is damaged, or no SQLite database.
    """

    path: Path
    clock: Clock = field(default_factory=Clock)
    lease_s: float = LEASE_S
    _local: threading.local = field(default_factory=threading.local)

    def __post_init__(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            database = self._open()
            if database.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                raise sqlite3.DatabaseError("quick_check")
            database.executescript(_TABLES)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise MachineError(f"cannot be opened ({error})", where=str(self.path)) from None
            hint = "Move it away: jobs are listed anew, and what they made is still in the courses."
            raise MachineError("the list of jobs is damaged", where=str(self.path), hint=hint) from None

    # -- for those who want work done ------------------------------------------------------------------------------

    def submit(self, kind: str, spec: dict[str, Any], *, owner: str = "", device: str = "", key: str = "") -> int:
        """Put a job in line and return its id; the same `key` again returns the job that is there.

        Raises:
            UsageError: the settings are too large.
            RefusedError: too many jobs wait.
        """
        text = json.dumps(spec, ensure_ascii=False)
        if len(text) > MAX_SPEC:
            raise UsageError(f"the settings of a job have more than {MAX_SPEC:,} characters")
        with self._write() as database:
            known = database.execute("SELECT id FROM jobs WHERE key = ?", (key,)).fetchone() if key else None
            if known:
                return int(known["id"])
            waiting = database.execute("SELECT count(*) FROM jobs WHERE state = 'queued'").fetchone()[0]
            if waiting >= MAX_WAITING:
                raise RefusedError(f"{waiting} jobs wait already", hint="Try again when some of them are done.")
            made = database.execute(
                "INSERT INTO jobs (kind, spec, owner, device, key, state, created, told) VALUES (?,?,?,?,?,?,?,?)",
                (kind, text, owner, device, key or None, "queued", time.time(), time.time()),
            )
            self._event(database, made.lastrowid, "state", {"state": "queued"})
            return int(made.lastrowid or 0)

    def cancel(self, id: int) -> None:
        """Ask for a job to be stopped; one that waits is cancelled at once, one that ended stays as it is."""
        with self._write() as database:
            database.execute("UPDATE jobs SET cancel = 1 WHERE id = ? AND state IN ('queued', 'running')", (id,))
            changed = database.execute(
                "UPDATE jobs SET state = 'cancelled', ended = ? WHERE id = ? AND state = 'queued'", (time.time(), id)
            )
            what = {"state": "cancelled"} if changed.rowcount else {"state": "cancelling"}
            self._event(database, id, "state", what)

    def resume(self, id: int) -> None:
        """Put a job that failed or was cancelled in line again; it goes on from what is on disk."""
        with self._write() as database:
            changed = database.execute(
                "UPDATE jobs SET state = 'queued', cancel = 0, attempt = 0, reason = '', ended = 0, told = ?"
                " WHERE id = ? AND state IN ('failed', 'cancelled')",
                (time.time(), id),
            )
            if changed.rowcount:
                self._event(database, id, "state", {"state": "queued"})

    # -- for those who do it ---------------------------------------------------------------------------------------

    def claim(self, holder: str, kinds: Sequence[str]) -> Lease | None:
        """Take the oldest job that can be worked on now; None where there is none."""
        with self._write() as database:
            self._take_back(database)
            row = database.execute(
                f"SELECT id FROM jobs WHERE state = 'queued' AND kind IN ({','.join('?' * len(kinds))})"
                " AND (device = '' OR device NOT IN (SELECT device FROM jobs WHERE state = 'running'))"
                " ORDER BY id LIMIT 1",
                tuple(kinds),
            ).fetchone()
            if row is None:
                return None
            now = time.time()
            database.execute(
                "UPDATE jobs SET state = 'running', attempt = attempt + 1, fence = fence + 1, holder = ?,"
                " lease_boot = ?, lease_until = ?, started = ?, told = ? WHERE id = ?",
                (holder, self.clock.boot(), self.clock.seconds() + self.lease_s, now, now, row["id"]),
            )
            self._event(database, row["id"], "state", {"state": "running"})
            found = database.execute("SELECT * FROM jobs WHERE id = ?", (row["id"],)).fetchone()
            return Lease(job=_job(found), fence=found["fence"])

    def renew(self, lease: Lease, *, child: str = "") -> bool:
        """Hold a job for another while, and return whether it is to be stopped.

        Raises:
            Fenced: it was given to another worker.
        """
        with self._write() as database:
            database.execute(
                "UPDATE jobs SET lease_until = ?, child = CASE ? WHEN '' THEN child ELSE ? END WHERE id = ?",
                (self.clock.seconds() + self.lease_s, child, child, self._held(database, lease)),
            )
            return bool(database.execute("SELECT cancel FROM jobs WHERE id = ?", (lease.job.id,)).fetchone()[0])

    def tell(self, lease: Lease, kind: str, data: dict[str, Any]) -> None:
        """Note progress, or a line of the log; lines beyond `MAX_LINES` are dropped, which the last one says.

        Raises:
            Fenced: the job was given to another worker.
        """
        with self._write() as database:
            id = self._held(database, lease)
            now = time.time()
            if kind == "progress":
                database.execute("DELETE FROM events WHERE job = ? AND kind = 'progress'", (id,))
                database.execute(
                    "UPDATE jobs SET progress = ?, told = ?, attempt = iif(?, 1, attempt) WHERE id = ?",
                    (json.dumps(data, ensure_ascii=False), now, _whole(data) > _whole(lease.job.progress), id),
                )
            else:
                lines = database.execute("SELECT count(*) FROM events WHERE job = ? AND kind = ?", (id, kind))
                num_lines = lines.fetchone()[0]
                if num_lines > MAX_LINES:
                    return
                text = str(data.get("text", ""))
                data = {"text": text if len(text) <= MAX_LINE else text[:MAX_LINE] + " …"}
                if num_lines == MAX_LINES:
                    data = {"text": "… more was said than is kept."}
                database.execute("UPDATE jobs SET told = ? WHERE id = ?", (now, id))
            self._event(database, id, kind, data)

    def finish(self, lease: Lease, state: State, *, reason: str = "", result: Any = None) -> None:
        """Say how a job ended; "queued" gives it back unharmed, as a worker does that is told to stop.

        Raises:
            Fenced: the job was given to another worker.
        """
        with self._write() as database:
            id = self._held(database, lease)
            attempt = ", attempt = attempt - 1" if state == "queued" else ""
            database.execute(
                "UPDATE jobs SET state = ?, reason = ?, result = ?, ended = ?, told = ?, holder = '', child = ''"
                f"{attempt} WHERE id = ?",
                (state, reason, json.dumps(result, ensure_ascii=False), time.time(), time.time(), id),
            )
            self._event(database, id, "state", {"state": state, "reason": reason})

    # -- for those who look ----------------------------------------------------------------------------------------

    def get(self, id: int) -> Job | None:
        """Return one job."""
        row = self._open().execute("SELECT * FROM jobs WHERE id = ?", (id,)).fetchone()
        return _job(row) if row else None

    def find(self, key: str) -> Job | None:
        """Return the job that was submitted with a key."""
        row = self._open().execute("SELECT * FROM jobs WHERE key = ?", (key,)).fetchone() if key else None
        return _job(row) if row else None

    def jobs(self, *, states: Sequence[str] = (), limit: int = 100) -> list[Job]:
        """Return jobs, the latest first."""
        where = f"WHERE state IN ({','.join('?' * len(states))})" if states else ""
        rows = self._open().execute(f"SELECT * FROM jobs {where} ORDER BY id DESC LIMIT ?", (*states, limit))
        return [_job(row) for row in rows]

    def events(self, job: int, *, after: int = 0, limit: int = 500) -> list[Event]:
        """Return what happened to a job after an event, in order."""
        where = "WHERE job = ? AND seq > ? ORDER BY seq LIMIT ?"
        return [_read(row) for row in self._open().execute(f"SELECT * FROM events {where}", (job, after, limit))]

    def latest(self, job: int, limit: int) -> list[Event]:
        """Return what happened to a job last, in order."""
        where = "WHERE job = ? ORDER BY seq DESC LIMIT ?"
        return [_read(row) for row in self._open().execute(f"SELECT * FROM events {where}", (job, limit))][::-1]

    def backup(self, path: Path) -> None:
        """Write a copy of the whole queue while it is in use."""
        with contextlib.closing(sqlite3.connect(path)) as copy:
            self._open().backup(copy)

    # -- inside ------------------------------------------------------------------------------------------------------

    def _open(self) -> sqlite3.Connection:
        return connection(self.path, self._local, "synchronous = FULL")

    def _write(self) -> contextlib.AbstractContextManager[sqlite3.Connection]:
        return transaction(self._open())

    def _held(self, database: sqlite3.Connection, lease: Lease) -> int:
        row = database.execute("SELECT state, fence FROM jobs WHERE id = ?", (lease.job.id,)).fetchone()
        if row is None or row["fence"] != lease.fence or row["state"] != "running":
            raise Fenced("another worker has taken this job over", where=f"job {lease.job.id}")
        return lease.job.id

    def _take_back(self, database: sqlite3.Connection) -> None:
        """Put jobs whose worker is gone in line again."""
        now, here = self.clock.seconds(), self.clock.boot()
        for row in database.execute("SELECT * FROM jobs WHERE state = 'running'").fetchall():
            same_boot = row["lease_boot"] == here
            if same_boot and row["lease_until"] > now and (not row["holder"] or is_alive(row["holder"])):
                continue
            state = "queued"
            reason = "The machine was restarted." if not same_boot else "The process that did it was lost."
            if row["cancel"]:
                state, reason = "cancelled", ""
            elif row["attempt"] >= MAX_ATTEMPTS:
                state, reason = "failed", f"Lost {row['attempt']} times; it was not tried again."
            database.execute(
                "UPDATE jobs SET state = ?, reason = ?, holder = '', fence = fence + 1, ended = ? WHERE id = ?",
                (state, reason, time.time() if state != "queued" else 0, row["id"]),
            )
            self._event(database, row["id"], "state", {"state": state, "reason": reason})

    def _event(self, database: sqlite3.Connection, job: int | None, kind: str, data: dict[str, Any]) -> None:
        database.execute(
            "INSERT INTO events (job, at, kind, data) VALUES (?,?,?,?)",
            (job, time.time(), kind, json.dumps(data, ensure_ascii=False)),
        )


def _whole(progress: dict[str, Any]) -> float:
    """Return which part of the whole job is done: a job that gets on is not given up, however often it is lost."""
    value = progress.get("whole")
    return float(value) if isinstance(value, int | float) else 0.0


def _read(row: sqlite3.Row) -> Event:
    names = ("seq", "job", "at", "kind")
    return Event(data=json.loads(row["data"]), **{name: row[name] for name in names})


def _job(row: sqlite3.Row) -> Job:
    names = (
        "id",
        "kind",
        "owner",
        "device",
        "state",
        "attempt",
        "reason",
        "created",
        "started",
        "ended",
        "told",
        "child",
    )
    read = {name: json.loads(row[name]) for name in ("spec", "result", "progress")}
    return Job(cancel=bool(row["cancel"]), **read, **{name: row[name] for name in names})
