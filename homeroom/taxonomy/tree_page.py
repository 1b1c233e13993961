"""The tree as one self-contained page: a picture of what there is to learn and how well it is known, and every gap.

The picture is a treemap: a cell is a section of a document, or a leaf without sections; its area is the words there are
to learn. Its colour says which share of the exam the student has right, or, before there is an exam, whether a
seed example comes from it. What is too small for a cell of its own is drawn as its folder. Two pictures are made, for
wide and narrow pages; CSS chooses. No script, no network; all names are escaped by the template.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from homeroom.taxonomy.tree import GAP_TITLES, LeafRow, Tree, by_place, plural, size_of

WIDE, NARROW = (1000.0, 560.0), (360.0, 640.0)
MIN_CELL = 26.0  # units of the picture; what would be narrower is drawn with its neighbours as their folder
HEAD = 19.0  # of the strip with a folder's name
FLOOR = 0.004  # of the whole: the least area of a leaf, so that a small one can be seen
MAX_ROWS, MAX_GAPS = 1_500, 30  # leaves and gaps of a kind on the page; --json has all

_DATA = Path(__file__).resolve().parent.parent / "data"


@dataclass(slots=True, kw_only=True)
class Node:
    """A folder, leaf or section with its area and what is known of it."""

    name: str
    words: float = 0.0
    asked: int = 0
    right: int = 0
    touched: float = 0.0  # words of sections that a seed context comes from
    judged: float = 0.0  # words that could be touched: of sections that were read
    leaves: int = 0
    is_empty: bool = False
    children: list[Node] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A rectangle of the picture."""

    x: float
    y: float
    width: float
    height: float
    look: str  # class: "k0" to "k4", "seeded", "bare", "plain", "empty" or "folder"
    title: str  # the tooltip, and what a screen reader says
    lines: tuple[str, ...] = ()  # of the label, as far as they fit
    named: int = 1  # how many of them are the name


def tree_page(tree: Tree) -> str:
    """Return the HTML of a tree."""
    root = plant(tree)
    groups = [
        {
            "title": title,
            "kind": kind,
            "count": len(found),
            "places": [{"path": p, "document": d, "gaps": rows} for (p, d), rows in by_place(found[:MAX_GAPS]).items()],
            "more": max(0, len(found) - MAX_GAPS),
        }
        for kind, title in ((kind, GAP_TITLES[kind]) for kind in ("unknown", "thin", "empty", "untouched"))
        if (found := [gap for gap in tree.gaps if gap.kind == kind])
    ]
    return _template().render(
        tree=tree,
        totals=tree.totals(),
        pictures=[
            {"kind": kind, "size": size, "cells": list(draw(root, size))}
            for kind, size in (("wide", WIDE), ("narrow", NARROW))
        ],
        looks=_legend(tree),
        groups=groups,
        branches=list(_branches(tree)),
        left_out=max(0, len(tree.leaves) - MAX_ROWS),
    )


@cache
def _template() -> Any:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_DATA), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "count": lambda number: f"{number:,}",
        "r": lambda number: f"{number:.1f}".removesuffix(".0"),
        "plural": plural,
        "size": size_of,
    }
    return environment.get_template("tree.html.j2")


# -- what is drawn -----------------------------------------------------------------------------------------------


def plant(tree: Tree) -> Node:
    """Return the tree as nodes; folders with one child are one node with it."""
    root = Node(name=tree.course)
    total = sum(leaf.amount for leaf in tree.leaves) or 1
    floor = max(1.0, total * FLOOR)
    empty = {gap.path for gap in tree.gaps if gap.kind == "empty"}
    for leaf in tree.leaves:
        _folder(root, leaf.path.split("/")[:-1]).children.append(_leaf_node(leaf, floor))
    for path in empty:
        *above, name = path.split("/")
        _folder(root, above).children.append(Node(name=name, words=floor, is_empty=True))
    return _summed(root)


def _folder(root: Node, names: Sequence[str]) -> Node:
    node = root
    for name in names:
        child = next((c for c in reversed(node.children) if c.name == name and not c.leaves and not c.is_empty), None)
        if child is None:
            child = Node(name=name)
            node.children.append(child)
        node = child
    return node


def _leaf_node(leaf: LeafRow, floor: float) -> Node:
    sections = [s for d in leaf.documents for s in d.sections]
    name = leaf.path.rpartition("/")[2]
    node = Node(name=name, words=max(float(leaf.amount), floor), asked=leaf.asked, right=leaf.right, leaves=1)
    node.judged = float(sum(s.words for s in sections))
    node.touched = float(sum(s.words for s in sections if s.touched))
    if len(sections) > 1:
        node.children = [
            Node(
                name=s.title or "before the first heading",
                words=float(s.words),
                asked=s.asked,
                right=s.right,
                touched=float(s.words if s.touched else 0),
                judged=float(s.words),
            )
            for s in sections
        ]
    return node


