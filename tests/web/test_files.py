"""Files out of the page and into it: a contribution that travels as a patch, examples as tables, and hostile ones."""

import re
import shutil
import subprocess

import pytest
from starlette.testclient import TestClient
from web_forms import begin, draft_of, field, handed_in

from homeroom.author.table import read_examples
from homeroom.community import review
from homeroom.web.app import COOKIE, make_app
from homeroom.web.desk import Desk
from homeroom.web.pages_files import _author

EVIL = """From 0123 Mon Sep 17 00:00:00 2001
From: =?utf-8?q?Eve_=3Cscript=3E?= <eve@example.org>
Subject: [PATCH] x

---
diff --git a/{name} b/{name}
new file mode {mode}
--- /dev/null
+++ b/{name}
@@ -0,0 +1 @@
+{text}
"""


def evil(name, mode="100644", text="x"):
    return EVIL.format(name=name, mode=mode, text=text).encode()


def test_a_contribution_travels_as_a_patch_to_another_server_and_names_its_author(browser, home, tmp_path):
    ben = browser("Ben")
    page = handed_in(ben)
    sent = ben.get(f"{page.url.path}/patch")
    assert "attachment" in sent.headers["content-disposition"]

    other = tmp_path / "other"
    shutil.copytree(home / "insurance", other / "insurance", ignore=shutil.ignore_patterns(".git", "contributions"))
    desk = Desk(other)
    cleo = desk.store.add_person("Cleo", role="maintainer")
    with TestClient(make_app(desk, hosts=("testserver",))) as client:
        client.cookies.set(COOKIE, desk.store.begin_session(cleo))
        csrf = re.search(r'data-csrf="([^"]*)"', client.get("/me").text)[1]
        files = {"patch": ("x.patch", sent.content)}
        page = client.post("/courses/insurance/bring", data={"csrf": csrf}, files=files)
        assert "brought from a file by Ben" in page.text
        assert "The Otter Club keeps rule 1" in page.text
        here = f"/courses/insurance/drafts/{draft_of(page)}"
        assert client.post(f"{here}/submit", data={"csrf": csrf}).status_code == 403, "the bringer signs for it"
        page = client.post(f"{here}/submit", data={"csrf": csrf, "signed": "yes"})
        assert "Brought from a file by Ben." in page.text
        assert "All checks are good." in page.text
        client.post(f"{page.url.path}/approve", data={"csrf": csrf, "seen": field(page.text, "seen")})
    here, there = (folder / "insurance/knowledge/clubs/otter-rules" for folder in (home, other))
    assert not here.exists()
    assert sorted(p.name for p in there.iterdir()) == ["attribution.txt", "notes.md", "qna.yaml"]
    desk.answers.stop()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no patch at all",
        b"\x00" * 100,
        b"x" * 4_000_000,
        evil("../../evil.txt"),
        evil("/etc/evil"),
        evil(".git/hooks/post-checkout"),
        evil("recipe.yaml"),
        evil("knowledge/x/.git/config"),
        evil("knowledge/x/qna.yaml", mode="120000", text="/etc/passwd"),
        evil("knowledge/x/run.sh", mode="100755"),
        evil("knowledge/x/y\\z"),
        evil("knowledge/x/notes.md"),
        evil("knowledge/x/qna.yaml", text="!!python/object/apply:os.system ['touch pwned']"),
        evil("knowledge/x/qna.yaml") + evil("knowledge/y/qna.yaml"),
        b"diff --git a/exam.jsonl b/exam.jsonl\ndeleted file mode 100644\n",
        b"diff --git a/a b/a\nindex 0..1 100644\nGIT binary patch\nliteral 9\nzcmZ?\n",
    ],
    ids=range(17),
)
def test_row_27_to_35_a_hostile_patch_changes_nothing_and_says_why(browser, desk, home, content):
    ben = browser("Ben")
    course = home / "insurance"
    before = sorted((p.relative_to(course), p.read_bytes()) for p in course.rglob("*") if p.is_file())
    page = ben.fill("/courses/insurance/bring", files={"patch": ("x.patch", content)})
    assert page.status_code == 400, page.text
    assert not desk.store.drafts("insurance")
    after = [p for p in course.rglob("*") if p.is_file() and ".git" not in p.relative_to(course).parts]
    assert sorted((p.relative_to(course), p.read_bytes()) for p in after) == before
    state = subprocess.run(["git", "status", "--porcelain"], cwd=course, capture_output=True, text=True).stdout
    assert not state
    assert not [p for p in home.parent.rglob("*") if p.name in ("evil.txt", "pwned", "post-checkout")]


