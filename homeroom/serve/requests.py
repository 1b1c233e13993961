"""The door of the server: what a client sent -> an `AskRequest`, or an error in the shape that OpenAI's clients know.

Sizes are bounded before anything is parsed. Fields that we do not know are ignored, as clients expect; those that we
know and cannot honour are refused, because an answer that silently ignores `n` or half of a JSON schema is a wrong one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from homeroom.core.errors import ContentError
from homeroom.core.types import Message
from homeroom.serve.jsonform import Form, form_of

MAX_BODY_BYTES = 2**20
MAX_MESSAGES = 256
MAX_STOPS, MAX_STOP_CHARACTERS = 16, 256
MAX_TEXTS, MAX_TEXT_CHARACTERS = 256, 20_000  # to embed
MAX_TOP = 20  # likeliest tokens told of at each place, as OpenAI has it
DEFAULT_MAX_TOKENS = 512
ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}


class ApiError(Exception):
    """What went wrong, as the API says it."""

    def __init__(self, status: int, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code

    def body(self) -> dict[str, Any]:
        """Return the JSON object that OpenAI's clients turn into an exception."""
        kind = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}.get(
            self.status, "invalid_request_error"
        )
        kind = "server_error" if self.status >= 500 else kind
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}


@dataclass(frozen=True, slots=True, kw_only=True)
class AskRequest:
    """One checked request for a chat or text completion."""

    model: str  # "" where the client named none
    prompt: tuple[Message, ...] | str  # a conversation; or a text to go on with
    max_tokens: int
    temperature: float
    top_p: float
    seed: int | None
    stop: tuple[str, ...]
    is_stream: bool
    with_usage: bool  # at the end of a stream
    num_top: int | None = None  # log-probabilities: of how many of the likeliest tokens besides; None: none at all
    form: Form | None = None  # of JSON, that the answer must have


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedRequest:
    """One checked request for embeddings."""

    model: str
    texts: tuple[str, ...]
    is_base64: bool


def parse_request(body: bytes, *, is_chat: bool = True) -> AskRequest:
    """Check the body of a chat completion, or of a text completion.

    Raises:
        ApiError: naming the parameter that is wrong.
    """
    fields = _fields(body)
    _refuse_what_we_cannot(fields)
    options = fields.get("stream_options") or {}
    max_name = "max_completion_tokens" if fields.get("max_completion_tokens") is not None else "max_tokens"
    return AskRequest(
        model=_text(fields.get("model") or "", "model"),
        prompt=_messages(fields.get("messages")) if is_chat else _prompt(fields.get("prompt")),
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
        num_top=_num_top(fields) if is_chat else _num_top_of_text(fields),
        form=_form(fields.get("response_format")),
    )


def parse_embed_request(body: bytes) -> EmbedRequest:
    """Check the body of a request for embeddings.

    Raises:
        ApiError: naming the parameter that is wrong.
    """
    fields = _fields(body)
    given = fields.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not 0 < len(texts) <= MAX_TEXTS or not all(isinstance(t, str) for t in texts):
        raise ApiError(400, f"input must be a text, or a list of 1 to {MAX_TEXTS} texts.", param="input")
    if any(not t.strip() or len(t) > MAX_TEXT_CHARACTERS for t in texts):
        raise ApiError(400, f"Each text must have 1 to {MAX_TEXT_CHARACTERS:,} characters.", param="input")
    form = fields.get("encoding_format") or "float"
    if form not in ("float", "base64"):
        raise ApiError(400, "encoding_format must be float or base64.", param="encoding_format")
    clean = tuple(_text(t, "input") for t in texts)
    return EmbedRequest(model=_text(fields.get("model") or "", "model"), texts=clean, is_base64=form == "base64")


def _fields(body: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        raise ApiError(400, "The body is not valid JSON.") from None
    if not isinstance(fields, dict):
        raise ApiError(400, "The body must be a JSON object.")
    return fields


def _prompt(value: Any) -> str:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    text = _text(value, "prompt")
    if not text:
        raise ApiError(400, "prompt is empty.", param="prompt")
    return text


def _num_top(fields: dict[str, Any]) -> int | None:
    wanted = int(_number(fields, "top_logprobs", 0, 0, MAX_TOP, whole=True))
    if not _flag(fields.get("logprobs"), "logprobs"):
        if wanted:
            raise ApiError(400, "top_logprobs needs logprobs: true.", param="top_logprobs")
        return None
    return wanted


def _num_top_of_text(fields: dict[str, Any]) -> int | None:
    return None if fields.get("logprobs") is None else int(_number(fields, "logprobs", 0, 0, MAX_TOP, whole=True))


def _form(shape: Any) -> Form | None:
    kind = shape.get("type") if isinstance(shape, dict) else None
    if shape is None or kind == "text":
        return None
    if kind == "json_object":
        return Form()
    named = shape.get("json_schema") if kind == "json_schema" else None
    if not isinstance(named, dict) or "schema" not in named:
        limit = "response_format must be of the type text, json_object, or json_schema with json_schema.schema."
        raise ApiError(400, limit, param="response_format", code="unsupported_value")
    try:
        return form_of(named["schema"])
    except ContentError as error:
        where = f"{error.where}: " if error.where else ""
        said = _text(f"The schema cannot be held to: {where}{error.message}."[:500], "response_format")
        raise ApiError(400, said, param="response_format", code="unsupported_value") from None


def _refuse_what_we_cannot(fields: dict[str, Any]) -> None:
    if fields.get("n") not in (None, 1):
        raise ApiError(400, "Only one choice is generated: n must be 1.", param="n", code="unsupported_value")
    for name in ("echo", "suffix"):
        if fields.get(name):
            raise ApiError(400, f"{name} is not supported.", param=name, code="unsupported_value")


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
