"""What a server says -> a `Reply`, or why it is none: whole, or as a stream of events; nothing of it is trusted."""

from __future__ import annotations

import email.utils
import json
import math
import time
from typing import Any

from homeroom.core.types import Reply
from homeroom.models.pace import MAX_WAIT_S

MAX_REPLY_BYTES = 8 * 2**20  # an answer of 8,192 tokens with log-probabilities is below 2 MiB


class Malformed(Exception):
    """An answer that is not what the API promises, or is cut off; worth another try. Its text may be the server's."""


def read_reply(body: bytes, seconds: float, *, is_stream: bool, max_tokens: int) -> Reply:
    """Return what a chat completion says.

    Args:
        max_tokens: What was asked for; no more are counted. None counted is taken as not told.
        is_stream: Whether the server sent it as events, asked to or not.

    Raises:
        Malformed: it is no chat completion, or not a whole one.
    """
    answer = _joined(body) if is_stream else _parsed(body)
    try:
        choice = answer["choices"][0]
        text, finish_reason = choice["message"]["content"], choice.get("finish_reason") or "stop"
        usage = answer.get("usage") or {}
    except (KeyError, IndexError, TypeError, AttributeError):
        raise Malformed("the answer is not a chat completion") from None
    if text is None and finish_reason == "length":
        text = ""  # all tokens went into thinking
    if not isinstance(text, str) or not isinstance(finish_reason, str) or not isinstance(usage, dict):
        raise Malformed("the answer is not a chat completion with text")
    text = text.encode("utf-8", "replace").decode("utf-8")  # a lone surrogate could not be written to disk
    told = _count(usage.get("completion_tokens"), 0)
    return Reply(
        text=text,
        finish_reason=finish_reason[:40],
        prompt_tokens=_count(usage.get("prompt_tokens"), 0),
        completion_tokens=min(told or len(text) // 4 + 1, max_tokens),  # some servers do not count
        cached_tokens=_cached(usage, answer.get("timings")),
        seconds=round(seconds, 3),
        top=_top(choice.get("logprobs")),
    )


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise Malformed("the answer is not a chat completion")
    return answer


def _joined(body: bytes) -> dict[str, Any]:
    """Put the events of a stream together to what the server would have said at once."""
    text, end, usage, first = [], None, None, None
    is_done = False
    for line in body.split(b"\n"):
        if not line.startswith(b"data:"):
            continue
        data = line[5:].strip()
        if data == b"[DONE]":
            is_done = True
            continue
        event = _parsed(data)
        if "error" in event:
            raise Malformed(f"the stream ended with an error: {event['error']}")
        usage = event.get("usage") or usage
        choices = event.get("choices") or [{}]
        choice = choices[0] if isinstance(choices, list) and isinstance(choices[0], dict) else {}
        delta = choice.get("delta")
        piece = delta.get("content") if isinstance(delta, dict) else None
        if isinstance(piece, str):
            text.append(piece)
        first = first or choice.get("logprobs")
        end = choice.get("finish_reason") or end
    if not is_done and end is None:
        raise Malformed("the stream was cut off")
    choice = {"message": {"content": "".join(text)}, "finish_reason": end, "logprobs": first}
    return {"choices": [choice], "usage": usage}


def _top(logprobs: Any) -> dict[str, float]:
    """Return the likeliest first tokens with their log-probabilities; {} where there are none to be had."""
    try:
        listed = logprobs["content"][0]["top_logprobs"][:20]
        found = {str(entry["token"])[:200]: float(entry["logprob"]) for entry in listed}
    except (KeyError, IndexError, TypeError, ValueError, OverflowError):
        return {}
    return {token: max(value, -1e4) for token, value in found.items() if not math.isnan(value) and value <= 1e-3}


def _cached(usage: dict[str, Any], timings: Any) -> int:
    """Return how many of the prompt's tokens the server had read before; -1 where it does not say."""
    details = usage.get("prompt_tokens_details")
    if isinstance(details, dict) and "cached_tokens" in details:
        return _count(details["cached_tokens"], -1)
    return _count(timings.get("cache_n"), -1) if isinstance(timings, dict) else -1


def _count(value: Any, default: int) -> int:
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9
    return value if is_count else default


def retry_after_s(headers: Any) -> float:
    """Return the seconds that a server asks us to wait, as a number or a date, at most `MAX_WAIT_S`; 0: not said."""
    text = str(headers.get("retry-after", "")).strip()
    try:
        wait_s = float(text)
    except ValueError:
        try:
            wait_s = email.utils.parsedate_to_datetime(text).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return 0.0
    return max(0.0, min(wait_s, MAX_WAIT_S)) if math.isfinite(wait_s) else 0.0


def quote(body: bytes, *, hide: str = "") -> str:
    """Return what a server says of its error as one printable line of at most 300 characters, without the key."""
    text = body[:100_000].decode("utf-8", "replace")
    try:
        error = json.loads(text)["error"]
        text = str(error["message"] if isinstance(error, dict) else error)
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    return one_line(text, hide=hide) or "(empty)"


def one_line(text: str, *, hide: str = "") -> str:
    """Return what a server says as one printable line of at most 300 characters, without the key."""
    text = text[:100_000]
    if hide:
        text = text.replace(hide, "[key]")
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:300]
