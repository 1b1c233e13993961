"""Models behind the OpenAI API: GET /v1/models, POST /v1/chat/completions (whole or streamed), GET /health.

Every model has one thread and generates one answer at a time; requests wait in line for it, and are refused with 429
when the line is long. A client that goes away stops its generation at the next token. A page of another site in the
browser of this machine is refused: the server is for programs, and for pages that it served itself.
"""

from __future__ import annotations

import errno
import json
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from homeroom.core.errors import MachineError
from homeroom.serve.chat import Engine
from homeroom.serve.completions import Completion, Line
from homeroom.serve.requests import MAX_BODY_BYTES, ApiError, parse_request

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

LOOPBACK = ("127.0.0.1", "localhost", "::1", "[::1]")


def make_app(models: Mapping[str, Engine], *, hosts: tuple[str, ...] = ("*",)) -> Starlette:
    """Return the application that answers for `models`, by name.

    Args:
        models: Engines; the first answers where a client names no model.
        hosts: Names under which the server may be called, against pages that point a name of theirs here.
    """
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.responses import JSONResponse, StreamingResponse
    from starlette.routing import Route

    lines = {name: Line(name, engine) for name, engine in models.items()}

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def list_models(request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [_model_card(name) for name in lines]})

    async def show_model(request: Request) -> Response:
        return JSONResponse(_model_card(_line(lines, request.path_params["name"]).name))

    async def chat_completions(request: Request) -> Response:
        _refuse_other_sites(request)
        chat = parse_request(await _read_body(request))
        line = _line(lines, chat.model)
        completion = await line.begin(chat)
        if chat.is_stream:
            headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
            return StreamingResponse(_events(completion), media_type="text/event-stream", headers=headers)
        text = []
        async for piece in completion.pieces():
            text.append(piece)
            if await request.is_disconnected():
                completion.stop()
        return JSONResponse(completion.whole("".join(text)))

    async def on_api_error(request: Request, error: ApiError) -> Response:
        headers = {"Retry-After": "5"} if error.status == 429 else {}
        return JSONResponse(error.body(), status_code=error.status, headers=headers)

    async def on_http_error(request: Request, error: HTTPException) -> Response:
        return await on_api_error(request, ApiError(error.status_code, f"{error.detail}: {request.url.path}"))

    return Starlette(
        routes=[
            Route("/health", health),
            Route("/v1/models", list_models),
            Route("/v1/models/{name:path}", show_model),
            Route("/v1/chat/completions", chat_completions, methods=["POST"]),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False)],
        exception_handlers={ApiError: on_api_error, HTTPException: on_http_error},
    )


def serve(
    models: Mapping[str, Engine],
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    on_ready: Callable[[str], None] = lambda url: None,
) -> None:
    """Answer until the process is told to stop.

    Args:
        models: Engines by name.
        host: Address to listen on; others than this machine's own make the models everyone's who can reach it.
        port: 0 takes any free one.
        on_ready: Told of the server's address, such as "http://127.0.0.1:8000/v1".

    Raises:
        MachineError: the port is taken, or the address is not this machine's.
    """
    import uvicorn

    listener = _listen(host, port)
    hosts = (*LOOPBACK, host) if host in ("127.0.0.1", "localhost", "::1") else ("*",)
    config = uvicorn.Config(
        make_app(models, hosts=hosts),
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=5,
    )
    name = f"[{host}]" if ":" in host else host
    with listener:
        on_ready(f"http://{name}:{listener.getsockname()[1]}/v1")
        uvicorn.Server(config).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
    except (OSError, OverflowError) as error:
        raise MachineError(f"cannot listen there ({error})", where=f"{host}:{port}") from None
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            hint = "Another program listens there, perhaps an earlier `homeroom serve`. Choose another: --port 8001"
            raise MachineError("the port is taken", where=f"{host}:{port}", hint=hint) from None
        raise MachineError(f"cannot listen there ({error.strerror})", where=f"{host}:{port}") from None
    return listener


# -- parts of the routes -----------------------------------------------------------------------------------------


async def _events(completion: Completion) -> AsyncIterator[str]:
    try:
        yield _event(completion.chunk({"role": "assistant", "content": ""}))
        async for piece in completion.pieces():
            yield _event(completion.chunk({"content": piece}))
        yield _event(completion.chunk({}, completion.finish_reason))
        if completion.chat.with_usage:
            yield _event(completion.last_chunk())
    except ApiError as error:  # the status was sent already
        yield _event(error.body())
    finally:
        completion.stop()
    yield "data: [DONE]\n\n"


def _event(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"


async def _read_body(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY_BYTES:
            raise ApiError(413, f"The body is larger than {MAX_BODY_BYTES:,} bytes.")
    return bytes(body)


def _refuse_other_sites(request: Request) -> None:
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise ApiError(403, "Pages of other sites may not ask this server.")


def _line(lines: Mapping[str, Line], name: str) -> Line:
    if not name and lines:
        return next(iter(lines.values()))
    if name not in lines:
        known = ", ".join(lines)
        raise ApiError(
            404, f"The model {name[:100]!r} is not here; known: {known}.", param="model", code="model_not_found"
        )
    return lines[name]


def _model_card(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "homeroom"}
