"""`/v1`: the students behind the OpenAI API, for programs that hold a key; the models answer in a child, never here.

    key -> whose, and for which course -> the body is checked -> the child's own server -> its answer as it comes

A model's name is its course's: "insurance" is the student as it is now, "insurance/base" before it learned. A key for
one course knows no other, and says of one that is there just what it says of one that is not.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import httpx
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from homeroom.serve.requests import ApiError, parse_request
from homeroom.serve.server import read_body
from homeroom.web.desk import CourseEntry, Desk
from homeroom.web.events import Streamed
from homeroom.web.failures import told
from homeroom.web.store import Key

WATCH_S = 0.5  # between two looks whether a client still waits for its answer
PATHS = ("/v1/models", "/v1/models/{name:path}", "/v1/chat/completions")


def v1_routes(desk: Desk, headers: dict[str, str]) -> list[Route]:
    """Return the routes; every answer carries `headers`."""

    def guarded(answer: Callable[[Desk, Key, Request], Awaitable[Response]]) -> Any:
        async def checked(request: Request) -> Response:
            try:
                made = await answer(desk, await _key(desk, request), request)
            except ApiError as error:
                made = _refused(error)
            except Exception as error:
                said, status = told(error, request.url.path)
                made = _refused(ApiError(status, f"{said.message}. {said.hint}".strip()))
            for name, value in headers.items():
                made.headers.setdefault(name, value)
            return made

        return checked

    return [
        Route(PATHS[0], guarded(_list), methods=["GET"]),
        Route(PATHS[1], guarded(_show), methods=["GET"]),
        Route(PATHS[2], guarded(_chat), methods=["POST"]),
    ]


def _refused(error: ApiError) -> Response:
    after = {"Retry-After": "5"} if error.status in (429, 503) else {}
    return JSONResponse(error.body(), status_code=error.status, headers=after)


async def _key(desk: Desk, request: Request) -> Key:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    found = await run_in_threadpool(desk.store.key, token.strip()) if scheme.lower() == "bearer" else None
    if found is None:
        raise ApiError(401, "A key is needed: Authorization: Bearer KEY.", code="invalid_api_key")
    return found


# -- which models ------------------------------------------------------------------------------------------------------


def _known(desk: Desk, key: Key) -> dict[str, tuple[CourseEntry, bool]]:
    """Return what a key may ask for: the name of a model -> its course, and whether it is the one before it learned."""
    found = {}
    for course in desk.courses():
        if key.course in ("", course.id):
            found |= {course.id: (course, False), f"{course.id}/base": (course, True)}
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


def _chosen(known: dict[str, tuple[CourseEntry, bool]], name: str) -> tuple[CourseEntry, bool]:
    name = name or next(iter(known), "")
    if name not in known:
        raise ApiError(404, f"The model {name[:100]!r} is not here.", param="model", code="model_not_found")
    return known[name]


# -- asking ------------------------------------------------------------------------------------------------------------


async def _chat(desk: Desk, key: Key, request: Request) -> Response:
    body = await read_body(request)
    asked = parse_request(body)
    course, is_base = _chosen(await run_in_threadpool(_known, desk, key), asked.model)
    name = asked.model or course.id
    async with contextlib.AsyncExitStack() as held:
        child = await held.enter_async_context(desk.answers.lent(course.folder))
        client = await held.enter_async_context(httpx.AsyncClient(**child.options))
        model = "base" if is_base or "tuned" not in child.models else "tuned"
        sent = json.dumps(json.loads(body) | {"model": model})  # not httpx's own JSON: it refuses what we have read
        to_send = client.build_request("POST", "/chat/completions", content=sent)
        try:
            answer = await _while_there(request, client.send(to_send, stream=asked.is_stream))
            held.push_async_callback(answer.aclose)
            if asked.is_stream and answer.status_code == 200:
                return Streamed(_lines(answer, name), held.pop_all())
            whole = json.loads(await answer.aread())
        except (httpx.HTTPError, ValueError) as error:
            raise _lost(error) from None
    return JSONResponse(_named(whole, name), status_code=answer.status_code)


async def _while_there(request: Request, answering: Coroutine[Any, Any, httpx.Response]) -> httpx.Response:
    """Return the answer; a client that goes away before it ends its work."""
    work = asyncio.create_task(answering)
    try:
        while not (await asyncio.wait([work], timeout=WATCH_S))[0]:
            if await request.is_disconnected():
                raise ClientDisconnect
        return work.result()
    finally:
        work.cancel()


async def _lines(answer: httpx.Response, name: str) -> AsyncIterator[str]:
    try:
        async for line in answer.aiter_lines():
            if line.startswith("data: {"):
                line = f"data: {json.dumps(_named(json.loads(line[6:]), name))}"
            yield f"{line}\n"
    except (httpx.HTTPError, ValueError) as error:
        yield f"data: {json.dumps(_lost(error).body())}\n\ndata: [DONE]\n\n"


def _lost(error: Exception) -> ApiError:
    return ApiError(503, f"The model gave no whole answer ({type(error).__name__}).")


def _named(value: Any, name: str) -> Any:
    return value | {"model": name} if isinstance(value, dict) and "model" in value else value
