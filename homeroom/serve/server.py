"""Models behind the OpenAI API: models, chat and text completions (whole or streamed), embeddings; and GET /health.

Every model has one thread and generates one answer at a time; requests wait in line for it, and are refused with 429
when the line is long. A client that goes away stops its generation at the next token. A page of another site in the
browser of this machine is refused: the server is for programs, and for pages that it served itself. On any other
address than this machine's own, clients need the key.

A model with documents has a second name, `<name>-with-sources`: what a search finds stands before the last question,
and the answer carries the sources it was given.
"""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import errno
import hmac
import json
import secrets
import socket
import struct
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from homeroom.core.errors import MachineError
from homeroom.serve.chat import Engine
from homeroom.serve.completions import Completion, Line, Part
from homeroom.serve.requests import (
    MAX_BODY_BYTES,
    ApiError,
    AskRequest,
    EmbedRequest,
    parse_embed_request,
    parse_request,
)
from homeroom.serve.retrieval import Cited, Embed, Library

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

LOOPBACK = ("127.0.0.1", "localhost", "::1", "[::1]")
WITH_SOURCES = "-with-sources"
EMBEDDER = "embedder"
BODY_S = 30.0  # in which a request's body must have come
WATCH_S = 2.0  # between two looks whether there is a newer model


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A model, and what the server may do with it."""

    engine: Engine
    load: Callable[[], Engine] | None = None  # makes it anew, after a failure
    newer: Callable[[], Engine | None] | None = None  # a newer model where there is one; asked every two seconds
    library: Library | None = None  # what its `-with-sources` looks things up in
    proof: str = ""  # shown by /health: whether it is really the tuned one


def make_app(
    models: Mapping[str, Engine | Served],
    *,
    hosts: tuple[str, ...] = ("*",),
    api_key: str = "",
    embed: Embed | None = None,
) -> Starlette:
    """Return the application that answers for `models`, by name.

    Args:
        models: The first answers where a client names no model.
        hosts: Names under which the server may be called, against pages that point a name of theirs here.
        api_key: What clients must send as `Authorization: Bearer KEY`; "" lets everyone in.
        embed: A sentence encoder, served as "embedder".
    """
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    desk = Desk(models, embed)

    def guarded(route: Callable[[Request], Any]) -> Callable[[Request], Any]:
        async def checked(request: Request) -> Response:
            _check_key(request, api_key)
            return await route(request)

        return checked

    async def on_api_error(request: Request, error: ApiError) -> Response:
        headers = {"Retry-After": "5"} if error.status == 429 else {}
        return JSONResponse(error.body(), status_code=error.status, headers=headers)

    async def on_http_error(request: Request, error: HTTPException) -> Response:
        return await on_api_error(request, ApiError(error.status_code, f"{error.detail}: {request.url.path}"))

    app = Starlette(
        routes=[
            Route("/health", desk.health),
            Route("/v1/models", guarded(desk.list_models)),
            Route("/v1/models/{name:path}", guarded(desk.show_model)),
            Route("/v1/chat/completions", guarded(desk.chat), methods=["POST"]),
            Route("/v1/completions", guarded(desk.complete), methods=["POST"]),
            Route("/v1/embeddings", guarded(desk.embeddings), methods=["POST"]),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False)],
        exception_handlers={ApiError: on_api_error, HTTPException: on_http_error},
    )
    app.state.desk = desk
    return app


class Desk:
    """The models that are served, and what becomes of each request."""

    def __init__(self, models: Mapping[str, Engine | Served], embed: Embed | None) -> None:
        self.served = {name: m if isinstance(m, Served) else Served(engine=m) for name, m in models.items()}
        self.lines = {name: Line(name, m.engine, load=m.load) for name, m in self.served.items()}
        self._embed = embed
        self._encoder = ThreadPoolExecutor(max_workers=1, thread_name_prefix="embedder")

    @property
    def names(self) -> list[str]:
        """Return what a client may ask for."""
        looking = [f"{name}{WITH_SOURCES}" for name, m in self.served.items() if m.library is not None]
        return [*self.lines, *looking, *([EMBEDDER] if self._embed else [])]

    def look_for_newer(self) -> list[str]:
        """Swap in the models that have a newer one, and return their names."""
        swapped = []
        for name, served in self.served.items():
            engine = served.newer() if served.newer else None
            if engine is not None:
                self.lines[name].swap(engine)
                swapped.append(name)
        return swapped

    async def health(self, request: Request) -> Response:
        """Say that the server is there, and how its models do."""
        from starlette.responses import JSONResponse

        models = {
            name: {
                "waiting": line.num_waiting,
                "failures": line.num_failures,
                "swaps": line.num_swaps,
                "proof": self.served[name].proof,
            }
            for name, line in self.lines.items()
        }
        return JSONResponse({"status": "ok", "models": models})

    async def list_models(self, request: Request) -> Response:
        """List what may be asked for."""
        from starlette.responses import JSONResponse

        return JSONResponse({"object": "list", "data": [_model_card(name) for name in self.names]})

    async def show_model(self, request: Request) -> Response:
        """Return one model's card."""
        from starlette.responses import JSONResponse

        name = request.path_params["name"]
        self._refuse_unknown(name)
        return JSONResponse(_model_card(name))

    async def chat(self, request: Request) -> Response:
        """Answer a conversation."""
        return await self._answer(request, is_chat=True)

    async def complete(self, request: Request) -> Response:
        """Go on with a text."""
        return await self._answer(request, is_chat=False)

    async def embeddings(self, request: Request) -> Response:
        """Turn texts into vectors."""
        from starlette.responses import JSONResponse

        _refuse_other_sites(request)
        asked = parse_embed_request(await read_body(request))
        if self._embed is None or asked.model not in ("", EMBEDDER):
            self._refuse_unknown(asked.model)
            raise ApiError(400, f"Only the model {EMBEDDER!r} gives embeddings.", param="model")
        loop = asyncio.get_running_loop()
        vectors = await loop.run_in_executor(self._encoder, self._embed, list(asked.texts))
        return JSONResponse(_embedded(asked, vectors.tolist()))

    async def _answer(self, request: Request, *, is_chat: bool) -> Response:
        from starlette.responses import JSONResponse, StreamingResponse

        _refuse_other_sites(request)
        ask = parse_request(await read_body(request), is_chat=is_chat)
        line, library = self._found(ask.model)
        ask, sources = await self._looked_up(ask, library)
        completion = await line.begin(ask, sources=sources)
        if ask.is_stream:
            headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
            return StreamingResponse(_events(completion), media_type="text/event-stream", headers=headers)
        parts: list[Part] = []
        async for part in completion.parts():
            parts.append(part)
            if await request.is_disconnected():
                completion.stop()
        return JSONResponse(completion.whole(parts))

    async def _looked_up(self, ask: AskRequest, library: Library | None) -> tuple[AskRequest, tuple[Cited, ...]]:
        """Put what a search finds before the last question."""
        if library is None or isinstance(ask.prompt, str):
            return ask, ()
        *before, last = ask.prompt
        found = await asyncio.get_running_loop().run_in_executor(self._encoder, library.look_up, last.content)
        if found is None:
            return ask, ()
        read = dataclasses.replace(last, content=f"{found.text}\n\n{last.content}")
        return dataclasses.replace(ask, prompt=(*before, read)), found.sources

    def _found(self, name: str) -> tuple[Line, Library | None]:
        name = name or next(iter(self.lines), "")
        plain = name.removesuffix(WITH_SOURCES)
        if name not in self.lines and plain in self.lines and self.served[plain].library is not None:
            return self.lines[plain], self.served[plain].library
        if name not in self.lines:
            self._refuse_unknown(name)
            raise ApiError(400, f"The model {name!r} gives embeddings alone.", param="model")
        return self.lines[name], None

    def _refuse_unknown(self, name: str) -> None:
        if name not in self.names:
            known = ", ".join(self.names)
            raise ApiError(
                404, f"The model {name[:100]!r} is not here; known: {known}.", param="model", code="model_not_found"
            )


