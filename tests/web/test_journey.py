"""The journey by plain forms, as a browser without script makes it: open, teach, hand in, review, in the course."""

import dataclasses
import html
import re
import subprocess
import time
from itertools import permutations

import pytest
from web_forms import NOTES, begin, draft_of, field, handed_in, written

from homeroom.community import review
from homeroom.core import network
from homeroom.core.errors import RefusedError
from homeroom.core.files import write_json, write_jsonl
from homeroom.taxonomy.check import check
from homeroom.web import store
from homeroom.web.app import COOKIE

TERMS = ("yaml", "qna", "git", "branch", "commit", "lora", "seed", "epoch", "taxonomy", "token", "json", "repository")


def test_the_link_lets_in_once_and_makes_the_first_account(home):
    from starlette.testclient import TestClient

    from homeroom.web.app import make_app
    from homeroom.web.desk import Desk

    desk = Desk(home)
    token = desk.store.make_link("enter")
    with TestClient(make_app(desk, hosts=("testserver",))) as client:
        assert "What shall we call you" in client.get(f"/enter/{token}").text
        page = client.post("/welcome", data={"token": token, "name": "Ann Example"})
        assert page.status_code == 200
        assert "insurance" in page.text
        assert [(p.name, p.role) for p in desk.store.people()] == [("Ann Example", "maintainer")]
        other = TestClient(make_app(desk, hosts=("testserver",)))
        assert other.get(f"/enter/{token}").status_code == 403
        assert other.post("/welcome", data={"token": token, "name": "Eve"}).status_code == 403
        again = desk.store.make_link("enter")
        assert other.get(f"/enter/{again}").status_code == 200
        assert other.cookies[COOKIE]
        other.close()


def test_a_topic_is_written_handed_in_approved_and_part_of_the_course(browser, desk, home):
    ben, ann = browser("Ben"), browser("Ann")
    page = handed_in(ben)
    assert "waits for a reader" in page.text
    id = re.search(r"/contributions/([0-9a-f]{12})", str(page.url))[1]
    course = home / "insurance"
    found = review.standing(course, id)
    log = subprocess.run(
        ["git", "log", "-1", "--format=%an%n%B", found.commit], cwd=course, capture_output=True, text=True
    )
    assert log.stdout.startswith("Ben\n")
    assert "Signed-off-by: Ben <" in log.stdout
    assert "The club asked for it." in log.stdout
    assert not (course / "knowledge/clubs/otter-rules/qna.yaml").exists()

    page = ann.get(f"/courses/insurance/contributions/{id}")
    assert "Your decision" in page.text
    assert "Where is rule 1?" in page.text
    page = ann.fill(f"/courses/insurance/contributions/{id}/approve", seen=field(page.text, "seen"))
    assert "part of the course" in page.text
    assert (course / "knowledge/clubs/otter-rules/qna.yaml").is_file()
    result = check([course])
    assert result.ok
    assert "knowledge/clubs/otter-rules" in result.leaves
    assert not [p for p in result.problems if "otter-rules" in p.file]
    status = subprocess.run(["git", "status", "--porcelain"], cwd=course, capture_output=True, text=True).stdout
    assert status == ""
    assert "otter rules" in ben.get("/courses/insurance/leaves?below=knowledge/clubs").text
    assert [n["what"] for n in desk.store.notes()][:2] == ["approved", "handed in"]
    assert desk.store.is_whole()


def test_row_34_a_change_after_the_look_voids_the_approval(browser, home):
    ben, ann = browser("Ben"), browser("Ann")
    id = re.search(r"/contributions/([0-9a-f]{12})", str(handed_in(ben).url))[1]
    seen = field(ann.get(f"/courses/insurance/contributions/{id}").text, "seen")
    page = ben.fill(f"/courses/insurance/contributions/{id}/reopen")
    here = f"/courses/insurance/drafts/{draft_of(page)}"
    fields = written(field(page.text, "version")) | {"examples-0-pairs-0-answer": "Changed behind your back."}
    ben.fill(f"{here}/save", **fields)
    ben.fill(f"{here}/submit", signed="yes")
    late = ann.fill(f"/courses/insurance/contributions/{id}/approve", seen=seen)
    assert late.status_code == 403
    assert "changed after you looked at it" in late.text
    assert not (home / "insurance/knowledge/clubs/otter-rules").exists()
    page = ann.get(f"/courses/insurance/contributions/{id}")
    assert field(page.text, "seen") != seen
    ann.fill(f"/courses/insurance/contributions/{id}/approve", seen=field(page.text, "seen"))
    text = (home / "insurance/knowledge/clubs/otter-rules/qna.yaml").read_text()
    assert "Changed behind your back." in text