def _summed(node: Node) -> Node:
    """Add up folders, and join a folder with its only child: "knowledge / insurance"."""
    if node.leaves == 1 or not node.children:
        return node
    children = sorted((_summed(child) for child in node.children), key=lambda c: -c.words)
    if len(children) == 1 and not children[0].is_empty:
        return dataclasses.replace(children[0], name=f"{node.name} / {children[0].name}")
    sums = {name: sum(getattr(c, name) for c in children) for name in ("words", "asked", "right", "touched", "judged")}
    return Node(name=node.name, leaves=sum(c.leaves for c in children), children=children, **sums)


# -- the picture -------------------------------------------------------------------------------------------------


def draw(root: Node, size: tuple[float, float]) -> Iterator[Cell]:
    """Yield the cells of the picture, what lies behind first."""
    yield from _draw(root, 0.0, 0.0, *size, depth=0)


def _draw(node: Node, x: float, y: float, width: float, height: float, *, depth: int) -> Iterator[Cell]:
    can_divide = len(node.children) > 1 and width >= 2 * MIN_CELL and height >= HEAD + 2 * MIN_CELL
    if not can_divide or width * height < len(node.children) * MIN_CELL * 14:
        yield _cell(node, x, y, width, height)
        return
    head = HEAD if depth else 0.0
    if depth:
        label, named = _fit([node.name], width - 10, HEAD)
        yield Cell(x=x, y=y, width=width, height=height, look="folder", title=_said(node), lines=label[:1], named=named)
    pad = 3.0 if depth else 0.0
    inner = (x + pad, y + head, width - 2 * pad, height - head - pad)
    for child, (cx, cy, cw, ch) in zip(
        node.children, squarified([c.words for c in node.children], *inner), strict=True
    ):
        gap = 1.0 if child.children else 0.75
        if cw > 2 * gap and ch > 2 * gap:
            yield from _draw(child, cx + gap, cy + gap, cw - 2 * gap, ch - 2 * gap, depth=depth + 1)


def _cell(node: Node, x: float, y: float, width: float, height: float) -> Cell:
    lines = [node.name]
    if node.leaves > 1:
        lines.append(plural(node.leaves, "leaf", "leaves"))
    if node.asked:
        lines.append(f"{node.right} of {node.asked} known")
    elif not node.is_empty:
        lines.append(f"{node.words:,.0f} words")
    label, named = _fit(lines, width - 10, height - 6)
    return Cell(x=x, y=y, width=width, height=height, look=_look(node), title=_said(node), lines=label, named=named)


def _look(node: Node) -> str:
    """Return how a node is coloured: by the exam where it was asked about, else by its seeds."""
    if node.is_empty:
        return "empty"
    if node.asked:
        bare = " bare" if node.judged and not node.touched else ""
        return f"k{min(4, int(5 * node.right / node.asked))}{bare}"
    if not node.judged:
        return "plain"
    share = node.touched / node.judged
    return next((look for look, least, _ in _REACH if share > least), "unseeded bare")


_REACH = (  # class, the share of words that seed examples reach above which it is, and the words for it
    ("seeded", 0.66, "seed examples reach it"),
    ("partly", 0.33, "two thirds at most"),
    ("few", 0.0, "a third at most"),
)


def _said(node: Node) -> str:
    if node.is_empty:
        return f"{node.name}: no leaf is here"
    parts = [f"{node.words:,.0f} words"]
    if node.leaves > 1:
        parts.insert(0, plural(node.leaves, "leaf", "leaves"))
    if node.asked:
        parts.append(f"the student has {node.right} of {node.asked} exam questions right")
    if node.judged:
        share = node.touched / node.judged
        parts.append("no seed example comes from here" if not share else f"seed examples reach {share:.0%} of it")
    return f"{node.name}: {', '.join(parts)}"


LETTER, LINE = 7.7, 15.0  # of the label's type, 12 units high and bold; a wide font was measured
FEWEST_CUT = 9  # letters of a name that is cut: fewer tell nothing


