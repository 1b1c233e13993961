"""Writing a leaf: begun from nothing, a document, or what is there; saved by itself, checked while one types."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from homeroom.author.draft import exams_of
from homeroom.author.form import (
    EMPTY,
    PLACE,
    Example,
    Finding,
    LeafForm,
    Pair,
    _empty,
    files_of,
    filled,
    form_of,
    new_form,
    verdict,
)
from homeroom.community.review import LICENCE_TERMS
from homeroom.community.review import submit as hand_in
from homeroom.core.config import Taxonomy, read_recipe
from homeroom.core.contributions import Contribution, contribution_id
from homeroom.core.errors import ContentError, HomeroomError, MachineError, RefusedError, UsageError
from homeroom.core.files import from_json, hash_file, to_json, write_text
from homeroom.documents.formats import FORMATS, read_text, suffix_of
from homeroom.generate.checks import decontamination
from homeroom.web.alike import alike
from homeroom.web.asked import Ask, Go, NotFound, Page, number
from homeroom.web.desk import CourseEntry, server_options
from homeroom.web.store import Draft, Stale
from homeroom.web.translate import sayer, translator

MAX_DOCUMENT = 900_000  # bytes of text that a leaf's document may have
MAX_PASSAGE = 2_500  # characters of one paragraph that is shown to be taken
MAX_PARAGRAPHS = 400
SECTIONS = ("document", "about", "examples", "source")


# -- beginning ---------------------------------------------------------------------------------------------------------


def teach(ask: Ask) -> Page:
    """Show how to begin: facts or a skill, and where they belong."""
    course = ask.desk.course(ask.path["course"])
    folders = {"knowledge": _folders(ask, course, "knowledge"), "skill": _folders(ask, course, "compositional_skills")}
    given = ask.query.get("place", "")
    values = {"course": course, "folders": folders, "given": given, "name": "", "wrong": ""}
    return Page(template="teach.html", values=values)


def _folders(ask: Ask, course: CourseEntry, tree: str) -> list[str]:
    found = {leaf.path.rpartition("/")[0] for leaf in ask.desk.tree(course).leaves if leaf.path.startswith(tree)}
    names = sorted(name.partition("/")[2] for name in found)
    return [name for name in names if name][:300]


def begin(ask: Ask) -> Go | Page:
    """Begin to write something new."""
    course = ask.desk.course(ask.path["course"])
    kind = "skill" if ask.get("kind") == "skill" else "knowledge"
    tree = "knowledge" if kind == "knowledge" else "compositional_skills"
    folder = "/".join(_slug(part) for part in ask.get("folder").split("/") if _slug(part))
    place = "/".join(part for part in (tree, folder, _slug(ask.get("name"))) if part)
    wrong = ""
    if not _slug(ask.get("name")):
        wrong = "Give it a name of a word or two."
    elif (course.folder / place / "qna.yaml").exists():
        wrong = "There is something of this name here. Open it to improve it, or take another name."
    elif not PLACE.fullmatch(place):
        wrong = "This name is too long."
    if wrong:
        folders = {
            k: _folders(ask, course, t) for k, t in (("knowledge", "knowledge"), ("skill", "compositional_skills"))
        }
        values = {"course": course, "folders": folders, "given": "", "name": ask.get("name"), "wrong": wrong}
        return Page(template="teach.html", values=values, status=400)
    form = new_form(kind, place, created_by=_slug(ask.who.name) or "somebody")
    draft = ask.desk.store.add_draft(course.id, ask.who, place, to_json(form), {"name": ask.get("name")[:80]})
    return Go(to=f"/courses/{course.id}/drafts/{draft.id}", values={"draft": draft.id})


def _slug(text: str) -> str:
    text = text.casefold().replace("ä", "ae").replace("ö", "oe").replace("ü", "ue").replace("ß", "ss")
    return re.sub(r"[^a-z0-9]+", "-", text).strip("-")[:50].strip("-")


def improve(ask: Ask) -> Go:
    """Begin to improve a leaf that is there."""
    course, place = ask.desk.course(ask.path["course"]), ask.get("place")
    if not PLACE.fullmatch(place):
        raise NotFound("this place has a name that this page cannot change")
    own = ask.desk.store.drafts(course.id, person=ask.who.id, place=place)
    if own:
        return Go(to=f"/courses/{course.id}/drafts/{own[0].id}", values={"draft": own[0].id})
    form = form_of(course.folder, place)
    extra: dict[str, Any] = {"base": _hash(course.folder / place / "qna.yaml"), "name": place.rsplit("/", 1)[-1]}
    if form.document:
        try:
            read = read_text(form.document, (course.folder / place / form.document).read_bytes())
            extra |= {"text": read.text, "title": read.title, "is_there": True}
        except (HomeroomError, OSError):
            pass  # it is named, and `check` says what is wrong with it
    draft = ask.desk.store.add_draft(course.id, ask.who, place, to_json(form), extra)
    return Go(to=f"/courses/{course.id}/drafts/{draft.id}", values={"draft": draft.id})


def _hash(path: Path) -> str:
    return hash_file(path) if path.is_file() else ""


# -- the editor --------------------------------------------------------------------------------------------------------


def own_draft(ask: Ask) -> tuple[CourseEntry, Draft, LeafForm]:
    """Return a draft that this person may see: their own."""
    course = ask.desk.course(ask.path["course"])
    try:
        draft = ask.desk.store.draft(ask.path["draft"])
    except ContentError:
        raise NotFound("there is no such draft") from None
    if draft.course != course.id or draft.person != ask.who.id:
        raise NotFound("there is no such draft")
    return course, draft, from_json(LeafForm, draft.form)


def editor(ask: Ask) -> Page:
    """Show the editor of a leaf."""
    course, draft, form = own_draft(ask)
    draft, form = _take_teachers_draft(ask, draft, form)
    return _editor(ask, course, draft, form)


def _editor(ask: Ask, course: CourseEntry, draft: Draft, form: LeafForm, **more: Any) -> Page:
    text = str(draft.extra.get("text", ""))
    findings = checked(ask, course, form, text)
    job = ask.desk.queue.get(int(draft.extra["job"])) if draft.extra.get("job") else None
    values = {
        "course": course,
        "draft": draft,
        "form": form,
        "findings": _shown(ask, findings),
        "sections": sections(form, findings, draft),
        "paragraphs": paragraphs(text),
        "text_words": len(text.split()),
        "job": job,
        "licences": _licences(ask, course),
        "answers": draft.extra.get("answers", {}),
        "kinds": ", ".join(sorted(s.lstrip(".").upper() for s in FORMATS if s not in (".markdown", ".htm", ".xhtml"))),
        "changed_meanwhile": _changed_meanwhile(course, draft, form),
        **more,
    }
    return Page(template="editor.html", values=values, only_page=("licences", "kinds"))


def _licences(ask: Ask, course: CourseEntry) -> tuple[str, ...]:
    try:
        return read_recipe(course.folder, server_options(ask.desk)).taxonomy.licences
    except HomeroomError:
        return Taxonomy().licences


def checked(ask: Ask, course: CourseEntry, form: LeafForm, text: str) -> list[Finding]:
    """Return what is to be mended in a form."""
    exam = course.folder / "exam.jsonl"
    made = course.folder / "out" / "exam" / "record.json"
    stamp = tuple(p.stat().st_mtime_ns if p.is_file() else 0 for p in (exam, made))
    wording = ask.desk.made(course, "wording", stamp, lambda: decontamination(exams_of(course.folder)))
    return verdict(form, course.folder, document_text=text, is_exam_question=wording)


def _shown(ask: Ask, findings: list[Finding]) -> list[dict[str, Any]]:
    translate, say = translator(ask.language), sayer(ask.language)
    return [
        {
            "field": f.field,
            "section": f.section,
            "severity": f.severity,
            "text": say(translate(f.text, **f.values)),
            "is_empty": f.text in EMPTY.values() or "are needed" in f.text,  # to do, rather than wrong
        }
        for f in findings
    ]


def sections(form: LeafForm, findings: list[Finding], draft: Draft) -> list[dict[str, Any]]:
    """Return each section with how many things are to be mended in it."""
    named = [s for s in SECTIONS if form.kind == "knowledge" or s != "document"]
    open_ = {name: sum(f.section == name and f.severity == "error" for f in findings) for name in named}
    hints = {name: sum(f.section == name and f.severity != "error" for f in findings) for name in named}
    return [{"name": name, "open": open_[name], "hints": hints[name]} for name in named]


def paragraphs(text: str) -> list[str]:
    """Return a document's text in the pieces that can be taken as passages, whole paragraphs of a few lines each."""
    found: list[str] = []
    for part in re.split(r"\n\s*\n", text):
        part = part.strip()
        if not part:
            continue
        heading = bool(re.match(r"#{1,6} ", part))
        last = found[-1] if found else ""
        joins = bool(re.match(r"#{1,6} [^\n]*$", last)) or len(last) + len(part) < 600
        if found and not heading and joins:
            found[-1] = f"{last}\n\n{part}"
        else:
            found.append(part)
    return [part[:MAX_PASSAGE] for part in found[:MAX_PARAGRAPHS]]