def test_changes_can_be_asked_for_and_a_contribution_declined_with_a_reason(browser):
    ben, ann = browser("Ben"), browser("Ann")
    here = str(handed_in(ben).url)
    assert ann.fill(f"{here}/wanted", note=" ").status_code == 400
    ann.fill(f"{here}/wanted", note="Please add\n<script>alert(1)</script> the year.")
    page = ben.get(here)
    assert "changes are wanted" in page.text
    assert "<script>alert(1)</script>" not in page.text
    assert "the year." in page.text
    draft = f"/courses/insurance/drafts/{draft_of(ben.fill(f'{here}/reopen'))}"
    page = ben.fill(f"{draft}/submit", signed="yes")
    assert "waits for a reader" in page.text
    ann.fill(f"{here}/reject", note="It is told elsewhere already.")
    page = ben.get(here)
    assert "It was declined" in page.text
    assert "told elsewhere" in page.text
    assert ben.fill(f"{here}/reopen").status_code == 400


def test_row_60_what_somebody_else_writes_is_not_there_for_others(browser, desk):
    ann, ben = browser("Ann"), browser("Ben")
    here = begin(ann)
    for path in (here, f"{here}/submit"):
        assert ben.get(path).status_code == 404
    for path in ("save", "document", "delete", "submit"):
        assert ben.fill(f"{here}/{path}").status_code == 404
    handed = str(handed_in(ann).url)
    assert ben.get(handed).status_code == 404
    assert ben.get(f"{handed}/patch").status_code == 404
    assert "otter" not in ben.get("/courses/insurance/contributions").text
    assert ann.get(here).status_code == 200
    for kind in ("draft", "preview", "trial"):
        job = desk.queue.submit(kind, {"course": "insurance", "draft": "x", "contribution": "x"}, owner="Ann")
        lease = desk.queue.claim("x", [kind])
        desk.queue.tell(lease, "say", {"text": "what Ann wrote"})
        desk.queue.finish(lease, "done", result={})
        for api in ("", "/api/v1"):
            assert ben.get(f"{api}/runs/{job}/events").status_code == 404


def test_two_windows_on_one_draft_lose_nothing(browser):
    ben = browser("Ben")
    here = begin(ben)
    version = field(ben.get(here).text, "version")
    ben.fill(f"{here}/save", version=version, about="From the first window.")
    late = ben.fill(f"{here}/save", version=version, about="From the second window.")
    assert late.status_code == 409
    assert "From the first window." in late.text
    assert "From the second window." in late.text
    assert "From the first window." in ben.get(here).text
    hidden = re.findall(r'<input type="hidden" name="([\w-]+)" value="([^"]*)">', late.text)
    kept = {name: html.unescape(value) for name, value in hidden}
    assert kept.pop("csrf")
    ben.fill(f"{here}/save", **kept)
    assert "From the second window." in ben.get(here).text


def test_two_people_on_one_leaf_the_second_is_shown_the_difference(browser, home):
    ann, ben = browser("Ann"), browser("Ben")
    place = "knowledge/insurance/claims"
    drafts = {}
    for who, client in (("Ann", ann), ("Ben", ben)):
        page = client.fill("/courses/insurance/improve", place=place)
        drafts[who] = f"/courses/insurance/drafts/{draft_of(page)}"
    assert "Ann is also working on this" in ben.get(f"/courses/insurance/leaf?place={place}").text
    for who, client in (("Ann", ann), ("Ben", ben)):
        version = field(client.get(drafts[who]).text, "version")
        client.fill(f"{drafts[who]}/save", version=version, about=f"A handbook, says {who}.")
    page = ann.fill(f"{drafts['Ann']}/submit", signed="yes")
    ann.fill(f"{page.url}/approve", seen=field(page.text, "seen"))
    page = ben.get(f"{drafts['Ben']}/submit")
    assert "Somebody changed this since you began" in page.text
    assert "says Ann." in page.text
    assert "says Ben." in page.text
    assert ben.fill(f"{drafts['Ben']}/submit", signed="yes").status_code == 403
    page = ben.fill(f"{drafts['Ben']}/submit", signed="yes", over="yes")
    page = ann.get(str(page.url))
    late = ann.fill(f"{page.url}/approve", seen=field(page.text, "seen"))
    assert late.status_code == 200, late.text
    assert "says Ben." in (home / "insurance" / place / "qna.yaml").read_text()