def serve(
    models: Mapping[str, Engine | Served],
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    api_key: str = "",
    embed: Embed | None = None,
    on_ready: Callable[[str, str], None] = lambda url, key: None,
    on_swap: Callable[[str], None] = lambda name: None,
) -> None:
    """Answer until the process is told to stop.

    Args:
        models: By name.
        host: Address to listen on. Others than this machine's own need a key: one is made where none is given.
        port: 0 takes any free one.
        api_key: What clients must send.
        embed: A sentence encoder, served as "embedder".
        on_ready: Told of the server's address, such as "http://127.0.0.1:8000/v1", and of the key ("" for none).
        on_swap: Told the name of a model that was replaced by a newer one.

    Raises:
        MachineError: the port is taken, or the address is not this machine's.
    """
    import uvicorn

    from homeroom.serve.connections import AT_ONCE, PatientProtocol

    listener = listen(host, port)
    is_own = host in ("127.0.0.1", "localhost", "::1")
    api_key = api_key or ("" if is_own else secrets.token_urlsafe(24))
    app = make_app(models, hosts=(*LOOPBACK, host) if is_own else ("*",), api_key=api_key, embed=embed)
    config = uvicorn.Config(
        app,
        http=PatientProtocol,
        limit_concurrency=AT_ONCE,
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=5,
    )
    name, stopped = f"[{host}]" if ":" in host else host, threading.Event()

    def watch() -> None:
        while not stopped.wait(WATCH_S):
            for swapped in app.state.desk.look_for_newer():
                on_swap(swapped)

    if any(m.newer for m in app.state.desk.served.values()):
        threading.Thread(target=watch, name="newer-models", daemon=True).start()
    with listener:
        on_ready(f"http://{name}:{listener.getsockname()[1]}/v1", api_key)
        uvicorn.Server(config).run(sockets=[listener])
    stopped.set()