def _changed_meanwhile(course: CourseEntry, draft: Draft, form: LeafForm) -> list[Any]:
    """Return what somebody else changed in the leaf since this draft was begun."""
    path = course.folder / draft.place / "qna.yaml"
    base = draft.extra.get("base", "")
    if not path.is_file() or _hash(path) == base:
        return []
    try:
        theirs = form_of(course.folder, draft.place)
    except ContentError:
        return []
    return apart(theirs, form)


# -- saving ------------------------------------------------------------------------------------------------------------


def save(ask: Ask) -> Page | Go:
    """Save a draft, and do what a button of its form asks for."""
    course, draft, old = own_draft(ask)
    form, extra = filled(old, ask.form), dict(draft.extra)
    version = number(ask.get("version"), -1) if ask.get("version") else draft.version
    if version != draft.version:
        return _conflict(ask, course, draft, old, form)
    form, anchor = _after_button(ask, course, draft, form, extra)
    try:
        draft = ask.desk.store.save_draft(draft.id, version=version, form=to_json(form), extra=extra)
    except Stale:
        course, draft, old = own_draft(ask)
        return _conflict(ask, course, draft, old, form)
    if ask.is_part and not ask.get("do"):
        findings = checked(ask, course, form, str(extra.get("text", "")))
        values = {"course": course, "draft": draft, "form": form, "findings": _shown(ask, findings)}
        return Page(
            template="verdict.html", values=values | {"sections": sections(form, findings, draft), "fresh": True}
        )
    to = f"/courses/{course.id}/drafts/{draft.id}"
    return Go(to=f"{to}/submit" if ask.get("do") == "submit" else f"{to}{anchor}", values={"version": draft.version})