def test_two_who_wait_with_one_leaf_the_second_opens_it_again_and_goes_on_top(browser, home):
    ann, ben, place = browser("Ann"), browser("Ben"), "knowledge/insurance/claims"
    handed = {}
    for who, client in (("Ann", ann), ("Ben", ben)):
        draft = f"/courses/insurance/drafts/{draft_of(client.fill('/courses/insurance/improve', place=place))}"
        version = field(client.get(draft).text, "version")
        client.fill(f"{draft}/save", version=version, about=f"A handbook, says {who}.")
        handed[who] = client.fill(f"{draft}/submit", signed="yes").url.path

    def approve(path):
        return ann.fill(f"{path}/approve", seen=field(ann.get(path).text, "seen"))

    assert approve(handed["Ann"]).status_code == 200
    late = approve(handed["Ben"])
    assert late.status_code == 403
    assert "Ask its author to open it again" in late.text
    draft = f"/courses/insurance/drafts/{draft_of(ben.fill(handed['Ben'] + '/reopen'))}"
    assert ben.fill(f"{draft}/submit", signed="yes").status_code == 403, "Ann's words are not dropped unseen"
    assert ben.fill(f"{draft}/submit", signed="yes", over="yes").url.path == handed["Ben"]
    assert "says Ann." in ann.get(handed["Ben"]).text, "the reader sees what it would replace"
    patch = ben.get(f"{handed['Ben']}/patch").text
    assert patch.count("\nSubject:") == 1
    assert approve(handed["Ben"]).status_code == 200
    assert "says Ben." in (home / "insurance" / place / "qna.yaml").read_text()
    assert ben.get(f"{handed['Ben']}/patch").text == patch, "what was taken in can still be looked at and carried on"
    assert "says Ann." in ann.get(handed["Ben"]).text


def test_row_32_the_same_words_from_somebody_else_take_nothing_away_from_their_author(browser, desk, home):
    desk.store.add_person("Cy", role="contributor")
    ben, cy = browser("Ben"), browser("Cy")
    mine = handed_in(ben).url.path
    files = {"patch": ("x.patch", ben.get(f"{mine}/patch").content)}
    draft = f"/courses/insurance/drafts/{draft_of(cy.fill('/courses/insurance/bring', files=files))}"
    theirs = cy.fill(f"{draft}/submit", signed="yes").url.path
    right = {"question": "When must I tell you?", "answer": "Within nine weeks.", "wrong": "Soon."}
    said = {"passage": "A claim must reach us within nine weeks of the loss."}
    corrections = {c: c.fill("/courses/insurance/correct", **right, **said).url.path for c in (ben, cy)}
    for (one, own), (other, foreign) in (((ben, mine), (cy, theirs)), *permutations(corrections.items())):
        assert own != foreign
        assert (one.get(own).status_code, other.get(own).status_code) == (200, 404)
        assert (one.get(foreign).status_code, other.get(foreign).status_code) == (404, 200)
    found = review.standing(home / "insurance", mine.rsplit("/", 1)[1])
    assert (found.contribution.who, found.stand) == ("Ben", "waiting")
    with pytest.raises(RefusedError, match="somebody else"):
        review.submit(home / "insurance", dataclasses.replace(found.contribution, who="Cy"), {})


