"""A course, a folder inside one, or one `qna.yaml` -> leaves, and every problem of the tree at once.

    knowledge/**/qna.yaml            facts, with documents
    compositional_skills/**/qna.yaml skills
    foundational_skills/             known to InstructLab, used by nobody: skipped without a word

Faulty content never raises: a leaf with an error is left out and its problems say why. What looks like a leaf but
would be ignored (`qna.yml`, a `qna.yaml` in a folder that is not of the taxonomy) is said too, because "valid file,
nothing happens" is the complaint that InstructLab's users had most.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Literal

from yaml.nodes import MappingNode, Node

from homeroom.core.types import Leaf
from homeroom.taxonomy.names import check_folder_name
from homeroom.taxonomy.parse import MAX_BYTES, fields, parse
from homeroom.taxonomy.problem import Faults, Problem
from homeroom.taxonomy.rules import Tree, read_leaf
from homeroom.taxonomy.unread import check_was_read

__all__ = ["Problem", "Taxonomy", "read_taxonomy"]

TREES: tuple[Tree, ...] = ("knowledge", "compositional_skills")
SKIPPED = "foundational_skills"
MAX_LEAVES = 10_000
MANY = 1_000  # leaves from which on a second process is worth its start
MAX_FOLDERS = 50_000
MAX_DEPTH = 32  # folders below each other


@dataclass(frozen=True, slots=True, kw_only=True)
class Taxonomy:
    """The leaves without an error, sorted by path, and all problems, sorted by place."""

    leaves: tuple[Leaf, ...]
    problems: tuple[Problem, ...]
    course: Path  # the folder that the leaves' paths are relative to
    files: tuple[str, ...] = ()  # every qna.yaml that was read, relative to the path that was given
    names: dict[str, str] = field(default_factory=dict)  # path of a leaf -> its file, as in `files`

    @property
    def ok(self) -> bool:
        """Whether no problem is an error."""
        return not any(problem.severity == "error" for problem in self.problems)


Look = Callable[[Path, bytes, Node | None, Faults], None]  # told of each file: path, content, top node if it parses


def no_look(path: Path, content: bytes, top: Node | None, faults: Faults) -> None:
    """A `Look` that has nothing to say."""


def read_taxonomy(course: Path, *, look: Look = no_look, processes: int = 1) -> Taxonomy:
    """Read every leaf of a course, or of the folder or single `qna.yaml` of one that `course` is.

    Problems name files relative to `course`; leaves are named relative to the course that holds them. `look` may add
    problems about a file while its content is at hand; with several `processes`, used for large taxonomies alone, it
    must be something that can be sent to another process.
    """
    leaves: list[Leaf] = []
    problems: list[Problem] = []
    files: list[str] = []
    names: dict[str, str] = {}
    root = _course_of(course)
    found = list(islice(_candidates(course, root, problems), MAX_LEAVES + 1))
    if len(found) > MAX_LEAVES:
        name = found.pop().name
        problems.append(_problem(name, "too-many", f"more than {MAX_LEAVES:,} leaves", "Split the taxonomy."))
    for file, (leaf, faults) in zip(found, _read_all(found, root, look, processes), strict=True):
        files.append(file.name)
        problems += faults
        if leaf:
            leaves.append(leaf)
            names[leaf.path] = file.name
    if not files and not any(problem.severity == "error" for problem in problems):
        hint = "A leaf is a file like knowledge/insurance/claims/qna.yaml; `homeroom init` makes an example."
        problems.append(_problem(".", "no-leaf", "no qna.yaml found under knowledge/ or compositional_skills/", hint))
    return Taxonomy(
        leaves=tuple(sorted(leaves, key=lambda leaf: leaf.path)),
        problems=tuple(sorted(problems, key=lambda p: (p.file, p.line, p.column))),
        course=root,
        files=tuple(files),
        names=names,
    )


Read = tuple[Leaf | None, list[Problem]]


def _read_all(files: list[_Candidate], root: Path, look: Look, processes: int) -> Iterable[Read]:
    read = partial(_read_one, root=root, look=look)
    if processes == 1 or len(files) < MANY:
        return map(read, files)
    # A fresh process each: one that is forked beside threads may hang.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        return list(pool.map(read, files, chunksize=100))


def _read_one(file: _Candidate, *, root: Path, look: Look) -> Read:
    return read_file(file.path, name=file.name, folder=file.folder, root=root, look=look)


def read_file(path: Path, *, name: str, folder: Path, root: Path, look: Look = no_look) -> Read:
    """Read one `qna.yaml`; `name` is what problems call it, `folder` where it lies, resolved, `root` the course."""
    faults = Faults(name)
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        faults.error(None, "unreadable", f"cannot be read ({error.strerror})")
        return None, faults.found
    relative = folder.relative_to(root).as_posix() if folder.is_relative_to(root) else folder.name
    check_folder_name(relative, faults)
    top = None if faults.has_error else parse(content, faults)
    look(path, content, top, faults)
    check_was_read(content, faults)
    if top is None:
        return None, faults.found
    leaf = read_leaf(top, path=relative, tree=tree_of_leaf(relative, top), faults=faults)
    return (None if faults.has_error else leaf), faults.found


def tree_of_leaf(relative: str, top: Node) -> Tree:
    """Return which rules hold for a leaf: by its folder, else, on its own outside a taxonomy, by what it holds."""
    has_document = isinstance(top, MappingNode) and "document" in fields(top)
    return _tree_of(relative) or ("knowledge" if has_document else "compositional_skills")


# -- which files are leaves --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Candidate:
    name: str
    path: Path
    folder: Path  # resolved


def _course_of(path: Path) -> Path:
    """Return the folder that holds the trees: `path` itself, or the one above the last tree in its name."""
    folder = path.resolve()
    if folder.is_dir() and any((folder / name).is_dir() for name in (*TREES, SKIPPED)):
        return folder
    if not folder.is_dir():
        folder = folder.parent
    for above in (folder, *folder.parents):
        if above.name in TREES:
            return above.parent
    return folder.parent if (folder / "qna.yaml").exists() else folder


def _tree_of(relative: str) -> Tree | None:
    """Return the tree that a leaf belongs to: the last of the two names in its path, as InstructLab reads it."""
    return next((tree for part in reversed(relative.split("/")) for tree in TREES if part == tree), None)


def _candidates(course: Path, root: Path, problems: list[Problem]) -> Iterator[_Candidate]:
    """Yield the files to read; say what is in the way or would be ignored."""
    if course.is_file():
        if course.name == "qna.yaml":
            yield _Candidate(course.name, course, course.resolve().parent)
        else:
            problems.append(_problem(course.name, "file-name", "a leaf must be named qna.yaml", "Rename the file."))
        return
    if not course.is_dir():
        problems.append(
            _problem(course.name or ".", "missing-path", "there is no such file or folder", "Check the name.")
        )
        return
    alone = course.resolve().parent == root and _tree_of(course.resolve().relative_to(root).as_posix()) is None
    base = course.resolve()
    for path in _walk(course, root, problems):
        relative = path.relative_to(course)
        name = _shown(relative.as_posix())
        first = (base / relative.parent).relative_to(root).parts[:1]  # no linked folder is entered
        if path.name != "qna.yaml":
            message = f"{path.name} is ignored: a leaf must be named qna.yaml"
            problems.append(_problem(name, "file-name", message, "Rename the file to qna.yaml.", "warning"))
        elif path.is_symlink() and not path.resolve().is_relative_to(root):
            message = "a link that leads out of the course is not read"
            problems.append(_problem(name, "link-outside", message, "Copy the file instead of linking it.", "warning"))
        elif not path.is_file():
            problems.append(_problem(name, "unreadable", "this is not an ordinary file", "Replace it by one."))
        elif (first and first[0] in TREES) or (alone and path.parent == course):
            yield _Candidate(name, path, base / relative.parent)
        else:
            inner = _course_of(path).relative_to(root).as_posix() if _tree_of(name) else ""
            hint = (
                f"{inner} is a course of its own: name it." if inner else f"Move it below {TREES[0]}/ or {TREES[1]}/."
            )
            problems.append(
                _problem(name, "outside-taxonomy", "this qna.yaml is ignored where it lies", hint, "warning")
            )


def _walk(course: Path, root: Path, problems: list[Problem]) -> Iterator[Path]:
    """Yield what is called like a leaf; hidden and linked folders, `out/` and `contributions/` are not entered."""
    top = course.resolve() == root
    for num_folders, (here, folders, names) in enumerate(os.walk(course)):
        folder = Path(here)
        depth = len(folder.relative_to(course).parts)
        if num_folders > MAX_FOLDERS or depth > MAX_DEPTH:
            what = f"deeper than {MAX_DEPTH} folders" if depth > MAX_DEPTH else f"more than {MAX_FOLDERS:,} folders"
            problems.append(_problem(".", "too-large", f"the tree is {what}", "Name the folder of the course itself."))
            return
        links = {name for name in folders if os.path.islink(os.path.join(here, name))}
        for name in links:
            if name in TREES or _tree_of(folder.relative_to(course).as_posix()):
                shown = _shown((folder / name).relative_to(course).as_posix())
                message = "a linked folder is not entered"
                problems.append(_problem(shown, "link", message, "Copy the folder instead of linking it.", "warning"))
        skipped = {"out", "contributions", SKIPPED} | links if top and depth == 0 else links
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in skipped)
        yield from (folder / name for name in sorted(names) if name.lower() in ("qna.yaml", "qna.yml"))


def _shown(name: str) -> str:
    """Return a file name that can be printed and written as UTF-8, whatever bytes it holds on disk."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def _problem(
    file: str, code: str, message: str, hint: str = "", severity: Literal["error", "warning"] = "error"
) -> Problem:
    return Problem(file=file, line=1, column=1, code=code, message=message, hint=hint, severity=severity)
