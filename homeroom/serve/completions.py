"""From a checked request to an answer: one model, one thread, one answer at a time.

A `Line` holds the requests that wait for a model. A `Completion` is one answer on its way from the model's thread to
the client: the thread hands pieces over, the event loop sends them, and either side can end it.
"""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from homeroom.core.errors import ContentError, HomeroomError, UsageError
from homeroom.serve.chat import Engine
from homeroom.serve.requests import ApiError, AskRequest
from homeroom.serve.retrieval import Cited

MAX_WAITING = 64  # requests in line for one model; at 2 s an answer the last waits for two minutes


class Line:
    """The requests that wait for one model.

    Args:
        name: What clients call it.
        engine: The model.
        load: Makes the engine anew after it failed; None goes on with the one that failed.
    """

    def __init__(self, name: str, engine: Engine, *, load: Callable[[], Engine] | None = None) -> None:
        self.name, self.engine = name, engine
        self.num_waiting = self.num_failures = self.num_swaps = 0
        self._load = load
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"engine-{name}")

    def swap(self, engine: Engine) -> None:
        """Answer with another model from the next request on; those that have begun go on with the one they have."""
        self.engine, self.num_swaps = engine, self.num_swaps + 1

    async def begin(self, ask: AskRequest, *, sources: Sequence[Cited] = ()) -> Completion:
        """Put a request in line.

        Raises:
            ApiError: the line is too long, the prompt longer than the model can read, or more is asked than it can.
        """
        if self.num_waiting >= MAX_WAITING:
            raise ApiError(429, f"{self.num_waiting} requests are waiting already.", code="rate_limit_exceeded")
        self.num_waiting += 1
        try:
            completion = await self._prepare(ask, sources)
        except BaseException:
            self.num_waiting -= 1
            raise
        future = asyncio.get_running_loop().run_in_executor(self._thread, self._generate, completion)
        future.add_done_callback(self._leave)
        return completion

    async def _prepare(self, ask: AskRequest, sources: Sequence[Cited]) -> Completion:
        engine = self.engine
        if needs_tokens(ask) and not hasattr(engine, "tokens"):
            what = "Log-probabilities, JSON and plain prompts are not available from this model's engine."
            raise ApiError(400, what, param="model", code="unsupported_value")
        prompt_tokens = await asyncio.to_thread(engine.count_tokens, ask.prompt)
        room = engine.context_tokens - prompt_tokens
        if room < 1:
            limit = f"The model reads at most {engine.context_tokens} tokens; this prompt has {prompt_tokens}."
            param = "prompt" if isinstance(ask.prompt, str) else "messages"
            raise ApiError(400, limit, param=param, code="context_length_exceeded")
        return Completion(
            model=self.name,
            ask=ask,
            engine=engine,
            prompt_tokens=prompt_tokens,
            max_tokens=min(ask.max_tokens, room),
            sources=sources,
        )

    def _generate(self, completion: Completion) -> None:
        """Run in the model's thread; a model that failed is loaded anew before the next request."""
        if completion.generate():
            return
        self.num_failures += 1
        if self._load is not None:
            self.engine = self._load()

    def _leave(self, future: asyncio.Future[None]) -> None:
        self.num_waiting -= 1
        future.exception()  # it was handed to the reader already