def _conflict(ask: Ask, course: CourseEntry, draft: Draft, theirs: LeafForm, mine: LeafForm) -> Page:
    """Show both states of a draft that was saved in two windows; nothing is written until one is chosen."""
    values = {"course": course, "draft": draft, "mine": _fields_of(mine), "changes": apart(theirs, mine)}
    if ask.is_part:
        return Page(template="conflict_part.html", values=values, status=200)
    return Page(template="conflict.html", values=values, status=409)


def apart(theirs: LeafForm, mine: LeafForm) -> list[dict[str, str]]:
    """Return the fields in which two forms differ, complete or not: what, "before" for theirs and "after" for mine."""
    one, other = _fields_of(theirs), _fields_of(mine)
    names = [n for n in {**one, **other} if " ".join(one.get(n, "").split()) != " ".join(other.get(n, "").split())]
    return [
        {"what": _label(name), "of": "", "before": one.get(name, ""), "after": other.get(name, "")}
        for name in names[:60]
    ]


def _label(name: str) -> str:
    """Return what a person calls a field.

    Example:
        >>> _label("examples-0-pairs-1-answer"), _label("about")
        ('example 1, answer 2', 'about')
    """
    parts = name.split("-")
    if parts[0] != "examples":
        return name
    number = f"example {int(parts[1]) + 1}"
    return f"{number}, {parts[4]} {int(parts[3]) + 1}" if len(parts) == 5 else f"{number}, passage"


