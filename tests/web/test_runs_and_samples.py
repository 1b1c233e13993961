"""Runs as a page sees them, their stream with Last-Event-ID, and decisions that outlive a generation."""

import contextlib
import json
import os
import re
import shutil
import time

import httpx
import pytest
from web_process import running

from homeroom.core.config import read_recipe
from homeroom.core.files import write_json, write_jsonl
from homeroom.core.types import Message, Rejected, Sample
from homeroom.generate.decisions import decided, key_of, read_decisions
from homeroom.generate.sifted import sifted
from homeroom.jobs.machine import identity
from homeroom.pipeline.plan import seconds_of
from homeroom.web import events, pages_runs
from homeroom.web.app import COOKIE
from homeroom.web.asked import Ask
from homeroom.web.pages_runs import SIZES, follow

LEAF = "knowledge/insurance/claims"


def sample(n, question, answer="Yes."):
    said = (Message(role="user", content=question), Message(role="assistant", content=answer))
    return Sample(id=str(n), kind="direct", messages=said, leaf=LEAF)


@pytest.fixture
def generated(home):
    folder = home / "insurance" / "out" / "samples"
    kept = [sample(n, f"What is rule {n}?", f"Rule {n} is <b>kept</b>.") for n in range(60)]
    thrown = [Rejected(sample=sample(99, "Is this wrong?"), check="number", reason="99 is not in the source")]
    write_jsonl(folder / "samples.jsonl", kept)
    write_jsonl(folder / "rejected.jsonl", thrown)
    write_json(folder / "record.json", {"kind": "samples", "format": 1})
    return kept, thrown


def numbers(page):
    return re.findall(r'name="n" value="(\d+)"', page.text.split("mend")[0])


def of_now(client):
    return client.get("/api/v1/courses/insurance/samples").json()["of"]


def test_samples_are_found_by_words_state_and_page(browser, generated):
    ann = browser("Ann")
    page = ann.get("/courses/insurance/samples")
    assert len(set(re.findall(r'type="checkbox" name="n" value="(\d+)"', page.text))) == 50
    assert "&lt;b&gt;kept" in page.text
    assert len(set(re.findall(r'type="checkbox" name="n"', ann.get("/courses/insurance/samples?page=1").text))) == 1
    assert "99 is not in the source" in ann.get("/courses/insurance/samples?state=rejected").text
    found = ann.get('/api/v1/courses/insurance/samples?q=rule+"7*)').json()
    assert [row["question"] for row in found["rows"]] == ["What is rule 7?"]


def test_decisions_are_kept_in_the_course_and_heeded_by_the_next_generation(browser, generated, home):
    ann, thrown = browser("Ann"), generated[1]
    rows = {row["question"]: row["n"] for row in ann.get("/api/v1/courses/insurance/samples").json()["rows"]}
    path = "/courses/insurance/samples"
    of = of_now(ann)
    both = [rows["What is rule 3?"], rows["What is rule 4?"]]
    ann.fill(path, of=of, what="reject", n=both, reason="not what we say")
    ann.fill(path, of=of, what="edit", n=rows["What is rule 5?"], question="What is rule five?", answer="It is green.")
    ann.fill(path, of=of, what="undo", n=rows["What is rule 4?"])
    back = ann.get("/api/v1/courses/insurance/samples?state=rejected").json()["rows"][0]["n"]
    ann.fill(path, of=of, what="accept", n=back)
    assert ann.fill(path, of=of, what="edit", n=rows["What is rule 5?"], answer=" ").status_code == 400
    assert ann.fill(path, of=of, what="accept").status_code == 400
    assert browser("Ben").fill(path, what="reject", n="1").status_code == 403
    shown = ann.get("/api/v1/courses/insurance/samples?state=decided").json()
    assert {row["decision"] for row in shown["rows"]} == {"reject", "edit", "accept"}

    again = [sample(f"new{n}", f"what is RULE {n}", "Another wording.") for n in range(3, 7)]
    found = sifted(decided([*again, *thrown], read_decisions(home / "insurance"), leaves=[LEAF]))
    said = {s.messages[0].content: s.messages[-1].content for s in found.samples}
    assert said == {
        "what is RULE 4": "Another wording.",
        "What is rule five?": "It is green.",
        "what is RULE 6": "Another wording.",
        "Is this wrong?": "Yes.",
    }
    assert [(r.check, r.reason) for r in found.rejected] == [("person", "not what we say")]
    assert not list(decided([], read_decisions(home / "insurance"), leaves=[]))


def test_decisions_make_the_samples_stale_and_none_leave_them_alone(browser, generated, home):
    from homeroom.pipeline.course import open_course
    from homeroom.pipeline.run import made_from

    course = open_course(home / "insurance")
    assert "decisions" not in made_from(course, "samples")[0]
    ann, of = browser("Ann"), of_now(browser("Ann"))
    ann.fill("/courses/insurance/samples", of=of, what="reject", n="1")
    one = made_from(course, "samples")[0]["decisions"]
    ann.fill("/courses/insurance/samples", of=of, what="reject", n="2")
    assert made_from(course, "samples")[0]["decisions"] != one


