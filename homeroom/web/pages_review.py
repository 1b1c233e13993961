"""Contributions: where each stands and what happens next, and the desk where maintainers decide."""

from __future__ import annotations

import re
from typing import Any

from homeroom.author.form import PLACE, LeafForm, form_of
from homeroom.community import review
from homeroom.community.review import LICENCE_TERMS, Standing
from homeroom.core.contributions import MAX_FILE_BYTES
from homeroom.core.errors import ContentError, HomeroomError, RefusedError
from homeroom.core.files import to_json
from homeroom.web.alike import alike
from homeroom.web.asked import Ask, Go, NotFound, Page, number
from homeroom.web.desk import CourseEntry
from homeroom.web.pages_course import handed_in
from homeroom.web.pages_trial import decided, tried, try_out
from homeroom.web.translate import translator

ROWS = 50


def contributions(ask: Ask) -> Page:
    """List the contributions of a course: a contributor's own, and all that wait for a maintainer."""
    course = ask.desk.course(ask.path["course"])
    found = handed_in(ask, course)
    mine = [s for s in found if s.contribution.who == ask.who.name]
    shown = found if ask.who.role == "maintainer" else mine
    stand = ask.query.get("stand", "")
    shown = [s for s in shown if not stand or s.stand == stand]
    page = number(ask.query.get("page", ""))
    return Page(
        template="contributions.html",
        values={
            "course": course,
            "rows": [_row(s) for s in shown[page * ROWS : (page + 1) * ROWS]],
            "total": len(shown),
            "page": page,
            "pages": (len(shown) + ROWS - 1) // ROWS,
            "stand": stand,
            "usual_days": review.usual_days(found),
        },
    )


def _row(found: Standing) -> dict[str, Any]:
    c = found.contribution
    return {"id": c.id, "title": c.title, "leaf": c.leaf, "who": c.who, "stand": found.stand, "since": found.since}


def handed_in_here(ask: Ask) -> tuple[CourseEntry, Standing]:
    """Return a contribution that this person may see: their own, or any for a maintainer."""
    course = ask.desk.course(ask.path["course"])
    if not re.fullmatch("[0-9a-f]{12}", ask.path["id"]):
        raise NotFound("there is no such contribution")
    try:
        found = review.standing(course.folder, ask.path["id"])
    except HomeroomError:
        raise NotFound("there is no such contribution") from None
    if ask.who.role != "maintainer" and found.contribution.who != ask.who.name:
        raise NotFound("there is no such contribution")
    return course, found


def contribution(ask: Ask) -> Page:
    """Show a contribution: where it stands, what it changes, and what it is like."""
    course, found = handed_in_here(ask)
    form = form_in(course, found)
    difference = review.difference(course.folder, found)
    everything = handed_in(ask, course)
    ahead = [s for s in everything if s.stand == "waiting" and s.since < found.since]
    return Page(
        template="contribution.html",
        values={
            "course": course,
            "found": found,
            "c": found.contribution,
            "form": form,
            "difference": difference.leaves if difference else (),
            "alike": alike(ask.desk, course, form) if form and found.stand == "waiting" else None,
            "usual_days": review.usual_days(everything),
            "ahead": len(ahead),
            "terms": LICENCE_TERMS,
            "tried": tried(ask.desk, course, found),
            "is_mine": found.contribution.who == ask.who.name,
        },
    )


def form_in(course: CourseEntry, found: Standing) -> LeafForm | None:
    """Return the leaf as the contribution would have it, to read it as a form."""
    import tempfile
    from pathlib import Path

    try:
        changes = review.changes_of(course.folder, found)
        with tempfile.TemporaryDirectory() as temporary:
            for name, text in changes.items():
                (Path(temporary) / name).parent.mkdir(parents=True, exist_ok=True)
                (Path(temporary) / name).write_text(text[:MAX_FILE_BYTES], encoding="utf-8")
            return form_of(Path(temporary), found.contribution.leaf)
    except HomeroomError:
        return None


