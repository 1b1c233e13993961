"""The whole OpenAI API over real weights (a tiny student) with the official client and raw event streams."""

import concurrent.futures
import json
import math
import socket
import threading
from typing import Literal

import httpx
import pytest
from scripted_engine import Script, body, serving
from tiny_student import make_tiny_student

from homeroom.core.errors import RefusedError
from homeroom.core.types import Chunk, Message
from homeroom.models.torch_engine import TorchEngine
from homeroom.pipeline.serving import newer
from homeroom.serve import server
from homeroom.serve.proof import prove
from homeroom.serve.retrieval import Library
from homeroom.serve.server import Served

openai = pytest.importorskip("openai")
pydantic = pytest.importorskip("pydantic")  # comes with it
ASKED = [{"role": "user", "content": "What is the limit?"}]
TEXT = "The gate opens at nine. The clerk at the north gate signs letters. The ferry leaves from Pell Slipway."


def embed(texts):
    """A toy encoder: how often each of five words stands in a text."""
    import numpy

    names = ("gate", "clerk", "ferry", "signs", "opens")
    rows = numpy.array([[t.lower().count(n) + 0.01 for n in names] for t in texts], dtype="float32")
    return rows / numpy.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return TorchEngine(make_tiny_student(tmp_path_factory.mktemp("tiny")))


@pytest.fixture(scope="module")
def client(engine):
    chunk = Chunk(
        id="c", document="d", leaf="knowledge/gate", title="T", heading="Gates", text=TEXT, start=0, end=len(TEXT)
    )
    library = Library([chunk], {"d": "gates.md"}, embed=embed)
    with serving({"tuned": Served(engine=engine, library=library), "base": engine}, embed=embed) as url:
        yield openai.OpenAI(base_url=url, api_key="none", max_retries=0, timeout=60)


# -- what the API gives --------------------------------------------------------------------------------------------


def test_a_greedy_answer_is_the_engines_own_whole_and_streamed(client, engine):
    wanted = engine.answer([(Message(role="user", content=ASKED[0]["content"]),)], max_tokens=12)[0]
    whole = client.chat.completions.create(model="tuned", messages=ASKED, max_tokens=12)
    assert whole.choices[0].message.content == wanted
    stream = client.chat.completions.create(model="tuned", messages=ASKED, max_tokens=12, stream=True)
    assert "".join(c.choices[0].delta.content or "" for c in stream) == wanted


def test_log_probabilities_add_up_to_what_the_engine_gives_the_same_answer(client, engine):
    conversation, tokenizer = (Message(role="user", content=ASKED[0]["content"]),), engine.student.tokenizer
    compared = 0
    for seed in range(12):
        answer = client.chat.completions.create(
            model="tuned", messages=ASKED, max_tokens=5, temperature=1.0, seed=seed, logprobs=True, top_logprobs=3
        ).choices[0]
        tokens, text = answer.logprobs.content, answer.message.content
        assert len(tokens) == 5
        assert all(t.logprob <= t.top_logprobs[0].logprob + 1e-6 and len(t.top_logprobs) == 3 for t in tokens)
        if text and len(tokenizer(text, add_special_tokens=False).input_ids) == 5:  # cut alike when it is read again
            assert sum(t.logprob for t in tokens) == pytest.approx(engine.logprob([conversation], [text])[0], abs=1e-3)
            compared += 1
    assert compared


def test_a_text_is_continued_with_log_probabilities_and_stops_where_asked(client):
    how = {"model": "tuned", "prompt": "The river, the", "max_tokens": 8, "temperature": 1.0, "seed": 5}
    plain = client.completions.create(**how, logprobs=2)
    choice = plain.choices[0]
    assert plain.object == "text_completion"
    assert len(choice.logprobs.tokens) == len(choice.logprobs.token_logprobs) == 8
    assert all(math.isfinite(p) for p in choice.logprobs.token_logprobs)
    assert choice.logprobs.text_offset[0] == len("The river, the")
    assert "".join(c.choices[0].text for c in client.completions.create(**how, stream=True)) == choice.text
    stop = choice.text[2:4]
    assert len(stop) == 2
    assert client.completions.create(**how, stop=stop).choices[0].text == choice.text[: choice.text.index(stop)]


def test_the_same_seed_draws_the_same_answer_and_another_draws_others(client):
    def drawn(seed):
        return (
            client.chat.completions.create(model="tuned", messages=ASKED, max_tokens=8, temperature=1.5, seed=seed)
            .choices[0]
            .message.content
        )

    assert drawn(1) == drawn(1)
    assert len({drawn(n) for n in range(4)}) > 1


def test_an_answer_that_must_be_json_is_json_even_of_a_model_that_knows_nothing(client):
    answer = client.chat.completions.create(
        model="tuned", messages=ASKED, max_tokens=60, response_format={"type": "json_object"}
    ).choices[0]
    text = answer.message.content
    assert text.lstrip().startswith("{")
    if answer.finish_reason == "stop":
        assert isinstance(json.loads(text), dict)


