"""`/v1` for programs: keys for one course or for all, the official client, streams, refusals; a real child."""

import json
import shutil
import sqlite3
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from web_process import running

from homeroom.core.errors import ContentError, MachineError
from homeroom.core.files import write_json
from homeroom.web import answers
from homeroom.web.answers import MOST, MOST_OF_PAGES
from homeroom.web.v1 import PATHS

HERE = Path(__file__).parent
PATIENCE_S = 120.0  # a child starts slowly on a busy machine
ASK = {"messages": [{"role": "user", "content": "When does it open?"}]}


@pytest.fixture
def people(desk):
    return {p.name: p for p in desk.store.people()}


@pytest.fixture
def child(desk, home, monkeypatch):
    """Let questions be answered by a child with scripted models; two courses, one of which has learned."""
    shutil.copytree(home / "insurance", home / "boats")
    (home / "insurance" / "out" / "model").mkdir(parents=True)
    (home / "insurance" / "out" / "model" / "config.json").write_text("{}")
    monkeypatch.setenv("PYTHONPATH", f"{HERE.parent}:{HERE.parents[1]}")
    desk.answers.program = (sys.executable, str(HERE / "answering.py"))
    yield
    desk.answers.stop()


@pytest.fixture
def at(desk, child):
    with running(desk) as url:
        yield url


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


def is_given_back(desk):
    end = time.monotonic() + PATIENCE_S
    while desk.answers.num_lent and time.monotonic() < end:
        time.sleep(0.05)
    return desk.answers.num_lent == 0


def test_the_official_client_lists_asks_and_streams(at, desk, people):
    from openai import NotFoundError, OpenAI

    key = desk.store.make_key(people["Ben"], "program", course="insurance")
    with OpenAI(base_url=f"{at}/v1", api_key=key, max_retries=0, http_client=httpx.Client(trust_env=False)) as client:
        assert [m.id for m in client.models.list()] == ["insurance", "insurance/base"]
        assert client.models.retrieve("insurance/base").id == "insurance/base"
        answer = client.chat.completions.create(model="insurance/base", **ASK)
        assert (answer.model, answer.choices[0].message.content) == ("insurance/base", "the base of insurance")
        parts = list(client.chat.completions.create(model="insurance", stream=True, **ASK))
        said = "".join(p.choices[0].delta.content or "" for p in parts)
        assert said == "word of insurance " * 12 + "one\u2028two\x85three"
        assert {p.model for p in parts} == {"insurance"}
        for other in ("boats", "boats/base", "tuned", "../insurance", "nothing"):
            with pytest.raises(NotFoundError) as refused:
                client.chat.completions.create(model=other, **ASK)
            assert "is not here" in str(refused.value)
    assert is_given_back(desk)


def test_the_servers_own_settings_hold_for_answers_from_the_next_question_on(desk, home, child):
    for options in ([], ["student.model=other"], ["student.model=another", "train.seed=1"]):
        write_json(desk.state / "options.json", options)
        assert desk.answers.ask(home / "boats", "Which?") == {"base": " ".join(["the base of boats", *options])}
    write_json(desk.state / "options.json", {"network.private": True})
    with pytest.raises(ContentError, match="not a list of settings"):
        desk.answers.ask(home / "boats", "Which?")
    assert desk.answers.num_lent == 0


def test_a_stream_comes_as_it_is_said_and_a_client_that_leaves_gives_the_model_back(at, desk, home, people):
    (home / "insurance" / "held").touch()  # the model says a word, and no other as long as it is there
    key = desk.store.make_key(people["Ben"], "program")
    with (
        httpx.Client(base_url=at, headers=bearer(key), trust_env=False, timeout=PATIENCE_S) as client,
        client.stream("POST", "/v1/chat/completions", json=ASK | {"model": "insurance", "stream": True}) as answer,
    ):
        lines = answer.iter_lines()
        assert any("word" in line for line in lines)
        assert desk.answers.num_lent == 1
        other = httpx.post(
            f"{at}/v1/chat/completions", json=ASK | {"model": "boats"}, headers=bearer(key), timeout=PATIENCE_S
        )
        assert other.status_code == 503
        assert "another course" in other.json()["error"]["message"]
        assert other.headers["retry-after"]
    assert is_given_back(desk)
    answer = httpx.post(
        f"{at}/v1/chat/completions", json=ASK | {"model": "boats"}, headers=bearer(key), timeout=PATIENCE_S
    )
    assert answer.json()["choices"][0]["message"]["content"] == "the base of boats"


