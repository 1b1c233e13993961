"""What `homeroom check` says of a taxonomy: the schema's verdict, and what a person would like to know beside it.

Errors are those of `rules.py` and a document that is not there. The rest are warnings: white space that InstructLab's
own tools refuse, no attribution, seed examples that contradict each other. Nothing is cloned or fetched.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from homeroom.core.errors import ContentError
from homeroom.core.sources import boundary, find_files, is_git_address, local_folder
from homeroom.core.types import Leaf
from homeroom.taxonomy.parse import MAX_BYTES, Place
from homeroom.taxonomy.problem import Faults, Problem
from homeroom.taxonomy.read import Taxonomy, read_taxonomy

MAX_LINES = 20  # of one kind of white space, listed in one file


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """The verdict over all paths. `version`, `ok`, `leaves` and `problems` are the contract of `--json`."""

    version: int = 1
    ok: bool
    leaves: tuple[str, ...]  # the paths of the leaves without an error
    problems: tuple[Problem, ...]  # files as a person would type them from where they stand

    def to_json(self) -> dict[str, object]:
        """Return the object that `homeroom check --json` prints, every field present."""
        problems = [{name: getattr(p, name) for name in Problem.__dataclass_fields__} for p in self.problems]
        return {"version": self.version, "ok": self.ok, "leaves": list(self.leaves), "problems": problems}


def check(paths: Iterable[Path]) -> CheckResult:
    """Check courses, folders inside them and single `qna.yaml` files; never raises for what they hold."""
    leaves: dict[Path, Leaf] = {}
    problems: list[Problem] = []
    for path in paths:
        taxonomy = read_taxonomy(path)
        found = [*taxonomy.problems]
        for name in taxonomy.files:
            found += _beside_schema(path / name if path.is_dir() else path, name)
        for leaf in taxonomy.leaves:
            found += _document_problems(leaf, taxonomy, path)
        found += _contradictions(taxonomy, path)
        refused = {p.file for p in found if p.severity == "error"}
        for leaf in taxonomy.leaves:
            if _file_of(leaf, taxonomy, path) not in refused:
                leaves[taxonomy.course / leaf.path] = leaf
        base = path if path.is_dir() else path.parent
        problems += [replace(p, file=_joined(base, p.file)) for p in found]
    unique = dict.fromkeys(sorted(problems, key=lambda p: (p.file, p.line, p.column, p.code)))
    ok = not any(p.severity == "error" for p in unique)
    return CheckResult(ok=ok, leaves=tuple(sorted(leaf.path for leaf in leaves.values())), problems=tuple(unique))


def format_problem(problem: Problem) -> str:
    """Return one problem as compilers write them, so that editors can jump to it.

    Example:
        >>> format_problem(Problem(file="a/qna.yaml", line=3, column=5, code="empty", message="answer is empty"))
        'a/qna.yaml:3:5: error: answer is empty [empty]'
    """
    text = f"{problem.file}:{problem.line}:{problem.column}: {problem.severity}: {problem.message} [{problem.code}]"
    return f"{text}\n  -> {problem.hint}" if problem.hint else text


def _joined(base: Path, name: str) -> str:
    return Path(os.path.normpath(base / name)).as_posix()


def _file_of(leaf: Leaf, taxonomy: Taxonomy, path: Path) -> str:
    """Return what the problems of a leaf call its file: its name relative to the path that was given."""
    base = path.resolve() if path.is_dir() else path.resolve().parent
    return Path(os.path.relpath(taxonomy.course / leaf.path / "qna.yaml", base)).as_posix()


# -- white space and attribution ---------------------------------------------------------------------------------

_LINT = "InstructLab's own tools refuse this in version 2 and 3."


def _beside_schema(path: Path, name: str) -> list[Problem]:
    faults = Faults(name)
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES)
    except OSError:
        return []  # said by read_taxonomy
    if content.startswith(b"\xef\xbb\xbf"):
        faults.warning(None, "byte-order-mark", "the file begins with a byte order mark", "Save it as plain UTF-8.")
    lines = content.decode("utf-8", "replace").split("\n")
    if any(line.endswith("\r") for line in lines):
        number = next(i for i, line in enumerate(lines) if line.endswith("\r"))
        hint = f"Save the file with Unix line ends. {_LINT}"
        faults.warning(Place(number, len(lines[number]) - 1), "line-ends", "lines end with CR LF (Windows)", hint)
    lines = [line.removesuffix("\r") for line in lines]
    trailing = [(i, len(line.rstrip())) for i, line in enumerate(lines) if line != line.rstrip()]
    tabs = [(i, line.index("\t")) for i, line in enumerate(lines) if "\t" in line.rstrip()]
    for found, code, message in ((trailing, "trailing-space", "white space ends the line"), (tabs, "tab", "a tab")):
        for number, (i, column) in enumerate(found[:MAX_LINES], 1):
            more = f", and {len(found) - MAX_LINES} more lines" if number == MAX_LINES < len(found) else ""
            hint = f"Remove it. {_LINT}" if code == "trailing-space" else "Use spaces."
            faults.warning(Place(i, column), code, message + more, hint)
    if content and lines[-1]:
        place = Place(len(lines) - 1, len(lines[-1]))
        faults.warning(place, "final-newline", "the last line does not end", f"Add a line end. {_LINT}")
    attribution = path.parent / "attribution.txt"
    if not attribution.is_file() or not attribution.stat().st_size:
        hint = "Write Title of work, Link to work, License of the work and Creator names; `-` for your own work."
        faults.warning(None, "attribution", "there is no attribution.txt beside it, or it is empty", hint)
    return faults.found


# -- documents and contradictions --------------------------------------------------------------------------------


def _document_problems(leaf: Leaf, taxonomy: Taxonomy, path: Path) -> list[Problem]:
    """Return an error for each pattern of a local source that no file matches; git addresses are not looked at."""
    source = leaf.source
    if source is None or is_git_address(source.repo):
        return []
    faults = Faults(_file_of(leaf, taxonomy, path))
    at = Place(_line_of("document:", taxonomy.course / leaf.path / "qna.yaml"), 0)
    try:
        folder = local_folder(source.repo, leaf=leaf.path, course=taxonomy.course)
        for pattern in source.patterns:
            if not find_files(folder, pattern, inside=boundary(taxonomy.course)):
                shown = pattern if source.repo == "." else f"{source.repo}/{pattern}"
                hint = "Put the file there, or correct the name; it is relative to the folder of the qna.yaml."
                faults.error(at, "missing-document", f"the document {shown} does not exist", hint)
    except ContentError as error:
        faults.error(at, "document", error.message, error.hint)
    return faults.found


def _line_of(start: str, path: Path) -> int:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        return next((number for number, line in enumerate(file) if line.startswith(start)), 0)


def _contradictions(taxonomy: Taxonomy, path: Path) -> list[Problem]:
    """Return a warning where two leaves answer the same question, without a context to tell them apart, differently."""
    first: dict[str, tuple[Leaf, str]] = {}
    problems = []
    for leaf in taxonomy.leaves:
        for seed in leaf.seeds:
            key = " ".join(seed.question.casefold().split())
            if leaf.kind == "grounded_skill":
                key += "\0" + " ".join(seed.context.casefold().split())
            other, answer = first.setdefault(key, (leaf, seed.answer))
            if other.path != leaf.path and answer.casefold().split() != seed.answer.casefold().split():
                faults = Faults(_file_of(leaf, taxonomy, path))
                message = f"{seed.question[:80]!r} is answered otherwise in {other.path}"
                faults.warning(None, "contradiction", message, "Make the questions differ, or the answers agree.")
                problems += faults.found
    return problems