def _fields_of(form: LeafForm) -> dict[str, str]:
    """Return a form as the fields that a browser would send."""
    found = {n: getattr(form, n) for n in ("about", "domain", "title", "link", "revision", "licence", "creators")}
    for i, example in enumerate(form.examples):
        found[f"examples-{i}-context"] = example.context
        for j, pair in enumerate(example.pairs):
            found[f"examples-{i}-pairs-{j}-question"] = pair.question
            found[f"examples-{i}-pairs-{j}-answer"] = pair.answer
    return found


def _after_button(
    ask: Ask, course: CourseEntry, draft: Draft, form: LeafForm, extra: dict[str, Any]
) -> tuple[LeafForm, str]:
    """Do what the pressed button says, and return the form and where on the page to go on."""
    do, _, numbers = ask.get("do").partition(" ")
    at = [number(n, 10**9) for n in numbers.split("-") if n.isdecimal()]
    examples = list(form.examples)
    if do == "add-example":
        examples.append(_empty(form.kind))
        return dataclasses.replace(form, examples=tuple(examples)), f"#examples-{len(examples) - 1}-context"
    if do in ("remove-example", "add-pair", "remove-pair", "answer") and (not at or at[0] >= len(examples)):
        return form, ""
    if do == "remove-example":
        del examples[at[0]]
        return dataclasses.replace(form, examples=tuple(examples)), "#examples"
    if do in ("add-pair", "remove-pair"):
        pairs = list(examples[at[0]].pairs)
        if do == "add-pair":
            pairs.append(Pair())
        elif len(at) > 1 and at[1] < len(pairs) > 1:
            del pairs[at[1]]
        examples[at[0]] = Example(context=examples[at[0]].context, pairs=tuple(pairs))
        return dataclasses.replace(form, examples=tuple(examples)), f"#examples-{at[0]}-context"
    if do == "take":
        text = ask.get("passage").strip() if ask.get("passage").strip() else _paragraph(draft, at)
        return _with_passage(form, text)
    if do == "answer" and len(at) > 1 and at[1] < len(examples[at[0]].pairs):
        _ask_model(ask, course, examples[at[0]].pairs[at[1]].question, extra)
        return form, f"#examples-{at[0]}-pairs-{at[1]}-question"
    if do == "teacher":
        _begin_teacher(ask, course, draft, extra)
        return form, "#teacher"
    return form, ""


def _paragraph(draft: Draft, at: list[int]) -> str:
    found = paragraphs(str(draft.extra.get("text", "")))
    return found[at[0]] if at and at[0] < len(found) else ""


def _with_passage(form: LeafForm, text: str) -> tuple[LeafForm, str]:
    """Put a passage into the first example that has none, or into a new one."""
    text = re.sub(r"(?m)^#{1,6} ", "", text).strip()[:MAX_PASSAGE]
    examples = list(form.examples)
    if not text:
        return form, ""
    number = next((n for n, e in enumerate(examples) if not e.context.strip()), len(examples))
    if number == len(examples):
        examples.append(_empty(form.kind))
    examples[number] = dataclasses.replace(examples[number], context=text)
    return dataclasses.replace(form, examples=tuple(examples)), f"#examples-{number}-context"


