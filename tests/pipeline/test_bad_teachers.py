"""Teachers whose transport fails: empty, cut off, slow, erring at random, or not there. The run ends truthfully, what
was good is kept, and once the teacher is well the run goes on to what it would have been.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import otter_course
import pytest
import scripted_teacher
from otter_course import comparable, kept_requests
from scripted_endpoint import Raw, completion, scripted_server
from tiny_embedder import TinyEmbedder

from homeroom.core import network
from homeroom.core.errors import HomeroomError, MachineError, RefusedError, StageError
from homeroom.models.endpoint import Endpoint
from homeroom.pipeline import run as running
from homeroom.pipeline.course import Course, open_course

KEY = "sk-very-secret-0123456789"
FILES = ("facts/facts.jsonl", "samples/samples.jsonl", "samples/rejected.jsonl")
Mood = Callable[[list[dict[str, str]], dict[str, Any], int], "str | Raw"]


class Teacher:
    """A scripted teacher whose mood a test sets; it gets the messages, the request and how often it was asked that."""

    def __init__(self) -> None:
        self.mood: Mood | None = None
        self.times: dict[str, int] = {}

    def answer(self, messages: list[dict[str, str]], request: dict[str, Any]) -> str | Raw:
        """Answer as the mood is."""
        key = comparable(request)
        self.times[key] = self.times.get(key, 0) + 1
        return self.mood(messages, request, self.times[key]) if self.mood else scripted_teacher.answer(messages)


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Teacher, Any]]:
    teacher = Teacher()
    with scripted_server(teacher.answer) as url:
        yield teacher, url


@pytest.fixture
def teacher(served: tuple[Teacher, Any]) -> Teacher:
    served[0].mood, served[0].times = None, {}
    return served[0]


@pytest.fixture
def url(served: tuple[Teacher, Any]) -> Any:
    return served[1]


@pytest.fixture(autouse=True)
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No model is fetched, and no wait is long."""
    monkeypatch.setenv("HOMEROOM_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("homeroom.models.embedder.shipped_embedder", lambda *args: TinyEmbedder())
    monkeypatch.setattr(running, "MIN_FREE_GIB", 0.0)
    monkeypatch.setitem(Endpoint.__init__.__kwdefaults__, "backoff_s", 0.001)
    monkeypatch.setitem(Endpoint.__init__.__kwdefaults__, "patience_s", 0.5)


@pytest.fixture(scope="module")
def good(served: tuple[Teacher, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a run makes with a teacher that is well."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOMEROOM_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setattr("homeroom.models.embedder.shipped_embedder", lambda *args: TinyEmbedder())
        served[0].mood = None
        folder = otter_course.make(tmp_path_factory.mktemp("good") / "course")
        running.run(opened(folder, served[1]), until="samples")
    return files(folder)


def opened(folder: Path, url: str, *more: str) -> Course:
    return open_course(folder, (f"teacher.url={url}", "teacher.model=scripted", "samples.manners=2", *more))


def files(folder: Path) -> dict[str, bytes]:
    return {name: (folder / "out" / name).read_bytes() for name in FILES}


def fails(folder: Path, url: str, kind: type[HomeroomError], *more: str) -> HomeroomError:
    with pytest.raises(kind) as caught:
        running.run(opened(folder, url, *more), until="samples")
    assert not (folder / "out" / "samples" / "record.json").exists()  # what is not finished is not called so
    return caught.value


def goes_on(folder: Path, teacher: Teacher, url: Any, good: dict[str, bytes]) -> None:
    """Assert that with the teacher well again only the rest is asked, and the result is as if nothing had been."""
    kept, before = kept_requests(folder), len(url.asked)
    teacher.mood = None
    running.run(opened(folder, url), until="samples")
    assert not kept & {comparable(request) for request in url.asked[before:]}
    assert files(folder) == good


@pytest.mark.parametrize("said", ["", "  \n\n "])
def test_a_teacher_that_answers_empty_is_said_and_nothing_empty_is_kept(teacher, url, good, tmp_path, said):
    folder = otter_course.make(tmp_path / "course", handbook=LONG)
    teacher.mood = lambda messages, request, times: said
    error = fails(folder, url, StageError)
    assert "answers so far are empty" in error.message
    assert error.exit_code == 1
    assert kept_requests(folder) == set()


LONG = otter_course.HANDBOOK + "".join(
    f"\n## Part {n}\n\nThe hut number {n} has {n + 3} beds and opens at {n} a.m. in the summer months. "
    f"Hut number {n} is kept by Keeper{n} Alm, who asks {n + 20} crowns for a night and gives out blankets, lamps, "
    "maps and warm soup to all.\n"
    for n in range(2, 9)
)


def test_answers_that_are_cut_off_on_the_wire_are_asked_again(teacher, url, good, tmp_path):
    def cut(messages: list[dict[str, str]], request: dict[str, Any], times: int) -> str | Raw:
        whole = json.dumps(completion(scripted_teacher.answer(messages), request, "m")).encode()
        return Raw(body=whole[: len(whole) // 2] if times == 1 else whole)

    folder = otter_course.make(tmp_path / "course")
    teacher.mood = cut
    running.run(opened(folder, url), until="samples")
    assert files(folder) == good
    assert set(teacher.times.values()) == {2}


def test_answers_that_stop_at_the_last_token_give_what_they_have(teacher, url, tmp_path):
    def short(messages: list[dict[str, str]], request: dict[str, Any], times: int) -> Raw:
        return Raw(
            body=json.dumps(completion(scripted_teacher.answer(messages), {**request, "max_tokens": 14}, "m")).encode()
        )

    folder = otter_course.make(tmp_path / "course")
    teacher.mood = short
    running.run(opened(folder, url), until="samples")
    samples = (folder / "out" / "samples" / "samples.jsonl").read_text(encoding="utf-8")
    assert "4417" in samples  # a fact that no answer was long enough for: its own sentence was taken


def test_slow_answers_are_given_up_and_asked_again(teacher, url, good, tmp_path):
    release = threading.Event()

    def slow(messages: list[dict[str, str]], request: dict[str, Any], times: int) -> str:
        if times == 1 and sum(teacher.times.values()) % 5 == 0:
            release.wait()
        return scripted_teacher.answer(messages)

    folder = otter_course.make(tmp_path / "course")
    teacher.mood = slow
    try:
        running.run(opened(folder, url, "teacher.timeout_s=1.5"), until="samples")
    finally:
        release.set()
    assert files(folder) == good
    assert 2 in teacher.times.values()


def test_a_teacher_that_is_always_too_slow_ends_the_run(teacher, url, good, tmp_path, monkeypatch):
    folder = otter_course.make(tmp_path / "course")
    release = threading.Event()
    teacher.mood = lambda messages, request, times: str(release.wait())
    monkeypatch.setitem(Endpoint.__init__.__kwdefaults__, "retries", 1)
    try:
        error = fails(folder, url, StageError, "teacher.timeout_s=0.05")
    finally:
        release.set()
    assert "no answer within 0.05 s" in error.message
    goes_on(folder, teacher, url, good)


def test_errors_at_random_change_nothing_but_the_time(teacher, url, good, tmp_path, monkeypatch):
    monkeypatch.setitem(Endpoint.__init__.__kwdefaults__, "patience_s", 120.0)
    chance = random.Random(3)
    faults = [Raw(status=500, body=b"oops"), Raw(status=502), Raw(body=b"<html>gateway</html>"), Raw(status=429),
              Raw(body=b'{"choices": []}'), Raw(status=503, headers={"Retry-After": "0.01"})]  # fmt: skip

    def erring(messages: list[dict[str, str]], request: dict[str, Any], times: int) -> str | Raw:
        return chance.choice(faults) if chance.random() < 0.3 and times < 5 else scripted_teacher.answer(messages)

    folder = otter_course.make(tmp_path / "course")
    teacher.mood = erring
    running.run(opened(folder, url), until="samples")
    assert files(folder) == good
    assert sum(teacher.times.values()) > len(teacher.times) + 5


def test_a_teacher_that_is_not_there_is_said_with_its_address(tmp_path):
    folder = otter_course.make(tmp_path / "course")
    error = fails(folder, "http://127.0.0.1:9/v1", MachineError)
    assert "127.0.0.1:9" in error.where
    assert error.exit_code == 4
    assert (folder / "out" / "documents" / "record.json").is_file()


def test_a_teacher_that_goes_away_halfway_leaves_what_it_said(teacher, url, good, tmp_path):
    def leaving(messages: list[dict[str, str]], request: dict[str, Any], times: int) -> str | Raw:
        return scripted_teacher.answer(messages) if len(teacher.times) <= 9 else Raw(status=503, body=b"going down")

    folder = otter_course.make(tmp_path / "course")
    teacher.mood = leaving
    began = time.monotonic()
    error = fails(folder, url, MachineError)
    assert "going down" in error.message
    assert time.monotonic() - began < 300, "it waits for ten minutes where it was told to wait for half a second"
    assert len(kept_requests(folder)) == 9
    goes_on(folder, teacher, url, good)


def test_one_request_that_the_teacher_refuses_does_not_end_the_run(teacher, url, tmp_path):
    refused: list[str] = []

    def picky(messages: list[dict[str, str]], request: dict[str, Any], times: int) -> str | Raw:
        if "A lost paddle" in messages[-1]["content"] and messages[-1]["content"].startswith("Fact:"):
            refused.append(messages[-1]["content"])
            return Raw(status=400, body=b'{"error": "content policy"}')
        return scripted_teacher.answer(messages)

    folder = otter_course.make(tmp_path / "course")
    teacher.mood = picky
    running.run(opened(folder, url), until="samples")
    assert refused
    assert (folder / "out" / "samples" / "record.json").is_file()
    assert "4417" in (folder / "out" / "samples" / "samples.jsonl").read_text(encoding="utf-8")


# -- keys and private mode -----------------------------------------------------------------------------------------


def test_the_key_is_in_no_file_that_a_run_leaves_and_in_no_word_it_says(teacher, url, tmp_path, monkeypatch):
    monkeypatch.setenv("HOMEROOM_TEACHER_KEY", KEY)
    folder, said = otter_course.make(tmp_path / "course"), []

    def telling(messages: list[dict[str, str]], request: dict[str, Any], times: int) -> str | Raw:
        if sum(teacher.times.values()) > 6:
            return Raw(status=401, body=json.dumps({"error": {"message": f"bad key {KEY}"}}).encode())
        return scripted_teacher.answer(messages)

    for mood in (telling, None):
        teacher.mood = mood
        course = opened(folder, url)
        course.say = said.append
        try:
            running.run(course, until="samples")
        except MachineError as error:
            said.append(str(error))
    assert any("[key]" in line for line in said)
    assert any(headers.get("Authorization") == f"Bearer {KEY}" for headers in url.headers)
    assert not any(KEY in line for line in said)
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and KEY.encode() in p.read_bytes()]


def test_in_private_mode_a_teacher_outside_is_refused_and_one_here_is_not(teacher, url, good, tmp_path):
    folder = otter_course.make(tmp_path / "course")
    try:
        error = fails(folder, "https://203.0.113.7/v1", RefusedError, "network.private=true")
        assert "network.allow" in error.hint
        running.run(opened(folder, url, "network.private=true"), until="samples")
    finally:
        network.go_public()
    assert files(folder) == good
