"""Every route of the table: without a session, with the wrong role, with a forged form, and its headers."""

import json
import re
import shutil

import anyio
import pytest
from web_forms import begin, field

from homeroom.web import app
from homeroom.web.app import COOKIE, HEADERS, MAX_FORM, MAX_UPLOAD, POLICY, make_app
from homeroom.web.routes import ROUTES

KNOWN = {"course": "insurance", "draft": "000000000000", "id": "0" * 12, "job": "1", "person": "2", "token": "x"}
JSON = {"Content-Type": "application/json"}
ids = [f"{p.method} {p.path}" for p in ROUTES]


def address(place, api=False):
    path = re.sub(r"\{(\w+)\}", lambda m: KNOWN[m[1]], place.path)
    return f"/api/v1{path}" if api else path


def call(client, place, api=False, **fields):
    if place.method == "GET":
        return client.get(address(place, api), follow_redirects=False)
    return client.post(address(place, api), data=fields, follow_redirects=False)


def scope_of(key, kind):
    headers = {"host": "testserver", "authorization": f"Bearer {key}", "content-type": kind}
    return {"type": "http", "method": "POST", "path": "/api/v1/courses/insurance/bring", "query_string": b"",
            "headers": [(n.encode(), v.encode()) for n, v in headers.items()]}  # fmt: skip


@pytest.mark.parametrize("place", ROUTES, ids=ids)
def test_row_59_no_route_answers_without_a_session(browser, place):
    client = browser()
    found = call(client, place)
    if place.role == "anyone":
        assert found.status_code < 500
        return
    to_login = found.status_code == 303 and found.headers["location"].startswith("/login?next=")
    assert to_login if place.method == "GET" else found.status_code == 401
    if place.api:
        found = call(client, place, api=True)
        assert found.status_code == 401
        assert set(found.json()["error"]) == {"message", "where", "hint"}


@pytest.mark.parametrize("place", [p for p in ROUTES if p.role == "maintainer"], ids=lambda p: f"{p.method} {p.path}")
def test_row_57_a_contributor_can_do_nothing_that_is_for_maintainers(browser, desk, place):
    client = browser("Ben")
    before = [(p.role, p.closed) for p in desk.store.people()]
    assert call(client, place, csrf=client.csrf()).status_code == 403
    if place.api:
        key = desk.store.make_key(next(p for p in desk.store.people() if p.name == "Ben"), "k")
        found = client.request(place.method, address(place, api=True), headers={"Authorization": f"Bearer {key}"})
        assert found.status_code == 403
    assert [(p.role, p.closed) for p in desk.store.people()] == before
    assert not desk.queue.jobs()


@pytest.mark.parametrize("place", [p for p in ROUTES if p.method == "POST"], ids=lambda p: p.path)
def test_row_51_a_form_from_elsewhere_or_without_the_sessions_secret_is_refused(browser, place):
    client = browser("Ann")
    for headers, fields in (
        ({"Origin": "https://evil.example"}, {"csrf": client.csrf()}),
        ({"Origin": "null"}, {"csrf": client.csrf()}),
        ({"Sec-Fetch-Site": "cross-site"}, {"csrf": client.csrf()}),
        ({}, {}),
        ({}, {"csrf": "wrong"}),
    ):
        found = client.post(address(place), data=fields, headers=headers, follow_redirects=False)
        assert found.status_code == 403, (headers, fields)
    text = client.post(address(place), content=b'{"csrf": "x"}', headers={"Content-Type": "text/plain"})
    assert text.status_code in (400, 403)


@pytest.mark.parametrize("place", ROUTES, ids=ids)
def test_row_52_every_answer_has_the_strict_headers(browser, place):
    client = browser("Ann")
    found = call(client, place)
    for name, value in HEADERS.items():
        expected = {"Content-Security-Policy": (POLICY, found.headers.get(name, ""))}.get(name, (value,))
        assert found.headers[name] in expected, name
    policy = found.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy or "script-src" not in policy
    assert "unsafe-eval" not in policy


@pytest.mark.parametrize("place", [p for p in ROUTES if p.method == "GET"], ids=lambda p: p.path)
def test_no_page_breaks_for_odd_addresses(browser, place):
    client = browser("Ann")
    odd = ("%00", "..%2f..%2fetc", "%252e%252e", "x" * 300, "-1", "99999999999999999999", "%F0%9F%A6%A6", "<b>", "1e9")
    for text in odd if "{" in place.path else ("",):
        path = re.sub(r"\{(\w+)\}", lambda m, text=text: text, place.path)
        query = "?page=99999&q=%00&leaf=%22&place=../../etc&below=../..&state=x&stand=x&after=-1"
        assert client.get(path + query, follow_redirects=False).status_code in (200, 303, 307, 400, 403, 404)


@pytest.mark.parametrize("place", [p for p in ROUTES if p.method == "GET"], ids=lambda p: p.path)
def test_no_page_breaks_for_odd_numbers(browser, place):
    found = browser("Ann").get(f"{address(place)}?page={'9' * 5_000}&after=%C2%B2", follow_redirects=False)
    assert found.status_code in (200, 303, 403, 404)