def test_an_answer_follows_a_schema_even_of_a_model_that_knows_nothing(client):
    schema = {
        "type": "object",
        "properties": {"place": {"enum": ["north gate", "Pell Slipway"]}, "open": {"type": "boolean"}},
        "required": ["place", "open"],
        "additionalProperties": False,
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "place", "schema": schema, "strict": True}}
    for how in ({}, {"temperature": 1.2, "seed": 3}):
        answer = client.chat.completions.create(
            model="tuned", messages=ASKED, max_tokens=400, response_format=wanted, **how
        ).choices[0]
        assert answer.finish_reason == "stop"
        found = json.loads(answer.message.content)
        assert (found["place"] in ("north gate", "Pell Slipway"), type(found["open"])) == (True, bool)
    schema["properties"]["open"] = {"type": "string", "pattern": "a*"}
    with pytest.raises(openai.BadRequestError, match="#/properties/open: 'pattern' cannot be held to") as caught:
        client.chat.completions.create(model="tuned", messages=ASKED, response_format=wanted)
    assert caught.value.param == "response_format"


def test_the_clients_own_parsing_gets_an_object_of_its_class(client):
    class Visit(pydantic.BaseModel):
        gate: Literal["north", "south"]
        guests: Literal[1, 2] | None
        ferries: list[bool] = pydantic.Field(max_length=3)

    answer = client.chat.completions.parse(model="tuned", messages=ASKED, max_tokens=400, response_format=Visit)
    message = answer.choices[0].message
    assert isinstance(message.parsed, Visit)
    assert message.parsed.gate in ("north", "south")


def test_embeddings_come_as_numbers_and_as_the_client_asks_for_them(client):
    found = client.embeddings.create(model="embedder", input=["the gate", "a ferry"])  # the client asks for base64
    assert found.data[0].embedding == pytest.approx(embed(["the gate"])[0].tolist(), abs=1e-6)
    plain = client.embeddings.create(model="embedder", input="the gate", encoding_format="float")
    assert plain.data[0].embedding == pytest.approx(found.data[0].embedding, abs=1e-6)
    for wrong in ([], [""], ["x"] * 300, [1]):
        with pytest.raises(openai.BadRequestError):
            client.embeddings.create(model="embedder", input=wrong)
    with pytest.raises(openai.BadRequestError):
        client.embeddings.create(model="tuned", input="x")
    with pytest.raises(openai.BadRequestError, match="embeddings alone"):
        client.chat.completions.create(model="embedder", messages=ASKED)


def test_an_answer_with_sources_carries_leaf_document_and_bytes(client):
    messages = [{"role": "user", "content": "Where does the ferry leave?"}]
    answer = client.chat.completions.create(model="tuned-with-sources", messages=messages, max_tokens=4)
    first = answer.sources[0]
    assert (first["leaf"], first["document"], first["heading"]) == ("knowledge/gate", "gates.md", "Gates")
    assert TEXT.encode()[first["start"] : first["end"]].decode() == "The ferry leaves from Pell Slipway."
    plain = client.chat.completions.create(model="tuned", messages=messages, max_tokens=4)
    assert answer.usage.prompt_tokens > plain.usage.prompt_tokens
    *_, last = client.chat.completions.create(model="tuned-with-sources", messages=messages, max_tokens=4, stream=True)
    assert last.sources[0]["document"] == "gates.md"
    assert "tuned-with-sources" in [m.id for m in client.models.list()]


# -- what it withstands --------------------------------------------------------------------------------------------


def test_fifty_clients_at_once_are_all_answered_and_alike(client):
    def ask(number):
        if number % 2:
            return (
                client.chat.completions.create(model="tuned", messages=ASKED, max_tokens=4).choices[0].message.content
            )
        stream = client.chat.completions.create(model="tuned", messages=ASKED, max_tokens=4, stream=True)
        return "".join(c.choices[0].delta.content or "" for c in stream)

    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(ask, range(50)))
    assert len(set(answers)) == 1


def test_a_prompt_of_ten_thousand_tokens_is_refused_with_both_figures(client):
    with pytest.raises(openai.BadRequestError, match="reads at most 512 tokens; this prompt has 1") as caught:
        client.chat.completions.create(model="tuned", messages=[{"role": "user", "content": "gate clerk " * 5000}])
    assert caught.value.code == "context_length_exceeded"


def test_a_client_that_never_reads_holds_nobody_up():
    long = Script("word " * 4000, context_tokens=10_000)
    with serving({"tuned": long, "other": Script()}) as url:
        host, port = url.split("/")[2].split(":")
        sent = json.dumps(body(stream=True, max_tokens=4000)).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: {len(sent)}\r\n\r\n"
        deaf = [socket.create_connection((host, int(port))) for _ in range(3)]
        for connection in deaf:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            connection.sendall(head.encode() + sent)
        answer = httpx.post(f"{url}/chat/completions", json=body(max_tokens=3), trust_env=False, timeout=120).json()
        assert answer["choices"][0]["message"]["content"] == "word word word"
        for connection in deaf:
            connection.close()