def test_a_client_that_leaves_before_its_whole_answer_ends_the_work(at, desk, home, people, monkeypatch):
    monkeypatch.setattr(answers, "ANSWER_S", 10 * PATIENCE_S)  # so that it is not the wait for the answer that ends
    key = desk.store.make_key(people["Ben"], "program")
    desk.answers.borrow(home / "insurance")  # so that it is there already
    desk.answers.give_back()
    (home / "insurance" / "held").touch()
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{at}/v1/chat/completions", json=ASK | {"model": "insurance"}, headers=bearer(key), timeout=1)
    assert is_given_back(desk)


def test_a_burst_of_questions_leaves_the_pages_alone_and_is_refused_beyond_a_limit(at, desk, home, people):
    key = desk.store.make_key(people["Ann"], "program")
    late = home / "insurance" / "late"
    late.touch()
    asked = [("/v1/chat/completions", ASK | {"model": "insurance"})] * 60
    asked += [("/api/v1/courses/insurance/ask", {"question": "When does it open?"})] * 20
    got, lock = [], threading.Lock()

    def ask(path, body):
        answer = httpx.post(f"{at}{path}", json=body, headers=bearer(key), timeout=PATIENCE_S, trust_env=False)
        with lock:
            got.append((path[:4], answer.status_code, "too many questions" in answer.text))

    threads = [threading.Thread(target=ask, args=one) for one in asked]
    for thread in threads:
        thread.start()
    try:
        end = time.monotonic() + PATIENCE_S
        while len(got) < 60 - MOST + 20 - MOST_OF_PAGES and time.monotonic() < end:
            time.sleep(0.05)
        assert set(got) == {("/v1/", 429, True), ("/api", 200, True)}
        assert httpx.get(f"{at}/health", timeout=PATIENCE_S / 2, trust_env=False).status_code == 200
    finally:
        late.unlink()
        for thread in threads:
            thread.join(PATIENCE_S)
    assert got.count(("/v1/", 200, False)) == MOST
    assert got.count(("/api", 200, False)) == MOST_OF_PAGES
    assert is_given_back(desk)


def test_a_failed_question_ends_nobody_elses_answer(desk, child, home, monkeypatch):
    course = home / "insurance"
    lent = desk.answers.borrow(course)
    (course / "held").touch()
    monkeypatch.setattr(answers, "ANSWER_S", 0.5)
    with pytest.raises(MachineError, match="ReadTimeout"):
        desk.answers.ask(course, "When does it open?")
    assert lent.process.poll() is None
    desk.answers.give_back()
    with pytest.raises(MachineError, match="ReadTimeout"):
        desk.answers.ask(course, "When does it open?")
    assert lent.process.poll() is not None, "one that hangs is not kept"


def test_what_a_student_has_just_learned_is_what_answers_next(at, desk, home, people):
    key = desk.store.make_key(people["Ben"], "program")
    with httpx.Client(base_url=at, headers=bearer(key), trust_env=False, timeout=PATIENCE_S) as client:

        def ask():
            return client.post("/v1/chat/completions", json=ASK | {"model": "boats"})

        assert desk.answers.borrow(home / "boats").models == ("base",)
        (home / "boats" / "out" / "model").mkdir(parents=True)
        for name in ("config.json", "model.safetensors"):
            (home / "boats" / "out" / "model" / name).write_text("{}")
        found = ask()
        assert found.status_code == 503, "it waits for the answer that is under way, however many more ask"
        assert "has just learned" in found.json()["error"]["message"]
        desk.answers.give_back()
        assert ask().json()["choices"][0]["message"]["content"].startswith("word of boats")


def test_what_was_read_can_be_sent_on(at, desk, people):
    key = desk.store.make_key(people["Ben"], "program", course="insurance")
    body = json.dumps(ASK | {"model": "insurance/base", "user": "\ud800", "metadata": {"x": float("nan")}})
    found = httpx.post(f"{at}/v1/chat/completions", content=body, headers=bearer(key), timeout=PATIENCE_S)
    assert found.json()["choices"][0]["message"]["content"] == "the base of insurance"


