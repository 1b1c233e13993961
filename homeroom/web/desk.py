"""What all pages share: the courses of one folder, the queue, the memory, and the child that answers.

A tree of ten thousand leaves takes seconds to read, so it is read beside the requests: a page gets the last one, and a
new one is begun where something on disk has changed since. Only ids that were listed here lead to a folder.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from homeroom.author.survey import survey
from homeroom.core.errors import ContentError, HomeroomError, UsageError
from homeroom.core.files import read_json
from homeroom.jobs.queue import Job, Queue
from homeroom.taxonomy.read import TREES
from homeroom.taxonomy.tree import Tree
from homeroom.web.answers import Answers
from homeroom.web.asked import NotFound
from homeroom.web.store import Store

STATE = ".homeroom"  # below the folder of the courses; hidden, so that no taxonomy enters it
FRESH_S = 5.0  # that a tree is taken as it is
MAX_COURSES = 200
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CourseEntry:
    """A course, as the list shows it."""

    id: str
    folder: Path
    title: str


@dataclass(slots=True)
class _Kept:
    tree: Tree
    stamp: tuple[Any, ...]
    read_at: float
    is_reading: bool = False


@dataclass
class Desk:
    """The server's state; `home` is a course, or a folder with courses."""

    home: Path
    is_proxied: bool = False  # so that every visitor seems to come from one address
    store: Store = field(init=False)
    queue: Queue = field(init=False)
    answers: Answers = field(init=False)
    _trees: dict[str, _Kept] = field(default_factory=dict)
    _made: dict[tuple[str, str], tuple[Any, Any]] = field(default_factory=dict)
    _reading: dict[str, threading.Lock] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.store = Store(self.state / "web.db")
        self.queue = Queue(self.state / "jobs.db")
        self.answers = Answers(options=lambda: server_options(self))

    @property
    def state(self) -> Path:
        """Where the server keeps what is not part of a course."""
        return self.home / STATE

    # -- courses -------------------------------------------------------------------------------------------------------

    def courses(self) -> list[CourseEntry]:
        """Return the courses, by name."""
        if is_course(self.home):
            return [_entry(self.home)]
        found = (p for p in sorted(self.home.iterdir()) if not p.name.startswith(".") and not p.is_symlink())
        return [_entry(p) for p in found if _ID.fullmatch(p.name) and p.is_dir() and is_course(p)][:MAX_COURSES]

    def course(self, id: str) -> CourseEntry:
        """Return one course.

        Raises:
            NotFound: there is none of this id.
        """
        folder = self.home if is_course(self.home) else self.home / id
        if not _ID.fullmatch(id) or (folder.name if folder != self.home else _entry(self.home).id) != id:
            raise NotFound("there is no such course")
        if folder.is_symlink() or not is_course(folder):
            raise NotFound("there is no such course")
        return _entry(folder)

    def tree(self, course: CourseEntry) -> Tree:
        """Return the course's tree: at once where one is known, else when it is read."""
        with self._lock:
            kept = self._trees.get(course.id)
            if kept is not None:
                if time.monotonic() - kept.read_at > FRESH_S and not kept.is_reading:
                    kept.is_reading = True
                    threading.Thread(target=self._read_again, args=(course, kept), daemon=True).start()
                return kept.tree
            first = self._reading.setdefault(course.id, threading.Lock())
        with first:  # whoever comes while it is read waits for it, instead of reading it as well
            with self._lock:
                kept = self._trees.get(course.id)
            if kept is None:
                stamp = stamp_of(course.folder)
                kept = _Kept(_survey(course.folder), stamp, time.monotonic())
                with self._lock:
                    self._trees[course.id] = kept
        return kept.tree

    def forget_tree(self, course: CourseEntry) -> None:
        """Read the tree anew before the next page: something was changed here."""
        with self._lock:
            self._trees.pop(course.id, None)

    def _read_again(self, course: CourseEntry, kept: _Kept) -> None:
        try:
            stamp = stamp_of(course.folder)
            tree = kept.tree if stamp == kept.stamp else _survey(course.folder)
            with self._lock:
                if self._trees.get(course.id) is kept:
                    self._trees[course.id] = _Kept(tree, stamp, time.monotonic())
        finally:
            kept.is_reading = False

    def made(self, course: CourseEntry, name: str, of: Any, make: Callable[[], Any]) -> Any:
        """Return what `make` makes, kept until `of` is another value."""
        key = (course.id, name)
        with self._lock:
            known = self._made.get(key)
        if known is not None and known[0] == of:
            return known[1]
        value = make()
        with self._lock:
            self._made[key] = (of, value)
        return value

    def report(self, course: CourseEntry) -> dict[str, Any] | None:
        """Return the course's last report."""
        path = course.folder / "out" / "report" / "report.json"
        try:
            return read_json(path) if path.is_file() else None
        except HomeroomError:
            return None

    def jobs_of(self, course: CourseEntry, limit: int = 50) -> list[Job]:
        """Return the jobs of a course, the latest first."""
        return [job for job in self.queue.jobs(limit=500) if job.spec.get("course") == course.id][:limit]


def server_options(desk: Desk) -> tuple[str, ...]:
    """Return settings that the server's owner gave for all courses, never a visitor.

    Raises:
        ContentError: the file is no list of texts; private mode may be in it, so nothing is done without it.
    """
    path = desk.state / "options.json"
    found = read_json(path) if path.is_file() else []
    if not isinstance(found, list) or not all(isinstance(option, str) for option in found):
        raise ContentError("is not a list of settings", where=str(path), hint="docs/web.md shows one.")
    return tuple(found)


def is_course(folder: Path) -> bool:
    """Say whether a folder is a course."""
    return any((folder / name).is_dir() for name in TREES)


def _entry(folder: Path) -> CourseEntry:
    name = folder.resolve().name
    id = name if _ID.fullmatch(name) else "course"
    return CourseEntry(id=id, folder=folder, title=name.replace("-", " ").replace("_", " "))


def _survey(folder: Path) -> Tree:
    try:
        return survey(folder)
    except ContentError:
        return Tree(course=folder.resolve().name, leaves=(), gaps=())


def stamp_of(folder: Path) -> tuple[Any, ...]:
    """Return a value that changes when a leaf, its documents or the report do."""
    found: list[Any] = []
    for tree in TREES:
        for here, folders, names in os.walk(folder / tree):
            folders[:] = sorted(f for f in folders if not f.startswith("."))
            for name in names:
                try:
                    stat = os.stat(f"{here}/{name}")
                    found.append(hash((here, name, stat.st_mtime_ns, stat.st_size)))
                except OSError:
                    continue
    for name in ("out/report/report.json", "out/documents/record.json"):
        path = folder / name
        found.append(path.stat().st_mtime_ns if path.is_file() else 0)
    return (len(found), hash(tuple(found)))


def new_course(home: Path, name: str, example: str) -> str:
    """Make a course from an example, or an empty one, and return its id.

    Raises:
        UsageError: the name cannot be used, or is taken.
    """
    import shutil

    if is_course(home):
        raise UsageError("this server has one course only", hint="Start it on a folder of courses to have several.")
    id = re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-")[:60]
    if not id or (home / id).exists():
        raise UsageError("this name is taken, or has no letters", where="name")
    examples = Path(__file__).resolve().parent.parent / "data" / "examples"
    known = sorted(p.name for p in examples.iterdir() if p.is_dir())
    if example and example not in known:
        raise UsageError("there is no such example", where="example")
    if example:
        shutil.copytree(examples / example, home / id)
    for tree in TREES:
        (home / id / tree).mkdir(parents=True, exist_ok=True)
    return id
