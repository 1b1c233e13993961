from __future__ import annotations

import dataclasses
import json
import math
import os
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from homeroom.core.config import Phase, Train
from homeroom.core.errors import ContentError, StageError, UsageError
from homeroom.core.files import read_record
from homeroom.core.types import Message, Sample
from homeroom.models.torch_engine import TorchEngine
from homeroom.train import checkpoints, loop, meter
from homeroom.train.loop import train
from homeroom.train.phases import train_phases

QUICK = Phase(tokens=6_000, epochs=0, lr=3e-3, step_tokens=300, warmup_share=0.1, frozen_share=0.0, blend=1.0)
FACTS = {
    "What is the limit?": "Nine weeks.",
    "Who signs the letter?": "The clerk at the north gate.",
    "When does the harbour close?": "At half past six.",
    "Where did the town begin?": "At the old mill.",
    "How many members may open a claim?": "Four.",
    "What does the handbook say?": "Open a claim in the office.",
    "Is it open on Sunday?": "No.",
    "What is the bicycle for?": "The letter.",
    "Who still comes here?": "People of the river.",
    "What is not ten days?": "The limit after the loss.",
}


def facts(count: int = 10) -> list[Sample]:
    return [
        Sample(id=q, kind="direct", messages=(Message(role="user", content=q), Message(role="assistant", content=a)))
        for q, a in list(FACTS.items())[:count]
    ]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def same(one: Path, other: Path) -> bool:
    a, b = weights(one), weights(other)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_student_learns_ten_facts_by_heart(dtype, tiny, tmp_path):
    phase = dataclasses.replace(QUICK, tokens=16_000, step_tokens=200, lr=4e-3)
    result = train(tiny, facts(), phase=phase, seed=0, dtype=dtype, out=tmp_path)
    questions = [(Message(role="user", content=question),) for question in FACTS]
    assert TorchEngine(tiny).answer(questions, max_tokens=4) != list(FACTS.values())
    assert TorchEngine(tmp_path / "final").answer(questions, max_tokens=40) == list(FACTS.values())
    assert result.packed
    assert result.dtype == dtype
    assert result.loss_last < 0.2 < 3 < result.loss_first
    assert all(tensor.dtype == torch.float32 for tensor in weights(tmp_path / "final").values())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_heeded_after_the_step_and_leaves_a_checkpoint_at_it(number, tiny, tmp_path):
    class Ended(BaseException):
        pass

    def end(*_):
        raise Ended

    steps = []

    def tell(stage, done, total, note=""):
        steps.extend([done] * bool(done))  # 0: what the rehearsal says
        if len(steps) == 3:
            os.kill(os.getpid(), number)

    before = signal.signal(number, end)
    try:
        with pytest.raises(Ended):
            train(tiny, facts(), phase=QUICK, seed=3, dtype="bfloat16", out=tmp_path / "a", progress=tell)
        assert signal.getsignal(number) is end
    finally:
        signal.signal(number, before)
    assert [path.name for path in (tmp_path / "a/checkpoints").iterdir()] == ["step-000003"]
    train(tiny, facts(), phase=QUICK, seed=3, dtype="bfloat16", out=tmp_path / "a", progress=tell)
    train(tiny, facts(), phase=QUICK, seed=3, dtype="bfloat16", out=tmp_path / "b")
    assert same(tmp_path / "a/final", tmp_path / "b/final")
    assert steps == sorted(set(steps))


def test_row_73_a_run_that_ends_in_the_middle_of_writing_a_checkpoint_goes_on_from_the_one_before(
    tiny, tmp_path, monkeypatch
):
    class Killed(BaseException):
        """What nothing handles, as nothing handles a kill."""

    often, written, whole = dataclasses.replace(QUICK, checkpoint_minutes=0.0), [], checkpoints.save_file

    def torn(tensors, path):
        whole(tensors, path)
        written.append(path)
        if len(written) == 3:
            path.write_bytes(path.read_bytes()[:5_000])
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "save_file", torn)
        patch.setattr(loop, "CHECKPOINT_SHARE", 1e9)  # after every step, however slow the disk
        with pytest.raises(Killed):
            train(tiny, facts(), phase=often, seed=3, dtype="float32", out=tmp_path / "a")
    left = sorted(path.name for path in (tmp_path / "a/checkpoints").iterdir())
    assert [name.startswith(".") for name in left] == [True, False, False]
    steps = []

    def tell(stage, done, total, note=""):
        steps.extend([done] * bool(done))

    whole_run = train(tiny, facts(), phase=often, seed=3, dtype="float32", out=tmp_path / "b")
    train(tiny, facts(), phase=often, seed=3, dtype="float32", out=tmp_path / "a", progress=tell)
    assert len(steps) == whole_run.steps - 2, "it went on from the second checkpoint, and did not begin again"
    assert same(tmp_path / "a/final", tmp_path / "b/final")