def test_a_decision_on_a_page_of_earlier_samples_hits_no_other_sample(browser, generated, home, desk):
    ann, path = browser("Ann"), "/courses/insurance/samples"
    page = ann.get(path).text
    assert len(re.findall(r'name="of" value="(\w+)"', page)) == 51, "every form says which samples it means"
    seen = re.search(r'name="of" value="(\w+)"', page)[1]
    write_jsonl(home / "insurance" / "out" / "samples" / "samples.jsonl", [sample(n, f"New {n}?") for n in range(70)])
    found = ann.fill(path, of=seen, what="reject", n="17")
    assert found.status_code == 403
    assert "other ones by now" in found.text
    key = {"Authorization": f"Bearer {desk.store.make_key(desk.store.people()[0], 'k')}"}
    found = browser().post(f"/api/v1{path}", json={"what": "reject", "n": [17]}, headers=key)
    assert (found.status_code, found.json()["error"]["where"]) == (400, "of"), "a program is told what it left out"
    described = ann.get("/api/v1/openapi.json").json()["paths"]["/api/v1/courses/{course}/samples"]["post"]
    assert "`of`" in described["description"]
    assert not read_decisions(home / "insurance")
    assert ann.fill(path, of=of_now(ann), what="reject", n="17").status_code == 200
    assert [d.reason for d in read_decisions(home / "insurance").values()] == [""]


def test_a_course_keeps_the_index_of_one_whose_name_begins_as_its_own(browser, generated, home, desk):
    ann = browser("Ann")
    shutil.copytree(home / "insurance", home / "insurance.other")
    for name in ("insurance.other", "insurance"):
        ann.get(f"/courses/{name}/samples")
    kept = sorted(p.name.split("@")[0] for p in (desk.state / "samples").glob("*.db"))
    assert kept == ["insurance", "insurance.other"]


def test_the_same_question_is_the_same_sample_whatever_its_answer():
    assert key_of(sample(1, "What is it, then?", "a")) == key_of(sample(2, "what is it then", "b"))
    assert key_of(sample(1, "What is it?")) != key_of(sample(1, "What was it?"))


def test_a_run_is_begun_once_watched_stopped_and_gone_on_with(browser, desk):
    ann, ben = browser("Ann"), browser("Ben")
    page = ann.fill("/courses/insurance/runs", size="try")
    job = int(str(page.url).rsplit("/", 1)[1])
    assert str(ann.fill("/courses/insurance/runs", size="try").url).endswith(f"/runs/{job}")
    assert len(desk.queue.jobs()) == 1
    spec = desk.queue.get(job).spec
    assert spec["folder"] == str(desk.home / "insurance")
    assert "The student is learning right now" in ben.get("/courses/insurance").text
    lease = desk.queue.claim(identity(), ["run"])
    desk.queue.tell(
        lease, "progress", {"stage": "train", "part": 0.5, "left_s": 90, "note": "<i>loss</i>", "whole": 0.7}
    )
    desk.queue.tell(lease, "say", {"text": "<script>alert(1)</script>"})
    page = ben.get(f"/runs/{job}").text
    assert "&lt;i&gt;loss" in page
    assert "&lt;script&gt;" in page
    assert 'width="50"' in page
    assert ben.fill(f"/runs/{job}/cancel").status_code == 403
    ann.fill(f"/runs/{job}/cancel")
    assert desk.queue.renew(lease) is True
    desk.queue.finish(lease, "cancelled")
    ann.fill(f"/runs/{job}/resume")
    assert desk.queue.get(job).state == "queued"
    assert ann.get("/runs/999").status_code == 404


def test_a_run_shows_its_own_loss_and_not_that_of_an_earlier_try(browser, desk, home):
    ann, runs = browser("Ann"), home / "insurance" / "out" / "runs"
    ann.fill("/courses/insurance/runs", size="try")
    for at, (name, loss) in enumerate((("smoke", 8.25), ("flat", 4.5))):
        path = runs / name / "metrics.jsonl"
        write_jsonl(path, [{"tokens": 512 * n, "loss": loss, "tokens_per_second": 100 * loss} for n in range(3)])
        os.utime(path, (1e9 + at, 1e9 + at))
        chart = pages_runs._chart(desk.course("insurance"))
        assert (chart["last"], chart["rate"]) == (loss, 100 * loss)
        assert f"learns; {100 * loss:.0f} words" in ann.get("/runs/1").text
    shutil.rmtree(runs)
    assert ann.get("/runs/1").status_code == 200


def test_row_71_no_setting_of_a_run_comes_from_a_visitor(browser, desk):
    evil = "$(touch pwn); --teacher http://evil.example\n-o x=y"
    page = browser("Ann").fill("/courses/insurance/runs", size=evil, options=evil, folder="/etc", budget=evil)
    job = desk.queue.get(int(str(page.url).rsplit("/", 1)[1]))
    assert job.spec["folder"] == str(desk.home / "insurance")
    assert job.spec["budget"] == "45m"
    assert evil not in job.spec["options"]


