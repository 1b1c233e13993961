"""What a stage costs, over all the runs that it takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from homeroom.core.config import Recipe
from homeroom.core.types import Reply
from homeroom.pipeline.rates import CALLS, answer_key, calls_of, keep_rates, known_rates, learn, teacher_key
from homeroom.pipeline.spent import Meter, Spent


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def reply(*, kept: bool = False, cached: int = -1) -> Reply:
    return Reply(text="x", finish_reason="stop", prompt_tokens=10, completion_tokens=4, cached_tokens=cached, kept=kept)


def test_a_stage_that_was_killed_and_goes_on_counts_both_times(tmp_path: Path):
    clock = Clock()
    first = Meter(tmp_path, goes_on=False, clock=clock)
    for _ in range(5):
        clock.now += 6
        first.count(reply(cached=8))  # writes every ten seconds; then the process is killed
    clock.now += 100  # nobody works
    second = Meter(tmp_path, goes_on=True, clock=clock)
    clock.now += 5
    second.count(reply(kept=True))
    spent = second.close()
    assert spent == Spent(seconds=29.0, calls=4, prompt_tokens=40, cached_tokens=32, answer_tokens=16, kept=1)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("left", ["", "[]", '{"seconds": "long"}', '{"hours": 1}', None])
def test_a_stage_that_begins_anew_or_finds_nonsense_counts_from_nothing(tmp_path: Path, left: str | None):
    if left is not None:
        (tmp_path / "spent.json").write_text(left)
    assert Meter(tmp_path, goes_on=True, clock=Clock()).close() == Spent()
    (tmp_path / "spent.json").write_text(json.dumps({"seconds": 9.0}))
    assert Meter(tmp_path, goes_on=False, clock=Clock()).close() == Spent()


def test_rates_are_learned_from_runs_and_damaged_ones_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOMEROOM_HOME", str(tmp_path))
    recipe = Recipe()
    learn(recipe, "facts", Spent(seconds=10, calls=3, answer_tokens=30), {})  # too little to learn from
    assert known_rates() == {}
    learn(recipe, "facts", Spent(seconds=40, calls=10, prompt_tokens=3000, answer_tokens=800), {})
    assert known_rates()[teacher_key(recipe)] == 20.0
    assert calls_of(recipe, "facts") == (300.0, 80.0)
    assert calls_of(recipe, "samples") == CALLS["samples"]
    learn(recipe, "facts", Spent(seconds=40, calls=10, prompt_tokens=3000, answer_tokens=1600), {})
    assert known_rates()[teacher_key(recipe)] == 30.0  # half of it is new
    learn(recipe, "train", Spent(), {"tokens_per_second": 250.0, "dtype": "bfloat16"})
    learn(recipe, "report", Spent(seconds=5), {"answers": 20})  # the others were kept
    assert answer_key(recipe) not in known_rates()
    learn(recipe, "report", Spent(seconds=900), {"answers": 1000, "answer_seconds": 300.0})  # of a run that went on
    assert known_rates()[answer_key(recipe)] == 100.0
    assert known_rates()["train smollm2-135m"] == 250.0
    (tmp_path / "rates.json").write_text("{broken")
    assert known_rates() == {}
    for nothing in ("0.0", "-3", "NaN", "Infinity"):  # nothing can be divided by these
        (tmp_path / "rates.json").write_text(f'{{"teacher a": {nothing}, "teacher b": 2.5}}')
        assert known_rates() == {"teacher b": 2.5}
    keep_rates({f"call facts {teacher_key(recipe)}": ["many", 2]})
    assert calls_of(recipe, "facts") == CALLS["facts"]
    keep_rates({teacher_key(recipe): 0.0})
    assert json.loads((tmp_path / "rates.json").read_text()) == {}
