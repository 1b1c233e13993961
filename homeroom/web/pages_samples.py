"""What the teacher wrote, to look through: accept, mend or reject, one or many at once, and take it back.

A hundred thousand samples are put into a small index beside the course's jobs once a generation; a page reads fifty of
them from the file itself. Decisions go into the course (`generate/decisions.py`), where the next generation heeds them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from homeroom.core.errors import ContentError, RefusedError, UsageError
from homeroom.core.files import from_json, lock_folder, to_json
from homeroom.core.types import Message, Sample
from homeroom.generate.decisions import FILE, Decision, key_of, key_of_words, read_decisions
from homeroom.web.asked import Ask, Go, Page, number
from homeroom.web.desk import CourseEntry
from homeroom.web.translate import translator

ROWS = 50
MAX_AT_ONCE = 5_000
_TABLES = """
CREATE TABLE rows (n INTEGER PRIMARY KEY, key TEXT, leaf TEXT, kind TEXT, state TEXT, start INTEGER, size INTEGER);
CREATE INDEX by_key ON rows (key);
CREATE INDEX by_leaf ON rows (leaf, n);
CREATE INDEX by_state ON rows (state, n);
CREATE VIRTUAL TABLE words USING fts5 (said, content='', tokenize='unicode61');
"""


def samples(ask: Ask) -> Page:
    """List samples: those of a leaf or a kind, those with a word, those decided or thrown out."""
    course = ask.desk.course(ask.path["course"])
    folder = course.folder / "out" / "samples"
    wanted = {n: ask.query.get(n, "")[:200] for n in ("leaf", "kind", "state", "q")}
    page = number(ask.query.get("page", ""))
    values: dict[str, Any] = {"course": course, "page": page, "of": _of(course), **wanted}
    if not (folder / "record.json").is_file():
        empty = {"rows": [], "total": 0, "counts": {}, "leaves": [], "kinds": [], "pages": 0, "decided": 0}
        return Page(template="samples.html", values=values | empty)
    decisions = _decisions(ask, course)
    with _index(ask, course) as database:
        counts = ask.desk.made(course, "sample counts", _stamp(course), lambda: _counts(database))
        where, given = _where(wanted, decisions)
        total = (
            database.execute(f"SELECT count(*) FROM rows {where}", given).fetchone()[0] if where else counts["total"]
        )
        found = database.execute(f"SELECT * FROM rows {where} ORDER BY n LIMIT ? OFFSET ?", (*given, ROWS, page * ROWS))
        with _Files(folder) as files:
            rows = [_row(files, row, decisions) for row in found.fetchall()]
    values |= {"rows": rows, "total": total, "pages": (total + ROWS - 1) // ROWS, "decided": len(decisions)}
    return Page(template="samples.html", values=values | {k: counts[k] for k in ("counts", "leaves", "kinds")})


def _where(wanted: dict[str, str], decisions: dict[str, Decision]) -> tuple[str, tuple[Any, ...]]:
    parts, given = [], []
    for name in ("leaf", "kind"):
        if wanted[name]:
            parts.append(f"{name} = ?")
            given.append(wanted[name])
    if wanted["state"] in ("kept", "rejected"):
        parts.append("state = ?")
        given.append(wanted["state"])
    if wanted["state"] == "decided":
        keys = list(decisions)[:MAX_AT_ONCE]
        parts.append(f"key IN ({','.join('?' * len(keys))})")
        given += keys
    terms = ["".join(c if c.isalnum() else " " for c in word).strip() for word in wanted["q"].split()]
    if any(terms):
        parts.append("n IN (SELECT rowid FROM words WHERE words MATCH ?)")
        given.append(" ".join(f'"{term}"' for term in terms if term))
    return (f"WHERE {' AND '.join(parts)}" if parts else ""), tuple(given)


class _Files(contextlib.ExitStack):
    """The files of samples, each opened once for a page."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder, self.opened = folder, dict[str, Any]()

    def read(self, row: sqlite3.Row) -> dict[str, Any]:
        """Return the line that a row of the index names."""
        name = "rejected.jsonl" if row["state"] == "rejected" else "samples.jsonl"
        if name not in self.opened:
            self.opened[name] = self.enter_context((self.folder / name).open("rb"))
        self.opened[name].seek(row["start"])
        found: dict[str, Any] = json.loads(self.opened[name].read(row["size"]))
        return found


