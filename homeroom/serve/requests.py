"""The door of the server: what a client sent -> a `ChatRequest`, or an error in the shape that OpenAI's clients know.

Sizes are bounded before anything is parsed. Fields that we do not know are ignored, as clients expect; those that we
know and cannot honour are refused, because an answer that silently ignores `n` or a JSON schema is a wrong answer.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from homeroom.core.types import Message

MAX_BODY_BYTES = 2**20
MAX_MESSAGES = 256
MAX_STOPS, MAX_STOP_CHARACTERS = 16, 256
DEFAULT_MAX_TOKENS = 512
ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}


class ApiError(Exception):
    """What went wrong, as the API says it."""

    def __init__(self, status: int, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code

    def body(self) -> dict[str, Any]:
        """Return the JSON object that OpenAI's clients turn into an exception."""
        kind = {404: "not_found_error", 429: "rate_limit_error"}.get(self.status, "invalid_request_error")
        kind = "server_error" if self.status >= 500 else kind
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """One checked request for a chat completion."""

    model: str  # "" where the client named none
    messages: tuple[Message, ...]
    max_tokens: int
    temperature: float
    top_p: float
    seed: int | None
    stop: tuple[str, ...]
    is_stream: bool
    with_usage: bool  # at the end of a stream


def parse_request(body: bytes) -> ChatRequest:
    """Check a request's body.

    Raises:
        ApiError: naming the parameter that is wrong.
    """
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        raise ApiError(400, "The body is not valid JSON.") from None
    if not isinstance(fields, dict):
        raise ApiError(400, "The body must be a JSON object.")
    _refuse_what_we_cannot(fields)
    options = fields.get("stream_options") or {}
    max_name = "max_completion_tokens" if fields.get("max_completion_tokens") is not None else "max_tokens"
    return ChatRequest(
        model=_text(fields.get("model") or "", "model"),
        messages=_messages(fields.get("messages")),
        max_tokens=int(_number(fields, max_name, DEFAULT_MAX_TOKENS, 1, 100_000, whole=True)),
        # OpenAI's default is 1; ours is 0, because a student that learned facts says them best without chance
        temperature=_number(fields, "temperature", 0.0, 0.0, 2.0),
        top_p=max(_number(fields, "top_p", 1.0, 0.0, 1.0), 1e-6),  # 0 means the likeliest token alone
        seed=int(_number(fields, "seed", 0, -(2**63), 2**63 - 1, whole=True))
        if fields.get("seed") is not None
        else None,
        stop=_stops(fields.get("stop")),
        is_stream=_flag(fields.get("stream"), "stream"),
        with_usage=_flag(options.get("include_usage") if isinstance(options, dict) else None, "stream_options"),
    )


def _refuse_what_we_cannot(fields: dict[str, Any]) -> None:
    if fields.get("n") not in (None, 1):
        raise ApiError(400, "Only one choice is generated: n must be 1.", param="n", code="unsupported_value")
    shape = fields.get("response_format")
    if shape is not None and (not isinstance(shape, dict) or shape.get("type") != "text"):
        raise ApiError(400, "Only the text format is supported.", param="response_format", code="unsupported_value")
    if fields.get("logprobs"):
        raise ApiError(400, "Log-probabilities are not supported.", param="logprobs", code="unsupported_value")


def _messages(value: Any) -> tuple[Message, ...]:
    if not isinstance(value, list) or not value:
        raise ApiError(400, "messages must be a list with at least one message.", param="messages")
    if len(value) > MAX_MESSAGES:
        raise ApiError(400, f"messages has more than {MAX_MESSAGES} messages.", param="messages")
    messages = []
    for index, entry in enumerate(value):
        where = f"messages[{index}]"
        if not isinstance(entry, dict) or not isinstance(entry.get("role"), str) or entry["role"] not in ROLES:
            known = ", ".join(ROLES)
            raise ApiError(400, f"{where} must be an object whose role is one of {known}.", param=where)
        messages.append(Message(role=ROLES[entry["role"]], content=_content(entry.get("content"), where)))
    if messages[-1].role != "user":
        raise ApiError(400, "The last message must be the user's.", param="messages")
    return tuple(messages)


def _content(value: Any, where: str) -> str:
    if isinstance(value, list):  # text in parts
        parts = [part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None for part in value]
        if any(not isinstance(part, str) for part in parts):
            raise ApiError(400, f"{where}: only content of type text is supported.", param=where)
        value = "".join(parts)
    return _text(value, f"{where}.content")


def _text(value: Any, param: str) -> str:
    if not isinstance(value, str):
        raise ApiError(400, f"{param} must be text.", param=param)
    return value.encode("utf-8", "replace").decode("utf-8")  # JSON may hold half a character, a tokenizer must not


def _number(
    fields: dict[str, Any], name: str, default: float, low: float, high: float, *, whole: bool = False
) -> float:
    value = fields.get(name)
    if value is None:
        return default
    is_number = isinstance(value, int) if whole else isinstance(value, int | float)
    if not is_number or isinstance(value, bool) or not low <= value <= high:
        kind = "a whole number" if whole else "a number"
        raise ApiError(400, f"{name} must be {kind} from {low:g} to {high:g}.", param=name)
    return value


def _stops(value: Any) -> tuple[str, ...]:
    stops = [value] if isinstance(value, str) else value or []
    is_fine = isinstance(stops, list) and len(stops) <= MAX_STOPS
    if not is_fine or any(not isinstance(s, str) or not 0 < len(s) <= MAX_STOP_CHARACTERS for s in stops):
        raise ApiError(400, f"stop must be a text or a list of at most {MAX_STOPS} short texts.", param="stop")
    return tuple(stops)


def _flag(value: Any, param: str) -> bool:
    if value is not None and not isinstance(value, bool):
        raise ApiError(400, f"{param} must be true or false.", param=param)
    return bool(value)
