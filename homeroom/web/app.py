"""The one door: every request is bounded, known by its session, checked for its role and its origin, and answered.

    host -> size -> session or key -> role of the route -> CSRF -> the page's function (in a thread) -> HTML or JSON

No page does any of this itself. What goes wrong becomes a page that says what, where and how to mend it: see
`failures.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hmac
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Message

from homeroom.core.errors import ContentError, HomeroomError, RefusedError
from homeroom.core.files import to_json
from homeroom.jobs.queue import Job
from homeroom.web import events
from homeroom.web.asked import Ask, File, Go, Login, NotFound, Page, Upload, number
from homeroom.web.desk import CourseEntry, Desk
from homeroom.web.failures import told
from homeroom.web.page import render
from homeroom.web.routes import ROUTES, Place
from homeroom.web.store import Session
from homeroom.web.translate import choose, translator
from homeroom.web.v1 import v1_routes

COOKIE, LANGUAGE = "homeroom", "language"
MAX_FORM, MAX_UPLOAD = 2 * 2**20, 52 * 2**20  # bytes
FORM_S, UPLOAD_S = 60.0, 900.0  # in which they must have come
MAX_FIELDS = 4_000
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # no-referrer would make browsers send "Origin: null" with our own forms
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), browsing-topics=()",
    "Cache-Control": "no-store",
}
INSIDE: dict[type, tuple[str, ...]] = {  # what JSON leaves out: paths and processes of the server
    CourseEntry: ("folder",),
    Job: ("spec", "child"),
}
_STATIC = Path(__file__).parent / "static"
_KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".txt": "text/plain"}


def make_app(desk: Desk, *, hosts: tuple[str, ...], secure: bool = False) -> Starlette:
    """Return the application.

    Args:
        hosts: Names under which it may be called, against pages that point a name of theirs at this machine.
        secure: Whether browsers reach it by TLS alone.
    """
    routes = []
    for place in ROUTES:
        methods = [place.method]
        routes.append(Route(place.path, _page(desk, place, secure=secure, api=False), methods=methods))
        if place.api:
            routes.append(Route(f"/api/v1{place.path}", _page(desk, place, secure=secure, api=True), methods=methods))
    routes += v1_routes(desk, HEADERS)
    routes.append(Route("/static/{version}/{name}", _static, methods=["GET"]))

    async def on_http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        said = NotFound("there is no such page") if error.status_code in (404, 405) else NotFound(str(error.detail))
        made = _failed(desk, request, said, error.status_code, None)
        made.headers.update(error.headers or {})  # Allow, which a wrong method is told
        return made

    return Starlette(
        routes=routes,
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False),
            Middleware(GZipMiddleware, minimum_size=2_000, compresslevel=4),
        ],
        exception_handlers={HTTPException: on_http_error},
    )


def _page(desk: Desk, place: Place, *, secure: bool, api: bool) -> Any:
    async def answer(request: Request) -> Response:
        session: Session | None = None
        try:
            ask, session = await _checked(desk, place, request, api=api)
            found = await run_in_threadpool(place.page, ask)
            if isinstance(found, events.Stream):
                return _stream(request, found)
            made = await run_in_threadpool(_response, ask, found, api, secure)
        except Exception as error:
            made = _failed(desk, request, *told(error, place.path), session)
        for name, value in HEADERS.items():
            made.headers.setdefault(name, value)
        return made

    return answer


# -- the checks --------------------------------------------------------------------------------------------------------


async def _checked(desk: Desk, place: Place, request: Request, *, api: bool) -> tuple[Ask, Session | None]:
    is_upload = place.takes_files and _kind(request) == "multipart/form-data"
    request = _bounded(request, *((MAX_UPLOAD, UPLOAD_S) if is_upload else (MAX_FORM, FORM_S)))
    session = await run_in_threadpool(desk.store.session, request.cookies.get(COOKIE, ""))
    person, has_key = (session.person if session else None), False
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if api and scheme.lower() == "bearer":
        found = await run_in_threadpool(desk.store.key, key.strip())
        session, person = None, found.person if found and not found.course else None
        has_key = person is not None
    if place.role != "anyone" and person is None:
        raise Login("log in first", hint="Use the link that `homeroom web` prints, or your name and password.")
    if place.role == "maintainer" and person is not None and person.role != "maintainer":
        raise RefusedError("this is for maintainers", hint="Ask one of them.")
    form, chosen, files = await _form(request, is_upload) if request.method == "POST" else ({}, {}, {})
    if request.method == "POST" and not has_key:
        _refuse_forged(request, session, form)
    language = choose(request.cookies.get(LANGUAGE, ""), request.headers.get("accept-language", ""))
    after = request.headers.get("last-event-id", request.query_params.get("after", "0"))
    return Ask(
        desk=desk,
        session=session,
        person=person,
        path={k: str(v) for k, v in request.path_params.items()},
        query=dict(list(request.query_params.items())[:50]),
        form=form,
        chosen=chosen,
        files=files,
        language=language,
        address=request.client.host if request.client and not desk.is_proxied else "",
        is_part=request.headers.get("hx-request") == "true",
        after=number(after, digits=18),
    ), session


def _kind(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _bounded(request: Request, most: int, seconds: float) -> Request:
    """Return a request of which at most `most` bytes are read, in `seconds` at most, whatever it says of its length."""
    too_much = ContentError(f"more than {most // 2**20} MiB were sent", hint="Send less at once.")
    num_bytes, end = 0, asyncio.get_running_loop().time() + seconds
    if not 0 <= number(request.headers.get("content-length", "0"), -1) <= most:
        raise too_much

    async def receive() -> Message:
        nonlocal num_bytes
        try:
            async with asyncio.timeout_at(end):
                message = await request.receive()
        except TimeoutError:
            raise ContentError("what was sent did not come in time", hint="Send it again, or less at once.") from None
        num_bytes += len(message.get("body", b""))
        if num_bytes > most:
            raise too_much
        return message

    return Request(request.scope, receive)


def _refuse_forged(request: Request, session: Session | None, form: dict[str, str]) -> None:
    """Refuse a form that a page of another site sent: by where it comes from, and by the session's secret."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise RefusedError("this form comes from another site", hint="Open the page here, and send it again.")
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise RefusedError("this form comes from another site", hint="Open the page here, and send it again.")
    if session is not None:
        given = request.headers.get("x-csrf-token") or form.get("csrf", "")
        if not hmac.compare_digest(given.encode("utf-8", "replace"), session.csrf.encode()):
            raise RefusedError("this page is too old to send", hint="Load it again, and send it once more.")


