"""The whole way in a real browser with the real embedded models: from a PDF to a contribution, a run and a correction.

It takes a quarter of an hour, so it is run by `make journey` alone; what it counted and how long each step took goes to
`benchmarks/results/journey.json`. Every job is one of the queue, done by the worker that `homeroom web` starts.
"""

import json
import os
import platform
import re
import time
from pathlib import Path

import chromium as browsers
import pytest
import scripted_teacher
from documents.made import pdf
from scripted_endpoint import scripted_server
from tiny_student import make_tiny_student
from web_process import start

from homeroom.core.files import write_json

pytestmark = [
    pytest.mark.skipif(os.environ.get("HOMEROOM_JOURNEY") != "1", reason="make journey"),
    pytest.mark.skipif(browsers.PROGRAM is None, reason="needs chromium"),
    pytest.mark.real_student,
]
ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "benchmarks" / "results" / "journey.json"
LONG_S = 1_500  # for a job; this machine may be busy with others
MOST = 25  # clicks and typed fields to a first contribution, beside the text itself
SMALL = ("samples.teacher_tokens=900", "exam.questions=8", "samples.rewrites=0", "evaluate.with_sources=false")
BOOK = {
    "Opening hours": "The Otter Club opens at 7 in the morning on every day but Monday. It closes at 9 in the evening. "
    "On Monday the house is closed for cleaning. The gate code is 4417 and changes in March.",
    "Boats": "A member may borrow two boats for five hours. A boat lies at Nettle Quay. A lost paddle costs 35 crowns. "
    "Odile Varrick mends the boats in the red shed. Nobody may row after sunset.",
    "Fees": "A member pays 90 crowns for each year. A child pays 20 crowns for each year. The fee is due in February. "
    "Whoever pays after April pays 10 crowns more. The treasurer is Bram Tolliver.",
    "Guests": "A member may bring three guests on a Sunday. A guest signs the blue book at the door. A guest pays "
    "4 crowns for tea. Guests leave the house before 6 in the evening.",
    "Storms": "When the storm flag is up no boat may leave the quay. The storm flag is yellow. The warden raises the "
    "flag at wind force six. A boat that is out comes back to the near shore at once.",
}
DONE = "document.querySelector('.tag.done, .tag.failed, .tag.cancelled')"


class Hand:
    """A person: clicks what is shown, types into what is shown, and counts both."""

    def __init__(self, page):
        self.page, self.clicks, self.fields, self.seconds, self.began = page, 0, 0, {}, time.monotonic()

    def click(self, selector, text=""):
        every = f"[...document.querySelectorAll({json.dumps(selector)})]"
        found = f"{every}.find(e => e.innerText.includes({json.dumps(text)}))" if text else f"{every}[0]"
        self.page.until(found, seconds=60)
        self.page.js(f"{found}.click()")
        self.clicks += 1

    def goes(self, expression, seconds=60):
        """Wait for the next page, and for what must be on it."""
        self.page.until(f"document.readyState == 'complete' && ({expression})", seconds=seconds)

    def type(self, id, text):
        self.page.until(f"document.getElementById({json.dumps(id)})")
        self.page.js(f"document.getElementById({json.dumps(id)}).select?.()")
        self.page.type(id, text)
        self.fields += 1

    def choose_file(self, selector, path):
        self.page.call("DOM.enable")
        root = self.page.call("DOM.getDocument")["root"]["nodeId"]
        node = self.page.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.page.call("DOM.setFileInputFiles", nodeId=node, files=[str(path)])
        self.clicks += 1

    def step(self, name):
        """Note how long it took until here."""
        self.seconds[name] = round(time.monotonic() - self.began)
        self.began = time.monotonic()
        print(f"{name}: {self.seconds[name]} s, {self.clicks} clicks, {self.fields} fields", flush=True)


def brief(messages):
    """The scripted teacher, in as few words as a draft gives it for questions."""
    text = scripted_teacher.answer(messages)
    return "\n".join(text.splitlines()[:3]) if messages[-1]["content"].startswith("Fact:") else text


@pytest.fixture(params=["scripted", "embedded"])
def settings(request, tmp_path):
    """What the jobs are given: first a scripted teacher and a tiny student, to see that the way is whole; then ours."""
    if request.param == "embedded":
        yield SMALL
        return
    student = make_tiny_student(tmp_path / "student")
    with scripted_server(brief) as url:
        models = (f"teacher.url={url}", "teacher.model=scripted", f"student.model={student}")
        yield (*models, *SMALL, "evaluate.max_tokens=6", "samples.manners=2")


@pytest.fixture
def club(tmp_path, settings):
    """A folder with one empty course, settings that keep the jobs short, and a PDF beside it."""
    home = tmp_path / "courses"
    (home / "otter-club" / "knowledge").mkdir(parents=True)
    (home / ".homeroom").mkdir()
    write_json(home / ".homeroom" / "options.json", list(settings))
    pages = []
    for title, text in BOOK.items():
        lines = re.findall(r".{1,78}(?:\s|$)", text)
        pages.append([(72, 720, 22, title), *((72, 690 - 16 * n, 12, line.strip()) for n, line in enumerate(lines))])
    (tmp_path / "Otter handbook.pdf").write_bytes(pdf(*pages))
    return home