def test_a_correction_of_what_was_changed_meanwhile_drops_nobodys_words(browser, home):
    ann, ben, place = browser("Ann"), browser("Ben"), "knowledge/insurance/claims"
    right = {"question": "On which stair do I find your claims desk?", "answer": "On Cooper's Stair.", "wrong": "None."}
    prepared = ben.fill("/courses/insurance/correct", **right).url.path
    draft = f"/courses/insurance/drafts/{draft_of(ann.fill('/courses/insurance/improve', place=place))}"
    ann.fill(f"{draft}/save", version=field(ann.get(draft).text, "version"), about="A handbook, says Ann.")
    page = ann.fill(f"{draft}/submit", signed="yes")
    ann.fill(f"{page.url}/approve", seen=field(page.text, "seen"))
    late = ben.fill(f"{prepared}/submit", signed="yes")
    assert late.status_code == 403
    assert "changed since it was begun" in late.text
    again = ben.fill("/courses/insurance/correct", **right).url.path
    page = ben.fill(f"{again}/submit", signed="yes")
    ann.fill(f"{again}/approve", seen=field(ann.get(again).text, "seen"))
    text = (home / "insurance" / place / "qna.yaml").read_text()
    assert "says Ann." in text
    assert "On which stair do I find" in text


def test_corrections_are_made_under_the_servers_own_settings_and_leave_other_courses_alone(browser, desk, home):
    course, ben = home / "insurance", browser("Ben")
    (course / "recipe.yaml").write_text("network: {private: true}\n")
    right = {"question": "When must I tell you?", "answer": "Within nine weeks.", "wrong": "Soon."}
    said = {"passage": "A claim must reach us within nine weeks of the loss."}
    assert "/contributions/" in ben.fill("/courses/insurance/correct", **right, **said).url.path
    assert not network.is_private()
    write_json(desk.state / "options.json", ["documents.max_mib=0.0001"])
    page = ben.fill("/courses/insurance/correct", **right | {"question": "By when?"}, **said)
    assert page.status_code == 400
    assert "Claims-handbook.md is larger than 0.0001 MiB" in page.text
    write_json(desk.state / "options.json", {"network.private": True})
    for path, fields in (("correct", right | said), ("runs", {}), ("ask", {"question": "Which?"})):
        page = browser("Ann").fill(f"/courses/insurance/{path}", **fields)
        assert page.status_code == 400
        assert "not a list" in page.text
    assert not desk.queue.jobs()


def test_nobody_hands_in_without_the_sign_off_or_with_faults(browser):
    ben = browser("Ben")
    here = begin(ben)
    assert ben.fill(f"{here}/submit").status_code == 403
    page = ben.fill(f"{here}/submit", signed="yes")
    assert page.status_code == 400
    assert "still to be mended" in page.text


def test_every_button_of_the_editor_works_without_script(browser):
    ben = browser("Ben")
    here = begin(ben)
    page = ben.fill(f"{here}/document", files={"document": ("notes.md", NOTES.encode())})

    def press(do, page, **more):
        return ben.fill(f"{here}/save", version=field(page.text, "version"), do=do, **more)

    page = press("take 0", page)
    assert "The Otter Club keeps rule 1" in re.search(r'id="examples-0-context"[^>]*>([^<]*)', page.text)[1]
    page = press("take", page, passage="words that I chose")
    assert re.search(r'id="examples-1-context"[^>]*>words that I chose<', page.text)
    page = press("add-example", page)
    assert 'id="examples-5-context"' in page.text
    page = press("remove-example 5", page)
    assert 'id="examples-5-context"' not in page.text
    page = press("add-pair 0", page)
    assert 'id="examples-0-pairs-3-question"' in page.text
    page = press("remove-pair 0-3", page)
    assert 'id="examples-0-pairs-3-question"' not in page.text
    for odd in ("remove-example 99", "add-pair", "take 9999", "answer 7-7", "nothing", "remove-pair 0-77"):
        page = press(odd, page)
        assert page.status_code == 200


