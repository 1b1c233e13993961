"""The courses, and one course as a map with its gaps: where to begin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from homeroom.author.form import form_of
from homeroom.community.review import standings
from homeroom.core.contributions import FOLDER
from homeroom.taxonomy.tree import Tree
from homeroom.taxonomy.tree_page import NARROW, WIDE, _legend, draw, plant
from homeroom.web.asked import Ask, Go, NotFound, Page, number
from homeroom.web.desk import CourseEntry, new_course
from homeroom.web.page import part
from homeroom.web.translate import translator

ROWS, GAPS = 50, 6


def courses(ask: Ask) -> Page:
    """List the courses."""
    rows = []
    for course in ask.desk.courses():
        tree, report = ask.desk.tree(course), ask.desk.report(course)
        rows.append(
            {
                "id": course.id,
                "title": course.title,
                "leaves": len(tree.leaves),
                "gaps": len(tree.gaps),
                "waiting": sum(s.stand == "waiting" for s in handed_in(ask, course)),
                "right": report["closed_book"]["after"]["accuracy"] if report else None,
            }
        )
    examples = Path(__file__).resolve().parent.parent / "data" / "examples"
    names = sorted(p.name for p in examples.iterdir() if p.is_dir())
    return Page(template="courses.html", values={"courses": rows, "examples": names}, only_page=("examples",))


def make_course(ask: Ask) -> Go:
    """Make a new course, from an example or empty."""
    id = new_course(ask.desk.home, ask.get("name"), ask.get("example"))
    ask.desk.store.note(ask.who.name, "made a course", id)
    return Go(to=f"/courses/{id}", said=translator(ask.language)("The course is there. Teach it something."))


def handed_in(ask: Ask, course: CourseEntry) -> list[Any]:
    """Return the contributions of a course, read again when one of their folders changed."""
    folder = course.folder / FOLDER
    if not folder.is_dir():
        return []
    names = [(p.name, p.stat().st_mtime_ns) for p in folder.iterdir()]
    files = [(p / f).stat().st_mtime_ns for p in folder.iterdir() for f in ("history.jsonl",) if (p / f).is_file()]
    return list(ask.desk.made(course, "contributions", hash((*names, *files)), lambda: standings(course.folder)))


def course(ask: Ask) -> Page:
    """Show a course: its map, its gaps, and what there is to do."""
    entry = ask.desk.course(ask.path["course"])
    tree = ask.desk.tree(entry)
    figure = ask.desk.made(entry, f"map {ask.language}", id(tree), lambda: (tree, _figure(tree, ask.language)))[1]
    totals = ask.desk.made(entry, "totals", id(tree), lambda: (tree, tree.totals()))[1]
    found, report = handed_in(ask, entry), ask.desk.report(entry)
    jobs = [job for job in ask.desk.jobs_of(entry) if job.kind == "run"]
    return Page(
        template="course.html",
        values={
            "course": entry,
            "totals": totals,
            "figure": figure,
            "gaps": [g for g in tree.gaps if g.kind in ("unknown", "thin", "empty")][:GAPS] or list(tree.gaps[:GAPS]),
            "num_gaps": len(tree.gaps),
            "waiting": sum(s.stand == "waiting" for s in found),
            "mine": [_draft_row(d) for d in ask.desk.store.drafts(entry.id, person=ask.who.id)],
            "report": _short(report),
            "job": jobs[0] if jobs and jobs[0].state in ("queued", "running") else None,
            "broken": tree.broken[:5],
            "folders": _rows_below(ask, entry, tree, ""),
        },
        only_page=("figure",),
    )


def _figure(tree: Tree, language: str) -> Any:
    """Return the map, drawn once for each state of the course."""
    return part("map.html", language, map=_drawn(tree)) if tree.leaves else ""


def _drawn(tree: Tree) -> dict[str, Any]:
    root = plant(tree)
    return {
        "pictures": [
            {"kind": kind, "size": size, "cells": list(draw(root, size))}
            for kind, size in (("wide", WIDE), ("narrow", NARROW))
        ],
        "looks": [(look, words.replace("seed ", "")) for look, words in _legend(tree)],
    }


def _draft_row(draft: Any) -> dict[str, Any]:
    return {"id": draft.id, "place": draft.place, "changed": draft.changed}


def _short(report: dict[str, Any] | None) -> dict[str, Any] | None:
    if report is None:
        return None
    closed = report["closed_book"]
    return {"verdict": report["verdict"], "before": closed["before"], "after": closed["after"]}


def _rows_below(ask: Ask, entry: CourseEntry, tree: Tree, below: str) -> list[dict[str, Any]]:
    """Return a folder's rows, counted once for each state of the course; none of a folder that is not there."""
    known: dict[str, Any] = ask.desk.made(entry, "rows", id(tree), lambda: (tree, {}))[1]
    rows = known.get(below) or _folder_rows(tree, below)
    if rows:
        known[below] = rows
    return list(rows)


