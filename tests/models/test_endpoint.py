"""The endpoint against a real HTTP server whose answers are scripted, errors above all."""

from __future__ import annotations

import asyncio
import json
import socket

import pytest
from scripted_endpoint import Raw, scripted_server

from homeroom.core.errors import MachineError, StageError, UsageError
from homeroom.core.types import Message, Reply, Request
from homeroom.models import endpoint as endpoint_module
from homeroom.models.endpoint import Endpoint, FakeEndpoint

KEY = "sk-very-secret-0123456789"


def request(text: str = "hello there", **changes: object) -> Request:
    return Request(**{"messages": (Message(role="user", content=text),), "max_tokens": 16, **changes})


def ask(url: str, what: Request | None = None, **options: object) -> Reply:
    async def once() -> Reply:
        endpoint = Endpoint(url, "scripted", **{"backoff_s": 0.001, **options})
        try:
            return await endpoint.ask(what or request())
        finally:
            await endpoint.close()

    return asyncio.run(once())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def completion(**changes: object) -> bytes:
    choice = {"message": {"role": "assistant", "content": "fine"}, "finish_reason": "stop"}
    return json.dumps({"choices": [choice], "usage": {"prompt_tokens": 3, "completion_tokens": 1}, **changes}).encode()


def test_a_request_carries_all_that_decides_its_answer():
    schema = {"type": "object"}
    asked = request(temperature=0.5, seed=7, stop=("END",), schema=schema)
    with scripted_server(lambda messages: "well said indeed") as url:
        reply = ask(url, asked, api_key=KEY)
        body, headers = url.asked[0], url.headers[0]
    assert (reply.text, reply.finish_reason, reply.kept) == ("well said indeed", "stop", False)
    assert (reply.prompt_tokens, reply.completion_tokens) == (2, 3)
    assert body["messages"] == [{"role": "user", "content": "hello there"}]
    assert (body["max_tokens"], body["temperature"], body["seed"], body["stop"]) == (16, 0.5, 7, ["END"])
    assert body["response_format"]["json_schema"]["schema"] == schema
    assert headers["Authorization"] == f"Bearer {KEY}"


def test_an_answer_that_ran_out_of_tokens_says_so():
    with scripted_server(lambda messages: "one two three four") as url:
        reply = ask(url, request(max_tokens=2))
    assert (reply.text, reply.finish_reason, reply.completion_tokens) == ("one two", "length", 2)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_passing_trouble_is_tried_again(status: int):
    answers = iter([Raw(status=status, body=b"busy"), Raw(status=status, headers={"Retry-After": "0"}), "at last"])
    with scripted_server(lambda messages: next(answers)) as url:
        assert ask(url).text == "at last"
        assert len(url.asked) == 3


@pytest.mark.parametrize(
    "body",
    [
        b"<html>gateway</html>",
        b"[1, 2]",
        b'{"choices": []}',
        b'{"choices": [{"message": {"content": null}, "finish_reason": "stop"}]}',
        b'{"choices": [{"message": {"content": 5}}]}',
        b'{"choices": "no", "usage": 1}',
        b"[" * 100_000,
    ],
)
def test_a_malformed_answer_is_an_error_after_all_tries(body: bytes):
    with scripted_server(lambda messages: Raw(body=body)) as url:
        with pytest.raises(StageError, match="no usable answer in 3 tries"):
            ask(url, retries=2)
        assert len(url.asked) == 3


def test_an_answer_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(endpoint_module, "MAX_REPLY_BYTES", 1000)
    with (
        scripted_server(lambda messages: Raw(body=b"x" * 5000)) as url,
        pytest.raises(StageError, match="larger than 1,000 bytes"),
    ):
        ask(url, retries=0)


def test_strange_counts_and_half_characters_do_no_harm():
    choice = {"message": {"content": "a\ud800b"}, "finish_reason": None}
    body = completion(choices=[choice], usage={"prompt_tokens": -5, "completion_tokens": "many"})
    with scripted_server(lambda messages: Raw(body=body)) as url:
        reply = ask(url)
    reply.text.encode("utf-8")
    assert (reply.prompt_tokens, reply.finish_reason) == (0, "stop")
    assert reply.completion_tokens > 0  # or a budget of tokens would never end


@pytest.mark.parametrize(("told", "counted"), [(0, 5), (-1, 5), (None, 5), (3, 3), (10**8, 8), (True, 5)])
def test_what_a_server_counts_is_believed_only_where_it_can_be(told: object, counted: int):
    choice = {"message": {"content": "four words of it"}, "finish_reason": "stop"}
    body = completion(choices=[choice], usage={"completion_tokens": told})
    with scripted_server(lambda messages: Raw(body=body)) as url:
        assert ask(url, request(max_tokens=8)).completion_tokens == counted


def test_a_text_that_nobody_counts_is_no_more_than_was_asked_for():
    body = completion(choices=[{"message": {"content": "x" * 900}}], usage=None)
    with scripted_server(lambda messages: Raw(body=body)) as url:
        assert ask(url).completion_tokens == 16


def test_nothing_listening_is_said_quickly_with_the_address():
    url = f"http://127.0.0.1:{free_port()}/v1"
    with pytest.raises(MachineError, match="no connection") as caught:
        ask(url)
    assert caught.value.where == url
    assert "running" in caught.value.hint


