"""What `homeroom check` says of a taxonomy: the schema's verdict, and what a person would like to know beside it.

Errors are those of `rules.py` and a document that is not there. The rest are warnings: white space that InstructLab's
own tools refuse (errors with `strict`), an attribution that says too little, a licence that the course does not allow,
folders that are taken for one another, seed examples that contradict each other. Nothing is cloned or fetched.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from yaml.nodes import Node

from homeroom.core.config import Taxonomy as Settings
from homeroom.core.config import read_recipe
from homeroom.core.errors import ContentError
from homeroom.core.sources import boundary, find_files, is_git_address, local_folder
from homeroom.core.types import Leaf
from homeroom.taxonomy.attribution import MAX_BYTES, check_attribution, licence_fault
from homeroom.taxonomy.formats import format_problem
from homeroom.taxonomy.lint import line_ends, lint
from homeroom.taxonomy.names import collisions
from homeroom.taxonomy.parse import Place, loader_of
from homeroom.taxonomy.problem import Faults, Problem
from homeroom.taxonomy.read import Taxonomy, read_taxonomy
from homeroom.taxonomy.rules import version_of

__all__ = ["CheckResult", "check", "format_problem"]

MAX_LINES = 20  # that end in white space, listed in one file


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


def check(paths: Iterable[Path], *, strict: bool = False, processes: int = 1) -> CheckResult:
    """Check courses, folders inside them and single `qna.yaml` files; never raises for what they hold.

    Args:
        paths: What to check.
        strict: Count as an error what the lint of InstructLab's own tools refuses in files of version 2 and 3.
        processes: How many may read a large taxonomy at once.
    """
    leaves: dict[Path, Leaf] = {}
    problems: list[Problem] = []
    for path in paths:
        taxonomy = read_taxonomy(path, look=partial(_look, strict=strict), processes=processes)
        allowed, found = _allowed_licences(taxonomy.course, path)
        found += [*taxonomy.problems, *_attributions(taxonomy, path, allowed), *_collisions(taxonomy)]
        inside = boundary(taxonomy.course)
        for leaf in taxonomy.leaves:
            found += _document_problems(leaf, taxonomy, inside, allowed)
        found += _contradictions(taxonomy)
        refused = {p.file for p in found if p.severity == "error"}
        for leaf in taxonomy.leaves:
            if taxonomy.names[leaf.path] not in refused:
                leaves[taxonomy.course / leaf.path] = leaf
        base = path if path.is_dir() else path.parent
        problems += [replace(p, file=_joined(base, p.file)) for p in found]
    unique = dict.fromkeys(sorted(problems, key=lambda p: (p.file, p.line, p.column, p.code)))
    ok = not any(p.severity == "error" for p in unique)
    return CheckResult(ok=ok, leaves=tuple(sorted(leaf.path for leaf in leaves.values())), problems=tuple(unique))


def _joined(base: Path, name: str) -> str:
    return os.path.normpath(os.path.join(base, name)).replace(os.sep, "/")


# -- each file, while it is at hand -----------------------------------------------------------------------------------

_LINT = "InstructLab's own tools refuse this in version 2 and 3."
_HINTS = {
    "trailing-space": f"Remove it, or let --fix do so. {_LINT}",
    "final-newline": f"Add a line end, or let --fix do so. {_LINT}",
}


def _look(path: Path, content: bytes, top: Node | None, faults: Faults, *, strict: bool) -> None:
    """Add what the schema does not speak of: byte order mark, line ends, white space; all of the lint if `strict`."""
    if content.startswith(b"\xef\xbb\xbf"):
        faults.warning(None, "byte-order-mark", "the file begins with a byte order mark", "Save it as plain UTF-8.")
    text = content.decode("utf-8", "replace")
    at = text.find("\r")
    if at >= 0:
        place = Place(text.count("\n", 0, at), at - text.rfind("\n", 0, at) - 1)
        hint = "Save the file with Unix line ends, or let --fix do so."
        faults.warning(place, "line-ends", "lines end with CR LF (Windows)", hint)
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if strict and top is not None and version_of(top) > 1:
        for complaint in lint(text, top, loader_of(text)):
            faults.error(complaint, complaint.code, complaint.message, _HINTS.get(complaint.code, _LINT))
        return
    if not content:
        return
    for number, complaint in enumerate(line_ends(text), 1):
        if number > MAX_LINES:
            faults.warning(complaint, complaint.code, "white space ends more lines", _HINTS[complaint.code])
            return
        faults.warning(complaint, complaint.code, complaint.message, _HINTS[complaint.code])


# -- what lies beside it -----------------------------------------------------------------------------------------


def _allowed_licences(course: Path, path: Path) -> tuple[Collection[str], list[Problem]]:
    """Return what the course's recipe allows, and the recipe's fault where it has one."""
    try:
        return read_recipe(course).taxonomy.licences, []
    except ContentError as error:
        base = path.resolve() if path.is_dir() else path.resolve().parent
        faults = Faults(os.path.relpath(course / "recipe.yaml", base))
        faults.error(None, "recipe", error.message, error.hint)
        return Settings().licences, faults.found


def _attributions(taxonomy: Taxonomy, path: Path, allowed: Collection[str]) -> list[Problem]:
    found = []
    base = path if path.is_dir() else path.parent
    for name in taxonomy.files:
        file = os.path.join(base, os.path.dirname(name), "attribution.txt")
        content = None
        try:
            if os.path.isfile(file):  # a pipe would be read for ever
                with open(file, "rb") as opened:
                    content = opened.read(MAX_BYTES)
        except OSError:
            pass  # as good as missing
        faults = Faults(name if not content else f"{name.removesuffix('qna.yaml')}attribution.txt")
        check_attribution(content, allowed, faults)
        found += faults.found
    return found


def _collisions(taxonomy: Taxonomy) -> list[Problem]:
    files = {name.removesuffix("qna.yaml").rstrip("/"): name for name in taxonomy.files}
    found = []
    for leaf, folder, other, why in collisions(files):
        faults = Faults(files[leaf])
        faults.warning(None, "collision", f"the folders {folder!r} and {other!r} {why}", "Rename one of them.")
        found += faults.found
    return found


def _document_problems(leaf: Leaf, taxonomy: Taxonomy, inside: Path, allowed: Collection[str]) -> list[Problem]:
    """Return an error for each pattern of a local source that no file matches; addresses are not looked at."""
    source = leaf.source
    if source is None or is_git_address(source.repo):
        return []
    faults = Faults(taxonomy.names[leaf.path])
    at = Place(_line_of("document:", taxonomy.course / leaf.path / "qna.yaml"), 0)
    for name, licence in source.licences:
        why = licence_fault(licence, allowed)
        if why:
            hint = f"Allowed here: {', '.join(allowed)} (taxonomy.licences in the recipe)."
            faults.warning(at, "licence", f"{name}: {why}", hint)
    try:
        folder = local_folder(source.repo, leaf=leaf.path, course=taxonomy.course)
        for pattern in source.patterns:
            if not find_files(folder, pattern, inside=inside):
                shown = pattern if source.repo == "." else f"{source.repo}/{pattern}"
                hint = "Put the file there, or correct the name; it is relative to the folder of the qna.yaml."
                faults.error(at, "missing-document", f"the document {shown} does not exist", hint)
    except ContentError as error:
        faults.error(at, "document", error.message, error.hint)
    return faults.found


def _line_of(start: str, path: Path) -> int:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        return next((number for number, line in enumerate(file) if line.startswith(start)), 0)


def _contradictions(taxonomy: Taxonomy) -> list[Problem]:
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
                faults = Faults(taxonomy.names[leaf.path])
                message = f"{seed.question[:80]!r} is answered otherwise in {other.path}"
                faults.warning(None, "contradiction", message, "Make the questions differ, or the answers agree.")
                problems += faults.found
    return problems
