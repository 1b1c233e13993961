"""From a checked request to an answer: one model, one thread, one answer at a time.

A `Line` holds the requests that wait for a model. A `Completion` is one answer on its way from the model's thread to
the client: the thread hands pieces over, the event loop sends them, and either side can end it.
"""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from homeroom.core.errors import ContentError, HomeroomError, UsageError
from homeroom.serve.chat import Engine
from homeroom.serve.requests import ApiError, ChatRequest

MAX_WAITING = 32  # requests in line for one model; at 5 s an answer the last waits for almost three minutes


class Line:
    """The requests that wait for one model."""

    def __init__(self, name: str, engine: Engine) -> None:
        self.name, self.engine = name, engine
        self.num_waiting = 0
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"engine-{name}")

    async def begin(self, chat: ChatRequest) -> Completion:
        """Put a request in line.

        Raises:
            ApiError: the line is too long, or the prompt longer than the model can read.
        """
        if self.num_waiting >= MAX_WAITING:
            raise ApiError(429, f"{self.num_waiting} requests are waiting already.", code="rate_limit_exceeded")
        self.num_waiting += 1
        try:
            completion = await self._prepare(chat)
        except BaseException:
            self.num_waiting -= 1
            raise
        future = asyncio.get_running_loop().run_in_executor(self._thread, completion.generate)
        future.add_done_callback(self._leave)
        return completion

    async def _prepare(self, chat: ChatRequest) -> Completion:
        prompt_tokens = await asyncio.to_thread(self.engine.count_tokens, chat.messages)
        room = self.engine.context_tokens - prompt_tokens
        if room < 1:
            limit = f"The model reads at most {self.engine.context_tokens} tokens; these messages are {prompt_tokens}."
            raise ApiError(400, limit, param="messages", code="context_length_exceeded")
        return Completion(
            model=self.name,
            chat=chat,
            engine=self.engine,
            prompt_tokens=prompt_tokens,
            max_tokens=min(chat.max_tokens, room),
        )

    def _leave(self, future: asyncio.Future[None]) -> None:
        self.num_waiting -= 1
        future.exception()  # it was handed to the reader already


class Completion:
    """One answer on its way from the model's thread to the client."""

    def __init__(self, *, model: str, chat: ChatRequest, engine: Engine, prompt_tokens: int, max_tokens: int) -> None:
        self.model, self.chat, self.prompt_tokens = model, chat, prompt_tokens
        self.id, self.created = f"chatcmpl-{uuid.uuid4().hex}", int(time.time())
        self.completion_tokens, self.finish_reason = 0, "stop"
        self._engine, self._max_tokens = engine, max_tokens
        self._stopped = threading.Event()
        self._pieces: asyncio.Queue[str | Exception | None] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()

    def generate(self) -> None:
        """Run in the model's thread: hand over the answer piece by piece, then None."""
        end: Exception | None = None
        try:
            for piece in self._tokens():
                self._hand_over(piece)
        except Exception as error:  # whatever a model does, the client gets an answer and the server goes on
            end = error
        self._hand_over(end)

    def _tokens(self) -> Iterator[str]:
        cut = StopCut(self.chat.stop)
        if self._stopped.is_set():
            return
        chat = self.chat
        for piece in self._engine.stream(
            chat.messages,
            max_tokens=self._max_tokens,
            temperature=chat.temperature,
            top_p=chat.top_p,
            seed=chat.seed,
        ):
            self.completion_tokens = min(self.completion_tokens + 1, self._max_tokens)
            yield cut.add(piece)
            if cut.is_found or self._stopped.is_set():
                return
        if self.completion_tokens >= self._max_tokens:
            self.finish_reason = "length"
        yield cut.rest()

    def _hand_over(self, item: str | Exception | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self._pieces.put_nowait, item)
        except RuntimeError:  # the server is gone
            self.stop()

    def stop(self) -> None:
        """Generate no further."""
        self._stopped.set()

    async def pieces(self) -> AsyncIterator[str]:
        """Yield the parts of the answer that are not empty.

        Raises:
            ApiError: the model failed.
        """
        try:
            while (item := await self._pieces.get()) is not None:
                if isinstance(item, ContentError | UsageError):
                    raise ApiError(400, item.message)
                if isinstance(item, Exception):
                    said = item.message if isinstance(item, HomeroomError) else f"{type(item).__name__} in the model"
                    raise ApiError(500, said)
                if item:
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

    def whole(self, text: str) -> dict[str, Any]:
        """Return the answer as one object."""
        message = {"role": "assistant", "content": text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self.finish_reason}
        return self._head("chat.completion") | {"choices": [choice], "usage": self.usage()}

    def chunk(self, delta: dict[str, str], finish_reason: str | None = None) -> dict[str, Any]:
        """Return one object of a stream."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return self._head("chat.completion.chunk") | {"choices": [choice]}

    def last_chunk(self) -> dict[str, Any]:
        """Return the object that carries the counts of a stream."""
        return self._head("chat.completion.chunk") | {"choices": [], "usage": self.usage()}

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": self.created, "model": self.model}


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
