"""What git knows of the repository that a taxonomy lies in: who changed a leaf last, and what it held at a commit.

The repository may be a stranger's, and its configuration with it, so git is called only to read objects: nothing is
checked out, no index is refreshed, signatures are not verified, no difference or filter program is used, and what is
missing is not fetched. Both questions take one or two processes, however many leaves there are.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from homeroom.core.errors import ContentError, MachineError, UsageError
from homeroom.taxonomy.read import TREES

TIMEOUT_S = 60.0
MAX_LOG_S = 20.0  # of reading history back; leaves that were not met by then have no last change
MAX_LISTING_BYTES = 64 * 2**20
MAX_BLOB_BYTES = 2**20  # of a qna.yaml, as `parse.py` has it

_OBJECT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The last commit that touched a leaf's folder."""

    author: str
    date: str  # ISO 8601, with the author's offset
    commit: str


def last_changes(course: Path, leaves: Sequence[str]) -> dict[str, Change]:
    """Return the last change of each leaf that git knows; `{}` where the course is in no repository, or git is missing.

    Args:
        leaves: Their folders, relative to the course. A change of any file in the folder counts, one of a leaf
            further down does not. Commits that only merge do not count.
    """
    wanted, found = set(leaves), dict[str, Change]()
    arguments = ["log", "--no-show-signature", "--no-ext-diff", "--no-textconv", "--no-renames", "--no-mailmap"]
    arguments += ["--relative", "--name-only", "-z", "--format=%x01%H%x1f%aI%x1f%an", "HEAD", "--", *TREES]
    current: Change | None = None
    for token in _tokens(course, arguments):
        if token.startswith("\x01"):  # a name begins with that of a tree, so nothing can pass for a commit
            commit, date, author = token[1:].split("\x1f", 2)
            current = Change(author=author, date=_date(date), commit=commit)
        elif current is not None and (leaf := _leaf_of(token, wanted)):
            found.setdefault(leaf, current)
            if len(found) == len(wanted):
                break
    return found


def _leaf_of(name: str, leaves: set[str]) -> str:
    folder = name.rpartition("/")[0]
    while folder and folder not in leaves:
        folder = folder.rpartition("/")[0]
    return folder


def _date(text: str) -> str:
    try:
        return datetime.fromisoformat(text).isoformat()
    except ValueError:
        return datetime.fromtimestamp(0, UTC).isoformat()  # a commit from the year 200,000


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """The regular files of a course's trees at one commit."""

    course: Path
    hash: str
    files: Mapping[str, str]  # name relative to the course -> object id


def open_commit(course: Path, ref: str) -> Commit | None:
    """Return what the course held at `ref`; None where it lies in no git repository.

    Raises:
        UsageError: `ref` could be taken for an option, or names no commit.
        MachineError: git is missing.
    """
    if ref.startswith("-") or not ref.strip() or not ref.isprintable() or len(ref) > 250 or ":" in ref:
        hint = "For example main, v1.2, HEAD~3, or the hash of a commit."
        raise UsageError(f"{ref[:80]!r} cannot be the name of a commit", where="--base", hint=hint)
    if _git(course, ["rev-parse", "--git-dir"]) is None:
        return None
    found = _git(course, ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}"])
    commit = (found or b"").decode("ascii", "replace").strip()
    if not _OBJECT.fullmatch(commit):
        hint = "git branch -a and git tag list names; a folder works too."
        raise UsageError(f"git knows no commit {ref[:80]!r} here", where="--base", hint=hint)
    listing = _git(course, ["ls-tree", "-r", "-z", commit, "--", *TREES])
    if listing is None or len(listing) > MAX_LISTING_BYTES:
        raise ContentError("git cannot list the files of this commit", where=ref)
    files = {}
    for entry in listing.decode("utf-8", "surrogateescape").split("\0"):
        about, tab, name = entry.partition("\t")
        if tab and about.startswith("100"):  # regular files: links and submodules are no leaves
            files[name] = about.split()[2]
    return Commit(course=course, hash=commit, files=files)


def read_blobs(commit: Commit, names: Sequence[str]) -> dict[str, bytes]:
    """Return the contents of files of a commit, in one exchange; one over 1 MiB is cut there.

    Raises:
        ContentError: an object is missing (a partial clone) or damaged.
    """
    if not names:
        return {}
    given = "".join(f"{commit.files[name]}\n" for name in names).encode()
    answer = _git(commit.course, ["cat-file", "--batch"], given=given)
    contents, at = {}, 0
    for name in names:
        end = (answer or b"").find(b"\n", at)
        head = (answer or b"")[at:end].split()
        if answer is None or end < 0 or len(head) != 3 or head[1] != b"blob":
            hint = "In a partial clone: git fetch --refetch, then again."
            raise ContentError("its content is missing in this repository", where=name, hint=hint)
        size = int(head[2])
        contents[name] = answer[end + 1 : end + 1 + min(size, MAX_BLOB_BYTES + 1)]
        at = end + 2 + size
    return contents


# -- git itself --------------------------------------------------------------------------------------------------

_SAFE = ("core.hooksPath=/dev/null", "core.fsmonitor=false", "core.pager=cat", "log.showSignature=false")


def _command(course: Path, arguments: Sequence[str]) -> list[str]:
    safe = [part for setting in (*_SAFE, "safe.bareRepository=explicit") for part in ("-c", setting)]
    return ["git", "--no-pager", "--no-optional-locks", "--literal-pathspecs", *safe, "-C", str(course), *arguments]


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    fixed = {
        "GIT_ALLOW_PROTOCOL": "none",  # a partial clone would otherwise fetch what is missing, by any command it names
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "LC_ALL": "C",
    }
    return kept | fixed


def _git(course: Path, arguments: Sequence[str], *, given: bytes = b"") -> bytes | None:
    """Return what git says, or None where it fails."""
    try:
        done = subprocess.run(
            _command(course, arguments),
            input=given,
            capture_output=True,
            env=_environment(),
            timeout=TIMEOUT_S,
        )
    except FileNotFoundError:
        raise MachineError("git is not installed", hint="Install git, or compare two folders.") from None
    except subprocess.TimeoutExpired:
        raise MachineError(f"git took longer than {TIMEOUT_S:.0f} s", where=str(course)) from None
    return done.stdout if done.returncode == 0 else None


def _tokens(course: Path, arguments: Sequence[str]) -> Iterator[str]:
    """Yield what git writes between zero bytes, as it comes; whoever has enough stops, and git with it."""
    try:
        process = subprocess.Popen(
            _command(course, arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
        )
    except FileNotFoundError:
        return
    assert process.stdout is not None
    rest, deadline = b"", time.monotonic() + MAX_LOG_S
    try:
        while (part := process.stdout.read1(2**16)) and time.monotonic() < deadline:
            *whole, rest = (rest + part).split(b"\0")
            yield from (token.decode("utf-8", "surrogateescape").lstrip("\n") for token in whole)
            if len(rest) > MAX_LISTING_BYTES:
                return
    finally:
        process.kill()
        process.stdout.close()
        process.wait()