def test_a_refused_key_is_said_at_once_and_never_shown():
    echo = json.dumps({"error": {"message": f"Incorrect API key provided: {KEY}"}}).encode()
    with scripted_server(lambda messages: Raw(status=401, body=echo)) as url:
        with pytest.raises(MachineError, match="401") as caught:
            ask(url, api_key=KEY)
        assert len(url.asked) == 1
    assert KEY not in str(caught.value)
    assert KEY not in repr(Endpoint(url, "m", api_key=KEY))


HOSTILE = f"\x1b[2J\u202e bad key {KEY}"


@pytest.mark.parametrize("error", [{"message": HOSTILE}, HOSTILE, [HOSTILE], "x" * 190 + KEY])
def test_an_error_in_a_stream_shows_neither_the_key_nor_its_escapes(error: object):
    body = f"data: {json.dumps({'error': error})}\n\n".encode()
    raw = Raw(body=body, headers={"Content-Type": "text/event-stream"})
    with (
        scripted_server(lambda messages: raw) as url,
        pytest.raises(StageError, match="ended with an error") as caught,
    ):
        ask(url, api_key=KEY, retries=0)
    said = str(caught.value)
    assert KEY[:8] not in said
    assert "[key]" in said
    assert all(c.isprintable() for c in caught.value.message)


def test_names_of_models_that_a_server_lists_steer_no_terminal():
    with (
        scripted_server(lambda messages: Raw(status=404, body=b"{}"), model="granite\x1b]0;pwned\x07") as url,
        pytest.raises(MachineError) as caught,
    ):
        ask(url)
    assert "granite" in caught.value.hint
    assert caught.value.hint.isprintable()


def test_an_unknown_model_names_those_that_are_there():
    gone = b'{"error": {"message": "model not found"}}'
    with (
        scripted_server(lambda messages: Raw(status=404, body=gone), model="granite") as url,
        pytest.raises(MachineError, match="asked for model 'scripted'") as caught,
    ):
        ask(url)
    assert "granite" in caught.value.hint


def test_a_request_that_the_server_finds_invalid_is_not_tried_again():
    with scripted_server(lambda messages: Raw(status=400, body=b'{"error": "too\\u001b[31m long"}')) as url:
        with pytest.raises(StageError, match="too") as caught:
            ask(url)
        assert len(url.asked) == 1
    assert "\x1b" not in str(caught.value)  # an answer must not colour a terminal


def test_a_redirect_is_not_followed_with_the_key():
    with scripted_server(lambda messages: "stolen") as other:
        away = Raw(status=302, headers={"Location": f"{other}/chat/completions"})
        with scripted_server(lambda messages: away) as url, pytest.raises(MachineError, match="302"):
            ask(url, api_key=KEY)
        assert other.headers == []


def test_a_slow_answer_times_out():
    import threading

    release = threading.Event()

    def slow(messages: list[dict]) -> str:
        release.wait(120)
        return "late"

    with scripted_server(slow) as url:
        try:
            with pytest.raises(StageError, match=r"no answer within 0\.1 s"):
                ask(url, timeout_s=0.1, retries=0)
        finally:
            release.set()


def test_a_proxy_is_not_used_for_this_machine(monkeypatch: pytest.MonkeyPatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    with scripted_server(lambda messages: "direct") as url:
        assert ask(url).text == "direct"


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/v1"),
        ("http://127.0.0.1:8000/v1/", "http://127.0.0.1:8000/v1"),
        ("https://api.example.org/openai/v1/chat/completions", "https://api.example.org/openai/v1"),
    ],
)
def test_addresses_are_brought_to_one_form(given: str, url: str):
    assert Endpoint(given, "m").url == url


@pytest.mark.parametrize("url", ["", "localhost:8000", "ftp://x/v1", "http://", "http://h:99999/v1", "http://h/v1?k=1"])
def test_what_is_no_address_is_refused(url: str):
    with pytest.raises(UsageError):
        Endpoint(url, "m")


def test_a_password_in_an_address_is_refused_without_showing_it():
    with pytest.raises(UsageError) as caught:
        Endpoint("http://user:hunter2@host/v1", "m")
    assert "hunter2" not in str(caught.value)


def test_the_identity_tells_servers_and_models_apart():
    identities = {
        Endpoint(u, m).identity for u in ("http://a:1/v1", "http://a:2/v1", "http://b:1/v1") for m in ("m", "n")
    }
    assert len(identities) == 6
    assert Endpoint("http://a:1/v1", "m", identity="cc32").identity == "cc32"


def test_a_fake_endpoint_counts_words_and_raises_what_its_script_raises():
    fake = FakeEndpoint(lambda asked: asked.messages[0].content * 3)
    reply = asyncio.run(fake.ask(request("a b ", max_tokens=4)))
    assert (reply.text, reply.finish_reason, reply.prompt_tokens, reply.completion_tokens) == (
        "a b a b",
        "length",
        2,
        4,
    )

    def fails(asked: Request) -> str:
        raise StageError("no")

    with pytest.raises(StageError):
        asyncio.run(FakeEndpoint(fails).ask(request()))
