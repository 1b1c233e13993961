"""Many requests at once, every answer kept on disk the moment it comes.

A kept answer lies at `keep/<xx>/<id>.json`, where the id is a hash over the endpoint's identity and the whole request:
asking again costs nothing, and a run that was stopped at any point loses only what was still being written by the
model. A kept file holds its request too, and one that does not match what is asked, or cannot be read, is asked again.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Callable, Iterable, Sized
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from homeroom.core.errors import ContentError, StageError
from homeroom.core.files import from_json, write_text
from homeroom.core.types import Reply, Request, content_id

if TYPE_CHECKING:
    from homeroom.models.endpoint import Endpoint

KEPT_FORMAT = 1
MANY_EMPTY, ANY_EMPTY = 12, 5  # answers, all of them empty: then at once, or at the end, the run stops
FAILED = "failed"  # the finish_reason of a request that got no answer; its text is empty and it is not kept
OnReply = Callable[[int, Reply], None]


def ask_all(
    endpoint: Endpoint,
    requests: Iterable[Request],
    *,
    keep: Path | None,
    on_reply: OnReply | None = None,
    max_failures: int | None = None,
) -> list[Reply]:
    """Return the replies to `requests`, in their order, asking `endpoint.in_flight` at once.

    Args:
        keep: Folder of kept answers; None keeps nothing.
        on_reply: Told of each reply with the index of its request, kept ones too, as they come.
        max_failures: How many requests may fail; beyond it the run stops. A failed one's reply has empty text and
            the finish_reason "failed". By default one in twenty, at least 2.

    Raises:
        StageError: too many requests failed, or all of them, or all answers are empty; names the first cause.
        MachineError: the endpoint is not there, or does not accept the key or the model.
    """
    requests = list(requests)
    allowed = max(2, len(requests) // 20) if max_failures is None else max_failures
    run = _Run(endpoint=endpoint, keep=keep, on_reply=on_reply, max_failures=allowed)
    asyncio.run(run.ask_each(requests))
    return [run.replies[index] for index in range(len(requests))]


def ask_until(
    endpoint: Endpoint,
    requests: Iterable[Request],
    *,
    keep: Path | None,
    max_tokens: int,
    on_reply: OnReply | None = None,
    max_failures: int | None = None,
) -> list[Reply | None]:
    """Ask requests in order for as long as their answers are sure to fit into `max_tokens` completion tokens.

    A request is asked when the tokens of all replies before it (kept ones too) and its own `max_tokens` fit. So the
    budget is never exceeded, and the same requests are asked whatever the timing, and again on a second run.

    Args:
        requests: May be a generator; it is drawn only as far as there is room.

    Returns:
        A reply for each request that was asked, and None for each of the others in a list.

    Raises:
        StageError, MachineError: as `ask_all`.
    """
    failures = 5 if max_failures is None else max_failures
    run = _Run(endpoint=endpoint, keep=keep, on_reply=on_reply, max_failures=failures, max_tokens=max_tokens)
    asyncio.run(run.ask_each(requests))
    num_requests = len(requests) if isinstance(requests, Sized) else len(run.replies)
    return [run.replies.get(index) for index in range(num_requests)]


@dataclass(slots=True, kw_only=True)
class _Run:
    """What is known while requests are under way."""

    endpoint: Endpoint
    keep: Path | None
    on_reply: OnReply | None
    max_failures: int
    max_tokens: int | None = None
    replies: dict[int, Reply] = field(default_factory=dict)
    indices: dict[str, list[int]] = field(default_factory=dict)  # id -> the requests that are equal to one another
    running: dict[asyncio.Task[Reply], tuple[str, int]] = field(default_factory=dict)  # -> id, tokens it may need
    spent_tokens: int = 0
    num_answers: int = 0
    empty: list[tuple[str, Reply]] = field(default_factory=list)  # answers without a word
    failures: list[StageError] = field(default_factory=list)

    async def ask_each(self, requests: Iterable[Request]) -> None:
        try:
            for index, request in enumerate(requests):
                if not await self._start(index, request):
                    break
            while self.running:
                await self._collect()
            self._refuse_silence(ANY_EMPTY)
            if self.failures and not self.num_answers:
                self._stop()
        finally:
            for task in self.running:
                task.cancel()
            await asyncio.gather(*self.running, return_exceptions=True)
            await self.endpoint.close()

    async def _start(self, index: int, request: Request) -> bool:
        """Answer from disk, or begin to ask; False where the tokens might not suffice."""
        key = request_id(self.endpoint.identity, request)
        twins = self.indices.setdefault(key, [])
        twins.append(index)
        if len(twins) > 1:
            first = self.replies.get(twins[0])
            if first is not None:
                self._deliver(index, replace(first, kept=True))
            return True
        while self.running and not self._fits(request):
            await self._collect()
        if not self._fits(request):
            return False
        kept = read_kept(self.keep, key, self.endpoint.identity, request) if self.keep else None
        if kept is not None:
            self._count(key, kept)
            self._deliver(index, kept)
            return True
        while len(self.running) >= self.endpoint.in_flight:
            await self._collect()
        self.running[asyncio.create_task(self._ask(key, request))] = (key, request.max_tokens)
        await asyncio.sleep(0)
        return True

    def _fits(self, request: Request) -> bool:
        reserved = sum(tokens for _, tokens in self.running.values())
        return self.max_tokens is None or self.spent_tokens + reserved + request.max_tokens <= self.max_tokens

    async def _ask(self, key: str, request: Request) -> Reply:
        reply = await self.endpoint.ask(request)
        if self.keep:  # in the same step in which it came: from here on nothing can lose it
            write_kept(self.keep, key, self.endpoint.identity, request, reply)
        return reply

    async def _collect(self) -> None:
        done, _ = await asyncio.wait(self.running, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            key, _ = self.running.pop(task)
            try:
                reply = task.result()
                self._count(key, reply)
            except StageError as error:
                self.failures.append(error)
                reply = Reply(text="", finish_reason=FAILED, prompt_tokens=0, completion_tokens=0)
            for position, index in enumerate(self.indices[key]):
                self._deliver(index, reply if position == 0 else replace(reply, kept=True))
        self._refuse_silence(MANY_EMPTY)
        if len(self.failures) > self.max_failures:
            self._stop()

    def _stop(self) -> None:
        first = self.failures[0]
        raise StageError(
            f"{len(self.failures)} requests failed; the first: {first.message}",
            where=first.where or self.endpoint.url,
            hint="Answers so far are kept and are not asked again. " + first.hint,
        )

    def _count(self, key: str, reply: Reply) -> None:
        self.spent_tokens += reply.completion_tokens
        self.num_answers += 1
        if not reply.text.strip():
            self.empty.append((key, reply))

    def _refuse_silence(self, at_least: int) -> None:
        """Stop where the model says nothing at all, and forget those answers, so that a mended one is asked again."""
        if len(self.empty) < max(at_least, self.num_answers):
            return
        for key, _ in self.empty if self.keep else ():
            kept_path(self.keep, key).unlink(missing_ok=True)
        is_cut = all(reply.finish_reason == "length" for _, reply in self.empty)
        thinking = "All its tokens went elsewhere, into thinking perhaps: turn that off, or take another model."
        hint = thinking if is_cut else "Try the model by hand: does it answer a question? Is its chat template right?"
        raise StageError(f"all {self.num_answers} answers so far are empty", where=self.endpoint.url, hint=hint)

    def _deliver(self, index: int, reply: Reply) -> None:
        self.replies[index] = reply
        if self.on_reply is not None:
            self.on_reply(index, reply)


# -- answers on disk ---------------------------------------------------------------------------------------------


def kept_path(keep: Path, key: str) -> Path:
    """Return where the answer of this id lies."""
    return keep / key[:2] / f"{key}.json"


def request_id(identity: str, request: Request) -> str:
    """Return the name under which the answer of one model to one request is kept."""
    return content_id(identity, _asked(request))


def _asked(request: Request) -> dict[str, Any]:
    """Return the request as it is hashed and kept; what came later and is not used is left out, so that ids stay."""
    asked = asdict(request)
    if not request.top_logprobs:
        del asked["top_logprobs"]
    return asked


def write_kept(keep: Path, key: str, identity: str, request: Request, reply: Reply) -> None:
    """Keep one answer, atomically."""
    entry = {"version": KEPT_FORMAT, "identity": identity, "request": _asked(request), "reply": asdict(reply)}
    write_text(kept_path(keep, key), json.dumps(entry, ensure_ascii=False) + "\n")


def read_kept(keep: Path, key: str, identity: str, request: Request) -> Reply | None:
    """Return a kept answer marked `kept`, or None where there is none that is whole and belongs to this request."""
    try:
        entry: Any = json.loads(kept_path(keep, key).read_text(encoding="utf-8"))
        asked = json.loads(json.dumps(_asked(request)))
        if (entry["version"], entry["identity"], entry["request"]) != (KEPT_FORMAT, identity, asked):
            return None
        return dataclasses.replace(from_json(Reply, entry["reply"]), kept=True)
    except (OSError, ValueError, KeyError, TypeError, RecursionError, ContentError):
        return None