def needs_tokens(ask: AskRequest) -> bool:
    """Say whether a request asks for more than the pieces of an answer to a conversation."""
    return ask.num_top is not None or ask.form is not None or isinstance(ask.prompt, str)


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an answer, with its tokens where log-probabilities were asked for."""

    text: str
    tokens: tuple[Any, ...] = ()


class Completion:
    """One answer on its way from the model's thread to the client."""

    def __init__(
        self,
        *,
        model: str,
        ask: AskRequest,
        engine: Engine,
        prompt_tokens: int,
        max_tokens: int,
        sources: Sequence[Cited] = (),
    ) -> None:
        self.model, self.ask, self.prompt_tokens, self.sources = model, ask, prompt_tokens, tuple(sources)
        self.is_chat = not isinstance(ask.prompt, str)
        self.id, self.created = f"{'chatcmpl' if self.is_chat else 'cmpl'}-{uuid.uuid4().hex}", int(time.time())
        self.completion_tokens, self.finish_reason = 0, "stop"
        self._engine, self._max_tokens = engine, max_tokens
        self._stopped = threading.Event()
        self._parts: asyncio.Queue[Part | Exception | None] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()

    def generate(self) -> bool:
        """Run in the model's thread: hand over the answer part by part, then None; False where the model failed."""
        end: Exception | None = None
        try:
            for part in self._made():
                self._hand_over(part)
        except Exception as error:  # whatever a model does, the client gets an answer and the server goes on
            end = error
        self._hand_over(end)
        return end is None or isinstance(end, HomeroomError)

    def _made(self) -> Iterator[Part]:
        cut, tokens = StopCut(self.ask.stop), []
        if self._stopped.is_set():
            return
        for token in self._tokens():
            piece = token if isinstance(token, str) else token.text
            self.completion_tokens = min(self.completion_tokens + 1, self._max_tokens)
            tokens += [] if isinstance(token, str) or token.logprob is None else [token]
            text = cut.add(piece)
            if text:
                yield Part(text, tuple(tokens))
                tokens = []
            if cut.is_found or self._stopped.is_set():
                return
        if self.completion_tokens >= self._max_tokens:
            self.finish_reason = "length"
        yield Part(cut.rest(), tuple(tokens))

    def _tokens(self) -> Iterator[Any]:
        ask = self.ask
        how = {"max_tokens": self._max_tokens, "temperature": ask.temperature, "top_p": ask.top_p, "seed": ask.seed}
        if not needs_tokens(ask):
            return self._engine.stream(ask.prompt, **how)
        fits = ask.form.fits if ask.form else None
        return self._engine.tokens(ask.prompt, **how, num_top=ask.num_top, fits=fits)

    def _hand_over(self, item: Part | Exception | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self._parts.put_nowait, item)
        except RuntimeError:  # the server is gone
            self.stop()

    def stop(self) -> None:
        """Generate no further."""
        self._stopped.set()

    async def parts(self) -> AsyncIterator[Part]:
        """Yield the parts of the answer that are not empty.

        Raises:
            ApiError: the model failed.
        """
        try:
            while (item := await self._parts.get()) is not None:
                if isinstance(item, ContentError | UsageError):
                    raise ApiError(400, item.message)
                if isinstance(item, Exception):
                    said = item.message if isinstance(item, HomeroomError) else f"{type(item).__name__} in the model"
                    raise ApiError(500, said)
                if item.text or item.tokens:
                    yield item
        finally:
            self.stop()

    def usage(self) -> dict[str, int]:
        """Return the counts of tokens."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
        }

    def whole(self, parts: Sequence[Part]) -> dict[str, Any]:
        """Return the answer as one object."""
        text, tokens = "".join(p.text for p in parts), [t for p in parts for t in p.tokens]
        choice: dict[str, Any] = {"index": 0, "finish_reason": self.finish_reason, "logprobs": self._logprobs(tokens)}
        choice |= (
            {"message": {"role": "assistant", "content": text, "refusal": None}} if self.is_chat else {"text": text}
        )
        return self._head() | {"choices": [choice], "usage": self.usage()} | self._cited()

    def chunk(self, part: Part | None, finish_reason: str | None = None, *, first: bool = False) -> dict[str, Any]:
        """Return one object of a stream; the last ones have no part."""
        choice: dict[str, Any] = {"index": 0, "finish_reason": finish_reason}
        choice["logprobs"] = self._logprobs(part.tokens) if part and part.tokens else None
        if self.is_chat:
            role = {"role": "assistant", "content": ""} if first else {}
            choice["delta"] = role | ({"content": part.text} if part else {})
        else:
            choice["text"] = part.text if part else ""
        return self._head(".chunk") | {"choices": [choice]} | (self._cited() if finish_reason else {})

    def last_chunk(self) -> dict[str, Any]:
        """Return the object that carries the counts of a stream."""
        return self._head(".chunk") | {"choices": [], "usage": self.usage()}

    def _head(self, more: str = "") -> dict[str, Any]:
        kind = f"chat.completion{more}" if self.is_chat else "text_completion"
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}

    def _cited(self) -> dict[str, Any]:
        return {"sources": [asdict(source) for source in self.sources]} if self.sources else {}

    def _logprobs(self, tokens: Sequence[Any]) -> dict[str, Any] | None:
        if self.ask.num_top is None:
            return None
        if self.is_chat:
            listed = [
                _told(t.word, t.logprob) | {"top_logprobs": [_told(word, value) for word, value in t.top]}
                for t in tokens
            ]
            return {"content": listed, "refusal": None}
        offsets, at = [], len(self.ask.prompt)
        for token in tokens:
            offsets.append(at)
            at += len(token.word)
        return {
            "tokens": [t.word for t in tokens],
            "token_logprobs": [t.logprob for t in tokens],
            "top_logprobs": [dict(t.top) for t in tokens] if self.ask.num_top else None,
            "text_offset": offsets,
        }


def _told(word: str, logprob: float) -> dict[str, Any]:
    return {"token": word, "logprob": logprob, "bytes": list(word.encode())}


@dataclass(slots=True)
class StopCut:
    """Ends a text before the first of some stop texts, holding back what may be the beginning of one."""

    stops: tuple[str, ...]
    held: str = ""
    is_found: bool = False

    def add(self, piece: str) -> str:
        """Return what is sure to belong to the answer, now that `piece` has come."""
        text = self.held + piece
        found = [at for at in (text.find(stop) for stop in self.stops) if at >= 0]
        if found:
            self.held, self.is_found = "", True
            return text[: min(found)]
        longest = max((len(stop) - 1 for stop in self.stops), default=0)
        num_held = next(
            (n for n in range(min(longest, len(text)), 0, -1) if any(s.startswith(text[-n:]) for s in self.stops)), 0
        )
        self.held = text[len(text) - num_held :]
        return text[: len(text) - num_held]

    def rest(self) -> str:
        """Return what was held back and turned out to belong to the answer."""
        return self.held