def _ask_model(ask: Ask, course: CourseEntry, question: str, extra: dict[str, Any]) -> None:
    if not question.strip():
        return
    try:
        said = ask.desk.answers.ask(course.folder, question)
        answer = said.get("tuned", said.get("base", ""))[:1000]
    except MachineError as error:
        answer = f"({error.message})"
    extra["answers"] = {**dict(list(extra.get("answers", {}).items())[-80:]), question: answer}


# -- the document, and the teacher's draft -----------------------------------------------------------------------------


def add_document(ask: Ask) -> Go:
    """Take a document, and keep its text as the leaf's."""
    course, draft, form = own_draft(ask)
    upload = ask.files.get("document")
    if upload is None or not upload.content:
        raise ContentError("no document was chosen", hint="Choose a file first.")
    if suffix_of(upload.name) not in FORMATS:
        raise ContentError(
            "files of this kind cannot be read",
            where=upload.name[-80:],
            hint=f"Readable are {', '.join(sorted(FORMATS))}.",
        )
    read = read_text(f"document{suffix_of(upload.name)}", upload.content)
    if len(read.text.encode()) > MAX_DOCUMENT:
        raise ContentError(f"its text has more than {MAX_DOCUMENT:,} bytes", hint="Split it into several documents.")
    name = f"{_slug(Path(upload.name).stem) or 'document'}.md"
    extra = draft.extra | {
        "text": read.text,
        "title": read.title if read.title != "document" else "",
        "original": upload.name[-120:],
        "sha256": hashlib.sha256(upload.content).hexdigest(),
        "notes": list(read.notes),
        "is_there": False,
        "job": 0,
    }
    title = form.title or extra["title"] or Path(upload.name).stem[:120]
    form = dataclasses.replace(form, document=name, kept_source=None, title=title)
    ask.desk.store.save_draft(draft.id, version=draft.version, form=to_json(form), extra=extra)
    said = translator(ask.language)("The document is here. Its text stands beside the form.")
    return Go(to=f"/courses/{course.id}/drafts/{draft.id}#document", said=said)


def _begin_teacher(ask: Ask, course: CourseEntry, draft: Draft, extra: dict[str, Any]) -> None:
    """Put the teacher's draft in line: examples from the document, for a person to read."""
    text = str(extra.get("text", ""))
    if not text:
        raise UsageError("there is no document yet", hint="Add one first.")
    running = ask.desk.queue.get(int(extra["job"])) if extra.get("job") else None
    if running is not None and running.state in ("queued", "running"):
        return
    folder = ask.desk.state / "drafts" / draft.id / "course"
    document = folder.parent / f"{_slug(str(extra.get('name', ''))) or 'document'}.md"
    write_text(document, text)
    for name in ("recipe.yaml", "exam.jsonl"):
        if (course.folder / name).is_file():
            write_text(folder / name, (course.folder / name).read_text(encoding="utf-8"))
    (folder / "knowledge").mkdir(parents=True, exist_ok=True)
    spec = {
        "course": course.id,
        "folder": str(folder),
        "document": str(document),
        "leaf": draft.place,
        "draft": draft.id,
        "options": server_options(ask.desk),
    }
    extra["job"] = ask.desk.queue.submit("draft", spec, owner=ask.who.name, device="compute")
    extra["taken"] = False


def _take_teachers_draft(ask: Ask, draft: Draft, form: LeafForm) -> tuple[Draft, LeafForm]:
    """Put what the teacher drafted into the form's empty examples, once."""
    job = ask.desk.queue.get(int(draft.extra["job"])) if draft.extra.get("job") else None
    if job is None or job.state != "done" or draft.extra.get("taken"):
        return draft, form
    made = [
        Example(context=p["context"], pairs=tuple(Pair(question=s["question"], answer=s["answer"]) for s in p["seeds"]))
        for p in job.result["passages"]
    ]
    written = [e for e in form.examples if e.context.strip() or any(p.question or p.answer for p in e.pairs)]
    form = dataclasses.replace(form, examples=(*written, *made))
    if not form.about.strip():
        title = str(draft.extra.get("title") or draft.extra.get("name") or "")
        sections_ = ", ".join(str(s).rsplit(" > ", 1)[-1] for s in job.result.get("sections", ())[:6])
        form = dataclasses.replace(form, about=f"{title}: {sections_}."[:300])
    extra = draft.extra | {"taken": True, "assisted": True}
    try:
        draft = ask.desk.store.save_draft(draft.id, version=draft.version, form=to_json(form), extra=extra)
    except Stale:
        return ask.desk.store.draft(draft.id), form
    return draft, form