def _row(files: _Files, row: sqlite3.Row, decisions: dict[str, Decision]) -> dict[str, Any]:
    value = files.read(row)
    reason = f"{value['check']}: {value['reason']}" if row["state"] == "rejected" else ""
    sample = _as_shown(value["sample"] if row["state"] == "rejected" else value)
    decision = decisions.get(row["key"])
    shown = decision.sample if decision and decision.sample else sample
    question, answer = _said(shown)
    return {
        "n": row["n"],
        "key": row["key"],
        "leaf": row["leaf"],
        "kind": row["kind"],
        "state": row["state"],
        "reason": reason,
        "question": question,
        "answer": answer,
        "quote": sample.quote,
        "decision": decision.what if decision else "",
        "why": decision.reason if decision else "",
    }


def _as_shown(value: dict[str, Any]) -> Sample:
    """Return what a page shows of a sample; not checked field by field, which fifty times a page would be felt."""
    messages = tuple(Message(role=m["role"], content=str(m["content"])) for m in value.get("messages", ()))
    text, quote = str(value.get("text", "")), str(value.get("quote", ""))
    return Sample(id=str(value["id"]), kind=str(value["kind"]), messages=messages, text=text, quote=quote)


def _said(sample: Sample) -> tuple[str, str]:
    if not sample.messages:
        return "", sample.text
    asked = "\n".join(m.content for m in sample.messages if m.role == "user")
    return asked, "\n".join(m.content for m in sample.messages if m.role == "assistant")


# -- deciding ----------------------------------------------------------------------------------------------------------


def decide(ask: Ask) -> Go:
    """Accept, mend or reject samples, or take that back; it holds for every generation to come.

    `what` is accept, edit, reject or undo; `n` the numbers of the samples, and `of` which samples they are the numbers
    of: both are in the list of them. `reason` is anybody's words; edit takes one sample, its `answer` and `question`.
    """
    course = ask.desk.course(ask.path["course"])
    what = ask.get("what")
    if what not in ("accept", "edit", "reject", "undo"):
        raise UsageError("choose what to do with them")
    wanted = [number(n) for n in ask.chosen.get("n", [])][:MAX_AT_ONCE]  # 0 is none's
    folder = course.folder / "out" / "samples"
    if what == "edit" and (len(wanted) != 1 or not ask.get("answer").strip()):
        raise UsageError("mend one sample at a time, and leave its answer not empty")
    _refuse_others(course, ask.get("of"))
    made = []
    with _index(ask, course) as database, _Files(folder) as files:
        for n in wanted:
            row = database.execute("SELECT * FROM rows WHERE n = ?", (n,)).fetchone()
            if row is not None:
                made.append(_decision(ask, files, row, what))
    _refuse_others(course, ask.get("of"))
    if not made:
        raise UsageError("no sample was chosen", hint="Tick some first.")
    with lock_folder(course.folder / "contributions"), (course.folder / FILE).open("a", encoding="utf-8") as file:
        file.write("".join(json.dumps(to_json(d), ensure_ascii=False) + "\n" for d in made))
        file.flush()
        os.fsync(file.fileno())
    ask.desk.store.note(ask.who.name, f"{what}: {len(made)} samples", course.id)
    said = translator(ask.language)("%(n)s samples are decided. The next run heeds it.", n=len(made))
    back = ask.get("back")
    to = f"/courses/{course.id}/samples{back if back.startswith('?') and back.isprintable() else ''}"
    return Go(to=to, said=said, values={"decided": len(made)})


def _refuse_others(course: CourseEntry, of: str) -> None:
    """Refuse numbers of samples that are no longer there: a run has written others, which have the same numbers."""
    if not of:
        raise UsageError("say which samples", where="of", hint="It is in the list of them, beside their numbers.")
    if of != _of(course):
        raise RefusedError("the samples are other ones by now", hint="Load the page again, and look once more.")


def _decision(ask: Ask, files: _Files, row: sqlite3.Row, what: Any) -> Decision:
    value = files.read(row)
    sample = from_json(Sample, value["sample"] if row["state"] == "rejected" else value)
    kept: Sample | None = sample if what == "accept" else None
    if what == "edit":
        kept = _mended(sample, ask.get("question").strip(), ask.get("answer").strip())
    now = datetime.now(UTC).isoformat(timespec="seconds")
    reason = " ".join(ask.get("reason").split())[:500]
    return Decision(key=key_of(sample), what=what, sample=kept, reason=reason, who=ask.who.name, at=now)