def test_a_contributors_pages_use_no_words_of_the_trade(browser, desk):
    ben, ann = browser("Ben"), browser("Ann")
    handed = str(handed_in(ben).url)
    here = begin(ben, "Another")
    place = "knowledge/insurance/claims"
    row = {"id": "1", "kind": "seed", "leaf": place, "text": "Something."}
    write_jsonl(desk.home / "insurance/out/samples/samples.jsonl", [row])
    write_json(desk.home / "insurance/out/samples/record.json", {"kind": "samples", "format": 1})
    paths = ["/", "/courses/insurance", f"/courses/insurance/leaf?place={place}", "/courses/insurance/leaves", handed]
    paths += ["/courses/insurance/teach", here, f"{here}/submit", "/courses/insurance/contributions", "/models", "/me"]
    paths += [f"/courses/insurance/{name}" for name in ("ask", "correct", "runs", "samples", "report")]
    found = []
    for path in paths:
        for client in (ben, ann):
            page = client.get(path)
            shown = re.sub(r"(?s)<script.*?</script>|<(input|button|option)\b[^>]*>|<[^>]*>", " ", page.text)
            found += [(path, word) for word in TERMS if re.search(rf"\b{word}s?\b", shown, re.I)]
    assert not found


def test_row_25_a_documents_name_cannot_do_harm_and_other_files_are_refused(browser, desk, home):
    ben = browser("Ben")
    here = begin(ben)
    for name in ('"><img src=x onerror=alert(1)>.md', "../../../evil.md", "-rf.md", "x" * 300 + ".md", "\u202efdp.md"):
        page = ben.fill(f"{here}/document", files={"document": (name, NOTES.encode())})
        assert page.status_code == 200, page.text
        assert "<img src=x" not in page.text
        assert "\u202e" not in page.text
    form = desk.store.draft(here.rsplit("/", 1)[1]).form
    assert re.fullmatch(r"[a-z0-9-]+\.md", form["document"])
    for name, content in (("a.exe", b"MZ"), ("a.pdf", b"%PDF-nonsense"), ("a.docx", b"PK\x03\x04junk"), ("a.md", b""),
                          ("a.md", b"\x00\x01\x02"), ("a.pdf", b"<html>")):  # fmt: skip
        page = ben.fill(f"{here}/document", files={"document": (name, content)})
        assert page.status_code == 400, name
    assert not [p for p in home.rglob("*") if "evil" in p.name]


def test_a_closed_account_is_out_at_once_and_a_role_that_is_taken_away_too(browser, desk):
    people = {p.name: p for p in desk.store.people()}
    cora = desk.store.add_person("Cora", role="maintainer")
    client = browser("Cora")
    assert client.get("/people").status_code == 200
    desk.store.set_role(cora.id, "contributor")
    assert client.get("/people").status_code == 403
    browser("Ann").fill(f"/people/{cora.id}/close")
    assert client.get("/me", follow_redirects=False).status_code == 303
    assert browser("Ann").fill(f"/people/{people['Ann'].id}/close").status_code == 403
    assert desk.store.person(people["Ann"].id).closed is False


def test_a_new_password_ends_the_sessions_elsewhere(browser, desk):
    here, elsewhere, ann = browser("Ben"), browser("Ben"), browser("Ann")
    page = here.fill("/me/password", password="a long enough password", again="a long enough password")
    assert "Your password is set" in page.text
    assert elsewhere.get("/me", follow_redirects=False).status_code == 303
    assert ann.get("/me", follow_redirects=False).status_code == 200


def test_behind_a_proxy_a_strangers_wrong_passwords_lock_nobody_else_out(browser, desk, monkeypatch):
    monkeypatch.setattr(store, "FREE_TRIES", -4)
    desk.is_proxied = True
    ann = next(p for p in desk.store.people() if p.name == "Ann")
    desk.store.set_password(ann.id, "a long enough password")
    for n in range(6):
        browser().post("/login", data={"name": f"Nobody {n}", "password": "guess"})
    page = browser().post("/login", data={"name": "Ann", "password": "a long enough password"})
    assert str(page.url).endswith("/"), page.text


def test_row_66_behind_a_proxy_a_flood_of_names_is_bounded_and_locks_nobody_out_for_good(browser, desk, monkeypatch):
    monkeypatch.setattr(store, "MOST_A_MINUTE", 2)
    desk.is_proxied = True
    ann = next(p for p in desk.store.people() if p.name == "Ann")
    desk.store.set_password(ann.id, "a long enough password")

    def tries(name, password="guess"):
        return browser().post("/login", data={"name": name, "password": password})

    for n in range(3):
        assert "is wrong" in tries(f"Nobody {n}").text
    with monkeypatch.context() as during:
        during.setattr(store, "_verified", None)  # no password is looked at any more
        for name in ("Nobody 9", "Ann"):
            assert re.search(r"Too many tries: wait \d+ s", tries(name, "a long enough password").text)
    assert [n["what"] for n in desk.store.notes()] == ["could not log in"] * 3
    desk.store._next -= 30  # half a minute later
    assert tries("Ann", "a long enough password").url.path == "/"


