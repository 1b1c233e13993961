"""What changed between two states of a taxonomy: leaves added, changed, removed and moved.

    Snapshot (a commit, or a folder) + Snapshot (the files on disk) --compare--> Diff --diff_text--> the terminal

Only what differs is read. A leaf is its folder: the qna.yaml, what lies beside it, and the local documents that it
names elsewhere in the course.
"""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homeroom.core.errors import UsageError
from homeroom.core.sources import is_git_address, matching
from homeroom.core.types import Leaf, Seed
from homeroom.taxonomy.history import Commit, open_commit
from homeroom.taxonomy.parse import parse
from homeroom.taxonomy.problem import Faults
from homeroom.taxonomy.read import TREES
from homeroom.taxonomy.rules import read_leaf
from homeroom.taxonomy.snapshot import Snapshot, at_commit, on_disk
from homeroom.taxonomy.tree import plural, shown

QNA = "qna.yaml"
SAME_SHARE = 0.6  # of the lines of two leaves, from which on the second is the first at another place
MAX_PAIRS = 250_000  # of removed and added leaves that are compared line by line
MAX_CHANGES = 40  # of one leaf that are listed


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference inside a leaf; texts are shortened."""

    what: str  # "question added", "answer changed", "context removed", "document changed", "domain changed", ...
    of: str = ""  # the question, file or context it is about
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafDiff:
    """One leaf that is not as it was."""

    path: str
    status: str  # "added", "changed", "removed" or "moved"
    was: str = ""  # where a moved leaf was
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Diff:
    """All leaves that differ, by path, and how many do not."""

    base: str
    leaves: tuple[LeafDiff, ...]
    unchanged: int

    def to_json(self) -> dict[str, Any]:
        """Return the object that `homeroom diff --json` prints."""
        counts = Counter(leaf.status for leaf in self.leaves)
        return {
            "version": 1,
            "base": self.base,
            "counts": {s: counts[s] for s in ("added", "changed", "moved", "removed")} | {"unchanged": self.unchanged},
            "leaves": [dataclasses.asdict(leaf) for leaf in self.leaves],
        }


def since(path: Path, base: str) -> Diff:
    """Return how a course, or a folder inside one, differs on disk from a commit, or from another folder.

    Raises:
        UsageError: `base` is neither, or both.
        MachineError: git is missing.
    """
    course, within = _course_of(path)
    folder = Path(base)
    is_folder = folder.is_dir() and not base.startswith("-")
    commit = None if is_folder and ("/" in base or base.startswith(".")) else _commit(course, base, is_folder)
    if commit is not None and is_folder:
        hint = f"Write ./{base} for the folder, or refs/heads/{base} for the branch."
        raise UsageError(f"{shown(base)!r} is a folder and a commit", where="--base", hint=hint)
    if commit is not None:
        old = at_commit(commit, within=within)
        return compare(old, on_disk(course, within=within, object_id=len(commit.hash)), base=base)
    if not is_folder:
        hint = f"{course} lies in no git repository, so --base must be a folder."
        raise UsageError(f"there is no folder {shown(base)!r}", where="--base", hint=hint)
    other, inner = _course_of(folder)
    if not within or not inner:  # a course and a folder of another are compared as far as both go
        within = inner = within or inner
    if within != inner:
        raise UsageError(f"{within} and {inner} are different parts of a course", where="--base")
    return compare(on_disk(other, within=inner), on_disk(course, within=within), base=base)


def _commit(course: Path, base: str, is_folder: bool) -> Commit | None:
    try:
        return open_commit(course, base)
    except UsageError:
        if is_folder:
            return None
        raise


def _course_of(path: Path) -> tuple[Path, str]:
    """Return the course that a folder is, or lies in, and the folder's place in it."""
    folder = path.resolve()
    if not any((folder / tree).is_dir() for tree in TREES):
        for above in (folder, *folder.parents):
            if above.name in TREES:
                return above.parent, folder.relative_to(above.parent).as_posix()
    return folder, ""


