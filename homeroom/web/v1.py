"""`/v1`: the students behind the OpenAI API, for programs that hold a key; the models answer in a child, never here.

    key -> whose, and for which course -> the body is checked -> the child's own server -> its answer as it comes

A model's name is its course's: "insurance" is the student as it is now, "insurance/base" before it learned. A key for
one course knows no other, and says of one that is there just what it says of one that is not.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
import httpx
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from homeroom.core.errors import MachineError
from homeroom.serve.requests import ApiError, parse_request
from homeroom.serve.server import read_body
from homeroom.web.answers import ANSWER_S, has_tuned
from homeroom.web.desk import CourseEntry, Desk
from homeroom.web.store import Key

MOST = 40  # questions at once, those that wait for the model included
PATHS = ("/v1/models", "/v1/models/{name:path}", "/v1/chat/completions")


def v1_routes(desk: Desk, headers: dict[str, str]) -> list[Route]:
    """Return the routes; every answer carries `headers`."""

    def guarded(answer: Callable[[Desk, Key, Request], Awaitable[Response]]) -> Any:
        async def checked(request: Request) -> Response:
            try:
                made = await answer(desk, await _key(desk, request), request)
            except ApiError as error:
                after = {"Retry-After": "5"} if error.status in (429, 503) else {}
                made = JSONResponse(error.body(), status_code=error.status, headers=after)
            for name, value in headers.items():
                made.headers.setdefault(name, value)
            return made

        return checked

    return [
        Route(PATHS[0], guarded(_list), methods=["GET"]),
        Route(PATHS[1], guarded(_show), methods=["GET"]),
        Route(PATHS[2], guarded(_chat), methods=["POST"]),
    ]


async def _key(desk: Desk, request: Request) -> Key:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    found = await run_in_threadpool(desk.store.key, token.strip()) if scheme.lower() == "bearer" else None
    if found is None:
        raise ApiError(401, "A key is needed: Authorization: Bearer KEY.", code="invalid_api_key")
    return found


# -- which models ------------------------------------------------------------------------------------------------------


def _known(desk: Desk, key: Key) -> dict[str, tuple[CourseEntry, str]]:
    """Return what a key may ask for: the name of a model -> its course, and what the child calls it."""
    found = {}
    for course in desk.courses():
        if key.course in ("", course.id):
            found[course.id] = (course, "tuned" if has_tuned(course.folder) else "base")
            found[f"{course.id}/base"] = (course, "base")
    return found


async def _list(desk: Desk, key: Key, request: Request) -> Response:
    names = await run_in_threadpool(_known, desk, key)
    return JSONResponse({"object": "list", "data": [_card(name) for name in names]})


async def _show(desk: Desk, key: Key, request: Request) -> Response:
    name = request.path_params["name"]
    _chosen(await run_in_threadpool(_known, desk, key), name)
    return JSONResponse(_card(name))


def _card(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "homeroom"}


def _chosen(known: dict[str, tuple[CourseEntry, str]], name: str) -> tuple[CourseEntry, str]:
    name = name or next(iter(known), "")
    if name not in known:
        raise ApiError(404, f"The model {name[:100]!r} is not here.", param="model", code="model_not_found")
    return known[name]


# -- asking ------------------------------------------------------------------------------------------------------------


async def _chat(desk: Desk, key: Key, request: Request) -> Response:
    body = await read_body(request)
    asked = parse_request(body)
    course, model = _chosen(await run_in_threadpool(_known, desk, key), asked.model)
    name = asked.model or course.id
    if desk.answers.num_lent >= MOST:
        raise ApiError(429, "Too many questions are waiting.")
    try:
        url = await run_in_threadpool(desk.answers.borrow, course.folder)
    except MachineError as error:
        raise ApiError(503, f"{error.message}. {error.hint}".strip()) from None
    answer = _relayed(desk, url, json.loads(body) | {"model": model}, name)
    status, first = await anext(answer)  # it has begun, so its end is reached whatever becomes of the client
    if status != 200 or not asked.is_stream:
        async for _ in answer:
            pass
        return JSONResponse(json.loads(first), status_code=status)

    async def lines() -> AsyncIterator[str]:
        try:
            yield first
            async for _, line in answer:
                yield line
        finally:  # the client went away, or all is said
            with anyio.CancelScope(shield=True):
                await answer.aclose()

    return StreamingResponse(lines(), media_type="text/event-stream")


async def _relayed(desk: Desk, url: str, sent: dict[str, Any], name: str) -> AsyncGenerator[tuple[int, str], None]:
    """Yield the child's answer: whole, or line by line as it comes; a client that goes away ends its work."""
    client = httpx.AsyncClient(base_url=url, timeout=ANSWER_S, trust_env=False)
    begun = False
    try:
        async with client.stream("POST", "/chat/completions", json=sent) as answer:
            if answer.status_code != 200 or not sent.get("stream"):
                whole = json.loads(await answer.aread())
                yield answer.status_code, json.dumps(_named(whole, name))
                return
            async for line in answer.aiter_lines():
                if line.startswith("data: {"):
                    line = f"data: {json.dumps(_named(json.loads(line[6:]), name))}"
                begun = True
                yield 200, f"{line}\n"
    except (httpx.HTTPError, ValueError) as error:
        body = json.dumps(ApiError(503, f"The model gave no whole answer ({type(error).__name__}).").body())
        yield (200, f"data: {body}\n\ndata: [DONE]\n\n") if begun else (503, body)
    finally:
        with anyio.CancelScope(shield=True):
            await client.aclose()
        desk.answers.give_back()


def _named(value: Any, name: str) -> Any:
    return value | {"model": name} if isinstance(value, dict) and "model" in value else value