def listen(host: str, port: int) -> socket.socket:
    """Return a socket on which whoever connects from now on waits, even while the server is still starting.

    Raises:
        MachineError: the port is taken, or the address is not this machine's.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
    except (OSError, OverflowError) as error:
        raise MachineError(f"cannot listen there ({error})", where=f"{host}:{port}") from None
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
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
        if completion.is_chat:
            yield _event(completion.chunk(None, first=True))
        async for part in completion.parts():
            yield _event(completion.chunk(part))
        yield _event(completion.chunk(None, completion.finish_reason))
        if completion.ask.with_usage:
            yield _event(completion.last_chunk())
    except ApiError as error:  # the status was sent already
        yield _event(error.body())
    finally:
        completion.stop()
    yield "data: [DONE]\n\n"


def _event(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value)}\n\n"  # ASCII: many clients end a line at U+2028 or U+0085 too


async def read_body(request: Request) -> bytes:
    """Return the body of a request.

    Raises:
        ApiError: it is too large, or too slow.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for part in request.stream():
                body += part
                if len(body) > MAX_BODY_BYTES:
                    raise ApiError(413, f"The body is larger than {MAX_BODY_BYTES:,} bytes.")
    except TimeoutError:
        raise ApiError(408, f"The body did not come within {BODY_S:g} seconds.") from None
    return bytes(body)


def _check_key(request: Request, api_key: str) -> None:
    sent = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
    if api_key and not hmac.compare_digest(sent.encode(), api_key.encode()):
        raise ApiError(401, "This server needs its key: Authorization: Bearer KEY.", code="invalid_api_key")


def _embedded(asked: EmbedRequest, vectors: list[list[float]]) -> dict[str, Any]:
    data = [
        {
            "object": "embedding",
            "index": n,
            "embedding": base64.b64encode(struct.pack(f"<{len(v)}f", *v)).decode() if asked.is_base64 else v,
        }
        for n, v in enumerate(vectors)
    ]
    tokens = sum(len(text.split()) for text in asked.texts)
    return {
        "object": "list",
        "model": EMBEDDER,
        "data": data,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _refuse_other_sites(request: Request) -> None:
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise ApiError(403, "Pages of other sites may not ask this server.")


def _model_card(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "homeroom"}