# -- comparing ---------------------------------------------------------------------------------------------------


def compare(old: Snapshot, new: Snapshot, *, base: str = "") -> Diff:
    """Return what differs between two snapshots whose ids are of the same kind.

    A leaf that is gone and one that is new are one that moved where the qna.yaml is the same, or most of its lines are.
    """
    before, after = _folders(old), _folders(new)
    gone, come = sorted(before.keys() - after.keys()), sorted(after.keys() - before.keys())
    both = sorted(before.keys() & after.keys())
    touched = [path for path in both if before[path] != after[path]]
    moved = _moved(gone, come, old, new)
    movers, same = set(moved.values()), set(both) - set(touched)
    far = _far_documents(sorted(same), before, after, old, new)
    pairs = [*((was, path) for path, was in moved.items()), *((path, path) for path in touched)]
    old_texts = old.read([f"{was}/{QNA}" for was, _ in pairs])
    new_texts = new.read([f"{path}/{QNA}" for _, path in pairs])
    found = [LeafDiff(path=path, status="removed") for path in gone if path not in movers]
    found += [LeafDiff(path=path, status="added") for path in come if path not in moved]
    for was, path in pairs:
        changes = qna_changes(old_texts[f"{was}/{QNA}"], new_texts[f"{path}/{QNA}"], was=was, path=path)
        changes += _file_changes(before[was], after[path])
        status, origin = ("moved", was) if was != path else ("changed", "")
        listed = tuple(changes[:MAX_CHANGES])
        if len(changes) > MAX_CHANGES:
            listed += (Change(what=f"{len(changes) - MAX_CHANGES} more changes"),)
        found.append(LeafDiff(path=shown(path), status=status, was=shown(origin), changes=listed))
    found += [LeafDiff(path=shown(path), status="changed", changes=changes) for path, changes in far.items()]
    return Diff(
        base=shown(base or old.name),
        leaves=tuple(sorted((dataclasses.replace(d, path=shown(d.path, 500)) for d in found), key=lambda d: d.path)),
        unchanged=len(both) - len(touched) - len(far),
    )


def _folders(snapshot: Snapshot) -> dict[str, dict[str, str]]:
    """Return leaf -> name -> id of the files in its folder; those of a leaf further down belong to that one."""
    leaves: dict[str, dict[str, str]] = {n[: -len(QNA) - 1]: {} for n in snapshot.files if n.endswith(f"/{QNA}")}
    for name, content in snapshot.files.items():
        folder = name.rpartition("/")[0]
        while folder and folder not in leaves:
            folder = folder.rpartition("/")[0]
        if folder:
            leaves[folder][name[len(folder) + 1 :]] = content
    return leaves


def _moved(gone: Sequence[str], come: Sequence[str], old: Snapshot, new: Snapshot) -> dict[str, str]:
    """Return new path -> old path of the leaves that moved: the same file first, then the most alike."""
    moved: dict[str, str] = {}
    by_id: dict[str, list[str]] = {}
    for path in gone:
        by_id.setdefault(old.files[f"{path}/{QNA}"], []).append(path)
    for path in come:
        if same := by_id.get(new.files[f"{path}/{QNA}"]):
            moved[path] = same.pop(0)
    left = set(moved.values())
    gone, come = [p for p in gone if p not in left], [p for p in come if p not in moved]
    if not gone or not come or len(gone) * len(come) > MAX_PAIRS:
        return moved
    lines = [
        {path: _lines(content) for path, content in zip(paths, _contents(side, paths), strict=True)}
        for side, paths in ((old, gone), (new, come))
    ]
    alike = sorted((-_likeness(lines[0][a], lines[1][b]), a, b) for a in gone for b in come)
    for less, was, path in alike:
        if -less >= SAME_SHARE and path not in moved and was not in left:
            moved[path] = was
            left.add(was)
    return moved