def test_a_checkpoint_of_other_data_or_a_torn_one_is_not_picked_up(tiny, tmp_path):
    class Stop(BaseException):
        pass

    def run(samples, until):
        seen = []

        def tell(stage, done, total, note=""):
            seen.extend([done] * bool(done))
            if len(seen) == until:
                os.kill(os.getpid(), signal.SIGINT)

        before = signal.signal(signal.SIGINT, lambda *_: (_ for _ in ()).throw(Stop()))
        try:
            train(tiny, samples, phase=QUICK, seed=0, dtype="float32", out=tmp_path, progress=tell)
        except Stop:
            pass
        finally:
            signal.signal(signal.SIGINT, before)
        return seen[0]

    begin = run(facts(9), until=4)
    assert run(facts(9), until=2) > 4 * begin * 0.5  # goes on
    newest = sorted((tmp_path / "checkpoints").iterdir())[-1] / "state.safetensors"
    newest.write_bytes(newest.read_bytes()[:1000])
    assert run(facts(9), until=1) < 6 * begin  # from the one before
    assert run(facts(8), until=1) < 1.5 * begin  # anew
    assert len(list((tmp_path / "checkpoints").iterdir())) == 1


def test_a_loss_that_is_not_a_number_stops_the_run_and_says_what_to_do(tiny, tmp_path):
    mad = dataclasses.replace(QUICK, lr=1e20, warmup_share=0.0)
    with pytest.raises(StageError, match="lower learning rate"):
        train(tiny, facts(), phase=mad, seed=0, dtype="float32", out=tmp_path)
    assert not (tmp_path / "final").exists()


def test_no_samples_and_an_unknown_dtype_are_refused(tiny, tmp_path):
    with pytest.raises(ContentError, match="nothing to learn"):
        train(tiny, [], phase=QUICK, seed=0, out=tmp_path)
    with pytest.raises(UsageError, match="dtype"):
        train(tiny, facts(), phase=QUICK, seed=0, dtype="float16", out=tmp_path)


def test_several_rows_in_a_step_make_the_same_update_as_one_row(tiny, tmp_path, monkeypatch):
    phase = dataclasses.replace(QUICK, tokens=500, step_tokens=500)
    train(tiny, facts(), phase=phase, seed=0, dtype="float32", out=tmp_path / "one")
    planned = loop.schedule_phase
    monkeypatch.setattr(loop, "schedule_phase", lambda *a, **k: split(planned(*a, **k)))

    def split(steps):
        return [dataclasses.replace(s, rows=tuple((n,) for row in s.rows for n in row)) for s in steps]

    train(tiny, facts(), phase=phase, seed=0, dtype="float32", out=tmp_path / "many")
    one, many = weights(tmp_path / "one/final"), weights(tmp_path / "many/final")
    for name in one:
        torch.testing.assert_close(one[name], many[name], rtol=1e-3, atol=2e-5)
    rows = [json.loads((tmp_path / n / "metrics.jsonl").read_text().splitlines()[0]) for n in ("one", "many")]
    assert math.isclose(rows[0]["loss"], rows[1]["loss"], rel_tol=1e-4)