def test_a_body_that_does_not_come_is_given_up(monkeypatch):
    monkeypatch.setattr(server, "BODY_S", 0.2)
    with serving({"tuned": Script()}) as url:
        host, port = url.split("/")[2].split(":")
        with socket.create_connection((host, int(port)), timeout=120) as slow:
            slow.sendall(f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Length: 90\r\n\r\n{{".encode())
            assert b"408" in slow.recv(100)


def test_a_model_that_fails_is_loaded_anew_and_health_says_so():
    class Failing(Script):
        def stream(self, messages, **options):
            raise RuntimeError("out of memory")

    models = {"tuned": Served(engine=Failing(), load=lambda: Script("well again"))}
    with serving(models) as url, httpx.Client(trust_env=False, timeout=120) as http:
        assert http.post(f"{url}/chat/completions", json=body()).status_code == 500
        again = http.post(f"{url}/chat/completions", json=body()).json()
        assert again["choices"][0]["message"]["content"] == "well again"
        assert http.get(url.replace("/v1", "/health")).json()["models"]["tuned"]["failures"] == 1


# -- the key -------------------------------------------------------------------------------------------------------


def test_without_the_key_nothing_but_health_answers():
    with (
        serving({"tuned": Script()}, api_key="a-long-enough-key") as url,
        httpx.Client(trust_env=False, timeout=120) as http,
    ):
        for path in ("models", "models/tuned"):
            assert http.get(f"{url}/{path}").status_code == 401
        for path in ("chat/completions", "completions", "embeddings"):
            refused = http.post(f"{url}/{path}", json=body(), headers={"Authorization": "Bearer wrong"})
            assert (refused.status_code, refused.json()["error"]["code"]) == (401, "invalid_api_key")
        assert http.get(url.replace("/v1", "/health")).status_code == 200
        right = openai.OpenAI(base_url=url, api_key="a-long-enough-key", max_retries=0)
        assert right.models.list().data[0].id == "tuned"


def test_off_this_machine_a_key_is_made_where_none_is_given(monkeypatch):
    told = []
    monkeypatch.setattr("uvicorn.Server.run", lambda self, sockets: None)
    server.serve({"tuned": Script()}, host="0.0.0.0", port=0, on_ready=lambda *about: told.append(about))
    server.serve({"tuned": Script()}, host="127.0.0.1", port=0, on_ready=lambda *about: told.append(about))
    assert len(told[0][1]) >= 24
    assert told[1][1] == ""


# -- newer models, and the proof -----------------------------------------------------------------------------------


def test_a_newer_model_is_swapped_in_and_no_request_is_dropped():
    began, swapped = threading.Event(), threading.Event()

    class Old(Script):
        """Is in the middle of its third answer when the newer model comes."""

        def stream(self, messages, **options):
            for piece in super().stream(messages, **options):
                yield piece
                if len(self.asked) == 3:
                    began.set()
                    swapped.wait(120)

    waiting, old, made = [Script("new " * 5)], Old("old " * 5), {}
    with serving({"tuned": Served(engine=old, newer=lambda: waiting.pop() if waiting else None)}, made=made) as url:
        answers = []

        def ask():
            with httpx.Client(trust_env=False, timeout=120) as http:
                for _ in range(6):
                    response = http.post(f"{url}/chat/completions", json=body())
                    answers.append((response.status_code, response.json()["choices"][0]["message"]["content"]))

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        assert began.wait(120)
        assert made["app"].state.desk.look_for_newer() == ["tuned"]
        swapped.set()
        for thread in threads:
            thread.join()
    assert len(answers) == 24
    assert {status for status, _ in answers} == {200}
    assert {text.split()[0] for _, text in answers} == {"old", "new"}
    assert all(len(set(text.split())) == 1 for _, text in answers)  # never half of one and half of the other


def test_weights_that_are_replaced_are_seen_once(tmp_path):
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"one")
    look = newer(tmp_path, lambda: "engine")
    assert look() is None
    other = tmp_path / "other"
    other.write_bytes(b"three")
    other.rename(file)
    assert look() == "engine"
    assert look() is None
    file.unlink()
    assert look() is None  # just being replaced


ITEMS = [
    {"set": "final", "kind": "short", "question": f"Q{n}?", "before": f"base {n}", "after": f"tuned {n}"}
    for n in range(8)
]


def test_the_proof_says_whose_answers_are_given_and_refuses_the_base():
    def says(name):
        return lambda asked, *, max_tokens: [f"{name} {c[-1].content[1:-1]}" for c in asked]

    proof = prove(ITEMS, says("tuned"), max_tokens=9)
    assert (proof.asked, proof.tuned, proof.base) == (5, 5, 0)
    assert "5 of 5 answers are the tuned student's" in proof.in_words()
    with pytest.raises(RefusedError, match="not the tuned weights"):
        prove(ITEMS, says("base"), max_tokens=9)
    assert "not proved" in prove([], says("tuned"), max_tokens=9).in_words()
    same = [{**item, "after": item["before"]} for item in ITEMS]
    assert prove(same, says("base"), max_tokens=9).asked == 0