def preview(ask: Ask) -> Go:
    """Let the teacher write a few samples from a contribution, for whoever decides to read."""
    return try_out(ask, *handed_in_here(ask), "preview")


def trial(ask: Ask) -> Go:
    """Teach a contribution alone to a fresh student in a small run, and show its answers before and after."""
    return try_out(ask, *handed_in_here(ask), "trial")


def approve(ask: Ask) -> Go:
    """Take a contribution into the course: exactly the state that was looked at."""
    course, found = handed_in_here(ask)
    note = ask.get("note")
    review.approve(
        course.folder, found.contribution.id, commit=ask.get("seen"), who=ask.who.name, email=ask.who.email, note=note
    )
    ask.desk.forget_tree(course)
    decided(ask.desk, course, found)
    ask.desk.store.note(ask.who.name, "approved", f"{course.id} {found.contribution.id} {ask.get('seen')}")
    said = translator(ask.language)("It is part of the course now. The next run teaches it.")
    return Go(to=f"/courses/{course.id}/contributions/{found.contribution.id}", said=said)


def want_changes(ask: Ask) -> Go:
    """Give a contribution back, with what should be different."""
    course, found = handed_in_here(ask)
    review.want_changes(course.folder, found.contribution.id, who=ask.who.name, note=ask.get("note"))
    ask.desk.store.note(ask.who.name, "asked for changes", f"{course.id} {found.contribution.id}")
    return Go(to=f"/courses/{course.id}/contributions", said=translator(ask.language)("Its author is told."))


def reject(ask: Ask) -> Go:
    """Decline a contribution, with the reason."""
    course, found = handed_in_here(ask)
    review.reject(course.folder, found.contribution.id, who=ask.who.name, note=ask.get("note"))
    decided(ask.desk, course, found)
    ask.desk.store.note(ask.who.name, "declined", f"{course.id} {found.contribution.id}")
    return Go(to=f"/courses/{course.id}/contributions", said=translator(ask.language)("Its author is told why."))


def reopen(ask: Ask) -> Go:
    """Open one's own contribution again as a draft, to change it."""
    course, found = handed_in_here(ask)
    c, form = found.contribution, form_in(course, found)
    if c.who != ask.who.name:
        raise RefusedError("only its author can change it")
    if found.stand not in ("new", "wanted", "waiting") or form is None or not PLACE.fullmatch(c.leaf):
        raise ContentError("this can no longer be changed here", hint="Begin a new one.")
    text = next((t for n, t in review.changes_of(course.folder, found).items() if n.endswith(f"/{form.document}")), "")
    extra: dict[str, Any] = {
        "name": c.title,
        "contribution": c.id,
        "text": text,
        "base": c.base.get(f"{c.leaf}/qna.yaml"),
    }
    draft = ask.desk.store.add_draft(course.id, ask.who, c.leaf, to_json(form), extra)
    return Go(to=f"/courses/{course.id}/drafts/{draft.id}", values={"draft": draft.id})


def submit_correction(ask: Ask) -> Go:
    """Hand in a correction that was prepared, with the sign-off."""
    import dataclasses

    course, found = handed_in_here(ask)
    if ask.get("signed") != "yes":
        raise RefusedError("tick that you have the right to hand it on", hint="Go back and tick the box.")
    if found.stand != "new" or found.contribution.who != ask.who.name:
        raise RefusedError("this was handed in already")
    signed = dataclasses.replace(found.contribution, signed_off=True, email=ask.who.email)
    review.submit(course.folder, signed, review.changes_of(course.folder, found))
    ask.desk.store.note(ask.who.name, "handed in", f"{course.id} {signed.id}")
    said = translator(ask.language)("Thank you. It is handed in, and this page says where it stands.")
    return Go(to=f"/courses/{course.id}/contributions/{signed.id}", said=said)