async def _form(request: Request, is_upload: bool) -> tuple[dict[str, str], dict[str, list[str]], dict[str, Upload]]:
    chosen: dict[str, list[str]] = {}
    files: dict[str, Upload] = {}
    if is_upload:
        async with request.form(max_files=2, max_fields=MAX_FIELDS, max_part_size=MAX_FORM) as parsed:
            for name, value in parsed.multi_items():
                if isinstance(value, UploadFile):
                    files[name] = Upload(name=value.filename or "", content=await value.read())
                else:
                    chosen.setdefault(name, []).append(value)
    else:
        chosen = _fields(await request.body(), _kind(request))
    _refuse_odd(text for name, texts in chosen.items() for text in (name, *texts))
    return {name: values[-1] for name, values in chosen.items() if values}, chosen, files


def _fields(body: bytes, kind: str) -> dict[str, list[str]]:
    chosen: dict[str, list[str]] = {}
    if kind == "application/json":
        try:
            value = json.loads(body or b"{}")
        except (ValueError, RecursionError):
            raise ContentError("the body is not valid JSON") from None
        if not isinstance(value, dict) or len(value) > MAX_FIELDS:
            raise ContentError("the body must be a JSON object of texts, or of lists of texts")
        for name, item in value.items():
            texts = item if isinstance(item, list) else [item]
            if not all(isinstance(t, str | int | float | bool) for t in texts):
                raise ContentError("must be a text, or a list of texts", where=str(name)[:60])
            chosen[name] = [t if isinstance(t, str) else json.dumps(t) for t in texts]
        return chosen
    if kind not in ("", "application/x-www-form-urlencoded"):
        raise ContentError("a form of this kind is not taken here", where=kind[:60])
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except (ValueError, UnicodeDecodeError):
        raise ContentError("the form is not one, or is not UTF-8") from None
    for name, text in pairs:
        chosen.setdefault(name, []).append(text)
    return chosen