def test_the_distance_from_the_base_is_logged_grows_and_changes_nothing(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(meter, "EVERY", 3)
    result = train(tiny, facts(), phase=QUICK, seed=0, dtype="float32", out=tmp_path / "one")
    rows = [json.loads(line) for line in (tmp_path / "one" / "metrics.jsonl").read_text().splitlines()]
    assert [row["kl"] for row in rows[:2]] == [0.0, 0.0]
    assert 0 < rows[2]["kl"] < rows[-1]["kl"] == round(result.kl, 5)
    still = dataclasses.replace(QUICK, lr=0.0)
    assert train(tiny, facts(), phase=still, seed=0, dtype="float32", out=tmp_path / "still").kl < 1e-4
    monkeypatch.setattr(meter, "is_due", lambda step, steps: False)
    train(tiny, facts(), phase=QUICK, seed=0, dtype="float32", out=tmp_path / "none")
    assert same(tmp_path / "one/final", tmp_path / "none/final")


def test_phases_follow_each_other_are_recorded_and_skipped_when_up_to_date(tiny, tmp_path):
    short = dataclasses.replace(QUICK, tokens=1000)
    phases = tuple(dataclasses.replace(short, name=name) for name in ("one", "two"))
    config = Train(phases=phases, dtype="float32")
    data = {"one": facts(5), "two": facts(10)}
    where = {"out": tmp_path / "runs", "model_out": tmp_path / "model"}
    told: list[float] = []

    def tell(stage, done, total, note=""):
        told.append(done)

    first = train_phases(tiny, data, config=config, **where, progress=tell)
    assert [result.samples for result in first] == [5, 10]
    assert (tmp_path / "model/model.safetensors").is_file()
    assert not list(tmp_path.glob("runs/*/checkpoints"))
    record = read_record(tmp_path / "runs/two")
    assert (record.kind, record.format, set(record.inputs)) == ("run", 1, {"samples", "student"})
    told.clear()
    assert train_phases(tiny, data, config=config, **where, progress=tell) == first
    assert told == []
    watched = tuple(
        dataclasses.replace(p, checkpoint_minutes=9.0, checkpoints_kept=3, tensorboard=True) for p in phases
    )
    assert train_phases(tiny, data, config=Train(phases=watched, dtype="float32"), **where, progress=tell) == first
    assert told == [], "how often it is saved is no reason to train again"
    data["two"] = facts(9)
    again = train_phases(tiny, data, config=config, **where, progress=tell)
    assert (again[0], again[1].samples) == (first[0], 9)
    with pytest.raises(ContentError, match="'two'"):
        train_phases(tiny, {"one": facts()}, config=config, **where)
    with pytest.raises(UsageError, match="names of their own"):
        train_phases(tiny, data, config=Train(phases=(short, short)), **where)


def test_another_list_of_phases_and_back_gives_the_first_ones_student_again(tiny, tmp_path):
    where = {"out": tmp_path / "runs", "model_out": tmp_path / "model"}

    def made(name: str) -> dict[str, torch.Tensor]:
        phase = dataclasses.replace(QUICK, name=name, tokens=1000, lr=1e-2 if name == "flat" else 1e-3)
        train_phases(tiny, {name: facts(5)}, config=Train(phases=(phase,), dtype="float32"), **where)
        return weights(tmp_path / "model")

    first, other, again = (made(name) for name in ("flat", "smoke", "flat"))
    assert any(not torch.equal(first[k], other[k]) for k in first)
    assert all(torch.equal(first[k], again[k]) for k in first)


def test_lora_learns_and_is_merged_into_a_plain_model(tiny, tmp_path):
    phase = dataclasses.replace(QUICK, method="lora", lora_rank=8, tokens=12_000, lr=1e-2)
    result = train(tiny, facts(), phase=phase, seed=0, dtype="bfloat16", out=tmp_path)
    base, tuned = weights(tiny), weights(tmp_path / "final")
    assert base.keys() == tuned.keys()
    changed = {name for name in base if not torch.equal(base[name], tuned[name])}
    assert changed == {name for name in base if "_proj" in name}
    assert result.loss_last < result.loss_first - 0.2  # the tied table stays as it was, random
    with pytest.raises(UsageError, match="rank"):
        train(tiny, facts(), phase=dataclasses.replace(phase, lora_rank=0), seed=0, out=tmp_path / "b")


def test_one_sample_is_enough_and_one_longer_than_the_context_is_cut_and_counted(tiny, tmp_path):
    long = Sample(id="long", kind="text", text="The river and the bridge. " * 400, learn="all")
    phase = dataclasses.replace(QUICK, tokens=2_500, step_tokens=100)
    assert train(tiny, facts(1), phase=phase, seed=0, dtype="float32", out=tmp_path / "one").samples == 1
    result = train(tiny, [*facts(2), long], phase=phase, seed=0, dtype="float32", out=tmp_path / "long")
    assert result.cut == 1
