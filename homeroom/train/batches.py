"""Which samples make a step, and how they stand in a row.

    list[Encoded] -> schedule -> list[Step] -> pack -> Row (tensors) -> attention.py

`schedule` is a pure function of the data, the budget and a seed, so a resumed run reads on where it stopped by counting
steps. `pack` writes samples one after the other without any padding, and a prefix that several samples share only once:

    row        [prefix P P P][sample 1 ......][sample 2 ...][text ..........]
    positions   0 1 2         3 4 5 ...        3 4 5 ...     0 1 2 ...
    sees        itself        prefix, itself   prefix, itself  itself

What comes out is equal to one sample a row (a test compares loss and gradients) for about 25 tokens less a sample.
"""

# T = tokens of a row, S = samples of like length in a block, L = length of the longest of them, P = of their prefix,
# N = tokens to predict, K = tokens that may be next

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from homeroom.core.config import Phase
from homeroom.core.errors import UsageError
from homeroom.train.template import Encoded

ROW_TOKENS = 2048  # memory of activations, not speed, limits a row
BUCKET = {"mps": 32}  # tokens that lengths are rounded up to: Metal compiles every shape anew (not tried on a Mac)
ALIKE = 0.75  # a sample joins a block when at least so long, compared with the block's longest


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The samples of one update: the places in the data, row by row."""

    rows: tuple[tuple[int, ...], ...]
    tokens: int  # that go through the student: shared prefixes once a row, words that dropout leaves out as well


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Samples of a row that have one prefix and nearly one length, and so share one call of attention."""

    query_SL: torch.Tensor  # places in the row; a shorter sample repeats its last place
    key_SM: torch.Tensor  # M = P + L
    bias_LM: torch.Tensor  # L by M: 0 where a token may look, -inf where not
    real: torch.Tensor  # places in S*L that are tokens, in the order of the row


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One forward pass."""

    ids_T: torch.Tensor
    positions_T: torch.Tensor
    blocks: tuple[Block, ...]  # in the order of the row
    before_N: torch.Tensor  # places in the row from which a learned token is predicted
    targets_NK: torch.Tensor  # K = 1: the token itself; more: the likeliest ones of a distribution
    probs_NK: torch.Tensor
    floor: float  # the summed loss of a student that thinks just what the distributions say


def schedule(
    samples: Sequence[Encoded],
    *,
    tokens: int,
    step_tokens: int,
    epochs: float,
    seed: int,
    replay_share: float = 0.0,
    row_tokens: int = ROW_TOKENS,
) -> list[Step]:
    """Plan the whole run: shuffled passes over all samples until the budget is spent.

    Args:
        samples: What there is to read; not empty.
        tokens: Budget: tokens through the student, repetitions counted. Never exceeded, save that there is one step.
        step_tokens: Tokens before each update, about.
        epochs: Passes at most; 0 for as many as the budget allows.
        seed: Decides the order of every pass.
        replay_share: Part of a pass's tokens that is replay, if there is any; not counted among its samples.
        row_tokens: Tokens of one forward pass at most, save for a sample that is longer by itself.

    Returns:
        Steps in order. Every pass sees each sample once, in a fresh order, and goes on in the replay where the last one
        stopped; only the last pass may be cut short.

    Raises:
        UsageError: the share is not from 0 to below 1.
    """
    if not 0 <= replay_share < 1:
        raise UsageError(f"replay_share is {replay_share:g}, not from 0 to below 1", where="train.phases")
    steps, spent = [], 0
    rows: list[list[int]] = [[]]

    def size(row: list[int]) -> int:
        return sum(len(samples[n].ids) for n in row) + sum(len(prefix) for prefix in {samples[n].prefix for n in row})

    def close() -> bool:
        nonlocal rows, spent
        step = Step(
            rows=tuple(tuple(row) for row in rows if row),
            tokens=sum(size(row) for row in rows),
        )
        rows = [[]]
        if not step.rows or (steps and spent + step.tokens > tokens):
            return False
        steps.append(step)
        spent += step.tokens
        return True

    for sample in _order(samples, epochs=epochs, replay_share=replay_share, seed=seed):
        if spent >= tokens:
            break
        if rows[0] and sum(map(size, rows)) + len(samples[sample].ids) > step_tokens and not close():
            return steps
        if rows[-1] and size([*rows[-1], sample]) > row_tokens:
            rows.append([])
        rows[-1].append(sample)
    close()
    return steps


def schedule_phase(samples: Sequence[Encoded], phase: Phase, *, seed: int) -> list[Step]:
    """Return the steps that a phase's settings make; every loop plans with this."""
    return schedule(
        samples,
        tokens=phase.tokens,
        step_tokens=phase.step_tokens,
        epochs=phase.epochs,
        replay_share=phase.replay_share,
        seed=seed,
    )


def passes(samples: Sequence[Encoded], steps: Sequence[Step]) -> float:
    """Return how often the steps read the samples, replay left out."""
    own = set(_own(samples))
    return sum(n in own for step in steps for row in step.rows for n in row) / len(own)


