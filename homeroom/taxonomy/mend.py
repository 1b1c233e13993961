"""Every file of a taxonomy mended on disk: `homeroom check --fix`, before it checks.

`fix.py` decides what becomes of a text. Here the files are found, written so that a crash leaves the old one or the new
one, and an `attribution.txt` to fill in is put where there is none.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from yaml.nodes import Node

from homeroom.core.errors import MachineError
from homeroom.core.files import write_text
from homeroom.core.types import Leaf
from homeroom.taxonomy.attribution import skeleton
from homeroom.taxonomy.fix import fix_text
from homeroom.taxonomy.parse import MAX_BYTES
from homeroom.taxonomy.problem import Faults
from homeroom.taxonomy.read import read_file, read_taxonomy, tree_of_leaf


@dataclass(frozen=True, slots=True)
class Change:
    """What was done to one file, in words."""

    file: Path
    changes: tuple[str, ...]


def mend(paths: Iterable[Path]) -> list[Change]:
    """Mend every leaf below the paths and return what changed, in the order of the tree.

    Raises:
        MachineError: a file cannot be written; it is as it was.
    """
    found: list[Change] = []
    for path in paths:
        files: list[tuple[Path, bytes]] = []
        root = read_taxonomy(path, look=partial(_note, files)).course
        for file, content in files:
            try:
                found += _mend_file(file, content, root)
            except OSError as error:
                hint = "Look at its permissions, and at the room on the disk; what was mended before it stays so."
                raise MachineError(f"cannot be written ({error.strerror})", where=str(file), hint=hint) from None
    return found


def _note(files: list[tuple[Path, bytes]], file: Path, content: bytes, top: Node | None, faults: Faults) -> None:
    if not any(p.code == "folder-name" and p.severity == "error" for p in faults.found):
        files.append((file, content))


def _mend_file(file: Path, content: bytes, root: Path) -> list[Change]:
    folder = file.parent.resolve()
    relative = folder.relative_to(root).as_posix() if folder.is_relative_to(root) else folder.name
    mended = fix_text(content, tree_of=partial(tree_of_leaf, relative)) if len(content) <= MAX_BYTES else None
    changed = []
    if mended is not None and mended.changes:
        _replace(file.resolve(), mended.text)
        changed.append(Change(file, mended.changes))
    leaf, _ = read_file(file, name=file.name, folder=folder, root=root)
    attribution = file.parent / "attribution.txt"
    if leaf is not None and _is_missing(attribution):
        _write_skeleton(attribution, leaf)
        changed.append(Change(attribution, ("written, to be filled in",)))
    return changed


def _is_missing(path: Path) -> bool:
    return not os.path.lexists(path) or (path.is_file() and not path.is_symlink() and not path.stat().st_size)


def _write_skeleton(path: Path, leaf: Leaf) -> None:
    write_text(path, skeleton(leaf))


def _replace(path: Path, text: str) -> None:
    """Write a file atomically and leave its permissions as they are."""
    mode = path.stat().st_mode & 0o7777
    write_text(path, text)
    path.chmod(mode)
