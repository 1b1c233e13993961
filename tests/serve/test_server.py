"""The server over real HTTP: the official client, exact events, refusals, one answer at a time, clients that leave."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from scripted_engine import Script, body, serving, until

from homeroom.core.errors import ContentError, MachineError
from homeroom.core.types import Message
from homeroom.serve import completions, server


class Broken(Script):
    def stream(self, messages: tuple[Message, ...], *, max_tokens: int, **options: object) -> Iterator[str]:
        yield "well"
        if "content" in messages[-1].content:
            raise ContentError("this cannot be answered")
        raise RuntimeError("secret/path/in/the/model")


@pytest.fixture(scope="module")
def models() -> dict[str, Script]:
    return {"tuned": Script(), "slow": Script("word " * 40, delay_s=0.02), "broken": Broken()}


@pytest.fixture(scope="module")
def url(models: dict[str, Script]) -> Iterator[str]:
    with serving(models) as address:
        yield address


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, timeout=120) as made:
        yield made


def ask(client: httpx.Client, url: str, **fields: object) -> dict:
    response = client.post(f"{url}/chat/completions", json=body(**fields))
    assert response.status_code == 200, response.text
    return response.json()


def refused(client: httpx.Client, url: str, status: int, **sent: object) -> dict:
    response = client.post(f"{url}/chat/completions", **sent)
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return error


# -- answers -----------------------------------------------------------------------------------------------------


def test_an_answer_has_the_shape_and_the_counts_of_the_api(client: httpx.Client, url: str):
    answer = ask(client, url)
    assert answer["object"] == "chat.completion"
    assert answer["choices"][0]["message"]["content"] == "the gate opens at nine"
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["usage"] == {"prompt_tokens": 4, "completion_tokens": 5, "total_tokens": 9}


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_an_answer_ends_at_its_limit_and_says_so(client: httpx.Client, url: str, name: str):
    answer = ask(client, url, **{name: 2})
    assert answer["choices"][0]["message"]["content"] == "the gate"
    assert answer["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize(
    ("stop", "text"),
    [
        ("opens", "the gate "),
        (["at nine", "e o"], "the gat"),
        (["nowhere", "nine!"], "the gate opens at nine"),  # what was held back comes after all
        ("the", ""),
    ],
)
def test_an_answer_ends_before_a_stop_text_even_across_tokens(client: httpx.Client, url: str, stop, text: str):
    answer = ask(client, url, stop=stop)
    assert (answer["choices"][0]["message"]["content"], answer["choices"][0]["finish_reason"]) == (text, "stop")


def test_how_to_draw_the_answer_reaches_the_model(client: httpx.Client, url: str, models: dict[str, Script]):
    system = {"role": "developer", "content": [{"type": "text", "text": "Be "}, {"type": "text", "text": "short."}]}
    user = {"role": "user", "content": "Hi"}
    ask(client, url, messages=[system, user], temperature=0.5, top_p=0.9, seed=7, user="me", tools=[])
    messages, options = models["tuned"].asked[-1]
    assert [(m.role, m.content) for m in messages] == [("system", "Be short."), ("user", "Hi")]
    assert options == {"temperature": 0.5, "top_p": 0.9, "seed": 7}
    ask(client, url, top_p=0)
    assert models["tuned"].asked[-1][1]["seed"] is None  # chance, unless the client wants the same answer again
    assert 0 < models["tuned"].asked[-1][1]["top_p"] < 0.001


def test_an_answer_is_cut_to_the_room_that_the_prompt_leaves(client: httpx.Client, url: str):
    answer = ask(client, url, text="word " * 48, max_tokens=500)
    assert (answer["usage"]["completion_tokens"], answer["choices"][0]["finish_reason"]) == (2, "length")


def test_a_stream_is_exactly_what_clients_parse(client: httpx.Client, url: str):
    sent = body(stream=True, max_tokens=2, stream_options={"include_usage": True})
    response = client.post(f"{url}/chat/completions", json=sent)
    assert response.headers["content-type"].startswith("text/event-stream")
    events = response.text.split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-2]]
    assert [c["choices"][0]["delta"] for c in chunks[:-1]] == [
        {"role": "assistant", "content": ""},
        {"content": "the"},
        {"content": " gate"},
        {},
    ]
    assert [c["choices"][0]["finish_reason"] for c in chunks[:-1]] == [None, None, None, "length"]
    assert (chunks[-1]["choices"], chunks[-1]["usage"]["completion_tokens"]) == ([], 2)
    assert len({c["id"] for c in chunks}) == 1


def test_a_stream_is_whole_for_clients_that_end_a_line_at_other_signs_too(client: httpx.Client):
    said = "one\u2028two\x85three\u2029 four"
    with serving({"odd": Script(said)}) as url:
        sent = body(model="odd", stream=True)
        with client.stream("POST", f"{url}/chat/completions", json=sent) as response:
            lines = [line.removeprefix("data: ") for line in response.iter_lines() if line]  # split as Python splits
    parts = [json.loads(line)["choices"][0]["delta"].get("content", "") for line in lines[:-1]]
    assert ("".join(parts), lines[-1]) == (said, "[DONE]")


def test_models_are_listed_and_the_first_one_answers_when_none_is_named(client: httpx.Client, url: str):
    assert [m["id"] for m in client.get(f"{url}/models").json()["data"]] == ["tuned", "slow", "broken"]
    assert client.get(f"{url}/models/slow").json()["id"] == "slow"
    health = client.get(url.replace("/v1", "/health")).json()
    assert (health["status"], health["models"]["slow"]["failures"]) == ("ok", 0)
    sent = {"messages": body()["messages"]}
    assert client.post(f"{url}/chat/completions", json=sent).json()["model"] == "tuned"


# -- refusals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "messages[0]"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0]"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "messages"),
        ({"messages": [{"role": "user", "content": "x"}] * 300}, "messages"),
        ({"temperature": 3}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_p": -0.1}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"seed": 1.5}, "seed"),
        ({"stop": ["x"] * 99}, "stop"),
        ({"stop": [""]}, "stop"),
        ({"stream": "yes"}, "stream"),
        ({"n": 2}, "n"),
        ({"response_format": {"type": "json_schema"}}, "response_format"),
        ({"response_format": "json_object"}, "response_format"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"logprobs": True}, "model"),  # this engine gives none
        ({"model": ["tuned"]}, "model"),
    ],
)
def test_a_faulty_request_names_the_parameter(client: httpx.Client, url: str, fields: dict, param: str):
    content = json.dumps(body() | fields)
    assert refused(client, url, 400, content=content)["param"] == param


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"[" * 200_000, b'"text"'])
def test_what_is_no_request_is_refused(client: httpx.Client, url: str, content: bytes):
    assert refused(client, url, 400, content=content)["type"] == "invalid_request_error"


def test_a_body_that_is_too_large_is_refused(client: httpx.Client, url: str):
    refused(client, url, 413, content=b" " * (2**20 + 1))


def test_an_unknown_model_and_path_are_404_in_the_apis_shape(client: httpx.Client, url: str):
    error = refused(client, url, 404, json=body(model="gpt-9"))
    assert error["code"] == "model_not_found"
    assert "tuned" in error["message"]
    assert client.get(f"{url}/models/none").json()["error"]["code"] == "model_not_found"
    assert client.get(f"{url}/nothing").json()["error"]["type"] == "not_found_error"


def test_a_prompt_that_is_too_long_is_refused_with_both_figures(client: httpx.Client, url: str):
    error = refused(client, url, 400, json=body("word " * 60))
    assert error["code"] == "context_length_exceeded"
    assert "50" in error["message"]
    assert "60" in error["message"]


def test_a_model_that_fails_is_an_error_without_its_secrets(client: httpx.Client, url: str):
    error = refused(client, url, 500, json=body(model="broken"))
    assert error["type"] == "server_error"
    assert "secret" not in error["message"]
    assert "cannot be answered" in refused(client, url, 400, json=body("bad content", model="broken"))["message"]
    streamed = client.post(f"{url}/chat/completions", json=body(model="broken", stream=True)).text
    assert '"server_error"' in streamed
    assert ask(client, url)["choices"][0]["finish_reason"] == "stop"  # and the server goes on


def test_pages_of_other_sites_and_names_pointed_here_are_refused(client: httpx.Client, url: str):
    refused(client, url, 403, json=body(), headers={"Origin": "https://evil.example"})
    rebound = client.post(f"{url}/chat/completions", json=body(), headers={"Host": "evil.example"})
    assert rebound.status_code == 400
    own = client.post(f"{url}/chat/completions", json=body(), headers={"Origin": url.removesuffix("/v1")})
    assert own.status_code == 200


# -- in line -----------------------------------------------------------------------------------------------------


def test_a_model_gives_one_answer_at_a_time(client: httpx.Client):
    busy = Script("a b c", delay_s=0.005)
    with serving({"busy": busy}) as url:
        sent = {"json": body(model="busy")}
        threads = [
            threading.Thread(target=client.post, args=(f"{url}/chat/completions",), kwargs=sent) for _ in "12345"
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert (len(busy.asked), busy.most_at_once) == (5, 1)


def test_a_line_that_is_too_long_is_refused_for_now(client: httpx.Client, url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(completions, "MAX_WAITING", 0)
    response = client.post(f"{url}/chat/completions", json=body())
    assert (response.status_code, response.headers["Retry-After"]) == (429, "5")
    assert response.json()["error"]["type"] == "rate_limit_error"


@pytest.mark.parametrize("is_stream", [True, False])
def test_a_client_that_leaves_ends_its_generation(is_stream: bool):
    slow = Script("word " * 12_000, context_tokens=20_000, delay_s=0.01)  # two minutes
    with serving({"tuned": slow}) as url:
        where, sent = urlsplit(url), json.dumps(body(stream=is_stream, max_tokens=12_000)).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {where.netloc}\r\nContent-Length: {len(sent)}\r\n\r\n"
        with socket.create_connection((where.hostname, where.port)) as leaving:
            leaving.sendall(head.encode() + sent)
            until(lambda: slow.num_tokens)
        until(lambda: not slow.at_once)
    assert slow.num_tokens < 12_000


# -- listening ---------------------------------------------------------------------------------------------------


def test_a_port_that_is_taken_is_said_with_a_way_out():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(MachineError, match="the port is taken") as caught:
            server.serve({}, port=port)
    assert caught.value.where == f"127.0.0.1:{port}"
    assert "--port" in caught.value.hint


def test_who_is_told_the_address_can_connect_at_once():
    class Told(Exception):
        pass

    def connect(url: str, key: str) -> None:
        where = urlsplit(url)
        with socket.create_connection((where.hostname, where.port)):
            raise Told

    with pytest.raises(Told):
        server.serve({"tuned": Script()}, port=0, on_ready=connect)


def test_an_address_of_another_machine_is_refused():
    with pytest.raises(MachineError, match="cannot listen"):
        server.serve({}, host="192.0.2.1", port=0)


# -- the official client -----------------------------------------------------------------------------------------


def test_the_official_client_understands_answers_streams_and_errors(url: str):
    openai = pytest.importorskip("openai")
    client = openai.OpenAI(base_url=url, api_key="none", max_retries=0, timeout=120)
    messages = [{"role": "user", "content": "When does it open?"}]
    answer = client.chat.completions.create(model="tuned", messages=messages, temperature=0, stop=["nine"])
    assert answer.choices[0].message.content == "the gate opens at "
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    with client.chat.completions.create(
        model="tuned", messages=messages, stream=True, stream_options={"include_usage": True}
    ) as stream:
        chunks = list(stream)
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "the gate opens at nine"
    assert chunks[-1].usage.completion_tokens == 5
    assert [m.id for m in client.models.list()] == ["tuned", "slow", "broken"]
    with pytest.raises(openai.NotFoundError, match="not here"):
        client.chat.completions.create(model="gpt-9", messages=messages)
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="tuned", messages=messages, temperature=9)
    assert caught.value.param == "temperature"
