"""Servers that speak only a part of the API: what they do not take is left out, what they ignore is seen."""

from __future__ import annotations

import asyncio
import itertools
import json
import random

import pytest
from scripted_endpoint import Raw, completion, scripted_server, stream_of

from homeroom.core.errors import StageError
from homeroom.core.types import Message, Reply, Request
from homeroom.models.dialect import Abilities, abilities
from homeroom.models.endpoint import Endpoint

FULL = Request(
    messages=(Message(role="user", content="hello there"),),
    max_tokens=16,
    seed=3,
    stop=("END",),
    schema={"type": "object"},
    top_logprobs=5,
)


def ask(url: str, what: Request = FULL, **options: object) -> Reply:
    async def once() -> Reply:
        endpoint = Endpoint(url, "scripted", **{"backoff_s": 0.001, "retries": 1, **options})
        try:
            return await endpoint.ask(what)
        finally:
            await endpoint.close()

    return asyncio.run(once())


def error(message: str) -> dict:
    return {"error": {"message": message}}


# The forms that such refusals take: a list of faults, a sentence about a parameter, or about what it is for.
FORBIDDEN = {"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}
REFUSALS = {
    "a list": ("seed", {"detail": [FORBIDDEN]}),
    "a parameter": ("logprobs", error("Unsupported parameter: 'logprobs' is not supported with this model.")),
    "a value": ("temperature", error("Unsupported value: 'temperature' does not support 0.0 with this model.")),
    "a text": ("response_format", {"error": "This model does not support response_format json_schema"}),
    "its purpose": ("response_format", error("structured output is not available")),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_a_server_refuses_is_left_out_from_then_on(name: str):
    field, said = REFUSALS[name]

    def strict(messages: list[dict], request: dict) -> str | Raw:
        return Raw(status=422, body=json.dumps(said).encode()) if field in request else "fine"

    async def twice(url: str) -> None:
        endpoint = Endpoint(url, "scripted")
        assert (await endpoint.ask(FULL)).text == "fine"
        assert (await endpoint.ask(FULL)).text == "fine"
        await endpoint.close()

    with scripted_server(strict) as url:
        asyncio.run(twice(url))
        assert len(url.asked) == 3
        rest = {"seed", "stop", "response_format", "temperature"} - {field}
        assert rest <= set(url.asked[-1])


def test_the_new_name_of_max_tokens_is_learned():
    message = (
        "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
    )

    def strict(messages: list[dict], request: dict) -> str | Raw:
        if "max_tokens" in request:
            return Raw(status=400, body=json.dumps({"error": {"message": message}}).encode())
        return str(request["max_completion_tokens"])

    with scripted_server(strict) as url:
        assert ask(url).text == "16"


def test_a_prompt_that_is_too_long_is_no_matter_of_dialect():
    said = b'{"error": "max_tokens 16 is too large: the prompt and temperature settings exceed the context length"}'
    with scripted_server(lambda messages: Raw(status=400, body=said)) as url:
        with pytest.raises(StageError, match="too large"):
            ask(url)
        assert len(url.asked) == 1


def test_a_server_that_refuses_everything_is_not_asked_for_ever():
    said = (
        b'{"error": "not supported: seed stop temperature logprobs top_logprobs response_format max_completion_tokens"}'
    )
    with scripted_server(lambda messages: Raw(status=400, body=said)) as url:
        with pytest.raises(StageError):
            ask(url)
        assert len(url.asked) < 10


def test_a_server_that_wants_a_stream_and_none_is_not_asked_for_ever():
    said = Raw(status=400, body=b'{"error": "Unsupported value: stream must be true or false"}')
    answers = itertools.chain([said] * 50, itertools.repeat("at last"))
    with scripted_server(lambda messages: next(answers)) as url:
        with pytest.raises(StageError, match="must be true or false"):
            ask(url)
        assert len(url.asked) < 15


# -- streams -------------------------------------------------------------------------------------------------------


def events(*lines: object) -> Raw:
    text = "".join(f"data: {line if isinstance(line, str) else json.dumps(line)}\n\n" for line in lines)
    return Raw(body=text.encode(), headers={"Content-Type": "text/event-stream; charset=utf-8"})


def test_a_server_that_only_streams_is_streamed_from():
    def strict(messages: list[dict], request: dict) -> str | Raw:
        if not request.get("stream"):
            return Raw(status=400, body=b'{"error": "this model only supports stream=true"}')
        return "said in parts"

    with scripted_server(strict) as url:
        assert ask(url).text == "said in parts"


def test_a_stream_that_was_not_asked_for_is_read_all_the_same():
    raw = Raw(body=stream_of("said in parts", "m"), headers={"Content-Type": "text/event-stream"})
    with scripted_server(lambda messages: raw) as url:
        reply = ask(url)
    assert (reply.text, reply.finish_reason) == ("said in parts", "stop")
    assert reply.completion_tokens > 0


def test_a_stream_counts_its_tokens_where_the_server_does():
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 7}}
    said = events(
        {"choices": [{"delta": {"content": "well "}, "finish_reason": None}]},
        {"choices": [{"delta": {"content": "said"}, "finish_reason": "length"}]},
        {"choices": [], "usage": usage},
        "[DONE]",
    )
    with scripted_server(lambda messages: said) as url:
        reply = ask(url, stream=True)
        assert url.asked[0]["stream_options"] == {"include_usage": True}
    assert (reply.text, reply.finish_reason) == ("well said", "length")
    assert (reply.prompt_tokens, reply.completion_tokens, reply.cached_tokens) == (9, 2, 7)