def _own(samples: Sequence[Encoded]) -> list[int]:
    return [n for n, sample in enumerate(samples) if not sample.replay] or list(range(len(samples)))


def _order(samples: Sequence[Encoded], *, epochs: float, replay_share: float, seed: int) -> Iterator[int]:
    """Give the places of the samples pass by pass, with the replay that belongs to it."""
    own, replay = _own(samples), _over_and_over([n for n, sample in enumerate(samples) if sample.replay], seed)
    wanted = sum(len(samples[n].ids) for n in own) * replay_share / (1 - replay_share)
    for turn in itertools.count():
        if 0 < epochs <= turn:
            return
        order, tokens = list(own), 0
        while tokens < wanted and (place := next(replay, None)) is not None:
            order.append(place)
            tokens += len(samples[place].ids)
        random.Random(f"{seed}/{turn}").shuffle(order)
        yield from order[: round(len(order) * (min(1.0, epochs - turn) if epochs > 0 else 1.0))]


def _over_and_over(places: Sequence[int], seed: int) -> Iterator[int]:
    for turn in itertools.count() if places else ():
        order = list(places)
        random.Random(f"{seed}/replay/{turn}").shuffle(order)
        yield from order


def pack(samples: Sequence[Encoded], *, dtype: torch.dtype, device: str = "cpu") -> Row:
    """Write samples into one row, in blocks by prefix and length (the order of a row does not change its loss)."""
    ids: list[int] = []
    positions: list[int] = []
    before: list[int] = []
    targets: list[tuple[torch.Tensor, torch.Tensor]] = []
    floor = 0.0
    blocks: list[Block] = []
    for prefix in sorted({sample.prefix for sample in samples}):
        alike = sorted((s for s in samples if s.prefix == prefix), key=lambda s: (len(s.ids), s.ids), reverse=True)
        prefix_places = list(range(len(ids), len(ids) + len(prefix)))
        if prefix:
            blocks.append(_block([prefix_places], [], dtype, device))
            ids += prefix
            positions += range(len(prefix))
        while alike:
            count = sum(len(sample.ids) >= ALIKE * len(alike[0].ids) for sample in alike)
            group, alike = alike[:count], alike[count:]
            places = []
            for sample in group:
                start = len(ids)
                places.append(list(range(start, start + len(sample.ids))))
                before += [start + n - 1 for n, learned in enumerate(sample.learn) if learned]
                targets.append(_targets(sample))
                floor += sample.soft.entropy if sample.soft else 0.0
                ids += sample.ids
                positions += range(len(prefix), len(prefix) + len(sample.ids))
            blocks.append(_block(places, prefix_places, dtype, device))
    filler = -len(ids) % BUCKET.get(device, 1)
    if filler:  # tokens that nobody sees and nothing is learned from
        blocks.append(_block([list(range(len(ids), len(ids) + filler))], [], dtype, device))
        ids += [ids[-1]] * filler
        positions += range(filler)
    return Row(
        ids_T=torch.tensor(ids, device=device),
        positions_T=torch.tensor(positions, device=device),
        blocks=tuple(blocks),
        before_N=torch.tensor(before, device=device),
        targets_NK=_stacked([ids_NK for ids_NK, _ in targets]).to(device),
        probs_NK=_stacked([probs_NK for _, probs_NK in targets]).to(device),
        floor=floor,
    )


def _targets(sample: Encoded) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the tokens that may come next and their probabilities, N K each."""
    if sample.soft:
        return sample.soft.ids_NK, sample.soft.probs_NK
    ids = [token for token, learned in zip(sample.ids, sample.learn, strict=True) if learned]
    return torch.tensor(ids)[:, None], torch.ones(len(ids), 1)


def _stacked(parts: list[torch.Tensor]) -> torch.Tensor:
    """Put tensors of different K below each other; token 0 with probability 0 fills them up."""
    most = max(part.shape[1] for part in parts)
    return torch.cat([torch.nn.functional.pad(part, (0, most - part.shape[1])) for part in parts])


def _block(places: list[list[int]], prefix: list[int], dtype: torch.dtype, device: str) -> Block:
    longest = max(map(len, places))
    longest += -longest % BUCKET.get(device, 1)
    filled = [place + [place[-1]] * (longest - len(place)) for place in places]
    real = [s * longest + n for s, place in enumerate(places) for n in range(len(place))]
    # A filled-up place comes after every real one of its sample, so causal order alone keeps it out.
    looks = torch.arange(longest)[:, None] + len(prefix)
    allowed = torch.arange(longest + len(prefix))[None, :] <= looks
    bias = torch.zeros(allowed.shape, dtype=dtype).masked_fill_(~allowed, float("-inf"))
    return Block(
        query_SL=torch.tensor(filled, device=device),
        key_SM=torch.tensor([prefix + place for place in filled], device=device),
        bias_LM=bias.to(device),
        real=torch.tensor(real, device=device),
    )
