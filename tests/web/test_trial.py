"""What a contribution would teach, tried out before a decision: the real stages, a scripted teacher, a tiny student."""

import re
import subprocess
from pathlib import Path

import otter_course
import pytest
import scripted_teacher
from scripted_endpoint import scripted_server
from tiny_embedder import TinyEmbedder
from tiny_student import make_tiny_student
from web_forms import field, handed_in, written

from homeroom.cli.task import KINDS
from homeroom.core.files import write_json
from homeroom.jobs.machine import identity
from homeroom.web.pages_trial import sweep


@pytest.fixture(scope="module")
def student(tmp_path_factory):
    return make_tiny_student(tmp_path_factory.mktemp("student"))


@pytest.fixture
def small(desk, student, monkeypatch):
    """Let the server's jobs use a scripted teacher and a tiny student, and ask it little."""
    from homeroom.evaluate import exam

    whole = exam.shipped
    monkeypatch.setattr(exam, "shipped", lambda name: whole(name)[:4])
    monkeypatch.setattr("homeroom.models.embedder.shipped_embedder", lambda *args: TinyEmbedder())
    monkeypatch.setattr("homeroom.generate.replay.replay_prompts", lambda: ["Say hello.", "Name a colour."])
    with scripted_server(scripted_teacher.answer) as url:
        models = (f"teacher.url={url}", "teacher.model=scripted", f"student.model={student}")
        write_json(desk.state / "options.json", [*models, *otter_course.SETTINGS, "train.preset=smoke"])
        yield


def do(desk, kind):
    """Do the job that waits, as a worker would, and return it."""
    lease = desk.queue.claim(identity(), [kind])
    told = []
    result = KINDS[kind](lease.job.spec, lambda **value: told.append(value))
    assert [t["progress"] for t in told if "progress" in t]
    desk.queue.finish(lease, "done", result=result)
    return desk.queue.get(lease.job.id)


def test_a_reader_sees_samples_and_a_small_run_of_exactly_what_was_handed_in(browser, desk, home, small):
    ben, ann = browser("Ben"), browser("Ann")
    here = handed_in(ben).url.path
    course, before = home / "insurance", sorted((home / "insurance").rglob("*.yaml"))
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=course, capture_output=True, text=True).stdout
    assert "Let the teacher write a few samples" in ann.get(here).text
    assert "Let the teacher write" not in ben.get(here).text
    assert ben.fill(f"{here}/preview").status_code == 403

    for _ in range(2):  # a double click is one job
        page = ann.fill(f"{here}/preview")
    assert "It waits for the machine." in page.text
    assert len(desk.queue.jobs()) == 1
    done = do(desk, "preview")
    assert done.result["kept"] > 0
    assert done.result["thrown"]["number"] > 0  # the scripted teacher's mistake about 99 things
    page = ann.get(here)
    assert done.result["samples"][0]["answer"].split()[0] in page.text
    assert "99 things" in page.text
    assert "samples were kept as a preview" in ben.get(here).text

    ann.fill(f"{here}/trial")
    folder = next((desk.state / "trials").rglob("qna.yaml")).parents[3]
    job = do(desk, "trial")
    assert job.result["before"]["n"] == len(job.result["items"]) > 0
    page = ann.get(here)
    assert "A fresh student learned this alone" in page.text
    assert all(i["question"].split("?")[0] in page.text.replace("&#39;", "'") for i in job.result["items"][:3])
    assert not folder.exists(), "weights of a trial are not kept"
    assert before == sorted((home / "insurance").rglob("*.yaml"))
    assert not (course / "out").exists()
    assert head == subprocess.run(["git", "rev-parse", "HEAD"], cwd=course, capture_output=True, text=True).stdout

    draft = re.search(r"/drafts/[0-9a-f]{12}", str(ben.fill(f"{here}/reopen").url))[0]
    page = ben.get(f"/courses/insurance{draft}")
    fields = written(field(page.text, "version")) | {"examples-0-pairs-0-answer": "In a green book, since May."}
    ben.fill(f"/courses/insurance{draft}/save", **fields)
    ben.fill(f"/courses/insurance{draft}/submit", signed="yes")
    page = ann.get(here)
    assert "samples were kept as a preview" not in page.text, "what was tried is no longer what is handed in"
    assert "Let the teacher write a few samples" in page.text


def test_row_70_and_74_a_trial_names_only_what_the_server_knows_and_ends_with_the_decision(browser, desk):
    ben, ann = browser("Ben"), browser("Ann")
    here = handed_in(ben).url.path
    ann.fill(f"{here}/trial", folder="/etc", leaf="../..", options="teacher.url=http://evil.example", commit="--help")
    job = desk.queue.jobs()[0]
    assert job.spec["folder"].startswith(str(desk.state))
    assert (job.spec["leaf"], job.spec["options"]) == ("knowledge/clubs/otter-rules", [])
    assert re.fullmatch("[0-9a-f]{40}", job.spec["commit"])
    shown = ann.get(f"/api/v1{here}").text
    assert str(desk.home) not in shown, "the server's paths are nobody's business"
    page = ann.get(here)
    ann.fill(f"{here}/approve", seen=field(page.text, "seen"))
    assert desk.queue.get(job.id).state == "cancelled"
    assert ann.fill(f"{here}/trial").status_code == 400


def being_tried(ann, here, desk):
    """Ask for a trial, and return its lease and the folder that its worker has begun."""
    ann.fill(f"{here}/trial")
    lease = desk.queue.claim(identity(), ["trial"])
    folder = Path(lease.job.spec["folder"])
    folder.mkdir(parents=True)
    return lease, folder


def test_what_was_tried_is_removed_once_it_was_decided_and_its_job_has_ended(browser, desk):
    ann, here = browser("Ann"), handed_in(browser("Ben")).url.path
    lease, folder = being_tried(ann, here, desk)
    ann.fill(f"{here}/reject", note="We have it already.")
    assert folder.is_dir(), "the job is at work there"
    assert desk.queue.renew(lease) is True
    desk.queue.finish(lease, "cancelled")
    sweep(desk)
    assert not folder.parent.exists()


def test_what_is_tried_of_a_contribution_that_waits_is_kept(browser, desk):
    ann, here = browser("Ann"), handed_in(browser("Ben")).url.path
    lease, folder = being_tried(ann, here, desk)
    desk.queue.finish(lease, "cancelled")
    sweep(desk)
    assert folder.is_dir(), "it goes on from there"