def test_nobody_else_on_the_machine_can_ask_the_child(desk, child, home):
    lent = desk.answers.borrow(home / "insurance")
    assert httpx.get(f"{lent.url}/models", trust_env=False).status_code == 401
    with httpx.Client(**lent.options) as client:
        assert [m["id"] for m in client.get("/models").json()["data"]] == list(lent.models)


@pytest.mark.parametrize(
    ("error", "status"),
    [(sqlite3.OperationalError("database is locked"), 503), (FileNotFoundError(2, "gone"), 503), (KeyError("x"), 500)],
)
def test_whatever_fails_is_said_as_the_api_says_it(browser, desk, people, monkeypatch, error, status):
    key = desk.store.make_key(people["Ben"], "program")

    def fail():
        raise error

    monkeypatch.setattr(desk, "courses", fail)
    found = browser().get("/v1/models", headers=bearer(key))
    assert (found.status_code, found.json()["error"]["type"]) == (status, "server_error")
    assert ("retry-after" in found.headers) == (status == 503)


def test_row_63_numbers_and_sizes_out_of_range_are_refused_before_any_model_is_started(at, desk, people):
    key = desk.store.make_key(people["Ben"], "program", course="insurance")
    odd = (
        {"n": -1}, {"n": 10**9}, {"max_tokens": -5}, {"max_tokens": 10**12}, {"max_tokens": 1.5}, {"temperature": -1},
        {"temperature": 1e9}, {"top_p": 7}, {"stop": ["x"] * 10_000}, {"stop": ["x" * 10_000]}, {"top_logprobs": 10**9},
        {"logprobs": -3}, {"seed": 2**80}, {"messages": []}, {"messages": "x"}, {"model": 7}, {"stream": "yes"},
        {"messages": [{"role": "user", "content": "x"}] * 5_000}, {"messages": [{"role": "root", "content": "x"}]},
        {"response_format": {"type": "json_schema"}},
    )  # fmt: skip
    with httpx.Client(base_url=at, headers=bearer(key), trust_env=False, timeout=PATIENCE_S) as client:
        for wrong in odd:
            found = client.post("/v1/chat/completions", json=ASK | wrong)
            assert found.status_code == 400, wrong
            assert set(found.json()["error"]) == {"message", "type", "param", "code"}
        for body in (b"", b"[" * 90_000, b"\xff\xfe", b'{"temperature": NaN, "messages": 1}', b"null"):
            assert client.post("/v1/chat/completions", content=body).status_code == 400
        huge = b'{"messages": "' + b"x" * 2_000_000 + b'"}'
        assert client.post("/v1/chat/completions", content=huge).status_code == 413
    assert not desk.answers._child


