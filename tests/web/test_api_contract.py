"""The API under made-up requests: it never breaks, and says nothing but what its own description allows.

`benchmarks/api_fuzz.py` lets schemathesis do the same from outside, in an environment of its own.
"""

import json
import random
import re

from web_forms import begin, handed_in

from homeroom.web.answers import Answers
from homeroom.web.routes import ROUTES

EACH = 5  # made-up requests an operation
NAMES = [
    *("name", "kind", "folder", "place", "what", "n", "question", "answer", "reason", "note", "seen", "signed", "why"),
    *(
        "over",
        "do",
        "version",
        "passage",
        "csrf",
        "role",
        "label",
        "course",
        "example",
        "size",
        "once",
        "about",
        "title",
    ),
    *("examples-0-context", "examples-0-pairs-0-question", "back", "as", "q", "page", "state", "stand"),
]
VALUES = ["yes", "knowledge", "skill", "accept", "edit", "undo", "0", "-1", "1e9", "../..", "\x00", "𝔘", "x" * 900, ""]
ODD = [None, True, 7, -1.5, 10**40, [], ["a", "b"], [1, [2]], {"a": 1}, "\ud800"]
WHOLE = [None, [], "text", 7, {"a": {"b": 1}}]
PARTS = ["x", "%00", "9" * 20, "%F0%9F%A6%A6", "..%2f", "insurance.", "-"]


def made_up(chance, place, known):
    """Return an address and the options of a request: often something that is there, sometimes nonsense."""
    path = place.path
    for name in re.findall(r"\{(\w+)\}", path):
        path = path.replace(f"{{{name}}}", known[name] if chance.random() < 0.75 else chance.choice(PARTS))
    query = {name: chance.choice(VALUES) for name in chance.sample(NAMES, chance.randrange(3))}
    if place.method == "GET":
        return path, {"params": query}
    body = {name: chance.choice(VALUES if chance.random() < 0.8 else ODD) for name in chance.sample(NAMES, 6)}
    sent = json.dumps(body if chance.random() < 0.85 else chance.choice(WHOLE))
    return path, {"params": query, "content": sent, "headers": {"Content-Type": "application/json"}}


def test_no_request_breaks_the_api_and_every_answer_is_described(browser, desk):
    ann, client, chance = browser("Ann"), browser(), random.Random(7)
    desk.answers = Answers(program=("false",))  # what a model says is not asked here
    client.headers["Authorization"] = f"Bearer {desk.store.make_key(desk.store.people()[0], 'k')}"
    id = handed_in(ann).url.path.rsplit("/", 1)[1]
    described = json.loads(client.get("/api/v1/openapi.json").content)["paths"]
    faults = []
    for place in (p for p in ROUTES if p.api):
        operation = described[f"/api/v1{place.path}"][place.method.lower()]
        for _ in range(EACH):
            known = {"course": "insurance", "job": "1", "person": "2", "draft": "0" * 12, "id": id}
            if "{draft}" in place.path:
                drafts = desk.store.drafts("insurance")
                known["draft"] = drafts[0].id if drafts else begin(ann, f"n{chance.random()}").rsplit("/", 1)[1]
            for part in operation["parameters"]:
                assert re.search(part["schema"]["pattern"], known[part["name"]])
            path, options = made_up(chance, place, known)
            answer = client.request(place.method, f"/api/v1{path}", follow_redirects=False, **options)
            said = f"{place.method} {path} {options}: {answer.status_code} {answer.text[:200]}"
            if str(answer.status_code) not in operation["responses"]:
                faults.append(said)
            elif answer.status_code not in (200, 409):
                assert answer.headers["content-type"] == "application/json", said
                error = answer.json().get("error")
                assert error is None or set(error) == {"message", "where", "hint"}, said
            assert str(desk.home) not in answer.text, said
    assert not faults, "\n".join(faults)


def test_a_wrong_method_is_told_which_is_right(browser):
    answer = browser("Ann").request("DELETE", "/api/v1/courses/insurance")
    assert answer.status_code == 405
    assert "GET" in answer.headers["allow"]