def test_a_draft_is_not_saved_under_an_odd_number(browser, desk):
    ben = browser("Ben")
    here = begin(ben)
    for version in ("9" * 5_000, "\u00b2", "-1", "x"):
        assert ben.fill(f"{here}/save", version=version, about="Mine.").status_code == 409
    for do in ("remove-example", "add-pair", "remove-pair", "take", "answer"):
        version = field(ben.get(here).text, "version")
        assert ben.fill(f"{here}/save", version=version, do=f"{do} {'9' * 5_000}").status_code == 200
    assert "Mine." not in str(desk.store.drafts("insurance")[0].form)


def test_what_visitors_ask_for_is_not_kept(browser, desk):
    ann, long = browser("Ann"), "x" * 200
    rows = ann.get("/api/v1/courses/insurance/leaves?below=knowledge").json()["rows"]
    assert [row["path"] for row in rows] == ["knowledge/insurance"]
    for below in ("../..", "nothing", long, f"{long}/y"):
        assert ann.get(f"/api/v1/courses/insurance/leaves?below={below}").json()["rows"] == []
    for (_, name), (_, made) in desk._made.items():
        assert "x" * 9 not in name
        assert name != "rows" or set(made[1]) <= {"", "knowledge"}


def test_folders_whose_long_names_begin_alike_are_told_apart(browser, desk, home):
    long = "/".join(["knowledge", *["a" * 60] * 3])
    for name in ("one", "two"):
        folder = home / "insurance" / long / ("b" * 30) / name / f"{name}-leaf"
        shutil.copytree(home / "insurance/knowledge/insurance/claims", folder)
    ann = browser("Ann")
    for name in ("one", "two"):
        below = f"{long}/{'b' * 30}/{name}"
        rows = ann.get(f"/api/v1/courses/insurance/leaves?below={below}").json()["rows"]
        assert [row["path"] for row in rows] == [f"{below}/{name}-leaf"]


def test_row_53_a_host_that_is_not_ours_is_refused(browser):
    client = browser("Ann")
    for host in ("evil.example", "127.0.0.1.evil.example", "testserver@evil.example", ""):
        assert client.get("/", headers={"Host": host}).status_code == 400


@pytest.mark.parametrize(
    "path",
    [
        "/static/1/../../store.py",
        "/static/1/..%2fstore.py",
        "/static/1/%252e%252e",
        "/static/1//etc/passwd",
        "/static/1/..\\store.py",
        "/static/%2e%2e/app.py",
    ],
)
def test_row_54_no_trick_leads_out_of_the_static_files(browser, path):
    found = browser("Ann").get(path)
    assert found.status_code == 404
    assert "import" not in found.text


def test_row_55_nobody_is_sent_to_another_site_after_logging_in(browser, desk):
    ann = next(p for p in desk.store.people() if p.name == "Ann")
    desk.store.set_password(ann.id, "a long enough password")
    for to in (
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "/x\r\nSet-Cookie: a=b",
    ):
        fields = {"name": "Ann", "password": "a long enough password", "next": to}
        found = browser().post("/login", data=fields, follow_redirects=False)
        assert (found.status_code, found.headers["location"]) == (303, "/")


def test_row_56_logging_in_makes_a_new_session_and_logging_out_ends_it_everywhere(browser, desk):
    ann = next(p for p in desk.store.people() if p.name == "Ann")
    desk.store.set_password(ann.id, "a long enough password")
    client = browser()
    client.cookies.set(COOKIE, "chosen-by-somebody-else")
    client.post("/login", data={"name": "Ann", "password": "a long enough password"}, follow_redirects=False)
    mine = next(c.value for c in client.cookies.jar if c.name == COOKIE and c.value != "chosen-by-somebody-else")
    thief, forger = browser(), browser()
    thief.cookies.set(COOKIE, mine)
    forger.cookies.set(COOKIE, "chosen-by-somebody-else")
    assert thief.get("/me", follow_redirects=False).status_code == 200
    assert forger.get("/me", follow_redirects=False).status_code == 303
    thief.post("/logout", data={"csrf": thief.csrf()})
    again = browser()
    again.cookies.set(COOKIE, mine)
    assert again.get("/me", follow_redirects=False).status_code == 303


