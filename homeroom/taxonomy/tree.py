"""The taxonomy as a value: every leaf with what it holds, who changed it last and what is missing; the same as text.

    leaves + papers (documents) + asked (exam answers) + changes (git) --grow--> Tree --tree_text--> the terminal

`Tree.to_json` is the contract of `homeroom tree --json`; `tree_page.py` draws it.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from homeroom.core.types import Leaf
from homeroom.taxonomy import gaps as find
from homeroom.taxonomy.gaps import Asked, Gap, Paper, Section
from homeroom.taxonomy.history import Change

GAP_TITLES = {
    "unknown": "The student does not know",
    "untouched": "No seed example comes from here",
    "thin": "Thin leaves",
    "empty": "Empty folders",
}
MAX_GAPS = 15  # of a kind, in the text; --json has all
MAX_TEXT = 120  # characters of one name


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentRow:
    """One document of a leaf; `words` and `sections` are None and empty where it was not read."""

    name: str
    bytes: int
    words: int | None
    sections: tuple[Section, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafRow:
    """One leaf: what it holds, who changed it last, and how well the student knows it."""

    path: str
    kind: str
    contexts: int
    questions: int
    words: int  # of the seed examples
    bytes: int  # of the qna.yaml
    documents: tuple[DocumentRow, ...]
    changed: str  # ISO 8601; of the last commit, else of the file
    author: str  # of the last commit, else who the leaf says created it
    commit: str  # "" where git does not know the leaf
    created_by: str
    asked: int = 0  # exam questions after training; 0 where there is no report
    right: int = 0
    right_before: int = 0

    @property
    def amount(self) -> int:
        """Words that there are to learn: of the documents, or of the examples where they are more."""
        return max(self.words, sum(d.words if d.words is not None else d.bytes // 6 for d in self.documents), 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """A taxonomy and its gaps."""

    course: str  # its folder's name
    leaves: tuple[LeafRow, ...]  # sorted by path
    gaps: tuple[Gap, ...]  # by kind, the worst first
    broken: tuple[str, ...] = ()  # qna.yaml files with an error; they are not among the leaves
    has_report: bool = False

    def totals(self) -> dict[str, int]:
        """Return what there is in all."""
        papers = [d for leaf in self.leaves for d in leaf.documents]
        return {
            "leaves": len(self.leaves),
            "contexts": sum(leaf.contexts for leaf in self.leaves),
            "questions": sum(leaf.questions for leaf in self.leaves),
            "documents": len(papers),
            "document_words": sum(d.words or 0 for d in papers),
            "asked": sum(leaf.asked for leaf in self.leaves),
            "right": sum(leaf.right for leaf in self.leaves),
            "gaps": len(self.gaps),
        }

    def folders(self) -> list[dict[str, Any]]:
        """Return every folder above a leaf with what lies below it, sorted by path."""
        below: dict[str, Counter[str]] = defaultdict(Counter)
        for leaf in self.leaves:
            above = leaf.path.rpartition("/")[0]
            counts = {"leaves": 1, "contexts": leaf.contexts, "questions": leaf.questions, "words": leaf.amount}
            while above:
                below[above].update({**counts, "asked": leaf.asked, "right": leaf.right})
                above = above.rpartition("/")[0]
        return [{"path": path, **counts} for path, counts in sorted(below.items())]

    def to_json(self) -> dict[str, Any]:
        """Return the object that `homeroom tree --json` prints, every field present."""
        return {
            "version": 1,
            "course": self.course,
            "has_report": self.has_report,
            "totals": self.totals(),
            "folders": self.folders(),
            "leaves": [dataclasses.asdict(leaf) for leaf in self.leaves],
            "gaps": [dataclasses.asdict(gap) for gap in self.gaps],
            "broken": list(self.broken),
        }


def grow(
    leaves: Sequence[Leaf],
    *,
    course: str,
    papers: Mapping[str, Sequence[Paper]],
    asked: Sequence[Asked] | None,
    changes: Mapping[str, Change],
    files: Mapping[str, tuple[int, str]],
    folders: Collection[str],
    broken: Sequence[str] = (),
) -> Tree:
    """Return the tree with its gaps.

    Args:
        papers: Path of a leaf -> its documents.
        asked: Every final exam question of the last report; None where there is none.
        changes: Path of a leaf -> its last commit.
        files: Path of a leaf -> the bytes of its qna.yaml and when it was written (ISO 8601).
        folders: Every folder of the taxonomy.
    """
    by_leaf: dict[str, list[Asked]] = defaultdict(list)
    for question in asked or ():
        by_leaf[question.leaf].append(question)
    if len(leaves) == 1:  # a question without a leaf can be about no other
        by_leaf[leaves[0].path] += by_leaf.pop("", [])
    rows, found = [], []
    for leaf in leaves:
        row, missing = _row(leaf, papers.get(leaf.path, ()), by_leaf[leaf.path], changes.get(leaf.path), files)
        rows.append(row)
        found += missing
    found += find.empty(folders, {leaf.path for leaf in leaves})
    order = list(GAP_TITLES)
    found.sort(key=lambda gap: (order.index(gap.kind), -gap.weight, gap.path))
    return Tree(
        course=shown(course),
        leaves=tuple(sorted(rows, key=lambda row: row.path)),
        gaps=tuple(found),
        broken=tuple(shown(name) for name in broken),
        has_report=asked is not None,
    )


def _row(
    leaf: Leaf,
    papers: Sequence[Paper],
    asked: Sequence[Asked],
    change: Change | None,
    files: Mapping[str, tuple[int, str]],
) -> tuple[LeafRow, list[Gap]]:
    contexts = {" ".join(seed.context.split()) for seed in leaf.seeds if seed.context}
    documents, found, placed = [], list[Gap](), 0
    for paper in papers:
        name = shown(paper.name)
        sections = tuple(
            dataclasses.replace(s, title=shown(s.title)) for s in find.examine(paper, sorted(contexts), asked)
        )
        words = sum(s.words for s in sections) if paper.sections is not None else None
        documents.append(DocumentRow(name=name, bytes=paper.size_bytes, words=words, sections=sections))
        found += find.untouched(leaf.path, name, sections) + find.unknown(leaf.path, name, sections)
        placed += sum(s.asked - s.right for s in sections)
    known = [d.words for d in documents]
    total = sum(w or 0 for w in known) if known and None not in known else None
    found += find.thin(leaf, len(contexts), total) + find.elsewhere(leaf.path, asked, placed)
    size, written = files.get(leaf.path, (0, ""))
    row = LeafRow(
        path=leaf.path,
        kind=leaf.kind,
        contexts=len(contexts),
        questions=len(leaf.seeds),
        words=sum(len(f"{s.question} {s.answer}".split()) for s in leaf.seeds)
        + sum(len(context.split()) for context in contexts),
        bytes=size,
        documents=tuple(documents),
        changed=change.date if change else written,
        author=shown(change.author if change else leaf.created_by),
        commit=change.commit if change else "",
        created_by=shown(leaf.created_by),
        asked=len(asked),
        right=sum(question.after for question in asked),
        right_before=sum(question.before for question in asked),
    )
    return row, found


def shown(text: str, most: int = MAX_TEXT) -> str:
    """Return a name on one line and of bounded length, without what could move a cursor or turn the writing around."""
    plain = "".join(c if c.isprintable() else " " for c in text.encode("utf-8", "replace").decode("utf-8"))
    plain = " ".join(plain.split())
    return plain if len(plain) <= most else plain[: most - 1].rstrip() + "…"


# -- plain text --------------------------------------------------------------------------------------------------


def tree_text(tree: Tree) -> str:
    """Return the tree with one line a leaf, and its gaps below, for a terminal."""
    totals = tree.totals()
    head = [f"{plural(totals['leaves'], 'leaf', 'leaves')}, {plural(totals['questions'], 'question')}"]
    if totals["documents"]:
        head.append(f"{plural(totals['documents'], 'document')} with {totals['document_words']:,} words")
    if totals["asked"]:
        head.append(f"the student knows {totals['right']} of {totals['asked']}")
    lines = [f"{tree.course}: {', '.join(head)}", "", *_leaf_lines(tree)]
    if tree.broken:
        lines += ["", f"Left out, because of an error ({len(tree.broken)}); homeroom check says which:"]
        lines += [f"  {name}" for name in tree.broken[:MAX_GAPS]]
    for kind, title in GAP_TITLES.items():
        found = [gap for gap in tree.gaps if gap.kind == kind]
        if found:
            lines += ["", f"{title} ({len(found)})", *_gap_lines(found[:MAX_GAPS])]
        if len(found) > MAX_GAPS:
            lines.append(f"  and {len(found) - MAX_GAPS:,} more: --json, or --html FILE")
    if not tree.gaps and tree.leaves:
        lines += ["", "No gaps were found."]
    return "\n".join(lines)


def _gap_lines(found: Sequence[Gap]) -> Iterator[str]:
    """Yield one line a gap; those of one document stand below its name."""
    for (path, document), group in by_place(found).items():
        place = f"  {path}{f', {document}' if document else ''}"
        if any(gap.section for gap in group):
            yield place
            yield from (f"    {gap.section or 'elsewhere'}: {gap.message}" for gap in group)
        else:
            yield from (f"{place}: {gap.message}" for gap in group)


def by_place(found: Sequence[Gap]) -> dict[tuple[str, str], list[Gap]]:
    """Return gaps by leaf and document, both in the order in which they come."""
    groups: dict[tuple[str, str], list[Gap]] = {}
    for gap in found:
        groups.setdefault((gap.path, gap.document), []).append(gap)
    return groups


def _leaf_lines(tree: Tree) -> list[str]:
    rows: list[tuple[str, ...]] = []
    above: list[str] = []
    for leaf in tree.leaves:
        *folders, name = leaf.path.split("/")
        same = next((n for n, (a, b) in enumerate(zip(above, folders, strict=False)) if a != b), None)
        same = min(len(above), len(folders)) if same is None else same
        rows += [("  " * n + f"{folders[n]}/",) for n in range(same, len(folders))]
        above = folders
        rows.append(("  " * len(folders) + shown(name, 48), *_columns(leaf)))
    widths = [max((len(row[n]) for row in rows if len(row) > 1), default=0) for n in range(6)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip() for row in rows]


def _columns(leaf: LeafRow) -> tuple[str, ...]:
    seeds = f"{leaf.contexts} contexts, {leaf.questions} questions" if leaf.contexts else f"{leaf.questions} examples"
    if leaf.documents:
        first, more = leaf.documents[0], len(leaf.documents) - 1
        size = size_of(first)
        papers = f"{shown(first.name, 32)}{f' and {more} more' if more else ''}{f' ({size})' if size else ''}"
    else:
        papers = "-"
    known = f"knows {leaf.right} of {leaf.asked}" if leaf.asked else ""
    return seeds, papers, leaf.changed[:10], shown(leaf.author, 24), known


def size_of(document: DocumentRow) -> str:
    """Return how much there is to read in a document, in words."""
    if document.words is not None:
        return f"{document.words:,} words"
    return f"{max(1, document.bytes // 1000):,} kB" if document.bytes else ""


def plural(count: int, one: str, many: str = "") -> str:
    """Return a count with its noun.

    Example:
        >>> plural(1, "leaf", "leaves"), plural(2_000, "leaf", "leaves")
        ('1 leaf', '2,000 leaves')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"