def _contents(side: Snapshot, paths: Sequence[str]) -> list[bytes]:
    contents = side.read([f"{path}/{QNA}" for path in paths])
    return [contents[f"{path}/{QNA}"] for path in paths]


def _lines(content: bytes) -> frozenset[bytes]:
    return frozenset(line.strip() for line in content.splitlines() if len(line.strip()) > 12)


def _likeness(one: frozenset[bytes], other: frozenset[bytes]) -> float:
    return len(one & other) / max(1, len(one | other))


def _file_changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[Change]:
    """Return the files beside a qna.yaml that are not as they were."""
    changes = []
    for name in sorted((before.keys() | after.keys()) - {QNA}):
        kind = "attribution" if name == "attribution.txt" else "document"
        if before.get(name) != after.get(name):
            how = "added" if name not in before else "removed" if name not in after else "changed"
            changes.append(Change(what=f"{kind} {how}", of=shown(name)))
    return changes


def _far_documents(
    paths: Sequence[str],
    before: Mapping[str, Mapping[str, str]],
    after: Mapping[str, Mapping[str, str]],
    old: Snapshot,
    new: Snapshot,
) -> dict[str, tuple[Change, ...]]:
    """Return the leaves that are as they were, but whose documents, elsewhere in the course, are not."""
    inside = [{f"{leaf}/{name}" for leaf, files in side.items() for name in files} for side in (before, after)]
    names = (old.files.keys() - inside[0]) | (new.files.keys() - inside[1])
    strays = sorted(name for name in names if old.files.get(name) != new.files.get(name))
    if not strays:
        return {}
    found = {}
    for path, content in zip(paths, _contents(new, paths), strict=True):
        leaf = leaf_of(content, path) if b"repo" in content else None
        if leaf is None or leaf.source is None or is_git_address(leaf.source.repo):
            continue
        folder = os.path.normpath(f"{path}/{leaf.source.repo}")
        below = [name[len(folder) + 1 :] for name in strays if name.startswith(f"{folder}/")]
        named = [name for pattern in leaf.source.patterns for name in matching(below, pattern)]
        if named:
            sides = [
                {n: side.files[f"{folder}/{n}"] for n in named if f"{folder}/{n}" in side.files} for side in (old, new)
            ]
            found[path] = tuple(_file_changes(*sides))
    return found


# -- one leaf ----------------------------------------------------------------------------------------------------


def leaf_of(content: bytes, path: str) -> Leaf | None:
    """Return the leaf that a qna.yaml describes, or None where it has an error."""
    faults = Faults(path)
    top = parse(content, faults)
    tree = next((tree for part in reversed(path.split("/")) for tree in TREES if part == tree), TREES[0])
    leaf = read_leaf(top, path=path, tree=tree, faults=faults) if top is not None else None
    return None if faults.has_error else leaf


def qna_changes(old: bytes, new: bytes, *, was: str, path: str) -> list[Change]:
    """Return what changed inside a qna.yaml, as people name it: questions, answers, contexts and fields."""
    if old == new:
        return []
    before, after = leaf_of(old, was), leaf_of(new, path)
    if before is None or after is None:
        sides = [side for side, leaf in (("before", before), ("now", after)) if leaf is None]
        return [Change(what=f"not valid {' and '.join(sides)}", of="homeroom check says why")]
    changes = [*_field_changes(before, after), *_seed_changes(before.seeds, after.seeds)]
    return changes or [Change(what="layout only", of="white space, comments or order")]


def _field_changes(before: Leaf, after: Leaf) -> list[Change]:
    task = "document_outline" if after.kind == "knowledge" else "task_description"
    values = [
        (name, str(getattr(before, field)), str(getattr(after, field)))
        for name, field in (
            ("kind", "kind"),
            ("version", "version"),
            ("created_by", "created_by"),
            ("domain", "domain"),
            (task, "task"),
        )
    ]
    values.append(("document", _source(before), _source(after)))
    return [
        Change(what=f"{name} changed", before=shown(one), after=shown(other))
        for name, one, other in values
        if one != other
    ]