def test_row_74_no_job_is_begun_by_who_may_not(browser, desk):
    assert browser("Ben").fill("/courses/insurance/runs", size="try").status_code == 403
    assert browser().post("/courses/insurance/runs", data={"size": "try"}).status_code == 401
    assert not desk.queue.jobs()


def test_a_run_that_says_nothing_for_long_or_fails_is_not_called_fine(browser, desk):
    ann = browser("Ann")
    ann.fill("/courses/insurance/runs", size="try")
    lease = desk.queue.claim(identity(), ["run"])
    with desk.queue._write() as database:
        database.execute("UPDATE jobs SET told = told - 1000")
    assert "Nothing was heard of it for 17 min" in ann.get("/runs/1").text
    desk.queue.finish(lease, "failed", reason="the teacher could not be reached", result={"hint": "Start it."})
    page = ann.get("/runs/1").text
    assert "could not go on" in page
    assert "the teacher could not be reached" in page
    assert "Start it." in page
    assert "has learned" not in page


def stream_of(desk, name, job, after):
    person = next(p for p in desk.store.people() if p.name == name)
    session = desk.store.session(desk.store.begin_session(person))
    ask = Ask(desk=desk, session=session, person=person, path={"job": str(job)}, query={}, after=after)
    return follow(ask), session


async def take(stream, until):
    """Return the events of a stream as (id, data) until one of them makes `until` true."""
    found = []

    async def gone():
        return False

    async for part in events.follow(stream, gone):
        if match := re.match(r"id: (\d+)\ndata: (.*)\n\n", part):
            found.append((int(match[1]), json.loads(match[2])))
        if until(part):
            break
    return found


def test_a_stream_that_was_cut_goes_on_after_the_last_event(browser, desk):
    import anyio

    browser("Ann").fill("/courses/insurance/runs", size="try")
    lease = desk.queue.claim(identity(), ["run"])
    for n in range(3):
        desk.queue.tell(lease, "say", {"text": f"line {n}"})
    stream, _ = stream_of(desk, "Ann", 1, 0)
    first = anyio.run(take, stream, lambda part: part.startswith("id:"))
    assert first[0][1]["lines"] == ["line 0", "line 1", "line 2"]
    desk.queue.tell(lease, "say", {"text": "line 3"})
    desk.queue.finish(lease, "done", result={})
    stream, _ = stream_of(desk, "Ann", 1, first[0][0])
    rest = anyio.run(take, stream, lambda part: part.startswith("event: bye"))
    assert rest[0][1]["lines"] == ["line 3"]
    assert "was examined" in rest[0][1]["html"]


def test_row_56_a_stream_ends_when_its_account_is_closed(browser, desk):
    import anyio

    browser("Ann").fill("/courses/insurance/runs", size="try")
    stream, session = stream_of(desk, "Ben", 1, 10_000)
    desk.store.close(session.person.id)
    assert anyio.run(take, stream, lambda part: part.startswith("event: bye")) == []


def test_a_person_follows_a_few_runs_at_once_and_is_told_so_before_the_stream_begins(browser, desk):
    browser("Ann").fill("/courses/insurance/runs", size="try")
    lease = desk.queue.claim(identity(), ["run"])
    for line in ("first", *["more"] * 250):
        desk.queue.tell(lease, "say", {"text": line})
    names = {p.name: f"{COOKIE}={desk.store.begin_session(p)}" for p in desk.store.people()}
    with running(desk) as at, contextlib.ExitStack() as opened:

        def follow_as(name):
            client = opened.enter_context(httpx.Client(trust_env=False, timeout=60))
            sent = client.build_request("GET", f"{at}/runs/1/events", headers={"Cookie": names[name]})
            return client.send(sent, stream=True)

        mine = [follow_as("Ann") for _ in range(events.MOST_OF_ONE)]
        assert {found.status_code for found in mine} == {200}
        found = follow_as("Ann")
        assert found.status_code == 429
        assert "too many pages" in found.read().decode().lower()
        ben = follow_as("Ben")
        assert ben.status_code == 200
        told = next(part for part in ben.iter_text() if "data:" in part)
        mine[0].close()
        end = time.monotonic() + 60
        while (again := follow_as("Ann")).status_code != 200:
            assert time.monotonic() < end
            again.close()
            time.sleep(0.1)
    assert "more" in told
    assert desk.queue.latest(1, 200) == desk.queue.events(1, limit=1000)[-200:]
    assert "first" not in browser("Ann").get("/runs/1").text, "a page reads the end of a log, not all of it"


@pytest.mark.parametrize("size", SIZES)
def test_every_size_of_a_run_names_settings_that_there_are(home, size):
    read_recipe(home / "insurance", SIZES[size]["options"])
    assert not SIZES[size]["budget"] or seconds_of(SIZES[size]["budget"]) >= 300
