"""Many requests: order, what is kept, budgets, failures, and being stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from scripted_endpoint import scripted_server

from homeroom.core.errors import MachineError, StageError
from homeroom.core.types import Message, Reply, Request
from homeroom.models.asking import ask_all, ask_until, request_id
from homeroom.models.endpoint import FakeEndpoint

ROOT = Path(__file__).parents[2]


def requests(count: int, max_tokens: int = 10) -> list[Request]:
    return [Request(messages=(Message(role="user", content=f"say {i}"),), max_tokens=max_tokens) for i in range(count)]


def echo(request: Request) -> str:
    return "you said " + request.messages[-1].content


def kept_files(keep: Path) -> list[Path]:
    return sorted(keep.glob("??/*.json"))


def test_replies_come_back_in_order_whatever_finishes_first(tmp_path: Path):
    class Uneven(FakeEndpoint):
        async def ask(self, request: Request) -> Reply:
            self.delay_s = 0.03 if request.messages[-1].content == "say 0" else 0.0
            return await super().ask(request)

    seen: list[int] = []
    replies = ask_all(Uneven(echo), requests(9), keep=tmp_path, on_reply=lambda index, reply: seen.append(index))
    assert [reply.text for reply in replies] == [f"you said say {i}" for i in range(9)]
    assert sorted(seen) == list(range(9))
    assert seen[0] != 0


def test_no_more_requests_are_open_than_allowed():
    open_now, most = 0, 0

    class Counting(FakeEndpoint):
        async def ask(self, request: Request) -> Reply:
            nonlocal open_now, most
            open_now += 1
            most = max(most, open_now)
            reply = await super().ask(request)
            open_now -= 1
            return reply

    ask_all(Counting(echo, in_flight=3, delay_s=0.002), requests(20), keep=None)
    assert most == 3


def test_what_was_answered_is_not_asked_again(tmp_path: Path):
    first, second = FakeEndpoint(echo), FakeEndpoint(echo)
    before = ask_all(first, requests(6), keep=tmp_path)
    after = ask_all(second, requests(8), keep=tmp_path)
    assert len(second.asked) == 2
    assert [reply.kept for reply in after] == [True] * 6 + [False] * 2
    assert [reply.text for reply in after[:6]] == [reply.text for reply in before]


def test_another_model_or_seed_is_another_question(tmp_path: Path):
    ask_all(FakeEndpoint(echo, identity="one"), requests(1), keep=tmp_path)
    other = FakeEndpoint(echo, identity="two")
    seeded = [Request(messages=requests(1)[0].messages, max_tokens=10, seed=5)]
    ask_all(other, requests(1) + seeded, keep=tmp_path)
    assert len(other.asked) == 2
    assert len(kept_files(tmp_path)) == 3


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: "[]",
        lambda text: text.replace("say 0", "say 9"),  # the file of another request
        lambda text: text.replace('"completion_tokens": 4', '"completion_tokens": "4"'),
        lambda text: json.dumps(json.loads(text) | {"version": 99}),
    ],
)
def test_a_damaged_answer_is_asked_again(tmp_path: Path, damage):
    ask_all(FakeEndpoint(echo), requests(1), keep=tmp_path)
    (path,) = kept_files(tmp_path)
    path.write_text(damage(path.read_text()))
    again = FakeEndpoint(echo)
    (reply,) = ask_all(again, requests(1), keep=tmp_path)
    assert (len(again.asked), reply.kept, reply.text) == (1, False, "you said say 0")
    assert ask_all(FakeEndpoint(echo), requests(1), keep=tmp_path)[0].kept


def test_equal_requests_are_asked_once(tmp_path: Path):
    fake = FakeEndpoint(echo)
    replies = ask_all(fake, requests(2) * 3, keep=tmp_path)
    assert len(fake.asked) == 2
    assert [reply.text for reply in replies] == ["you said say 0", "you said say 1"] * 3


def fails_on(*numbers: int, error: Exception):
    def script(request: Request) -> str:
        if any(request.messages[-1].content == f"say {n}" for n in numbers):
            raise error
        return echo(request)

    return script


def test_one_failing_request_does_not_take_the_others_with_it(tmp_path: Path):
    fake = FakeEndpoint(fails_on(1, error=StageError("too long")))
    replies = ask_all(fake, requests(5), keep=tmp_path)
    assert [reply.finish_reason for reply in replies] == ["stop", "failed", "stop", "stop", "stop"]
    assert replies[1].text == ""
    assert len(kept_files(tmp_path)) == 4  # the failed one is asked again next time


def test_requests_that_fail_one_and_all_stop_the_run_however_few(tmp_path: Path):
    with pytest.raises(StageError, match="2 requests failed; the first: too long"):
        ask_all(FakeEndpoint(fails_on(0, 1, error=StageError("too long"))), requests(2), keep=tmp_path)


def test_too_many_failures_stop_the_run_and_name_the_first_cause(tmp_path: Path):
    fake = FakeEndpoint(fails_on(*range(3, 90), error=StageError("the model says no", where="here")), in_flight=1)
    with pytest.raises(StageError, match="the first: the model says no") as caught:
        ask_all(fake, requests(90), keep=tmp_path, max_failures=4)
    assert caught.value.where == "here"
    assert len(fake.asked) == 8
    assert len(kept_files(tmp_path)) == 3


def test_a_server_that_is_gone_ends_the_run_at_once_and_keeps_what_was_said(tmp_path: Path):
    fake = FakeEndpoint(fails_on(4, error=MachineError("no connection")), in_flight=1)
    with pytest.raises(MachineError):
        ask_all(fake, requests(50), keep=tmp_path)
    assert len(kept_files(tmp_path)) == 4


def test_an_exception_in_the_callback_loses_nothing(tmp_path: Path):
    def stop(index: int, reply: Reply) -> None:
        if index == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask_all(FakeEndpoint(echo, in_flight=1), requests(9), keep=tmp_path, on_reply=stop)
    assert len(kept_files(tmp_path)) >= 4


CHILD = """
import sys
from pathlib import Path
from homeroom.core.types import Message, Request
from homeroom.models.endpoint import Endpoint, ask_all
import signal
signal.signal(signal.SIGTERM, lambda *_: sys.exit(6))
requests = [Request(messages=(Message(role="user", content=f"say {i}"),), max_tokens=10) for i in range(40)]
ask_all(Endpoint(sys.argv[1], "m", in_flight=2), requests, keep=Path(sys.argv[2]))
"""


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, -2), (signal.SIGTERM, 6), (signal.SIGKILL, -9)])
def test_a_stopped_process_loses_nothing_that_was_answered(tmp_path: Path, sent: signal.Signals, status: int):
    answered: list[str] = []
    ended = threading.Event()

    def slow(messages: list[dict]) -> str:
        time.sleep(0.02)
        if len(answered) >= 20:  # the child is never done before it is stopped
            ended.wait(120)
        answered.append(messages[-1]["content"])
        return "fine"

    with scripted_server(slow) as url:
        command = [sys.executable, "-c", CHILD, str(url), str(tmp_path)]
        child = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=os.environ | {"PYTHONPATH": str(ROOT)})
        deadline = time.monotonic() + 120
        while len(kept_files(tmp_path)) < 5 and time.monotonic() < deadline:
            time.sleep(0.005)
        child.send_signal(sent)
        found = child.wait(120)
        num_answered = len(answered)
        ended.set()
    assert found == status
    kept = kept_files(tmp_path)
    assert 5 <= len(kept) < 40
    assert len(kept) >= num_answered - 3  # at most what was on the wire
    assert all(json.loads(path.read_text())["reply"]["text"] == "fine" for path in kept)


def test_a_model_that_says_nothing_ends_the_run_and_is_asked_again_once_it_is_mended(tmp_path: Path):
    mute = FakeEndpoint(lambda request: " ", in_flight=2)
    with pytest.raises(StageError, match="all 12 answers so far are empty"):
        ask_all(mute, requests(200), keep=tmp_path)
    assert len(mute.asked) < 20
    assert len(kept_files(tmp_path)) < 3
    with pytest.raises(StageError, match="all 5 answers"):
        ask_all(FakeEndpoint(lambda request: ""), requests(5), keep=tmp_path)
    assert next(r.text for r in ask_all(FakeEndpoint(echo), requests(5), keep=tmp_path)) == "you said say 0"


def test_an_empty_answer_among_good_ones_is_an_answer_and_paid_once(tmp_path: Path):
    def some(request: Request) -> str:
        return "" if request.messages[-1].content in ("say 0", "say 3") else echo(request)

    ask_all(FakeEndpoint(some), requests(6), keep=tmp_path)
    again = FakeEndpoint(some)
    assert [bool(r.text) for r in ask_all(again, requests(6), keep=tmp_path)] == [False, True, True, False, True, True]
    assert again.asked == []


def test_answers_that_were_kept_before_requests_could_ask_for_log_probabilities_are_still_found(tmp_path: Path):
    """The id of a request that uses nothing new is what it was: nobody pays again for an upgrade of ours."""
    (request,) = requests(1)
    assert request_id("cc32", request) == "21f2d52c95e9"
    assert request_id("cc32", replace(request, top_logprobs=5)) != request_id("cc32", request)


# -- until the tokens are spent ----------------------------------------------------------------------------------


def test_a_budget_of_tokens_is_never_exceeded(tmp_path: Path):
    fake = FakeEndpoint(echo, in_flight=4, delay_s=0.001)
    replies = ask_until(fake, requests(30), keep=tmp_path, max_tokens=50)
    asked = [reply for reply in replies if reply is not None]
    assert sum(reply.completion_tokens for reply in asked) <= 50
    assert len(asked) == 11  # four words each; the twelfth might take ten and only six are left
    assert replies[11:] == [None] * 19


@pytest.mark.parametrize("in_flight", [1, 2, 7])
def test_the_same_requests_are_asked_whatever_the_timing_and_again(tmp_path: Path, in_flight: int):
    first = ask_until(
        FakeEndpoint(echo, in_flight=in_flight, delay_s=0.001), requests(30), keep=tmp_path, max_tokens=50
    )
    again = FakeEndpoint(echo, in_flight=in_flight)
    second = ask_until(again, requests(30), keep=tmp_path, max_tokens=50)
    assert again.asked == []
    assert [reply is None for reply in second] == [reply is None for reply in first] == [False] * 11 + [True] * 19


def test_a_larger_budget_goes_on_from_where_a_smaller_one_ended(tmp_path: Path):
    ask_until(FakeEndpoint(echo), requests(30), keep=tmp_path, max_tokens=50)
    more = FakeEndpoint(echo)
    replies = ask_until(more, requests(30), keep=tmp_path, max_tokens=100)
    assert len(more.asked) == sum(reply is not None for reply in replies) - 11 > 5


def test_a_generator_is_drawn_only_as_far_as_there_is_room():
    drawn = []

    def endless():
        for request in requests(10_000):
            drawn.append(request)
            yield request

    replies = ask_until(FakeEndpoint(echo, in_flight=1), endless(), keep=None, max_tokens=40)
    assert len(drawn) == len(replies) + 1
    assert all(reply is not None for reply in replies)


def test_nothing_fits_into_no_tokens():
    fake = FakeEndpoint(echo)
    assert ask_until(fake, requests(3), keep=None, max_tokens=9) == [None, None, None]
    assert fake.asked == []