def _source(leaf: Leaf) -> str:
    if leaf.source is None:
        return ""
    values = dataclasses.asdict(leaf.source)
    place = " ".join(part for part in (values.pop("repo"), values.pop("commit")) if part not in ("", "."))
    names = ", ".join(str(name) for named in values.values() for name in named)
    return f"{place}: {names}" if place else names


def _seed_changes(before: Sequence[Seed], after: Sequence[Seed]) -> list[Change]:
    """Pair seeds by their question, the rest by answer and context, and say what differs in each pair."""
    old, new = {_plain(s.question): s for s in before}, {_plain(s.question): s for s in after}
    gone, come = [s for q, s in old.items() if q not in new], [s for q, s in new.items() if q not in old]
    changes: dict[Change, None] = {}
    renamed = {(_plain(s.answer), _plain(s.context)): s for s in gone}
    for seed in come:
        was = renamed.pop((_plain(seed.answer), _plain(seed.context)), None)
        if was is not None:
            gone.remove(was)
            changes[Change(what="question changed", before=shown(was.question), after=shown(seed.question))] = None
        else:
            changes[Change(what="question added", of=shown(seed.question), after=shown(seed.answer))] = None
    for seed in gone:
        changes[Change(what="question removed", of=shown(seed.question), before=shown(seed.answer))] = None
    for question in old.keys() & new.keys():
        one, other = old[question], new[question]
        if _plain(one.answer) != _plain(other.answer):
            texts = apart(one.answer, other.answer)
            changes[Change(what="answer changed", of=shown(one.question), before=texts[0], after=texts[1])] = None
        if _plain(one.context) != _plain(other.context):
            texts = apart(one.context, other.context)
            changes[Change(what="context changed", before=texts[0], after=texts[1])] = None
    return sorted(changes, key=lambda c: (c.what.split()[0], c.what, c.of, c.after))


def apart(one: str, other: str) -> tuple[str, str]:
    """Return two texts, shortened, from shortly before the place where they begin to differ.

    Example:
        >>> apart("The desk of the claims house opens at 7 a.m.", "The desk of the claims house opens at 9 a.m.")
        ('… the claims house opens at 7 a.m.', '… the claims house opens at 9 a.m.')
    """
    one, other = _plain(one), _plain(other)
    same = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    start = one.rfind(" ", 0, max(0, same - 24)) if same > 32 else -1
    lead = "… " if start > 0 else ""
    return shown(lead + one[start + 1 :]), shown(lead + other[start + 1 :])


def _plain(text: str) -> str:
    return " ".join(text.split())


# -- plain text --------------------------------------------------------------------------------------------------

_MARKS = {"added": "+", "changed": "~", "moved": ">", "removed": "-"}


def diff_text(diff: Diff) -> str:
    """Return the differences for a terminal: a line a leaf, and below it what changed."""
    if not diff.leaves:
        return f"No leaf differs from {diff.base} ({plural(diff.unchanged, 'leaf', 'leaves')})."
    lines: list[str] = []
    for leaf in diff.leaves:
        lines.append(f"{_MARKS[leaf.status]} {leaf.status:<8} {f'{leaf.was} -> ' if leaf.was else ''}{leaf.path}")
        lines += [f"    {_in_words(change)}" for change in leaf.changes]
    counts = Counter(leaf.status for leaf in diff.leaves)
    said = [f"{counts[status]} {status}" for status in _MARKS if counts[status]]
    return "\n".join([*lines, "", f"Since {diff.base}: {', '.join(said)}; {diff.unchanged:,} unchanged."])


def _in_words(change: Change) -> str:
    text = f"{change.what}: {change.of}" if change.of else change.what
    if change.before and change.after:
        return f"{text}{'' if change.of else ':'} {change.before!r} -> {change.after!r}"
    return text
