"""A course on disk -> its `Tree`: leaves, the words of their documents, the last report, and what git knows.

Documents are read where that is cheap and safe: Markdown and plain text beside the leaf, and everything that a run has
converted already (`out/documents/documents.jsonl`). Nothing is fetched or converted, so a tree takes seconds.
"""

from __future__ import annotations

import functools
import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from homeroom.core.errors import ContentError, HomeroomError
from homeroom.core.files import read_jsonl
from homeroom.core.sources import boundary, find_files, is_git_address, local_folder
from homeroom.core.types import Leaf
from homeroom.documents.markdown import sections
from homeroom.taxonomy.gaps import Asked, Paper
from homeroom.taxonomy.history import last_changes
from homeroom.taxonomy.read import TREES, read_taxonomy
from homeroom.taxonomy.tree import Tree, grow

PLAIN = (".md", ".markdown", ".txt")  # what is text as it stands
MAX_BYTES = 16 * 2**20  # of one document that is read for its sections
MAX_FOLDERS = 50_000
LONG_WORDS, WINDOW_WORDS = 600, 300  # a section longer than the first is looked at in parts of the second
_OWN = ("qna.yaml", "attribution.txt")


def survey(path: Path) -> Tree:
    """Return the tree of a course, of a folder inside one, or of a single leaf.

    Raises:
        ContentError: there is no leaf, good or broken.
    """
    taxonomy = read_taxonomy(path, processes=os.cpu_count() or 1)
    course, leaves = taxonomy.course, taxonomy.leaves
    errors = sorted({problem.file for problem in taxonomy.problems if problem.severity == "error"})
    if not leaves and not taxonomy.files:
        raise ContentError(
            "no qna.yaml below knowledge/ or compositional_skills/",
            where=str(path),
            hint="homeroom init DIR --example insurance shows what a course looks like.",
        )
    converted = _converted(course)
    return grow(
        leaves,
        course=course.name,
        papers={leaf.path: _papers(leaf, course, converted) for leaf in leaves},
        asked=_asked(course, leaves),
        changes=last_changes(course, [leaf.path for leaf in leaves]),
        files={leaf.path: _file(course / leaf.path / "qna.yaml") for leaf in leaves},
        folders=list(_folders(path, course)),
        broken=errors,
    )


def _file(path: Path) -> tuple[int, str]:
    try:
        stat = path.stat()
    except OSError:
        return 0, ""
    return stat.st_size, datetime.fromtimestamp(stat.st_mtime, UTC).isoformat(timespec="seconds")


def _folders(path: Path, course: Path) -> Iterator[str]:
    """Yield the folders of the trees below `path`, relative to the course; hidden and linked ones are not entered."""
    for tree in TREES:
        for number, (here, names, _) in enumerate(os.walk(course / tree)):
            folder = Path(here)
            names[:] = sorted(n for n in names if not n.startswith(".") and not (folder / n).is_symlink())
            if number > MAX_FOLDERS:
                return
            relative = folder.relative_to(course).as_posix()
            if relative.isprintable() and folder.is_relative_to(path.resolve()):
                yield relative


# -- documents ---------------------------------------------------------------------------------------------------


def _converted(course: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the texts that the last run made of the documents, by leaf; `{}` where there was none."""
    found = defaultdict(list)
    for row in _rows(course / "out" / "documents" / "documents.jsonl"):
        if all(isinstance(row.get(key), str) for key in ("leaf", "name", "text")):
            found[row["leaf"]].append(row)
    return dict(found)


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        return [row for row in read_jsonl(path) if isinstance(row, dict)]
    except (HomeroomError, OSError):
        return []  # none yet, or half of one: a tree can be shown all the same


def _papers(leaf: Leaf, course: Path, converted: dict[str, list[dict[str, Any]]]) -> list[Paper]:
    if leaf.source is None:
        return []
    known = {row["name"]: row["text"] for row in converted.get(leaf.path, ())}
    if is_git_address(leaf.source.repo):
        if not known:
            address = re.sub(r"//[^/@]*@", "//", leaf.source.repo)  # a password in it is not for showing
            return [Paper(name=f"{address} {pattern}") for pattern in leaf.source.patterns]
        return [Paper(name=n, size_bytes=len(t.encode()), sections=_sections(t)) for n, t in known.items()]
    papers = []
    for folder, name in _local_files(leaf, course):
        path, sections = folder / name, None
        size = path.stat().st_size
        if path.suffix.lower() in PLAIN and size <= MAX_BYTES:
            sections = _sections(path.read_bytes().decode("utf-8-sig", "replace"))
        elif name in known:
            sections = _sections(known[name])
        papers.append(Paper(name=name, size_bytes=size, sections=sections))
    for url in leaf.source.urls:
        text = known.get(url, "")
        papers.append(Paper(name=url, size_bytes=len(text.encode()), sections=_sections(text) if text else None))
    return papers


def _local_files(leaf: Leaf, course: Path) -> Iterator[tuple[Path, str]]:
    assert leaf.source is not None
    beside = course / leaf.path
    if leaf.source.repo == "." and all(_is_beside(beside, name) for name in leaf.source.patterns):
        yield from ((beside, name) for name in leaf.source.patterns)
        return
    try:
        folder = local_folder(leaf.source.repo, leaf=leaf.path, course=course)
        inside = _boundary(course)
        found = [name for pattern in leaf.source.patterns for name in find_files(folder, pattern, inside=inside)]
    except (HomeroomError, OSError):
        return  # said by `homeroom check`
    own = {course / leaf.path / name for name in _OWN}
    yield from ((folder, name) for name in dict.fromkeys(found) if folder / name not in own)


def _is_beside(folder: Path, name: str) -> bool:
    """Say whether a name is that of an ordinary file in the folder itself: most are, and need no search."""
    path = f"{folder}/{name}"
    return "/" not in name and name not in (*_OWN, ".", "..") and os.path.isfile(path) and not os.path.islink(path)


_boundary = functools.lru_cache(maxsize=8)(boundary)  # asked once a leaf, it would look at every folder above


def _sections(text: str) -> tuple[tuple[str, str], ...]:
    """Return (title, body) of each section with a body; a long one in parts, for one context shows little of it."""
    found = []
    for section in sections(text):
        body = text[section.start : section.end].strip()
        words = body.split()
        if len(words) <= LONG_WORDS:
            found += [(section.title, body)] * bool(words)
            continue
        parts = [words[start : start + WINDOW_WORDS] for start in range(0, len(words), WINDOW_WORDS)]
        for number, part in enumerate(parts, 1):
            title = f"{section.title}, part {number}" if section.title else f"{' '.join(part[:6])} …"
            found.append((title, " ".join(part)))
    return tuple(found)


# -- the last report ---------------------------------------------------------------------------------------------


def _asked(course: Path, leaves: Sequence[Leaf]) -> list[Asked] | None:
    """Return the final exam of the last report; None where there is none."""
    report = course / "out" / "report"
    rows = _rows(report / "items.jsonl") if (report / "report.json").is_file() else []
    names = {leaf.path for leaf in leaves}
    asked = [
        Asked(
            leaf=str(row.get("leaf") or ""),
            question=str(row.get("question") or ""),
            source=str(row.get("source") or ""),
            before=row.get("correct_before") is True,
            after=row.get("correct_after") is True,
        )
        for row in rows
        if row.get("set") == "final"
    ]
    kept = [question for question in asked if not question.leaf or question.leaf in names]
    return kept if kept else None