def contribute(hand, link, document):
    """Open the page for the first time, and hand in what a PDF says."""
    hand.page.open(link)
    hand.type("name", "Ann Example")
    hand.click("main button")
    hand.goes("location.pathname == '/'")
    hand.step("account")
    first = hand.clicks, hand.fields
    hand.click(".cards a")
    hand.click("a.button", "Teach")
    hand.goes("document.getElementById('folder')")
    hand.type("name", "Otter Club")
    hand.click("main form button", "Begin")
    hand.goes("document.querySelector('#file')")
    hand.choose_file("#file", document)
    hand.click("#document form button")
    hand.goes("document.querySelector('.paragraph')")
    assert hand.page.js("document.querySelector('.text').innerText").count("crowns") >= 4
    hand.step("document")
    hand.click("#teacher button")
    hand.goes("document.querySelector('#teacher .note')")
    drafted = "document.querySelector('#teacher') && !document.querySelector('#teacher .dot')"
    hand.goes(drafted, seconds=LONG_S)
    assert not hand.page.js("!!document.querySelector('#teacher .bad')"), hand.page.js("document.body.innerText")
    hand.step("draft")
    hand.type("creators", "The Otter Club")
    hand.page.js("(e => { e.value = 'CC-BY-4.0'; e.dispatchEvent(new Event('change', {bubbles: true})); })"
                 "(document.getElementById('licence'))")  # fmt: skip
    hand.clicks += 1
    hand.goes("!document.querySelector('#verdict .open')", seconds=30)
    hand.click("button[value=submit]")
    hand.goes("document.querySelector('input[name=signed]')")
    hand.click("input[name=signed]")
    hand.click("main form button", "Hand it in")
    hand.goes("document.querySelector('.tag.waiting')")
    hand.step("hand in")
    return {
        "clicks": hand.clicks,
        "fields": hand.fields,
        "account": dict(zip(("clicks", "fields"), first, strict=True)),
    }


def learn(hand):
    """Take it in as its reader, let the student learn it in a small run, and return what the report says."""
    hand.click("button", "Take it into the course")  # a maintainer's look; here it is the same person
    hand.goes("document.querySelector('.tag.accepted')")
    hand.step("review")
    hand.click(".tabs a", "Runs")
    hand.goes("document.querySelector('input[value=try]')")
    hand.click("input[value=try]")
    hand.click("main form button", "Begin")
    hand.goes("location.pathname.startsWith('/runs/')")
    seen = time.monotonic()
    hand.goes(DONE, seconds=LONG_S)  # told by the stream of events, without a reload
    assert hand.page.js("!!document.querySelector('.tag.done')"), hand.page.js("document.body.innerText")
    assert time.monotonic() - seen > 5
    assert hand.page.js("document.querySelectorAll('.stages .done').length") == 7
    hand.step("run")
    hand.click("a.button", "See the report")
    hand.goes("document.querySelector('iframe.report')")
    return hand.page.js("[...document.querySelectorAll('.totals dd')].map(e => e.innerText)")


def compare_and_correct(hand):
    """Ask before and now, correct the answer, hand the correction in, and return both answers."""
    hand.click(".tabs a", "Ask")
    hand.goes("document.getElementById('question')")
    hand.type("question", "How much does a lost paddle cost?")
    hand.click("main form button", "Ask")
    hand.goes("document.querySelectorAll('#answers .both section').length == 2", seconds=300)
    answers = hand.page.js("[...document.querySelectorAll('#answers .pre')].slice(0, 2).map(e => e.innerText)")
    assert "35 crowns" in hand.page.js("document.querySelector('#answers details').innerText")
    hand.step("compare")
    hand.click("#answers .tuned button")
    hand.goes("document.getElementById('answer')")
    hand.type("answer", "A lost paddle costs 35 crowns, says the club.")
    hand.type("text-passage", "A lost paddle costs 35 crowns.")
    hand.click("main form button")
    hand.goes("document.querySelector('input[name=signed]')")
    hand.click("input[name=signed]")
    hand.click("main form button", "Hand it in")
    hand.goes("document.querySelector('.tag.waiting')")
    hand.step("correct")
    return answers


def test_the_whole_journey(club, tmp_path, settings):
    server, link = start(club)
    base = link.split("/enter")[0]
    try:
        with browsers.chromium(tmp_path / "profile") as page:
            hand = Hand(page)
            counted = contribute(hand, link, tmp_path / "Otter handbook.pdf")
            assert counted["clicks"] + counted["fields"] <= MOST
            right, answers = learn(hand), compare_and_correct(hand)
            asked = {told["request"]["url"] for told in page.told("Network.requestWillBeSent")}
            assert not [url for url in asked if not re.match(rf"{re.escape(base)}/|data:|about:", url)]
    finally:
        server.terminate()
        server.wait(60)
        server.stderr.close()
    if settings is not SMALL:
        return
    machine = f"{os.cpu_count()} cores, {platform.machine()}, load {os.getloadavg()[0]:.1f} at the end"
    result = {"first_contribution": counted, "seconds": hand.seconds, "report": right, "answers": answers}
    write_json(RESULT, {**result, "settings": list(SMALL), "machine": machine})