@pytest.mark.parametrize("name", ["=?no-such-code?q?Eve?=", "=?utf-8?b?A?=", "=?idna?q?=FF?="])
def test_an_author_in_signs_that_nobody_knows_breaks_nothing(browser, name):
    content = evil("knowledge/x/qna.yaml").replace(b"=?utf-8?q?Eve_=3Cscript=3E?=", name.encode())
    page = browser("Ben").fill("/courses/insurance/bring", files={"patch": ("x.patch", content)})
    assert page.status_code == 400
    assert _author(content) == ""


def test_many_tables_are_bounded_as_one_is(browser, desk):
    ben = browser("Ben")
    here = begin(ben)
    table = "question,answer,context\n" + "".join(f"Q{n}?,A{n}.,Passage {n}\n" for n in range(40))
    sent = {"table": ("mine.csv", table.encode())}
    assert ben.fill(f"{here}/table", files=sent).status_code == 200
    page = ben.fill(f"{here}/table", files=sent)
    assert page.status_code == 400
    assert "more than 60 examples" in page.text.lower()
    assert len(desk.store.drafts("insurance")[0].form["examples"]) == 40


def test_examples_go_out_and_come_in_as_tables(browser, home):
    ben = browser("Ben")
    here = begin(ben)
    table = "question,answer,context\n" + "".join(f"Q{n}{m}?,A{n}{m}.,Passage {n}\n" for n in "12" for m in "ab")
    page = ben.fill(f"{here}/table", files={"table": ("mine.csv", table.encode())})
    assert "2 examples were added" in page.text
    assert re.search(r'id="examples-1-context"[^>]*>Passage 2<', page.text)
    for kind in ("csv", "docx"):
        saved = ben.get(f"{here}/table?as={kind}")
        assert f"otter-rules.{kind}" in saved.headers["content-disposition"]
        made = read_examples(f"x.{kind}", saved.content, kind="knowledge")
        assert [(e.context, e.pairs[0].answer) for e in made] == [("Passage 1", "A1a."), ("Passage 2", "A2a.")]
        page = ben.fill(f"{here}/table", files={"table": (f"again.{kind}", saved.content)})
        assert page.status_code == 200
    assert ben.get(f"{here}/table?as=exe").status_code == 400
    assert browser("Ann").get(f"{here}/table").status_code == 404
    leaf = ben.get("/courses/insurance/leaf/table?place=knowledge/insurance/claims&as=docx")
    assert len(read_examples("x.docx", leaf.content, kind="knowledge")) >= 5
    assert ben.get("/courses/insurance/leaf/table?place=../../etc").status_code == 404
    for name, content in (("x.pdf", b"%PDF-"), ("x.csv", b"\x00\x01"), ("x.docx", b"MZ"), ("x.csv", b"")):
        assert ben.fill(f"{here}/table", files={"table": (name, content)}).status_code == 400
    page = handed_in(ben)
    saved = ben.get(f"{page.url.path}/table?as=csv")
    assert len(read_examples("x.csv", saved.content, kind="knowledge")) == 5
    assert browser("Cy").get(f"{page.url.path}/table", follow_redirects=False).status_code == 303
    id = page.url.path.rsplit("/", 1)[1]
    assert review.standing(home / "insurance", id).stand == "waiting"
