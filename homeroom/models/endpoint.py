"""Whatever answers: one `Request` in, one `Reply` out, over the OpenAI chat API.

vLLM, llama-server, Ollama, a hosted API and our own engine are all an `Endpoint`. It retries what may pass (5xx, a lost
connection, a malformed answer), waits where it is told to slow down (`pace.py`), leaves out what this server does not
take (`dialect.py`), and says at once what will not pass: a refused connection, a key or a model that is not accepted.
Many requests at once, kept on disk, are `asking.ask_all`'s work; it is importable from here too. `FakeEndpoint`
is the same without a server, for tests.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from homeroom.core import network
from homeroom.core.errors import HomeroomError, MachineError, StageError, UsageError
from homeroom.core.types import Reply, Request
from homeroom.models.asking import ask_all, ask_until
from homeroom.models.dialect import MOST_LESSONS, Dialect
from homeroom.models.pace import MAX_WAIT_S, Pace
from homeroom.models.replies import MAX_REPLY_BYTES, Malformed, one_line, quote, read_reply, retry_after_s

if TYPE_CHECKING:
    import ssl

    import httpx

__all__ = ["Endpoint", "FakeEndpoint", "ask_all", "ask_until"]

SLOW_DOWN = (429, 503)
PATIENCE_S = 600.0  # of refusals without one answer in between


class Endpoint:
    """A model behind an OpenAI-compatible server.

    Args:
        url: Up to and with the version, "http://host:port/v1"; "/v1" is added where there is no path.
        model: The name under which the server knows it.
        api_key: Sent as a bearer token; never logged, written, or shown in an error.
        timeout_s: For one answer, waiting in the server's queue included; of a stream, for its next part.
        in_flight: Requests at once, at most; how many of them the server takes is found out (`pace`).
        identity: Names the model in the ids of kept answers. A local engine gives the file's sha256; empty means
            the server's host and the model's name.
        retries: Tries after the first one.
        backoff_s: Wait before the second try; it doubles from there, with jitter.
        patience_s: How long a server may refuse (429, 503) without giving one answer.
        stream: Ask for streams of events from the start; a server that gives nothing else is found out.

    Raises:
        UsageError: `url` is not an http(s) address, or holds a user name or password.
        RefusedError: in private mode, an address that is neither this machine nor on the allow-list.
    """

    def __init__(
        self,
        url: str,
        model: str,
        *,
        api_key: str = "",
        timeout_s: float = 300.0,
        in_flight: int = 4,
        identity: str = "",
        retries: int = 5,
        backoff_s: float = 0.5,
        patience_s: float = PATIENCE_S,
        stream: bool = False,
    ) -> None:
        self.url, host, netloc = _check_url(url)
        network.refuse_unless_allowed(host, where=self.url)
        self.model, self.timeout_s, self.in_flight = model, timeout_s, max(1, in_flight)
        self.identity = identity or f"{netloc}/{model}"
        self.is_local = _is_loopback(host)
        self.pace, self.dialect = Pace(self.in_flight), Dialect(stream=stream)
        self._key, self._retries, self._backoff_s, self._patience_s = api_key, retries, backoff_s, patience_s
        self._client: httpx.AsyncClient | None = None
        self._tls: ssl.SSLContext | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._answered_at: float | None = None
        self.has_streamed = False  # the last answer came as a stream of events

    def __repr__(self) -> str:
        return f"Endpoint({self.url!r}, {self.model!r})"

    async def ask(self, request: Request) -> Reply:
        """Return the model's answer to `request`.

        Raises:
            MachineError: nothing listens there, it refuses for too long, or it does not accept the key or the model.
            StageError: this request failed: refused as invalid, or no usable answer after all tries.
        """
        began, failed = time.monotonic(), 0
        while True:
            async with self.pace.turn() as sent:
                trouble = await self._try(request)
                if isinstance(trouble, Reply):
                    self.pace.answered(trouble.completion_tokens)
                    self._answered_at = time.monotonic()
                    return trouble
                if trouble.slow_down:
                    self.pace.refused(sent, trouble.wait_s)
            if trouble.is_refusal:  # costs no try: it will be let in, unless nobody ever is
                if time.monotonic() - max(began, self._answered_at or 0.0) > self._patience_s:
                    hint = "Answers so far are kept: the same command goes on later."
                    raise MachineError(f"refuses for {self._patience_s:.0f} s: {trouble}", where=self.url, hint=hint)
                continue
            failed += 1
            never_there = trouble.is_connection and self._answered_at is None and failed > 1
            if failed > self._retries or never_there:  # a typo should not cost half a minute
                if trouble.is_connection:
                    raise self._unreachable(str(trouble))
                raise StageError(f"no usable answer in {failed} tries; the last: {trouble}", where=self.url)
            await asyncio.sleep(min(self._backoff_s * 2 ** (failed - 1) * random.uniform(0.75, 1.25), MAX_WAIT_S))

    async def models(self) -> list[str]:
        """Return the names of the models that the server lists; empty where it lists none.

        Raises:
            MachineError: nothing listens there.
        """
        import httpx

        try:
            async with asyncio.timeout(min(self.timeout_s, 20)):
                status, _, body = await self._send("GET", "/models", None)
            listed = json.loads(body)["data"] if status == 200 else []
            return [one_line(str(entry["id"]), hide=self._key)[:200] for entry in listed[:1000]]
        except (httpx.HTTPError, TimeoutError) as error:
            raise self._unreachable(f"no connection ({error})") from None
        except (ValueError, KeyError, TypeError, Malformed):
            return []

    async def close(self) -> None:
        """Close the connections; the endpoint can be asked again afterwards."""
        client, self._client, self._loop = self._client, None, None
        if client is not None:
            await client.aclose()

    # -- one request ---------------------------------------------------------------------------------------------

    async def _try(self, request: Request) -> Reply | _Trouble:
        """Send a request once; more often only to leave out what this server turns out not to take."""
        import httpx

        start = time.monotonic()
        try:
            for _ in range(MOST_LESSONS + 1):  # a server may contradict itself: stream, and stream not
                body = self.dialect.body(self.model, request)
                status, headers, answer = await self._send("POST", "/chat/completions", body)
                if status not in (400, 422) or not self.dialect.learns(answer, sent=body):
                    break
            if status == 200:
                self.has_streamed = str(headers.get("content-type", "")).startswith("text/event-stream")
                seconds, most = time.monotonic() - start, request.max_tokens
                return read_reply(answer, seconds, is_stream=self.has_streamed, max_tokens=most)
        except (TimeoutError, httpx.TimeoutException):
            return _Trouble(f"no answer within {self.timeout_s:g} s", slow_down=True)
        except httpx.ConnectError as error:
            return _Trouble(f"no connection ({error})", is_connection=True)
        except (httpx.HTTPError, Malformed) as error:
            return _Trouble(one_line(str(error), hide=self._key) or type(error).__name__)
        said = f"answered {status}: {quote(answer, hide=self._key)}"
        if b"insufficient_quota" in answer[:10_000]:
            raise MachineError(said, where=self.url, hint="The account has no money left; answers so far are kept.")
        if status in SLOW_DOWN:
            return _Trouble(said, slow_down=True, is_refusal=True, wait_s=retry_after_s(headers))
        if status in (408, 409, 425) or status >= 500:
            return _Trouble(said)
        raise await self._refusal(status, headers, said)

    async def _send(self, method: str, path: str, body: Any) -> tuple[int, Any, bytes]:
        client, received, loop = self._open(), bytearray(), asyncio.get_running_loop()
        is_stream = bool(body and body.get("stream"))
        async with (
            asyncio.timeout(self.timeout_s) as limit,
            client.stream(method, self.url + path, json=body) as response,
        ):
            async for part in response.aiter_bytes():
                received += part
                if len(received) > MAX_REPLY_BYTES:
                    raise Malformed(f"the answer is larger than {MAX_REPLY_BYTES:,} bytes")
                if is_stream:
                    limit.reschedule(loop.time() + self.timeout_s)
            return response.status_code, response.headers, bytes(received)

    def _open(self) -> httpx.AsyncClient:
        import httpx

        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:  # a client belongs to one event loop
            self._loop = loop
            self._client = httpx.AsyncClient(
                headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
                timeout=httpx.Timeout(self.timeout_s, connect=min(self.timeout_s, 20)),
                limits=httpx.Limits(max_connections=self.in_flight, max_keepalive_connections=self.in_flight),
                verify=self._trusted(),
                trust_env=not self.is_local,  # a company's proxy must not see, or break, what stays on this machine
            )
        return self._client

    def _trusted(self) -> Any:
        """Return the certificates to trust, read once; without TLS there are none to read, which takes a while."""
        import httpx

        if self.url.startswith("https:") and self._tls is None:
            self._tls = httpx.create_ssl_context()
        return self._tls or False

    # -- what went wrong -----------------------------------------------------------------------------------------

    def _unreachable(self, trouble: str) -> MachineError:
        return MachineError(trouble, where=self.url, hint="Is the server running, and is this its address and port?")

    async def _refusal(self, status: int, headers: Any, trouble: str) -> HomeroomError:
        if status in (401, 403):
            had = "The server did not accept the key" if self._key else "The server wants a key and none was given"
            return MachineError(trouble, where=self.url, hint=f"{had}: see `teacher.api_key_...` in docs/endpoints.md.")
        if status == 404:
            names = await self.models()
            known = f"It knows: {', '.join(names[:20])}." if names else "Does the address end in /v1?"
            return MachineError(f"{trouble} (asked for model {self.model!r})", where=self.url, hint=known)
        if 300 <= status < 400:  # not followed: the key must not travel to another host
            to = one_line(str(headers.get("location", "?")), hide=self._key)[:200]
            hint = f"It points to {to}: use that address if you trust it."
            return MachineError(trouble, where=self.url, hint=hint)
        return StageError(trouble, where=self.url, hint="The server finds this request invalid; it was not retried.")


@dataclass(frozen=True, slots=True)
class _Trouble:
    """Why a try gave no answer, and what follows from it."""

    text: str
    slow_down: bool = False
    is_refusal: bool = False
    is_connection: bool = False
    wait_s: float = 0.0

    def __str__(self) -> str:
        return self.text


class FakeEndpoint(Endpoint):
    """An endpoint without a server: `script` answers, a word counts as a token.

    Args:
        script: From a request to the answer's text; what it raises, `ask` raises.
        delay_s: How long an answer takes.

    Example:
        >>> from homeroom.core.types import Message
        >>> fake = FakeEndpoint(lambda request: request.messages[-1].content.upper())
        >>> asyncio.run(fake.ask(Request(messages=(Message(role="user", content="hi"),), max_tokens=8))).text
        'HI'
    """

    def __init__(
        self, script: Callable[[Request], str], *, identity: str = "fake", in_flight: int = 4, delay_s: float = 0.0
    ) -> None:
        super().__init__("http://127.0.0.1:9/v1", "fake", identity=identity, in_flight=in_flight)
        self.script, self.delay_s = script, delay_s
        self.asked: list[Request] = []

    async def ask(self, request: Request) -> Reply:
        """Return the script's answer, cut at `max_tokens` words."""
        self.asked.append(request)
        await asyncio.sleep(self.delay_s)
        text = self.script(request)
        words = text.split()
        is_cut = len(words) > request.max_tokens
        return Reply(
            text=" ".join(words[: request.max_tokens]) if is_cut else text,
            finish_reason="length" if is_cut else "stop",
            prompt_tokens=sum(len(message.content.split()) for message in request.messages),
            completion_tokens=min(len(words), request.max_tokens),
        )

    async def models(self) -> list[str]:
        """Return the one name it has."""
        return [self.model]


def _check_url(url: str) -> tuple[str, str, str]:
    hint = "For example: http://127.0.0.1:8000/v1"
    try:
        parts = urlsplit(url.strip())
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise UsageError(f"not an address ({error})", where=url[:200], hint=hint) from None
    if "@" in parts.netloc:
        hint = "Give the key in the environment variable that `api_key_env` names."
        raise UsageError("an endpoint's address must not hold a user name or password", where=host, hint=hint)
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise UsageError("not the http(s) address of an endpoint", where=url[:200], hint=hint)
    path = parts.path.rstrip("/").removesuffix("/chat/completions") or "/v1"
    return f"{parts.scheme}://{parts.netloc}{path}", host, parts.netloc


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
