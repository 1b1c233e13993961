"""Out of the page and into it as files: examples as a Word or CSV table, a contribution as a patch from elsewhere."""

from __future__ import annotations

import dataclasses
import email.errors
import email.header
import email.parser
import tempfile
from pathlib import Path
from typing import Any

from homeroom.author.form import MAX_EXAMPLES, PLACE, LeafForm, form_of
from homeroom.author.table import TYPES, read_examples, write_examples
from homeroom.community.repository import patch_of, read_patch
from homeroom.core.errors import ContentError, HomeroomError, UsageError
from homeroom.core.files import hash_file, to_json
from homeroom.web.asked import Ask, File, Go, NotFound, Upload
from homeroom.web.pages_draft import own_draft
from homeroom.web.pages_review import form_in, handed_in_here
from homeroom.web.translate import translator

MAX_WHO = 120


# -- examples as a table -----------------------------------------------------------------------------------------------


def leaf_table(ask: Ask) -> File:
    """Save a leaf's examples as a table."""
    course, place = ask.desk.course(ask.path["course"]), ask.query.get("place", "")
    if all(leaf.path != place for leaf in ask.desk.tree(course).leaves):
        raise NotFound("there is no such leaf")
    return _table(ask, form_of(course.folder, place))


def draft_table(ask: Ask) -> File:
    """Save a draft's examples as a table, to go on with them in another program."""
    return _table(ask, own_draft(ask)[2])


def contribution_table(ask: Ask) -> File:
    """Save a contribution's examples as a table."""
    form = form_in(*handed_in_here(ask))
    if form is None:
        raise ContentError("it cannot be shown as a form")
    return _table(ask, form)


def _table(ask: Ask, form: LeafForm) -> File:
    kind = ask.query.get("as", "csv")
    if kind not in ("csv", "docx"):
        raise UsageError("tables are saved as csv or docx")
    name = f"{form.place.rsplit('/', 1)[-1]}.{kind}"
    return File(content=write_examples(form, kind), kind=TYPES[kind], name=name)  # type: ignore[arg-type]


def add_table(ask: Ask) -> Go:
    """Add the examples of a table to a draft; those that are empty give way."""
    course, draft, form = own_draft(ask)
    upload = _sent(ask, "table")
    made = read_examples(upload.name, upload.content, kind=form.kind)
    written = [e for e in form.examples if e.context.strip() or any(p.question or p.answer for p in e.pairs)]
    if len(written) + len(made) > MAX_EXAMPLES:
        raise ContentError(f"more than {MAX_EXAMPLES} examples", hint="Split them into several topics.")
    form = dataclasses.replace(form, examples=(*written, *made))
    ask.desk.store.save_draft(draft.id, version=draft.version, form=to_json(form), extra=draft.extra)
    said = translator(ask.language)("%(n)s examples were added. Look them over.", n=len(made))
    to = f"/courses/{course.id}/drafts/{draft.id}#examples-{len(written)}-context"
    return Go(to=to, said=said, values={"added": len(made)})


def _sent(ask: Ask, name: str) -> Upload:
    upload = ask.files.get(name)
    if upload is None or not upload.content:
        raise ContentError("no file was chosen", hint="Choose a file first.")
    return upload


# -- a contribution as a patch -----------------------------------------------------------------------------------------


def save_patch(ask: Ask) -> File:
    """Save a contribution as a file, to carry it elsewhere."""
    course, found = handed_in_here(ask)
    if not found.commit:
        raise NotFound("this was not handed in yet")
    return File(content=patch_of(course.folder, found.commit), kind="text/plain", name=f"{found.contribution.id}.patch")


def take_patch(ask: Ask) -> Go:
    """Open a contribution that was saved elsewhere as a draft: whoever brings it looks it over and signs for it."""
    course, upload = ask.desk.course(ask.path["course"]), _sent(ask, "patch")
    try:
        changes = read_patch(course.folder, upload.content)
    except UsageError as error:
        raise ContentError(error.message, hint="Only what lies in one topic can be brought here.") from None
    leaf = next(iter(changes)).rpartition("/")[0]
    if not PLACE.fullmatch(leaf) or f"{leaf}/qna.yaml" not in changes:
        raise ContentError("holds no topic that this page can open")
    form = _as_form(changes, leaf)
    there = course.folder / leaf / "qna.yaml"
    extra: dict[str, Any] = {
        "name": leaf.rsplit("/", 1)[-1].replace("-", " "),
        "from": _author(upload.content),
        "base": hash_file(there) if there.is_file() else "",
        "text": changes.get(f"{leaf}/{form.document}", ""),
        "is_there": bool(form.document) and f"{leaf}/{form.document}" not in changes,
    }
    draft = ask.desk.store.add_draft(course.id, ask.who, leaf, to_json(form), extra)
    ask.desk.store.note(ask.who.name, "brought a contribution from elsewhere", f"{course.id} {leaf}")
    said = translator(ask.language)("It is a draft of yours now. Look it over, then hand it in.")
    return Go(to=f"/courses/{course.id}/drafts/{draft.id}", said=said, values={"draft": draft.id})


def _as_form(changes: dict[str, str], leaf: str) -> LeafForm:
    with tempfile.TemporaryDirectory() as temporary:
        for name, text in changes.items():
            (Path(temporary) / name).parent.mkdir(parents=True, exist_ok=True)
            (Path(temporary) / name).write_text(text, encoding="utf-8")
        try:
            return form_of(Path(temporary), leaf)
        except HomeroomError:
            raise ContentError("holds no topic that this page can open") from None


def _author(content: bytes) -> str:
    """Return who a patch says that it is from, as a name to show; "" where it says nothing."""
    head = content[:4_000].split(b"\n\n", 1)[0]
    said = email.parser.BytesHeaderParser().parsebytes(head).get("From", "")
    try:
        parts = email.header.decode_header(str(said))
        text = "".join(p.decode(c or "ascii", "replace") if isinstance(p, bytes) else p for p, c in parts)
    except (LookupError, ValueError, email.errors.HeaderParseError):  # in signs that nobody knows
        return ""
    return " ".join("".join(c if c.isprintable() else " " for c in text.partition("<")[0]).split())[:MAX_WHO]
