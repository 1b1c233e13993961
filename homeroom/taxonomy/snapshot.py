"""A state of a taxonomy as names and ids: a folder on disk, or a commit of the repository around it.

The ids are the ones that git gives to contents, so that a commit (whose ids git knows) and a folder (whose files are
hashed) can be compared without reading the commit; what is read, is read from where it lies, never checked out.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homeroom.core.errors import ContentError
from homeroom.taxonomy.history import Commit, read_blobs
from homeroom.taxonomy.parse import MAX_BYTES
from homeroom.taxonomy.read import TREES

MAX_FILES = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The files of a taxonomy at one time."""

    name: str
    files: Mapping[str, str]  # name relative to the course -> id of its content
    read: Callable[[Sequence[str]], dict[str, bytes]]


def on_disk(course: Path, *, within: str = "", object_id: int = 64) -> Snapshot:
    """Return a folder's files; hidden and linked ones are passed over.

    Args:
        within: Only what lies below this folder, relative to the course.
        object_id: Digits of the ids: 40 or 64, as the git repository that it is compared with has them.

    Raises:
        ContentError: there are too many files.
    """
    new = hashlib.sha1 if object_id == 40 else hashlib.sha256
    files: dict[str, str] = {}
    for tree in TREES:
        for here, folders, names in os.walk(course / tree):
            folders[:] = sorted(n for n in folders if not n.startswith(".") and not os.path.islink(f"{here}/{n}"))
            relative = os.path.relpath(here, course).replace(os.sep, "/")
            for name in names:
                path = f"{relative}/{name}"
                if not name.startswith(".") and _is_within(path, within) and _is_plain(f"{here}/{name}"):
                    files[path] = _object_id(Path(here, name), new)
            if len(files) > MAX_FILES:
                raise ContentError(f"more than {MAX_FILES:,} files", where=str(course), hint="Name a smaller folder.")

    def read(names: Sequence[str]) -> dict[str, bytes]:
        contents = {}
        for name in names:
            with (course / name).open("rb") as file:
                contents[name] = file.read(MAX_BYTES + 1)
        return contents

    return Snapshot(name=str(course), files=files, read=read)


def at_commit(commit: Commit, *, within: str = "") -> Snapshot:
    """Return the files of a commit."""
    hidden = {name for name in commit.files if any(part.startswith(".") for part in name.split("/"))}
    files = {n: i for n, i in commit.files.items() if n not in hidden and _is_within(n, within)}
    return Snapshot(name=commit.hash[:12], files=files, read=lambda names: read_blobs(commit, names))


def _is_within(path: str, within: str) -> bool:
    return not within or path == within or path.startswith(f"{within}/")


def _is_plain(path: str) -> bool:
    return os.path.isfile(path) and not os.path.islink(path)


def _object_id(path: Path, new: Callable[..., Any]) -> str:
    """Return the id that git gives a file: a hash of its length and its bytes."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        digest = new(b"blob %d\0" % size)
        while part := file.read(2**20):
            digest.update(part)
    return str(digest.hexdigest())
