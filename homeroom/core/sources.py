"""Where a leaf's documents are: a git address or a folder, and which of its files match.

`check` only looks, `documents` reads; both must decide alike, so the decision is made here. A `qna.yaml` may come
from a stranger, so nothing it says reaches outside the course, or the git repository that the course lies in: not by
`..`, not by an absolute path, not through a symbolic link.
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from homeroom.core.errors import ContentError

MAX_FILES = 50_000  # looked at below one folder
_SCP = re.compile(r"[A-Za-z0-9_][\w.-]*@[A-Za-z0-9][\w.-]*:[^:\s]+")  # git@github.com:org/repo.git
WEB_DOCUMENTS = (".md", ".markdown", ".txt", ".html", ".htm", ".xhtml", ".pdf", ".docx", ".odt", ".pptx", ".epub")
_WILD = re.compile(r"[*?\[]")


def is_git_address(repo: str) -> bool:
    """Say whether `repo` is meant as a git address rather than a folder.

    Example:
        >>> [is_git_address(r) for r in ("https://a.org/b.git", "git@a.org:b.git", "docs", "ext::sh")]
        [True, True, False, True]
    """
    return "://" in repo or "::" in repo or _SCP.fullmatch(repo) is not None


def is_web_document(repo: str) -> bool:
    """Say whether `repo` is the https address of one document rather than of a git repository.

    Example:
        >>> [is_web_document(r) for r in ("https://a.org/b.PDF?x=1", "https://a.org/b.git", "http://a.org/b.pdf")]
        [True, False, False]
    """
    path = repo.partition("?")[0].partition("#")[0].lower()
    return path.startswith("https://") and path.count("/") > 2 and path.endswith(WEB_DOCUMENTS)


def boundary(course: Path) -> Path:
    """Return the folder that local documents must lie in: the git repository around the course, else the course."""
    course = course.resolve()
    return next((folder for folder in (course, *course.parents) if (folder / ".git").exists()), course)


def local_folder(repo: str, *, leaf: str, course: Path) -> Path:
    """Return the existing folder that a leaf's `repo` names, resolved; relative means relative to the leaf.

    Raises:
        ContentError: it does not exist, is not a folder, or lies outside the boundary.
    """
    if "\0" in repo:
        raise ContentError("the document folder's name holds a zero byte", where=f"{leaf}/qna.yaml")
    inside = boundary(course)
    folder = (course / leaf / repo).resolve()
    if not folder.is_relative_to(inside):
        raise ContentError(
            f"the document folder {repo!r} lies outside {inside}",
            where=f"{leaf}/qna.yaml",
            hint="Move the documents into the course (or the git repository around it), or name a git address.",
        )
    if not folder.is_dir():
        raise ContentError(
            f"the document folder {repo!r} does not exist" if not folder.exists() else f"{repo!r} is not a folder",
            where=f"{leaf}/qna.yaml",
            hint="`repo` is a folder relative to the leaf (`.` is the leaf itself) or a git address.",
        )
    return folder


def find_files(folder: Path, pattern: str, *, inside: Path, where: str = "") -> list[str]:
    """Return the files below `folder` that match, as sorted relative names with forward slashes.

    A pattern that names a folder means every file in it. Hidden files match only a pattern that names them. Nothing
    matching is an empty list.

    Raises:
        ContentError: the pattern climbs out, a matching file is a link that leads out, or the folder is too large.
    """
    check_pattern(pattern, where=where)
    plain = pattern.rstrip("/")
    if not _WILD.search(plain) and (folder / plain).is_file():
        found = [Path(plain).as_posix()]
    elif not _WILD.search(plain) and (folder / plain).is_dir():
        below = _walk(_contained(folder, plain, inside, where), where)
        found = [name if plain in ("", ".") else f"{Path(plain).as_posix()}/{name}" for name in below]
    else:
        found = matching(_walk(folder, where), plain)
    for name in found:
        _contained(folder, name, inside, where)
    return sorted(name for name in found if (folder / name).is_file())  # a pipe would be read for ever


def check_pattern(pattern: str, *, where: str = "") -> None:
    """Refuse a pattern that could name anything outside its folder.

    Raises:
        ContentError: it is absolute, or holds `..`, a backslash or a control character.
    """
    parts = pattern.split("/")
    if pattern.startswith(("/", "~", "-")) or ".." in parts or not pattern.isprintable() or "\\" in pattern:
        raise ContentError(
            f"the pattern {pattern!r} must be a relative path with forward slashes, without '..'",
            where=where,
            hint="For example: claims-handbook.md, docs/*.md or docs/**/*.md. Name a parent folder with `repo: ..`.",
        )


def matching(names: Iterable[str], pattern: str) -> list[str]:
    """Return the names that match a glob pattern, or lie in the folder that it names, in their order.

    Example:
        >>> matching(["a.md", "x/b.md", ".c.md", "x/d.txt"], "**/*.md"), matching(["x/b.md", "xy.md"], "x")
        (['a.md', 'x/b.md'], ['x/b.md'])
    """
    parts = _compiled(pattern.rstrip("/"))
    return [name for name in names if _matches(name.split("/"), parts)]


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> tuple[re.Pattern[str] | None, ...]:
    """Return one regular expression a part, None for `**`; `fnmatch` makes them safe from exponential matching."""
    if len(pattern) > 500:
        raise ContentError(f"the pattern {pattern[:40]!r}... is too long")
    parts = [None if part == "**" else re.compile(fnmatch.translate(part)) for part in pattern.split("/")]
    if pattern in ("", "."):
        return (None,)
    return (*parts, None) if not _WILD.search(pattern) else tuple(parts)


def _matches(names: list[str], parts: tuple[re.Pattern[str] | None, ...]) -> bool:
    at = _with_empty({0}, parts)  # how many parts may have been used up
    for name in names:
        reached = set()
        for i in at:
            if i == len(parts):
                continue
            part = parts[i]
            if part is None:
                reached |= set() if name.startswith(".") else {i}
            elif part.match(name) and (not name.startswith(".") or part.pattern.startswith("(?s:\\.")):
                reached.add(i + 1)
        at = _with_empty(reached, parts)
        if not at:
            return False
    return len(parts) in at


def _with_empty(at: set[int], parts: tuple[re.Pattern[str] | None, ...]) -> set[int]:
    for i in range(len(parts)):
        if i in at and parts[i] is None:
            at.add(i + 1)  # `**` stands for no folder as well
    return at


def _walk(folder: Path, where: str) -> list[str]:
    names: list[str] = []
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        relative = Path(root).relative_to(folder).as_posix()
        names += [name if relative == "." else f"{relative}/{name}" for name in files if not name.startswith(".")]
        if len(names) > MAX_FILES:
            raise ContentError(
                f"more than {MAX_FILES:,} files lie below {folder}",
                where=where,
                hint="Name a smaller folder in `repo`, or the files one by one in `patterns`.",
            )
    return names


def _contained(folder: Path, name: str, inside: Path, where: str) -> Path:
    path = (folder / name).resolve()
    if not path.is_relative_to(inside):
        raise ContentError(
            f"{name} is a link that leads outside {inside}", where=where, hint="Copy the file instead of linking it."
        )
    return path