def delete(ask: Ask) -> Go:
    """Throw a draft away."""
    course, draft, _ = own_draft(ask)
    ask.desk.store.remove_draft(draft.id)
    return Go(to=f"/courses/{course.id}", said=translator(ask.language)("The draft is gone."))


# -- handing in --------------------------------------------------------------------------------------------------------


def before_submit(ask: Ask) -> Page:
    """Show what will be handed in, and ask for the sign-off."""
    course, draft, form = own_draft(ask)
    text = str(draft.extra.get("text", ""))
    findings = checked(ask, course, form, text)
    return Page(
        template="submit.html",
        values={
            "course": course,
            "draft": draft,
            "form": form,
            "findings": _shown(ask, findings),
            "errors": sum(f.severity == "error" for f in findings),
            "alike": alike(ask.desk, course, form),
            "terms": LICENCE_TERMS,
            "questions": sum(len(e.pairs) for e in form.examples),
            "changed_meanwhile": _changed_meanwhile(course, draft, form),
        },
    )


def _why(ask: Ask, draft: Draft) -> str:
    why = " ".join(ask.get("why").split())[:500]
    return f"{why} (Brought from a file by {draft.extra['from']}.)".strip() if draft.extra.get("from") else why


def submit(ask: Ask) -> Go:
    """Hand a leaf in for review."""
    course, draft, form = own_draft(ask)
    if ask.get("signed") != "yes":
        raise RefusedError("tick that you have the right to hand it on", hint="Go back and tick the box.")
    text = str(draft.extra.get("text", ""))
    findings = checked(ask, course, form, text)
    if any(f.severity == "error" for f in findings):
        raise ContentError("something is still to be mended", hint="Go back to the draft: it says where.")
    changes = files_of(form, document_text="" if draft.extra.get("is_there") else text)
    base = {n: _hash(course.folder / n) for n in changes}  # before one looks whether somebody changed it
    if _changed_meanwhile(course, draft, form) and ask.get("over") != "yes":
        raise RefusedError(
            "somebody changed this meanwhile", hint="Look at the difference, and say that yours goes on top."
        )
    problems = tuple(
        {
            "code": "finding",
            "message": f.text % f.values if f.values else f.text,
            "severity": f.severity,
            "field": f.field,
        }
        for f in findings
    )
    name = str(draft.extra.get("name") or form.place.rsplit("/", 1)[-1])
    id = str(draft.extra.get("contribution") or "") or contribution_id("leaf", form.place, changes, ask.who.name)
    contribution = Contribution(
        id=id,
        kind="leaf",
        title=f"{name}"[:120],
        leaf=form.place,
        files=tuple(sorted(changes)),
        base=base,
        who=ask.who.name,
        email=ask.who.email,
        signed_off=True,
        why=_why(ask, draft),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        problems=problems,
    )
    options = server_options(ask.desk)
    assisted = read_recipe(course.folder, options).teacher.model if draft.extra.get("assisted") else ""
    hand_in(course.folder, contribution, changes, assisted_by=assisted)
    ask.desk.store.remove_draft(draft.id)
    ask.desk.store.note(ask.who.name, "handed in", f"{course.id} {id}")
    said = translator(ask.language)("Thank you. It is handed in, and this page says where it stands.")
    return Go(to=f"/courses/{course.id}/contributions/{id}", said=said, values={"contribution": id})