def _folder_rows(tree: Tree, below: str) -> list[dict[str, Any]]:
    """Return the folders and leaves one step below a folder, each with what it holds."""
    prefix, rows = f"{below}/" if below else "", {}
    gaps: dict[str, int] = {}
    for gap in tree.gaps:
        gaps[gap.path] = gaps.get(gap.path, 0) + 1
    for leaf in tree.leaves:
        if not leaf.path.startswith(prefix):
            continue
        name, _, more = leaf.path[len(prefix) :].partition("/")
        row = rows.setdefault(name, {"path": prefix + name, "is_leaf": not more, "leaves": 0, "questions": 0,
                                     "asked": 0, "right": 0, "gaps": 0})  # fmt: skip
        row["is_leaf"] = row["is_leaf"] or not more
        row["leaves"] += 1
        row["questions"] += leaf.questions
        row["asked"] += leaf.asked
        row["right"] += leaf.right
        row["gaps"] += gaps.get(leaf.path, 0)
    return [rows[name] for name in sorted(rows)]


def leaves(ask: Ask) -> Page:
    """List the leaves below a folder, or those whose name holds a word."""
    entry = ask.desk.course(ask.path["course"])
    tree, below, word = ask.desk.tree(entry), ask.query.get("below", "").strip("/"), ask.query.get("q", "").strip()
    if word:
        found = [leaf for leaf in tree.leaves if word.casefold() in leaf.path.casefold()]
        rows = [
            {"path": leaf.path, "is_leaf": True, "leaves": 1, "questions": leaf.questions, "asked": leaf.asked,
             "right": leaf.right, "gaps": 0}
            for leaf in found
        ]  # fmt: skip
    else:
        rows = _rows_below(ask, entry, tree, below)
    page = number(ask.query.get("page", ""))
    return Page(
        template="leaves.html",
        values={
            "course": entry,
            "rows": rows[page * ROWS : (page + 1) * ROWS],
            "total": len(rows),
            "page": page,
            "pages": (len(rows) + ROWS - 1) // ROWS,
            "below": below,
            "q": word,
        },
    )


def leaf(ask: Ask) -> Page:
    """Show what a leaf teaches."""
    entry = ask.desk.course(ask.path["course"])
    place = ask.query.get("place", "")
    row = next((leaf for leaf in ask.desk.tree(entry).leaves if leaf.path == place), None)
    if row is None:
        raise NotFound("there is no such leaf")
    others = [d for d in ask.desk.store.drafts(entry.id, place=place) if d.person != ask.who.id]
    people = {p.id: p.name for p in ask.desk.store.people()}
    return Page(
        template="leaf.html",
        values={
            "course": entry,
            "row": row,
            "form": form_of(entry.folder, place),
            "gaps": [gap for gap in ask.desk.tree(entry).gaps if gap.path == place][:20],
            "others": [people.get(d.person, "?") for d in others],
        },
    )
