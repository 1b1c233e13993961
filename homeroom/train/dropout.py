"""Word dropout: each time a question is read, other words of it are missing.

A question that is read alike in every pass teaches its wording. With a word missing here and there the student has to
know the fact by what is left, and so finds it by other words too. The answer is never touched, nor any prompt of which
each word counts: yes or no, lettered choices, gaps, texts to rewrite. The base's answers to general prompts are
learned from prompts with gaps as well, every other time: else a strange prompt would come to mean "answer from the
course".

Source: random deletion, EDA (Wei and Zou, arXiv 1901.11196). What it brought is a table in docs/training.md.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from homeroom.core.errors import UsageError
from homeroom.train.template import Encoded

REPLAY = 0.5  # of the readings of a replay prompt, so many have gaps


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """How each sample is read at each step: a pure function of the seed, so a run that goes on reads the same."""

    samples: Sequence[Encoded]
    share: float  # of a question's tokens that are missing
    seed: int

    def __post_init__(self) -> None:
        """Refuse a share that leaves nothing to read.

        Raises:
            UsageError: it is not from 0 to below 1.
        """
        if not 0 <= self.share < 1:
            raise UsageError(f"word_dropout is {self.share:g}, not from 0 to below 1", where="train.phases")

    def at(self, step: int, place: int) -> Encoded:
        """Return the sample at `place` of the data as it is read at `step`, counted from 0."""
        sample = self.samples[place]
        if not (self.share and sample.question):
            return sample
        drawn = random.Random(f"{self.seed}/{step}/{place}")
        if sample.replay and drawn.random() >= REPLAY:
            return sample
        kept = [n for n in range(len(sample.ids)) if n >= sample.question or drawn.random() >= self.share]
        return _with_tokens(sample, kept)


def _with_tokens(sample: Encoded, kept: list[int]) -> Encoded:
    """Return a sample with these of its tokens; of what stands before its answer nothing is learned."""
    learn = [learned and n >= sample.answer for n, learned in enumerate(sample.learn)]
    places = [n for n, learned in enumerate(sample.learn) if learned]  # each has its row of `soft`
    soft = sample.soft and sample.soft.of_rows(torch.tensor([row for row, n in enumerate(places) if learn[n]]))
    return replace(sample, ids=tuple(sample.ids[n] for n in kept), learn=tuple(learn[n] for n in kept), soft=soft)
