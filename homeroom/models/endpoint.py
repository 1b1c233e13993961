"""Whatever answers: one `Request` in, one `Reply` out, over the OpenAI chat API.

vLLM, llama-server, Ollama, a hosted API and our own engine are all an `Endpoint`. It retries what may pass (429, 5xx,
a lost connection, a malformed answer), and says at once what will not: a refused connection, a key or a model that
the server does not accept. Many requests at once, kept on disk, are `asking.ask_all`'s work; it is importable from
here too. `FakeEndpoint` is the same without a server, for tests.
"""

from __future__ import annotations

import asyncio
import email.utils
import ipaddress
import json
import random
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from homeroom.core.errors import HomeroomError, MachineError, StageError, UsageError
from homeroom.core.types import Reply, Request
from homeroom.models.asking import ask_all, ask_until

if TYPE_CHECKING:
    import httpx

__all__ = ["Endpoint", "FakeEndpoint", "ask_all", "ask_until"]

MAX_REPLY_BYTES = 8 * 2**20  # an answer of 8,192 tokens with log-probabilities is below 2 MiB
MAX_WAIT_S = 60.0  # between two tries, whatever Retry-After says


class Endpoint:
    """A model behind an OpenAI-compatible server.

    Args:
        url: Up to and with the version, "http://host:port/v1"; "/v1" is added where there is no path.
        model: The name under which the server knows it.
        api_key: Sent as a bearer token; never logged, written, or shown in an error.
        timeout_s: For one answer, waiting in the server's queue included.
        in_flight: Requests that `ask_all` keeps open at once.
        identity: Names the model in the ids of kept answers. A local engine gives the file's sha256; empty means
            the server's host and the model's name.
        retries: Tries after the first one.
        backoff_s: Wait before the second try; it doubles from there, with jitter.

    Raises:
        UsageError: `url` is not an http(s) address, or holds a user name or password.
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
    ) -> None:
        self.url, host, netloc = _check_url(url)
        self.model, self.timeout_s, self.in_flight = model, timeout_s, max(1, in_flight)
        self.identity = identity or f"{netloc}/{model}"
        self.is_local = _is_loopback(host)
        self._key, self._retries, self._backoff_s = api_key, retries, backoff_s
        self._client: httpx.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._has_answered = False

    def __repr__(self) -> str:
        return f"Endpoint({self.url!r}, {self.model!r})"

    async def ask(self, request: Request) -> Reply:
        """Return the model's answer to `request`.

        Raises:
            MachineError: nothing listens there, or the server does not accept the key or know the model.
            StageError: this request failed: refused as invalid, or no usable answer after all tries.
        """
        import httpx

        trouble = ""
        for attempt in range(self._retries + 1):
            start = time.monotonic()
            wait_s = self._backoff_s * 2**attempt * random.uniform(0.75, 1.25)
            try:
                async with asyncio.timeout(self.timeout_s):
                    status, headers, body = await self._send("POST", "/chat/completions", self._body(request))
                if status == 200:
                    reply = _read_reply(body, time.monotonic() - start)
                    self._has_answered = True
                    return reply
                trouble = f"answered {status}: {self._quote(body)}"
                if status not in (408, 409, 425, 429) and status < 500:
                    raise await self._refusal(status, headers, trouble)
                wait_s = _retry_after_s(headers) or wait_s
            except (TimeoutError, httpx.TimeoutException):
                trouble = f"no answer within {self.timeout_s:g} s"
            except httpx.ConnectError as error:
                trouble = f"no connection ({error})"
                if not self._has_answered and attempt >= 1:  # never was there: a typo should not cost half a minute
                    raise self._unreachable(trouble) from None
            except (httpx.HTTPError, _Malformed) as error:
                trouble = str(error) or type(error).__name__
            if attempt < self._retries:
                await asyncio.sleep(min(wait_s, MAX_WAIT_S))
        if trouble.startswith("no connection"):
            raise self._unreachable(trouble)
        raise StageError(f"no usable answer in {self._retries + 1} tries; the last: {trouble}", where=self.url)

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
            return [str(entry["id"])[:200] for entry in listed[:1000]]
        except (httpx.HTTPError, TimeoutError) as error:
            raise self._unreachable(f"no connection ({error})") from None
        except (ValueError, KeyError, TypeError, _Malformed):
            return []

    async def close(self) -> None:
        """Close the connections; the endpoint can be asked again afterwards."""
        client, self._client, self._loop = self._client, None, None
        if client is not None:
            await client.aclose()

    # -- one request ---------------------------------------------------------------------------------------------

    def _body(self, request: Request) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [asdict(message) for message in request.messages],
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "seed": request.seed,
        }
        if request.stop:
            body["stop"] = list(request.stop)
        if request.schema is not None:
            json_schema = {"name": "answer", "schema": request.schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": json_schema}
        return body

    async def _send(self, method: str, path: str, body: Any) -> tuple[int, Any, bytes]:
        client, received = self._open(), bytearray()
        async with client.stream(method, self.url + path, json=body) as response:
            async for part in response.aiter_bytes():
                received += part
                if len(received) > MAX_REPLY_BYTES:
                    raise _Malformed(f"the answer is larger than {MAX_REPLY_BYTES:,} bytes")
            return response.status_code, response.headers, bytes(received)

    def _open(self) -> httpx.AsyncClient:
        import httpx

        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:  # a client belongs to one event loop
            self._loop = loop
            self._client = httpx.AsyncClient(
                headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
                timeout=httpx.Timeout(self.timeout_s, connect=min(self.timeout_s, 20)),
                limits=httpx.Limits(max_connections=self.in_flight),
                trust_env=not self.is_local,  # a company's proxy must not see, or break, what stays on this machine
            )
        return self._client

    # -- what went wrong -----------------------------------------------------------------------------------------

    def _unreachable(self, trouble: str) -> MachineError:
        return MachineError(trouble, where=self.url, hint="Is the server running, and is this its address and port?")

    async def _refusal(self, status: int, headers: Any, trouble: str) -> HomeroomError:
        if status in (401, 403):
            had = "The server did not accept the key" if self._key else "The server wants a key and none was given"
            return MachineError(trouble, where=self.url, hint=f"{had}: see `api_key_env` in the recipe.")
        if status == 404:
            names = await self.models()
            known = f"It knows: {', '.join(names[:20])}." if names else "Does the address end in /v1?"
            return MachineError(f"{trouble} (asked for model {self.model!r})", where=self.url, hint=known)
        if 300 <= status < 400:  # not followed: the key must not travel to another host
            hint = f"It points to {str(headers.get('location', '?'))[:200]}: use that address if you trust it."
            return MachineError(trouble, where=self.url, hint=hint)
        return StageError(trouble, where=self.url, hint="The server finds this request invalid; it was not retried.")

    def _quote(self, body: bytes) -> str:
        text = body.decode("utf-8", "replace")
        try:
            error = json.loads(text)["error"]
            text = str(error["message"] if isinstance(error, dict) else error)
        except (ValueError, KeyError, TypeError):
            pass
        if self._key:
            text = text.replace(self._key, "[key]")
        return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:300] or "(empty)"


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


# -- reading what a server says ----------------------------------------------------------------------------------


class _Malformed(Exception):
    """An answer that is not what the API promises; worth another try."""


def _read_reply(body: bytes, seconds: float) -> Reply:
    try:
        answer = json.loads(body)
        choice = answer["choices"][0]
        text, finish_reason = choice["message"]["content"], choice.get("finish_reason") or "stop"
        usage = answer.get("usage") or {}
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        raise _Malformed("the answer is not a chat completion") from None
    if text is None and finish_reason == "length":
        text = ""  # all tokens went into thinking
    if not isinstance(text, str) or not isinstance(finish_reason, str) or not isinstance(usage, dict):
        raise _Malformed("the answer is not a chat completion with text")
    text = text.encode("utf-8", "replace").decode("utf-8")  # a lone surrogate could not be written to disk
    return Reply(
        text=text,
        finish_reason=finish_reason[:40],
        prompt_tokens=_count(usage.get("prompt_tokens"), 0),
        completion_tokens=_count(usage.get("completion_tokens"), len(text) // 4 + 1),  # some servers do not count
        seconds=round(seconds, 3),
    )


def _count(value: Any, default: int) -> int:
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9
    return value if is_count else default


def _retry_after_s(headers: Any) -> float:
    text = str(headers.get("retry-after", "")).strip()
    try:
        return max(0.0, min(float(text), MAX_WAIT_S))
    except ValueError:
        pass
    try:
        return max(0.0, min(email.utils.parsedate_to_datetime(text).timestamp() - time.time(), MAX_WAIT_S))
    except (ValueError, TypeError, OverflowError):
        return 0.0


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
