"""What one server takes of a request: found out by asking, not assumed.

Every server speaks a part of the OpenAI chat API. One that refuses a parameter (a seed, log-probabilities, a JSON
schema, `max_tokens` under its old name) says which; it is left out from then on, and the request goes out again.
A server that only streams is streamed from. What a server takes without a word and then ignores is seen by trying it:
`abilities`.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from homeroom.core.types import Message, Request

if TYPE_CHECKING:
    from homeroom.models.endpoint import Endpoint

OPTIONAL = ("response_format", "top_logprobs", "logprobs", "stream_options", "seed", "stop", "temperature")
MOST_LESSONS = len(OPTIONAL) + 2  # of one request: each of these, the name of max_tokens, a stream or none
_UNKNOWN = re.compile(
    r"un(?:supported|recognized|known|expected|available)|not (?:supported|permitted|allowed|available|implemented)"
    r"|(?:does|do)(?: not|n't) support|extra[ _](?:inputs?|fields?|forbidden)|invalid (?:parameter|field|argument)",
    re.IGNORECASE,
)


@dataclass(kw_only=True)
class Dialect:
    """How to put a request to one server."""

    stream: bool = False
    without: set[str] = field(default_factory=set)  # parameters that it refused
    max_tokens: str = "max_tokens"

    def body(self, model: str, request: Request) -> dict[str, Any]:
        """Return the JSON object to send."""
        body: dict[str, Any] = {
            "model": model,
            "messages": [asdict(message) for message in request.messages],
            self.max_tokens: request.max_tokens,
            "temperature": request.temperature,
            "seed": request.seed,
        }
        if request.stop:
            body["stop"] = list(request.stop)
        if request.schema is not None:
            json_schema = {"name": "answer", "schema": request.schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": json_schema}
        if request.top_logprobs:
            body |= {"logprobs": True, "top_logprobs": min(20, request.top_logprobs)}
        if self.stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return {name: value for name, value in body.items() if name not in self.without}

    def learns(self, answer: bytes, *, sent: dict[str, Any]) -> bool:
        """Take note of what a refusal (400, 422) says of the request's form; False where that was not the reason."""
        text = answer[:20_000].decode("utf-8", "replace")
        if "max_completion_tokens" in text and "max_tokens" in sent:
            self.max_tokens = "max_completion_tokens"
            return True
        if "stream" in sent and re.search(r"\bstream(?:ing)?\b(?!_)", text) and _UNKNOWN.search(text):
            self.stream = False
            return True
        if "stream" not in sent and re.search(r"\bstream\b.{0,80}\b(?:must|only|required|true)\b", text, re.I | re.S):
            self.stream = True
            return True
        named = next((n for n in OPTIONAL if n in sent and re.search(rf"\b{n}\b", text)), "")
        if not named and "response_format" in sent and re.search(r"json.?schema|structured|grammar", text, re.I):
            named = "response_format"
        if not named or not _UNKNOWN.search(text):
            return False
        self.without |= {"logprobs", "top_logprobs"} if named.endswith("logprobs") else {named}
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Abilities:
    """What a server does with what it is asked for."""

    schema: bool  # its answer followed a JSON schema that no chance answer follows
    logprobs: bool  # it told the likeliest first tokens
    seeds: bool  # at temperature 1, the same seed gave the same answer and another seed another
    streams: bool  # it sent a stream of events when asked to
    caches: bool  # it says how much of a prompt it had read before


async def abilities(endpoint: Endpoint) -> Abilities:
    """Find out what a server can, in six short requests of at most 40 tokens each.

    Raises:
        MachineError, StageError: as `Endpoint.ask`.
    """
    sevens = {"type": "object", "properties": {"z": {"const": 7}}, "required": ["z"], "additionalProperties": False}
    colour = (Message(role="user", content="Name a colour."),)
    words = (Message(role="user", content="Write ten words that have nothing to do with one another."),)
    shaped = await endpoint.ask(Request(messages=colour, max_tokens=40, schema=sevens))
    first = await endpoint.ask(Request(messages=colour, max_tokens=1, top_logprobs=5))
    drawn = [await endpoint.ask(Request(messages=words, max_tokens=40, temperature=1.0, seed=s)) for s in (1, 1, 2)]
    before, endpoint.dialect.stream = endpoint.dialect.stream, True
    try:
        await endpoint.ask(Request(messages=colour, max_tokens=4))
    finally:
        endpoint.dialect.stream = before
    return Abilities(
        schema=_is_seven(shaped.text),
        logprobs=bool(first.top),
        seeds=drawn[0].text == drawn[1].text != drawn[2].text,
        streams=endpoint.has_streamed,
        caches=any(reply.cached_tokens >= 0 for reply in drawn),
    )


def _is_seven(text: str) -> bool:
    try:
        return bool(json.loads(text) == {"z": 7})
    except ValueError:
        return False