def _fit(lines: Sequence[str], width: float, height: float) -> tuple[tuple[str, ...], int]:
    """Return a label's lines as far as they fit, and how many are the name; none where too little of it does."""
    room, letters = int(height // LINE), int(width // LETTER)
    if room < 1 or letters < 4:
        return (), 0
    name = _wrap(lines[0], letters, max(1, min(4, room - len(lines) + 1)))
    cut = [line.endswith("…") for line in name]
    if any(cut[:-1]) or (cut[-1] and not lines[0].endswith(name[-1]) and sum(map(len, name)) < FEWEST_CUT):
        return (), 0
    return (*name, *[line for line in lines[1:] if len(line) <= letters][: room - len(name)]), len(name)


def _wrap(text: str, letters: int, most: int) -> list[str]:
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > letters:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    cut = [line if len(line) <= letters else f"{line[: letters - 1]}…" for line in lines[:most]]
    if len(lines) > most and not cut[-1].endswith("…"):
        cut[-1] = f"{cut[-1][: letters - 1].rstrip()}…"
    return cut


def squarified(
    sizes: Sequence[float], x: float, y: float, width: float, height: float
) -> list[tuple[float, float, float, float]]:
    """Divide a rectangle into parts of these sizes, in order, each as near to a square as a row of them can be.

    Source: Bruls, Huizing and van Wijk, Squarified Treemaps (2000). Sizes should fall.

    Example:
        >>> squarified([2, 1, 1], 0, 0, 4, 2)
        [(0, 0.0, 2.0, 2.0), (2.0, 0.0, 2.0, 1.0), (2.0, 1.0, 2.0, 1.0)]
    """
    total = sum(sizes) or 1.0
    areas = [max(size, 0.0) * width * height / total for size in sizes]
    placed: list[tuple[float, float, float, float]] = []
    start = 0
    while start < len(areas):
        side = min(width, height)
        if side <= 0:
            placed += [(x, y, 0.0, 0.0)] * (len(areas) - start)
            break
        end = start + 1
        while end < len(areas) and _worst(areas[start : end + 1], side) <= _worst(areas[start:end], side):
            end += 1
        row = areas[start:end]
        thick = sum(row) / side
        at = 0.0
        for area in row:
            length = area / thick if thick else 0.0
            placed.append((x, y + at, thick, length) if width >= height else (x + at, y, length, thick))
            at += length
        if width >= height:
            x, width = x + thick, width - thick
        else:
            y, height = y + thick, height - thick
        start = end
    return placed


def _worst(row: Sequence[float], side: float) -> float:
    total = sum(row)
    if min(row) <= 0 or total <= 0:
        return float("inf")
    return max(side * side * max(row) / total**2, total**2 / (side * side * min(row)))


def _legend(tree: Tree) -> list[tuple[str, str]]:
    """Return (class, words) for what the picture's colours mean, as far as they occur."""
    looks = []
    if any(leaf.asked for leaf in tree.leaves):
        looks += [(f"k{n}", f"{20 * n}–{20 * n + 20}") for n in range(5)]
    unasked = [leaf for leaf in tree.leaves if not leaf.asked]
    if any(d.sections for leaf in unasked for d in leaf.documents):
        looks += [(look, words) for look, _, words in _REACH]
    if any(not d.sections for leaf in unasked for d in leaf.documents) or any(not leaf.documents for leaf in unasked):
        looks.append(("plain", "a skill, or not read yet"))
    if any(not s.touched for leaf in tree.leaves for d in leaf.documents for s in d.sections):
        looks.append(("unseeded bare", "no seed example comes from it"))
    if any(gap.kind == "empty" for gap in tree.gaps):
        looks.append(("empty", "folder without a leaf"))
    return looks


# -- the list of leaves ------------------------------------------------------------------------------------------


def _branches(tree: Tree) -> Iterator[dict[str, Any]]:
    """Yield each folder that holds leaves, with its leaves and their strips of sections."""
    missing: dict[str, int] = {}
    for gap in tree.gaps:
        missing[gap.path] = missing.get(gap.path, 0) + 1
    folder: dict[str, Any] = {}
    for leaf in tree.leaves[:MAX_ROWS]:
        path, _, name = leaf.path.rpartition("/")
        if folder.get("path") != path:
            if folder:
                yield folder
            folder = {"path": path, "leaves": []}
        folder["leaves"].append({"row": leaf, "name": name, "gaps": missing.get(leaf.path, 0), "strip": _strip(leaf)})
    if folder:
        yield folder


def _strip(leaf: LeafRow) -> list[dict[str, Any]]:
    sections = [s for d in leaf.documents for s in d.sections]
    total = sum(s.words for s in sections)
    if not 1 < len(sections) <= 80:
        return []
    parts, at = [], 0.0
    for s in sections:
        width = 100 * s.words / total
        touched = float(s.words if s.touched else 0)
        node = Node(name=s.title, words=s.words, asked=s.asked, right=s.right, touched=touched, judged=float(s.words))
        parts.append({"x": at, "width": width, "look": _look(node), "title": _said(node)})
        at += width
    return parts