@pytest.mark.parametrize(
    ("headers", "content"),
    [
        ({"Content-Length": "-1"}, b""),
        ({"Content-Length": "99999999999"}, b""),
        ({"Content-Type": "multipart/form-data; boundary=x"}, b"--x\r\n" + b"A: b\r\n" * 10_000 + b"\r\n\r\n--x--"),
        ({"Content-Type": "multipart/form-data; boundary=x"}, b"--x\r\nA: " + b"b" * 1_000_000 + b"\r\n\r\n\r\n--x--"),
        (
            {"Content-Type": "multipart/form-data; boundary=x"},
            b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n' * 10_000 + b"--x--",
        ),
        ({"Content-Type": "multipart/form-data"}, b"no boundary"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, b"&".join(b"a%d=1" % n for n in range(10_000))),
        ({"Content-Type": "application/x-www-form-urlencoded"}, b"a=%FF%FE"),
        ({"Content-Type": "application/json"}, b"[" * 100_000),
        ({"Content-Type": "application/json"}, b'{"question": "\\ud800"}'),
        ({"Content-Type": "application/json"}, b'{"question": ["x", "\\ud900"]}'),
        ({"Content-Type": "application/json"}, b'{"question": "\\u0000"}'),
        ({"Content-Type": "application/json"}, b'{"\\udc00": "x"}'),
        ({"Content-Type": "application/x-www-form-urlencoded"}, b"a=%00"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, b"a=" + b"x" * 3_000_000),
    ],
    ids=range(15),
)
def test_row_58_a_form_that_means_harm_is_refused_quickly(browser, headers, content):
    client = browser("Ann")
    csrf = client.csrf()
    for path in ("/courses/insurance/ask", "/courses/insurance/drafts/000000000000/document"):
        found = client.post(path, content=content, headers={"X-CSRF-Token": csrf, **headers})
        assert found.status_code in (400, 404)


def test_any_character_can_be_written_in_any_way(browser, desk):
    client = browser("Ann")
    for label in ("An otter \U0001f9a6", "\\ud800 and \\u0000, as programs write them"):
        client.post("/me/keys", content=json.dumps({"label": label}), headers={"X-CSRF-Token": client.csrf(), **JSON})
        assert desk.store.keys()[-1]["label"] == label


@pytest.mark.parametrize(
    ("kind", "limit"), [("multipart/form-data; boundary=x", "UPLOAD_S"), ("application/json", "FORM_S")]
)
def test_row_66_a_form_that_does_not_come_is_given_up(desk, monkeypatch, kind, limit):
    monkeypatch.setattr(app, limit, 0.05)
    key, said = desk.store.make_key(desk.store.people()[0], "k"), []

    async def receive():
        await anyio.sleep(60)

    async def send(message):
        said.append(message)

    anyio.run(make_app(desk, hosts=("testserver",)), scope_of(key, kind), receive, send)
    assert said[0]["status"] == 400
    assert b"in time" in said[1]["body"]


@pytest.mark.parametrize(
    ("kind", "most"), [("multipart/form-data; boundary=x", MAX_UPLOAD), ("application/json", MAX_FORM)]
)
def test_no_more_is_read_than_may_be_sent_whatever_a_request_says_of_its_length(desk, kind, most):
    key = desk.store.make_key(desk.store.people()[0], "k")
    head = b'--x\r\nContent-Disposition: form-data; name="patch"; filename="a"\r\n\r\n'
    read, statuses = [], []

    async def receive():
        read.append(b"x" * 2**20 if read else head)
        return {"type": "http.request", "body": read[-1], "more_body": len(read) < 150}

    async def send(message):
        statuses.append(message.get("status"))

    scope = scope_of(key, kind)
    anyio.run(make_app(desk, hosts=("testserver",)), scope, receive, send)
    assert statuses[0] == 400
    assert len(read) <= most / 2**20 + 2


def test_row_61_a_key_is_taken_from_one_header_and_for_the_api_alone(browser, desk):
    key = desk.store.make_key(desk.store.people()[0], "k")
    client = browser()
    assert client.get("/api/v1/courses/insurance", headers={"Authorization": f"Bearer {key}"}).status_code == 200
    for headers in ({"X-API-Key": key}, {"Authorization": f"Basic {key}"}, {"Cookie": f"homeroom={key}"}):
        assert client.get("/api/v1/courses/insurance", headers=headers).status_code == 401
    assert client.get(f"/api/v1/courses/insurance?key={key}").status_code == 401
    assert client.get("/me", headers={"Authorization": f"Bearer {key}"}, follow_redirects=False).status_code == 303


def test_row_65_an_error_of_ours_shows_a_number_and_nothing_else(browser, desk, monkeypatch, caplog):
    client = browser("Ann")
    monkeypatch.setattr(desk.store, "keys", lambda person: 1 / 0)
    found = client.get("/me")
    assert found.status_code == 500
    number = re.search(r"log as (\w{8})", found.text)[1]
    assert "ZeroDivision" not in found.text
    assert str(desk.home) not in found.text
    assert number in caplog.text


def test_the_api_says_what_the_pages_say_and_describes_itself(browser):
    client = browser("Ann")
    document = json.loads(client.get("/api/v1/openapi.json").text)
    assert document["openapi"] == "3.1.0"
    described = {(m, p) for p, ops in document["paths"].items() for m in ops}
    assert described == {(p.method.lower(), f"/api/v1{p.path}") for p in ROUTES if p.api}
    found = client.get("/api/v1/courses/insurance").json()
    assert found["totals"]["leaves"] == 1
    assert found["gaps"][0]["path"] == "knowledge/insurance/claims"
    assert "figure" not in found