def test_row_64_no_client_chooses_where_the_server_asks(at, desk, people):
    key = desk.store.make_key(people["Ben"], "program", course="insurance")
    reached = []

    def listen():
        import http.server

        class Trap(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                reached.append(self.path)
                self.send_error(500)

            do_GET = do_POST

            def log_message(self, *args):
                pass

        trap = http.server.HTTPServer(("127.0.0.1", 0), Trap)
        threading.Thread(target=trap.serve_forever, daemon=True).start()
        return trap

    trap = listen()
    try:
        there = f"http://127.0.0.1:{trap.server_port}/v1"
        fields = dict.fromkeys(("base_url", "api_base", "endpoint", "url", "apiURL", "upstream", "proxy"), there)
        headers = bearer(key) | {"X-Forwarded-Host": there, "Forwarded": f"host={there}", "X-Upstream": there}
        found = httpx.post(f"{at}/v1/chat/completions?apiURL={there}&url={there}", headers=headers,
                           json=ASK | fields | {"model": "insurance/base"}, timeout=PATIENCE_S)  # fmt: skip
        assert found.json()["choices"][0]["message"]["content"] == "the base of insurance"
        for name in (there, "http://evil.example/v1"):
            body = ASK | {"model": name}
            assert (
                httpx.post(f"{at}/v1/chat/completions", headers=headers, json=body, timeout=PATIENCE_S).status_code
                == 404
            )
    finally:
        trap.shutdown()
        trap.server_close()
    assert not reached


def test_row_59_and_61_only_a_key_in_its_one_header_opens_v1(browser, desk, people):
    ann, nobody = browser("Ann"), browser()
    key = desk.store.make_key(people["Ann"], "program")
    assert nobody.get("/v1/models", headers=bearer(key)).status_code == 200
    for client in (ann, nobody):  # a session is not enough: a page of another site could use it
        for path in PATHS:
            path = path.replace("{name:path}", "insurance")
            ask = client.post if path.endswith("completions") else client.get
            for headers in (
                {},
                {"x-api-key": key},
                {"Cookie": f"key={key}"},
                bearer("hr_wrong"),
                {"Authorization": key},
            ):
                found = ask(path, headers=headers)
                assert found.status_code == 401
                assert found.json()["error"]["type"] == "authentication_error"
            assert ask(f"{path}?key={key}&api_key={key}").status_code == 401


def test_a_key_is_shown_once_kept_as_a_hash_and_ends_when_it_is_taken_away(browser, desk, people):
    ben, program = browser("Ben"), browser()
    page = ben.fill("/me/keys", label="my <b>script</b>", course="insurance")
    key = page.text.split('<p class="mono name">')[1].split("<")[0]
    assert key.startswith("hr_")
    assert "my &lt;b&gt;script" in page.text
    desk.store._open().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert key.encode() not in (desk.state / "web.db").read_bytes()
    assert key not in ben.get("/me").text + browser("Ann").get("/people").text + str(desk.store.notes())
    assert program.get("/v1/models", headers=bearer(key)).status_code == 200
    for path in ("/me", "/courses/insurance"):  # it may ask, and do nothing else
        assert program.get(f"/api/v1{path}", headers=bearer(key)).status_code == 401
    id = desk.store.keys(people["Ben"])[0]["id"]
    assert browser("Cy").post("/me/keys/end", data={"id": id}).status_code == 401
    ann = browser("Ann")
    assert ann.fill("/me/keys/end", id=id).status_code == 404, "it is not hers"
    assert ben.fill("/people/keys/end", id=id).status_code == 403
    assert ann.fill("/people/keys/end", id=id).status_code == 200
    assert program.get("/v1/models", headers=bearer(key)).status_code == 401
    assert ben.fill("/me/keys", label="x", course="no-such-course").status_code == 404

    for course in ("", "insurance"):
        desk.store.make_key(people["Ben"], "k", course=course)
    keys = [desk.store.make_key(people["Ben"], "k", course=c) for c in ("", "insurance")]
    ann.fill(f"/people/{people['Ben'].id}/close")
    assert [program.get("/v1/models", headers=bearer(k)).status_code for k in keys] == [401, 401]


def test_keys_of_an_earlier_server_still_work(tmp_path):
    import sqlite3

    from homeroom.web.store import Store, _digest

    store = Store(tmp_path / "web.db")
    ann = store.add_person("Ann", role="maintainer")
    database = sqlite3.connect(tmp_path / "web.db")
    with database:
        database.execute("DROP TABLE keys")
        database.execute("CREATE TABLE keys (token TEXT PRIMARY KEY, person INTEGER, label TEXT, created REAL)")
        database.execute("INSERT INTO keys VALUES (?, ?, 'old', 1)", (_digest("hr_old"), ann.id))
    database.close()
    again = Store(tmp_path / "web.db")
    assert again.key("hr_old").course == ""
    assert again.keys()[0]["label"] == "old"


def test_the_real_child_answers_for_a_tiny_student(desk, home, tmp_path, monkeypatch):
    pytest.importorskip("torch")
    from tiny_student import make_tiny_student

    monkeypatch.setenv("PYTHONPATH", str(HERE.parents[1]))
    student = make_tiny_student(tmp_path / "student")
    (home / "insurance" / "recipe.yaml").write_text(f"student: {{model: {json.dumps(str(student))}}}\n")
    shutil.copytree(student, home / "insurance" / "out" / "model")
    assert list(desk.answers.ask(home / "insurance", "Are you there?")) == ["base", "tuned"]
    assert httpx.get(f"{desk.answers._child.url}/models", trust_env=False).status_code == 401
    assert desk.answers.num_lent == 0