def _mended(sample: Sample, question: str, answer: str) -> Sample:
    if len(question) + len(answer) > 20_000:
        raise ContentError("this is longer than a sample may be")
    if not sample.messages:
        return replace(sample, text=answer)
    said = {"user": question or _said(sample)[0], "assistant": answer}
    messages = tuple(Message(role=m.role, content=said.get(m.role, m.content)) for m in sample.messages)
    return replace(sample, messages=messages)


# -- the index ---------------------------------------------------------------------------------------------------------


def _stamp(course: CourseEntry) -> tuple[Any, ...]:
    folder = course.folder / "out" / "samples"
    files = [folder / name for name in ("samples.jsonl", "rejected.jsonl")]
    return tuple((p.stat().st_mtime_ns, p.stat().st_size) if p.is_file() else () for p in files)


def _of(course: CourseEntry) -> str:
    """Return a name of the samples that are there now; a number means one of them in these samples alone."""
    return hashlib.sha256(repr(_stamp(course)).encode()).hexdigest()[:16]


def _decisions(ask: Ask, course: CourseEntry) -> dict[str, Decision]:
    path = course.folder / FILE
    stamp = (path.stat().st_mtime_ns, path.stat().st_size) if path.is_file() else ()
    found: dict[str, Decision] = ask.desk.made(course, "decisions", stamp, lambda: read_decisions(course.folder))
    return found


@contextlib.contextmanager
def _index(ask: Ask, course: CourseEntry) -> Iterator[sqlite3.Connection]:
    """Open the index of the course's samples, made anew where they are other ones."""
    path = ask.desk.state / "samples" / f"{course.id}@{_of(course)}.db"
    if not path.is_file():
        with lock_folder(path.parent / f"{course.id}.lock"):
            if not path.is_file():
                _make_index(path, course.folder / "out" / "samples")
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    database.row_factory = sqlite3.Row
    try:
        yield database
    finally:
        database.close()


def _make_index(path: Path, folder: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    for old in path.parent.glob(f"{path.name.split('@')[0]}@*"):
        old.unlink()
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    with contextlib.closing(sqlite3.connect(part)) as database:
        database.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;" + _TABLES)
        rows = _rows(folder)
        while batch := [row for _, row in zip(range(5_000), rows, strict=False)]:
            database.executemany("INSERT INTO rows VALUES (?,?,?,?,?,?,?)", [row[:7] for row in batch])
            database.executemany("INSERT INTO words (rowid, said) VALUES (?,?)", [(row[0], row[7]) for row in batch])
        database.commit()
    os.replace(part, path)


def _rows(folder: Path) -> Iterator[tuple[Any, ...]]:
    n = 0
    for state, name in (("kept", "samples.jsonl"), ("rejected", "rejected.jsonl")):
        start = 0
        if not (folder / name).is_file():
            continue
        with (folder / name).open("rb") as file:
            for line in file:
                size = len(line)
                if line.strip():
                    value = json.loads(line)  # not from_json: it would take minutes for a hundred thousand
                    value = value["sample"] if state == "rejected" else value
                    said = [str(m["content"]) for m in value.get("messages", ())] or [str(value.get("text", ""))]
                    roles = [m["role"] for m in value.get("messages", ())]
                    asked = said[roles.index("user")] if "user" in roles else str(value.get("text", ""))
                    leaf = str(value.get("leaf", ""))
                    key = key_of_words(leaf, asked)
                    n += 1
                    yield (n, key, leaf, str(value["kind"]), state, start, size, " ".join(said))
                start += size


def _counts(database: sqlite3.Connection) -> dict[str, Any]:
    def by(name: str) -> dict[str, int]:
        rows = database.execute(f"SELECT {name}, count(*) FROM rows GROUP BY {name} ORDER BY 2 DESC LIMIT 300")
        return {str(row[0]): int(row[1]) for row in rows}

    states = by("state")
    kinds = [k for k in by("kind") if k]
    return {
        "counts": states,
        "leaves": sorted(k for k in by("leaf") if k),
        "kinds": kinds,
        "total": sum(states.values()),
    }