@pytest.mark.parametrize(
    "lines",
    [
        [{"choices": [{"delta": {"content": "half an ans"}, "finish_reason": None}]}],  # no end
        [{"choices": [{"delta": {"content": "x"}}]}, {"error": {"message": "out of memory"}}],
        ["not json", "[DONE]"],
        ["[1]", "[DONE]"],
    ],
)
def test_a_stream_that_breaks_off_or_errs_is_asked_again_and_then_an_error(lines: list[object]):
    with scripted_server(lambda messages: events(*lines)) as url:
        with pytest.raises(StageError, match="no usable answer in 2 tries"):
            ask(url, stream=True)
        assert len(url.asked) == 2


def test_a_server_without_streams_is_asked_without():
    def strict(messages: list[dict], request: dict) -> str | Raw:
        return Raw(status=400, body=b'{"error": "streaming is not supported"}') if "stream" in request else "whole"

    with scripted_server(strict) as url:
        assert ask(url, stream=True).text == "whole"


# -- what a server can ---------------------------------------------------------------------------------------------


def able(messages: list[dict], request: dict) -> str | Raw:
    """A server that can everything, as llama-server and vLLM can."""
    if "response_format" in request:
        return '{"z": 7}'
    if request.get("logprobs"):
        answer = completion("Red", request, "m")
        top = [
            {"token": "Red", "logprob": -0.1},
            {"token": "Blue", "logprob": -2.5},
            {"token": "?", "logprob": float("-inf")},
        ]
        answer["choices"][0]["logprobs"] = {"content": [{"token": "Red", "logprob": -0.1, "top_logprobs": top}]}
        return Raw(body=json.dumps(answer).encode())
    if request["temperature"]:
        return " ".join(random.Random(request["seed"]).sample(["one", "two", "three", "four", "five"], 4))
    return "Red"


def unable(messages: list[dict], request: dict) -> str | Raw:
    """A server that takes everything and heeds nothing."""
    return Raw(body=json.dumps(completion(random.choice(["Red", "Blue", "Green", "Pink"]), request, "m")).encode())


def find_out(url: str) -> Abilities:
    async def once() -> Abilities:
        endpoint = Endpoint(url, "scripted")
        try:
            return await abilities(endpoint)
        finally:
            await endpoint.close()

    return asyncio.run(once())


def test_what_a_server_can_is_found_out_by_asking():
    with scripted_server(able) as url:
        assert find_out(url) == Abilities(schema=True, logprobs=True, seeds=True, streams=True, caches=False)
        assert len(url.asked) == 6
    random.seed(5)
    with scripted_server(unable) as url:
        assert find_out(url) == Abilities(schema=False, logprobs=False, seeds=False, streams=False, caches=False)


def test_the_likeliest_first_tokens_come_with_the_reply_and_hostile_ones_do_no_harm():
    with scripted_server(able) as url:
        plain = Request(messages=FULL.messages, max_tokens=1, top_logprobs=3)
        assert ask(url, plain).top == {"Red": -0.1, "Blue": -2.5, "?": -1e4}
    for logprobs in (
        5,
        {"content": []},
        {"content": [{"top_logprobs": "x"}]},
        {"content": [{"top_logprobs": [{"token": 1}]}]},
        {"content": [{"top_logprobs": [{"token": "Red", "logprob": -(10**400)}]}]},
    ):
        answer = completion("Red", {"messages": []}, "m")
        answer["choices"][0]["logprobs"] = logprobs
        with scripted_server(lambda messages, a=answer: Raw(body=json.dumps(a).encode())) as url:
            assert ask(url, Request(messages=FULL.messages, max_tokens=1, top_logprobs=3)).top == {}
