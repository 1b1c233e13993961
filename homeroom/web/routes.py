"""Every page: its address, how it is called, who may, and the function that makes it. The API is made from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from homeroom.web import (
    pages_ask,
    pages_course,
    pages_draft,
    pages_files,
    pages_people,
    pages_review,
    pages_runs,
    pages_samples,
)
from homeroom.web.asked import Ask
from homeroom.web.openapi import describe

Who = Literal["anyone", "contributor", "maintainer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One route."""

    method: Literal["GET", "POST"]
    path: str
    page: Callable[[Ask], Any]
    role: Who = "contributor"
    api: bool = True
    takes_files: bool = False


def _get(path: str, page: Callable[[Ask], Any], role: Who = "contributor", *, api: bool = True) -> Place:
    return Place(method="GET", path=path, page=page, role=role, api=api)


def _post(
    path: str, page: Callable[[Ask], Any], role: Who = "contributor", *, api: bool = True, takes_files: bool = False
) -> Place:
    return Place(method="POST", path=path, page=page, role=role, api=api, takes_files=takes_files)


_COURSE = "/courses/{course}"
_DRAFT = f"{_COURSE}/drafts/{{draft}}"
_HANDED = f"{_COURSE}/contributions/{{id}}"

ROUTES: tuple[Place, ...] = (
    _get("/enter/{token}", pages_people.enter, "anyone", api=False),
    _get("/welcome", pages_people.welcome, "anyone", api=False),
    _post("/welcome", pages_people.first_account, "anyone", api=False),
    _get("/login", pages_people.login, "anyone", api=False),
    _post("/login", pages_people.log_in, "anyone", api=False),
    _post("/logout", pages_people.log_out, api=False),
    _post("/language", pages_people.set_language, "anyone", api=False),
    _get("/join/{token}", pages_people.join, "anyone", api=False),
    _post("/join/{token}", pages_people.joined, "anyone", api=False),
    _get("/health", pages_people.health, "anyone"),
    _get("/openapi.json", lambda ask: describe(ROUTES), "anyone"),
    _get("/me", pages_people.me),
    _post("/me/password", pages_people.set_password, api=False),
    _post("/me/keys", pages_people.make_key, api=False),
    _post("/me/keys/end", pages_people.end_key),
    _get("/people", pages_people.people, "maintainer"),
    _post("/people/invite", pages_people.invite, "maintainer"),
    _post("/people/keys/end", pages_people.end_any_key, "maintainer"),
    _post("/people/{person}/role", pages_people.set_role, "maintainer"),
    _post("/people/{person}/close", pages_people.close, "maintainer"),
    _get("/log", pages_people.log, "maintainer"),
    _get("/models", pages_runs.models),
    # courses and their leaves
    _get("/", pages_course.courses),
    _post("/courses", pages_course.make_course, "maintainer"),
    _get(_COURSE, pages_course.course),
    _get(f"{_COURSE}/leaves", pages_course.leaves),
    _get(f"{_COURSE}/leaf", pages_course.leaf),
    _get(f"{_COURSE}/leaf/table", pages_files.leaf_table),
    # teaching something
    _get(f"{_COURSE}/teach", pages_draft.teach),
    _post(f"{_COURSE}/teach", pages_draft.begin),
    _post(f"{_COURSE}/bring", pages_files.take_patch, takes_files=True),
    _post(f"{_COURSE}/improve", pages_draft.improve),
    _get(_DRAFT, pages_draft.editor),
    _post(f"{_DRAFT}/save", pages_draft.save),
    _post(f"{_DRAFT}/document", pages_draft.add_document, takes_files=True),
    _get(f"{_DRAFT}/table", pages_files.draft_table),
    _post(f"{_DRAFT}/table", pages_files.add_table, takes_files=True),
    _post(f"{_DRAFT}/delete", pages_draft.delete),
    _get(f"{_DRAFT}/submit", pages_draft.before_submit),
    _post(f"{_DRAFT}/submit", pages_draft.submit),
    # contributions
    _get(f"{_COURSE}/contributions", pages_review.contributions),
    _get(_HANDED, pages_review.contribution),
    _post(f"{_HANDED}/preview", pages_review.preview, "maintainer"),
    _post(f"{_HANDED}/trial", pages_review.trial, "maintainer"),
    _post(f"{_HANDED}/approve", pages_review.approve, "maintainer"),
    _post(f"{_HANDED}/wanted", pages_review.want_changes, "maintainer"),
    _post(f"{_HANDED}/reject", pages_review.reject, "maintainer"),
    _post(f"{_HANDED}/reopen", pages_review.reopen),
    _post(f"{_HANDED}/submit", pages_review.submit_correction),
    _get(f"{_HANDED}/patch", pages_files.save_patch),
    _get(f"{_HANDED}/table", pages_files.contribution_table),
    # runs, samples, the report
    _get(f"{_COURSE}/runs", pages_runs.runs),
    _post(f"{_COURSE}/runs", pages_runs.start, "maintainer"),
    _get("/runs/{job}", pages_runs.run),
    _get("/runs/{job}/events", pages_runs.follow, api=False),
    _post("/runs/{job}/cancel", pages_runs.cancel),
    _post("/runs/{job}/resume", pages_runs.resume),
    _get(f"{_COURSE}/report", pages_runs.report),
    _get(f"{_COURSE}/report/full", pages_runs.full_report, api=False),
    _get(f"{_COURSE}/samples", pages_samples.samples),
    _post(f"{_COURSE}/samples", pages_samples.decide, "maintainer"),
    # asking
    _get(f"{_COURSE}/ask", pages_ask.ask_page),
    _post(f"{_COURSE}/ask", pages_ask.asked),
    _get(f"{_COURSE}/correct", pages_ask.correct_page),
    _post(f"{_COURSE}/correct", pages_ask.corrected),
)
