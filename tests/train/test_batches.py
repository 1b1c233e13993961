from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace

import pytest
import torch

from homeroom.core.errors import UsageError
from homeroom.train.batches import pack, passes, schedule
from homeroom.train.template import Encoded


def some(count: int, *, prefix: int = 20, seed: int = 0) -> list[Encoded]:
    draw = random.Random(seed)
    out = []
    for number in range(count):
        length = draw.randint(5, 80)
        ids = tuple(draw.randrange(1000) for _ in range(length))
        learn = (False, *[n > length // 2 or n == 1 for n in range(1, length)])
        out.append(Encoded(prefix=tuple(range(prefix)) if number % 4 else (), ids=ids, learn=learn))
    return out


def order(steps) -> list[int]:
    return [n for step in steps for row in step.rows for n in row]


def test_every_pass_sees_every_sample_once_in_a_fresh_order():
    samples = some(30)
    seen = order(schedule(samples, tokens=10**9, step_tokens=300, epochs=3, seed=1))
    passes = [seen[start : start + 30] for start in (0, 30, 60)]
    assert len(seen) == 90
    assert all(sorted(one) == list(range(30)) for one in passes)
    assert len({tuple(one) for one in passes}) == 3


def test_the_same_seed_gives_the_same_steps_and_another_seed_others():
    samples = some(20)
    first, again, other = (schedule(samples, tokens=5000, step_tokens=200, epochs=0, seed=s) for s in (3, 3, 4))
    assert first == again
    assert order(first) != order(other)


def test_the_budget_is_spent_and_never_exceeded():
    samples = some(40)
    for tokens in (700, 2_000, 9_999):
        steps = schedule(samples, tokens=tokens, step_tokens=250, epochs=0, seed=0)
        spent = sum(step.tokens for step in steps)
        assert tokens - 400 < spent <= tokens


def test_a_budget_smaller_than_one_step_still_gives_one():
    assert len(schedule(some(3), tokens=1, step_tokens=100, epochs=0, seed=0)) == 1


def test_half_an_epoch_reads_half_of_the_samples():
    assert len(order(schedule(some(40), tokens=10**9, step_tokens=100, epochs=0.5, seed=0))) == 20


def test_every_pass_reads_other_replay_in_its_share():
    own, general = some(30), [replace(sample, replay=True) for sample in some(40, seed=1)]
    samples = own + general
    steps = schedule(samples, tokens=10**9, step_tokens=300, epochs=4, replay_share=0.25, seed=1)
    seen = order(steps)
    assert passes(samples, steps) == 4
    assert Counter(n for n in seen if n < 30) == dict.fromkeys(range(30), 4)
    replay = [n for n in seen if n >= 30]
    assert max(Counter(replay).values()) - min(Counter(replay).get(n, 0) for n in range(30, 70)) <= 1
    share = sum(len(samples[n].ids) for n in replay) / sum(len(samples[n].ids) for n in seen)
    assert abs(share - 0.25) < 0.03
    assert all(n < 30 for n in order(schedule(samples, tokens=10**9, step_tokens=300, epochs=1, seed=1)))


def test_replay_alone_is_read_like_any_samples():
    samples = [replace(sample, replay=True) for sample in some(10)]
    steps = schedule(samples, tokens=10**9, step_tokens=300, epochs=2, seed=1)
    assert sorted(order(steps)) == sorted([*range(10)] * 2)


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_a_share_of_replay_that_is_none_is_refused(share):
    with pytest.raises(UsageError, match="replay_share"):
        schedule(some(3), tokens=100, step_tokens=100, epochs=1, replay_share=share, seed=0)


def test_the_tokens_of_a_step_are_those_that_its_rows_hold():
    samples = some(60)
    for step in schedule(samples, tokens=20_000, step_tokens=900, epochs=0, seed=5, row_tokens=300):
        rows = [pack([samples[n] for n in row], dtype=torch.float32) for row in step.rows]
        assert step.tokens == sum(len(row.ids_T) for row in rows)
        assert all(len(row.ids_T) <= 300 for row in rows)
        assert step.tokens <= 900 + 3 * 20 + 80


def test_a_row_holds_every_sample_whole_and_a_shared_prefix_once():
    samples = some(12)
    row = pack(samples, dtype=torch.float32)
    assert len(row.ids_T) == 20 + sum(len(sample.ids) for sample in samples)
    learned = sorted(t for s in samples for t, on in zip(s.ids, s.learn, strict=True) if on)
    assert sorted(row.targets_NK[:, 0].tolist()) == learned
    assert row.ids_T[row.before_N + 1].tolist() == row.targets_NK[:, 0].tolist()


def test_each_token_sees_its_prefix_and_what_stands_before_it_in_its_sample_and_nothing_else():
    samples = some(10)
    row = pack(samples, dtype=torch.float32)
    sees: dict[int, list[int]] = {}
    for block in row.blocks:
        length = block.query_SL.shape[1]
        for place in block.real.tolist():
            sample, within = divmod(place, length)
            token = int(block.query_SL[sample, within])
            sees[token] = block.key_SM[sample][block.bias_LM[within] == 0].tolist()
    assert sorted(sees) == list(range(len(row.ids_T)))
    for token, seen in sees.items():
        position = int(row.positions_T[token])
        assert len(seen) == len(set(seen)) == position + 1
        assert row.positions_T[seen].tolist() == list(range(position + 1))
        jumps = [n for n in range(1, len(seen)) if seen[n] != seen[n - 1] + 1]
        assert jumps in ([], [20])  # at most from the end of the prefix to the sample
        assert seen[-1] == token