def test_row_66_made_up_names_make_nobody_forget_who_must_wait(desk, monkeypatch):
    monkeypatch.setattr(store, "MOST_KEPT", 3)
    monkeypatch.setattr(store, "_verified", lambda *given: False)
    desk.store._tries["name ann"] = (12, time.monotonic() + 500)
    for name in "abcdef":
        with pytest.raises(RefusedError, match="is wrong"):
            desk.store.log_in(name, "guess", address="")
    assert sorted(desk.store._tries) == ["name ann", "name e", "name f"]
    with pytest.raises(store.TooOften, match="wait"):
        desk.store.log_in("Ann", "guess", address="")


def test_row_66_logging_in_is_slowed_down_and_never_says_who_exists(browser, desk, monkeypatch):
    ann = next(p for p in desk.store.people() if p.name == "Ann")
    desk.store.set_password(ann.id, "a long enough password")
    wrong = [browser().post("/login", data={"name": name, "password": "x"}).text for name in ("Ann", "Nobody")]
    said = [re.search(r'role="alert">(.*?)<', text)[1] for text in wrong]
    assert said[0] == said[1]
    assert store.FREE_TRIES <= 5
    monkeypatch.setattr(store, "FREE_TRIES", -4)  # a wait of minutes: a busy machine outlasts the first second
    for _ in range(2):
        page = browser().post("/login", data={"name": "Ann", "password": "guess"})
    assert "too many tries" in page.text.lower()
    page = browser().post("/login", data={"name": "Ann", "password": "a long enough password"})
    assert page.status_code == 403
    desk.store._tries.clear()
    assert browser().post("/login", data={"name": "Ann", "password": "a long enough password"}).status_code == 200


def test_an_invitation_makes_one_account_with_a_password(browser, desk, monkeypatch):
    page = browser("Ann").fill("/people/invite", role="contributor")
    link = re.search(r"/join/[\w-]+", page.text)[0]
    client = browser()
    assert client.post(link, data={"name": "Dan", "password": "short"}).status_code == 400
    assert client.post(link, data={"name": "ann", "password": "a long enough password"}).status_code == 400
    assert client.post(link, data={"name": "Dan", "password": "a long enough password"}).status_code == 200
    for look in (desk.store.look_at_link, lambda *link: "contributor"):  # and one who looked before it was used up
        monkeypatch.setattr(desk.store, "look_at_link", look)
        assert browser().post(link, data={"name": "Eve", "password": "a long enough password"}).status_code == 403
    assert "Eve" not in [p.name for p in desk.store.people()]
    assert [p.role for p in desk.store.people() if p.name == "Dan"] == ["contributor"]
    stored = next(iter(desk.store._open().execute("SELECT password FROM people WHERE name = 'Dan'")))[0]
    assert stored.startswith("$argon2id$")


def test_a_list_of_what_was_done_that_was_changed_is_seen(desk, browser):
    for n in range(3):
        desk.store.note("Ann", f"did {n}")
    assert desk.store.is_whole()
    with desk.store._write() as database:
        database.execute("UPDATE audit SET what = 'did nothing' WHERE id = 2")
    assert not desk.store.is_whole()
    assert "chain is broken" in browser("Ann").get("/log").text


def test_no_id_is_there_twice_and_every_label_has_its_field(browser):
    ben = browser("Ben")
    here = begin(ben)
    ben.fill(f"{here}/document", files={"document": ("notes.md", NOTES.encode())})
    for path in (here, "/courses/insurance", "/courses/insurance/teach", "/courses/insurance/ask", "/me", "/login"):
        text = ben.get(path).text
        ids = re.findall(r'\bid="([^"]+)"', text)
        assert sorted(ids) == sorted(set(ids)), path
        assert not [name for name in re.findall(r'<label[^>]* for="([^"]+)"', text) if name not in ids], path