def _refuse_odd(texts: Iterable[str]) -> None:
    for text in texts:
        if "\0" in text or any("\ud800" <= sign <= "\udfff" for sign in text):
            raise ContentError("the text holds a sign that no text has")


# -- the answers -------------------------------------------------------------------------------------------------------


def _response(ask: Ask, found: Page | Go | File, api: bool, secure: bool) -> Response:
    if isinstance(found, File):
        headers = {"Content-Security-Policy": found.policy} if found.policy else {}
        if found.name:
            headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(found.name)}"
        return Response(found.content, media_type=found.kind, headers=headers)
    if api:
        values = found.values
        if isinstance(found, Page):
            values = {k: v for k, v in values.items() if k not in found.only_page}
        else:
            values = {"to": found.to, "said": found.said, **values}
        return JSONResponse(_jsonable(values), status_code=found.status if isinstance(found, Page) else 200)
    if isinstance(found, Page):
        return Response(render(ask, found), status_code=found.status, media_type="text/html")
    return _redirect(ask, found, secure)


def _jsonable(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        hidden = INSIDE.get(type(value), ())
        return {f.name: _jsonable(getattr(value, f.name)) for f in dataclasses.fields(value) if f.name not in hidden}
    if isinstance(value, dict):
        return {str(k): _jsonable(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_jsonable(v) for v in value]
    return value if isinstance(value, str | int | float | bool | None) else str(to_json(value))


def _redirect(ask: Ask, go: Go, secure: bool) -> Response:
    if go.said and ask.session and not go.leaves:
        ask.desk.store.say(ask.session, go.said)
    response = Response(status_code=303, headers={"Location": go.to})
    if ask.is_part:
        response = Response(status_code=200, headers={"HX-Redirect": go.to})
    if go.token:
        response.set_cookie(COOKIE, go.token, max_age=14 * 86_400, httponly=True, samesite="lax", secure=secure)
    if go.leaves:
        response.delete_cookie(COOKIE, httponly=True, samesite="lax", secure=secure)
    if go.language:
        response.set_cookie(LANGUAGE, go.language, max_age=365 * 86_400, samesite="lax", secure=secure)
    return response


def _failed(desk: Desk, request: Request, error: HomeroomError, status: int, session: Session | None) -> Response:
    """Return an error as a page, or as JSON where a program asked."""
    language = choose(request.cookies.get(LANGUAGE, ""), request.headers.get("accept-language", ""))
    api = request.url.path.startswith("/api/")
    if isinstance(error, Login) and not api and request.method == "GET" and "hx-request" not in request.headers:
        return Response(status_code=303, headers={"Location": f"/login?next={quote(request.url.path)}", **HEADERS})
    where = error.where if not error.where.startswith("/") else Path(error.where).name  # no path of the server
    if api:
        body = {"error": {"message": error.message, "where": where, "hint": error.hint}}
        return JSONResponse(body, status_code=status, headers=HEADERS)
    person = session.person if session else None
    ask = Ask(desk=desk, session=session, person=person, path={}, query={}, language=language)
    values = {"message": error.message, "where": where, "hint": error.hint, "status": status}
    is_part = request.headers.get("hx-request") == "true"
    page = Page(template="error_part.html" if is_part else "error.html", values=values)
    return Response(render(ask, page), status_code=status, media_type="text/html", headers=HEADERS)


def _stream(request: Request, stream: events.Stream) -> Response:
    held = contextlib.AsyncExitStack()
    held.enter_context(events.place(stream.person))
    headers = {**HEADERS, "X-Accel-Buffering": "no", "Content-Encoding": "identity"}
    return events.Streamed(events.follow(stream, request.is_disconnected), held, headers)


# -- files that never change -------------------------------------------------------------------------------------------


@cache
def static_files() -> dict[str, bytes]:
    """Return the few files that pages refer to, by name."""
    return {path.name: path.read_bytes() for path in sorted(_STATIC.iterdir()) if path.suffix in _KINDS}


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    content = static_files().get(name)
    if content is None:
        return Response("not found", status_code=404, headers=HEADERS)
    headers = {**HEADERS, "Cache-Control": "public, max-age=31536000, immutable"}
    return Response(content, media_type=_KINDS[Path(name).suffix], headers=headers)


__all__ = ["make_app", "translator"]
