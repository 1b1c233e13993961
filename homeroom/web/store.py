"""What the server remembers besides the courses: people, sessions, invitations, drafts and who did what, in SQLite.

Tokens are kept as hashes. The list of what was done is a chain: each line holds the digest of the one before it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import secrets
import sqlite3
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from homeroom.core.database import connection, transaction
from homeroom.core.errors import ContentError, MachineError, RefusedError, UsageError

Role = Literal["contributor", "maintainer"]
SESSION_S = 14 * 86_400.0
LINK_S = 3_600.0  # that a link to come in is good for
INVITE_S = 7 * 86_400.0
MIN_PASSWORD, MAX_PASSWORD, MAX_NAME = 10, 200, 60
FREE_TRIES, LONGEST_WAIT_S, MOST_KEPT = 5, 900.0, 10_000  # of logging in
MOST_A_MINUTE = 60  # tries of all together where a proxy hides who tries: each costs a hash and a line of the log

_TABLES = """
CREATE TABLE IF NOT EXISTS people (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE COLLATE NOCASE, email TEXT NOT NULL DEFAULT '', role TEXT NOT NULL,
  password TEXT NOT NULL DEFAULT '', closed INTEGER NOT NULL DEFAULT 0, created REAL NOT NULL);
CREATE TABLE IF NOT EXISTS sessions (
  token TEXT PRIMARY KEY, person INTEGER NOT NULL REFERENCES people (id), csrf TEXT NOT NULL, until REAL NOT NULL,
  said TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS links (
  token TEXT PRIMARY KEY, kind TEXT NOT NULL, role TEXT NOT NULL, until REAL NOT NULL);
CREATE TABLE IF NOT EXISTS keys (
  token TEXT PRIMARY KEY, person INTEGER NOT NULL REFERENCES people (id), label TEXT NOT NULL, created REAL NOT NULL,
  course TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS drafts (
  id TEXT PRIMARY KEY, course TEXT NOT NULL, person INTEGER NOT NULL REFERENCES people (id), place TEXT NOT NULL,
  version INTEGER NOT NULL, form TEXT NOT NULL, extra TEXT NOT NULL, changed REAL NOT NULL);
CREATE INDEX IF NOT EXISTS drafts_of ON drafts (course, place);
CREATE TABLE IF NOT EXISTS audit (
  id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, who TEXT NOT NULL, what TEXT NOT NULL, about TEXT NOT NULL,
  digest TEXT NOT NULL);
"""


class Stale(RefusedError):
    """A draft was changed elsewhere since it was read."""


class TooOften(RefusedError):
    """Logging in was tried too often; the password was not looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody with an account."""

    id: int
    name: str
    email: str
    role: Role
    closed: bool = False
    has_password: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A browser that somebody is logged in with."""

    token: str  # its hash
    person: Person
    csrf: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What a program may do that sends a key."""

    person: Person
    course: str  # whose student it may ask, and nothing else; "" for all that the person may do


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A leaf that somebody is writing."""

    id: str
    course: str
    person: int
    place: str
    version: int
    form: dict[str, Any]
    extra: dict[str, Any]  # the document's text, where it came from, answers, jobs
    changed: float


@dataclass
class Store:
    """The server's memory; safe to use from several threads."""

    path: Path
    _local: threading.local = field(default_factory=threading.local)
    _tries: dict[str, tuple[int, float]] = field(default_factory=dict)
    _next: float = 0.0  # when the next try may be made, of all together
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            self._open().executescript(_TABLES)
            if "course" not in {row["name"] for row in self._open().execute("PRAGMA table_info(keys)")}:  # until 0.1
                self._open().execute("ALTER TABLE keys ADD COLUMN course TEXT NOT NULL DEFAULT ''")
            self.path.chmod(0o600)
        except sqlite3.DatabaseError as error:
            raise MachineError(f"the server's memory cannot be read ({error})", where=str(self.path)) from None

    # -- people ----------------------------------------------------------------------------------------------------

    def people(self) -> list[Person]:
        """Return everybody, in the order in which they came."""
        return [_person(row) for row in self._open().execute("SELECT * FROM people ORDER BY id")]

    def person(self, id: int) -> Person | None:
        """Return one person."""
        row = self._open().execute("SELECT * FROM people WHERE id = ?", (id,)).fetchone()
        return _person(row) if row else None

    def add_person(self, name: str, *, role: Role, email: str = "", password: str = "", link: str = "") -> Person:
        """Make an account.

        Args:
            link: The token of a link that it is made by, which is used up with it.

        Raises:
            UsageError: the name is taken or no name, or the password is too short.
            RefusedError: the link was used up meanwhile.
        """
        name = " ".join(name.split())
        if not name or len(name) > MAX_NAME or not name.isprintable() or set(name) & set('<>@"\\'):
            raise UsageError("this is no name that can be used", hint="Letters, digits and spaces, at most 60.")
        values = (name, email.strip()[:200], role, _hashed(password) if password else "", time.time())
        try:
            with self._write() as database:
                used = database.execute("DELETE FROM links WHERE token = ?", (_digest(link),)).rowcount
                if link and not used:
                    raise RefusedError("the link was used up meanwhile")
                made = database.execute(
                    "INSERT INTO people (name, email, role, password, created) VALUES (?,?,?,?,?)", values
                )
        except sqlite3.IntegrityError:
            raise UsageError("this name is taken", hint="Take another.") from None
        found = self.person(int(made.lastrowid or 0))
        assert found
        return found

    def set_password(self, person: int, password: str, *, here: Session | None = None) -> None:
        """Give a person a password, and end their sessions elsewhere than `here`."""
        values, kept = (_hashed(password), person), here.token if here else ""
        with self._write() as database:
            database.execute("UPDATE people SET password = ? WHERE id = ?", values)
            database.execute("DELETE FROM sessions WHERE person = ? AND token != ?", (person, kept))

    def close(self, person: int) -> None:
        """Close an account: its sessions and keys end at once, what it did stays.

        Raises:
            RefusedError: it is the last maintainer's.
        """
        with self._write() as database:
            others = database.execute(
                "SELECT count(*) FROM people WHERE role = 'maintainer' AND closed = 0 AND id != ?", (person,)
            ).fetchone()[0]
            if not others:
                raise RefusedError("this is the last maintainer", hint="Make somebody else one first.")
            database.execute("UPDATE people SET closed = 1 WHERE id = ?", (person,))
            database.execute("DELETE FROM sessions WHERE person = ?", (person,))
            database.execute("DELETE FROM keys WHERE person = ?", (person,))

    def set_role(self, person: int, role: Role) -> None:
        """Make somebody a maintainer or a contributor; it holds from the next request on."""
        with self._write() as database:
            others = database.execute(
                "SELECT count(*) FROM people WHERE role = 'maintainer' AND closed = 0 AND id != ?", (person,)
            ).fetchone()[0]
            if role != "maintainer" and not others:
                raise RefusedError("this is the last maintainer", hint="Make somebody else one first.")
            database.execute("UPDATE people SET role = ? WHERE id = ?", (role, person))

    def log_in(self, name: str, password: str, *, address: str) -> Person:
        """Return who has this name and password.

        Args:
            address: Of who asks; "" where it is not known: tries are counted by name, and are so many a minute in all.

        Raises:
            RefusedError: nobody has, or it was tried too often (`TooOften`); the words do not tell who exists.
        """
        keys = [f"name {name.casefold()[:100]}", *([f"address {address}"] if address else [])]
        now = time.monotonic()
        with self._lock:
            wait = max(self._tries.get(key, (0, 0.0))[1] - now for key in keys)
            if wait <= 0 and not address:
                wait = self._turn(now)
        if wait > 0:
            raise TooOften(f"too many tries: wait {math.ceil(wait)} s", hint="Then try again.")
        row = self._open().execute("SELECT * FROM people WHERE name = ? AND closed = 0", (name.strip(),)).fetchone()
        good = _verified(row["password"] if row and row["password"] else _of_nobody(), password) and row is not None
        if good and row["password"]:
            with self._lock:
                for key in keys:
                    self._tries.pop(key, None)
            return _person(row)
        with self._lock:
            for key in keys:
                tries = self._tries.get(key, (0, 0.0))[0] + 1
                late = min(2.0 ** (tries - FREE_TRIES), LONGEST_WAIT_S) if tries >= FREE_TRIES else 0.0
                self._tries[key] = (tries, now + late)
            while len(self._tries) > MOST_KEPT:  # whoever must still wait is forgotten last
                del self._tries[min(self._tries, key=lambda key: self._tries[key][1])]
        raise RefusedError("the name or the password is wrong")

    def _turn(self, now: float) -> float:
        """Return 0 and take a place among the tries of a minute, or the seconds until the next one is free."""
        due = max(self._next, now - 60)  # what was not used in the last minute may be used at once
        if due <= now:
            self._next = due + 60 / MOST_A_MINUTE
        return max(due - now, 0.0)

    # -- sessions, links, keys -----------------------------------------------------------------------------------------

    def begin_session(self, person: Person) -> str:
        """Return the token of a new session, for a cookie."""
        token = secrets.token_urlsafe(32)
        with self._write() as database:
            database.execute("DELETE FROM sessions WHERE until < ?", (time.time(),))
            values = (_digest(token), person.id, secrets.token_urlsafe(24), time.time() + SESSION_S)
            database.execute("INSERT INTO sessions (token, person, csrf, until) VALUES (?,?,?,?)", values)
        return token

    def session(self, token: str) -> Session | None:
        """Return the session that a token opens; None where it ended or its account was closed."""
        row = self._open().execute(
            "SELECT people.*, sessions.token, sessions.csrf FROM sessions JOIN people ON people.id = sessions.person"
            " WHERE sessions.token = ? AND sessions.until > ? AND people.closed = 0",
            (_digest(token), time.time()),
        ).fetchone()  # fmt: skip
        return Session(token=row["token"], person=_person(row), csrf=row["csrf"]) if row else None

    def is_open(self, session: Session) -> bool:
        """Say whether a session still holds, for streams that outlive a request."""
        row = self._open().execute("SELECT 1 FROM sessions WHERE token = ?", (session.token,)).fetchone()
        return row is not None

    def end_session(self, session: Session) -> None:
        """Log a browser out."""
        with self._write() as database:
            database.execute("DELETE FROM sessions WHERE token = ?", (session.token,))

    def say(self, session: Session, text: str) -> None:
        """Keep a sentence to show on the next page."""
        with self._write() as database:
            database.execute("UPDATE sessions SET said = ? WHERE token = ?", (text[:500], session.token))

    def take_said(self, session: Session) -> str:
        """Return the sentence to show, once."""
        row = self._open().execute("SELECT said FROM sessions WHERE token = ?", (session.token,)).fetchone()
        if row and row["said"]:
            self.say(session, "")
            return str(row["said"])
        return ""

    def make_link(self, kind: Literal["enter", "invite"], role: Role = "maintainer") -> str:
        """Return the token of a link that works once: to come in, or to make an account."""
        token = secrets.token_urlsafe(24)
        with self._write() as database:
            until = time.time() + (LINK_S if kind == "enter" else INVITE_S)
            database.execute("INSERT INTO links VALUES (?,?,?,?)", (_digest(token), kind, role, until))
        return token

    def look_at_link(self, token: str, kind: str) -> Role | None:
        """Return the role that a link gives, and leave it as it is; None where it is used up."""
        row = self._open().execute(
            "SELECT role FROM links WHERE token = ? AND kind = ? AND until > ?", (_digest(token), kind, time.time())
        ).fetchone()  # fmt: skip
        return row["role"] if row else None

    def use_link(self, token: str, kind: str) -> Role | None:
        """Return the role that a link gives, and use it up; None where it is used up already."""
        with self._write() as database:
            row = database.execute(
                "DELETE FROM links WHERE token = ? AND kind = ? AND until > ? RETURNING role",
                (_digest(token), kind, time.time()),
            ).fetchone()
        return row["role"] if row else None

    def make_key(self, person: Person, label: str, *, course: str = "") -> str:
        """Return a new key for programs that act for a person; it is shown once, and kept as its hash.

        Args:
            course: The only one whose student it may ask, and nothing else; "" lets it do all that its person may.
        """
        token = f"hr_{secrets.token_urlsafe(32)}"
        values = (_digest(token), person.id, label[:60], time.time(), course)
        with self._write() as database:
            database.execute("INSERT INTO keys (token, person, label, created, course) VALUES (?,?,?,?,?)", values)
        return token

    def keys(self, person: Person | None = None) -> list[dict[str, Any]]:
        """Return a person's keys, or everybody's: by label and the beginning of their hashes."""
        rows = self._open().execute(
            "SELECT keys.*, people.name FROM keys JOIN people ON people.id = keys.person"
            " WHERE ? IN (0, person) ORDER BY keys.created",
            (person.id if person else 0,),
        )  # fmt: skip
        names = ("label", "created", "course", "name")
        return [{"id": row["token"][:12], **{name: row[name] for name in names}} for row in rows]

    def end_key(self, id: str, *, person: Person | None = None) -> bool:
        """Take a key away, of one person or whose it may be, and say whether there was one; it ends at once."""
        with self._write() as database:
            gone = database.execute(
                "DELETE FROM keys WHERE substr(token, 1, 12) = ? AND ? IN (0, person)", (id, person.id if person else 0)
            )
        return gone.rowcount > 0

    def key(self, token: str) -> Key | None:
        """Return what a key is good for; None for one that is no key, was taken away, or whose account is closed."""
        row = self._open().execute(
            "SELECT people.*, keys.course AS course FROM keys JOIN people ON people.id = keys.person"
            " WHERE keys.token = ? AND people.closed = 0",
            (_digest(token),),
        ).fetchone()  # fmt: skip
        return Key(person=_person(row), course=row["course"]) if row else None

    # -- drafts --------------------------------------------------------------------------------------------------------

    def add_draft(self, course: str, person: Person, place: str, form: dict[str, Any], extra: dict[str, Any]) -> Draft:
        """Keep a new draft."""
        id = secrets.token_hex(6)
        values = (id, course, person.id, place, 1, json.dumps(form), json.dumps(extra), time.time())
        with self._write() as database:
            database.execute("INSERT INTO drafts VALUES (?,?,?,?,?,?,?,?)", values)
        return self.draft(id)

    def draft(self, id: str) -> Draft:
        """Return a draft.

        Raises:
            ContentError: there is none.
        """
        row = self._open().execute("SELECT * FROM drafts WHERE id = ?", (id,)).fetchone()
        if row is None:
            raise ContentError("there is no such draft", where=id[:20])
        return _draft(row)

    def drafts(self, course: str, *, person: int = 0, place: str = "") -> list[Draft]:
        """Return drafts of a course, the last changed first."""
        where, values = "course = ?", [course]
        where += " AND person = ?" if person else ""
        where += " AND place = ?" if place else ""
        values += [person] * bool(person) + [place] * bool(place)  # type: ignore[list-item]
        rows = self._open().execute(f"SELECT * FROM drafts WHERE {where} ORDER BY changed DESC LIMIT 200", values)
        return [_draft(row) for row in rows]

    def save_draft(self, id: str, *, version: int, form: dict[str, Any], extra: dict[str, Any]) -> Draft:
        """Keep a draft's new state.

        Raises:
            Stale: it was saved by somebody else since `version` was read; nothing is written.
        """
        with self._write() as database:
            changed = database.execute(
                "UPDATE drafts SET form = ?, extra = ?, version = version + 1, changed = ?"
                " WHERE id = ? AND version = ?",
                (json.dumps(form), json.dumps(extra), time.time(), id, version),
            )
            if not changed.rowcount:
                raise Stale("this was changed in another window", where=id)
        return self.draft(id)

    def remove_draft(self, id: str) -> None:
        """Throw a draft away."""
        with self._write() as database:
            database.execute("DELETE FROM drafts WHERE id = ?", (id,))

    # -- who did what --------------------------------------------------------------------------------------------------

    def note(self, who: str, what: str, about: str = "") -> None:
        """Add a line to the list of what was done."""
        with self._write() as database:
            last = database.execute("SELECT digest FROM audit ORDER BY id DESC LIMIT 1").fetchone()
            line = (time.time(), who, what, about[:500])
            digest = _chained(last["digest"] if last else "", line)
            database.execute("INSERT INTO audit (at, who, what, about, digest) VALUES (?,?,?,?,?)", (*line, digest))

    def notes(self, limit: int = 200) -> list[dict[str, Any]]:
        """Return the last lines of the list, the latest first."""
        rows = self._open().execute("SELECT * FROM audit ORDER BY id DESC LIMIT ?", (limit,))
        return [dict(row) for row in rows]

    def is_whole(self) -> bool:
        """Say whether no line of the list was changed or taken out."""
        before = ""
        for row in self._open().execute("SELECT * FROM audit ORDER BY id"):
            before = _chained(before, (row["at"], row["who"], row["what"], row["about"]))
            if before != row["digest"]:
                return False
        return True

    # -- inside -------------------------------------------------------------------------------------------------------

    def _open(self) -> sqlite3.Connection:
        return connection(self.path, self._local, "foreign_keys = ON")

    def _write(self) -> contextlib.AbstractContextManager[sqlite3.Connection]:
        return transaction(self._open())


def _person(row: sqlite3.Row) -> Person:
    return Person(
        id=row["id"],
        name=row["name"],
        email=row["email"],
        role=row["role"],
        closed=bool(row["closed"]),
        has_password=bool(row["password"]),
    )


def _draft(row: sqlite3.Row) -> Draft:
    values = {key: row[key] for key in ("id", "course", "person", "place", "version", "changed")}
    return Draft(form=json.loads(row["form"]), extra=json.loads(row["extra"]), **values)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _chained(before: str, line: tuple[Any, ...]) -> str:
    return hashlib.sha256(json.dumps([before, *line]).encode()).hexdigest()


def _hasher() -> Any:
    from argon2 import PasswordHasher

    return PasswordHasher()  # argon2id with the library's current advice


def _hashed(password: str) -> str:
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise UsageError(
            f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters", hint="A short sentence is good."
        )
    return str(_hasher().hash(password))


_nobody: list[str] = []


def _of_nobody() -> str:
    """Return the hash of a password that nobody knows, so that an unknown name takes as long as a known one."""
    if not _nobody:
        _nobody.append(_hashed(secrets.token_urlsafe(32)))
    return _nobody[0]


def _verified(hashed: str, password: str) -> bool:
    from argon2.exceptions import Argon2Error, InvalidHashError

    try:
        return bool(_hasher().verify(hashed, password[: MAX_PASSWORD + 1]))
    except (Argon2Error, InvalidHashError):
        return False
