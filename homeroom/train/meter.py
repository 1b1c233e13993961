"""How far the student has gone from its base where nothing was meant to change: logged while it trains.

    general texts, read by the base once --every 25 steps--> nats a token between base and student, in metrics.jsonl

The Kullback-Leibler divergence from the base's distributions (its 128 likeliest tokens, as `soft.py` keeps them) to the
student's, on texts that no course teaches and no replay holds. It is no loss: nothing is learned from it, and a run has
the same weights with and without it. A run that forgets shows it here long before the exam; how much is too much is
not known beforehand, so nothing is decided by it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from homeroom.core.types import Sample
from homeroom.train.soft import with_soft_targets
from homeroom.train.template import Encoded, encode

EVERY = 25  # steps; reading the texts takes a sixth of a step
MAX_TOKENS = 64  # of a text
TEXTS = (
    "Water boils at a lower temperature on a high mountain, because the air above it presses less.",
    "To make bread you need flour, water, salt and yeast. Mix them, let the dough rise, and bake it until it is brown.",
    "The moon goes round the earth in about four weeks. We always see the same side of it.",
    "If three friends share twelve apples equally, each of them gets four.",
    "She closed the window because it had begun to rain, and then she put the kettle on.",
    "A triangle has three sides. When all of them have the same length, its angles are equal too.",
    "Dear Sam, thank you for the book. I read it in two evenings and liked the ending best.",
    "Plants take in light and carbon dioxide, and give off oxygen. At night they breathe as animals do.",
)


class Meter:
    """The distance of a student from its base, which it is when this is made.

    Args:
        texts: From `read_by_base`.
        loss_of: The summed loss of a student as it is now; no gradient is wanted of it.
    """

    def __init__(self, texts: Sequence[Encoded], loss_of: Callable[[Sequence[Encoded]], torch.Tensor]) -> None:
        self._texts, self._loss_of = texts, loss_of
        self._tokens = sum(sum(text.learn) for text in texts)
        self._own = self._loss()  # of the base: what lies beyond the likeliest tokens is not kept

    def distance(self) -> float:
        """Return it in nats a token, 0 or more."""
        return max(0.0, self._loss() - self._own) / self._tokens

    @torch.no_grad()
    def _loss(self) -> float:
        return self._loss_of(self._texts).item()


def read_by_base(model: Any, tokenizer: Any, *, eos_id: int) -> list[Encoded]:
    """Return the texts with what `model`, still the base, expects at each of their tokens."""
    texts = [Sample(id=str(n), kind="text", text=text) for n, text in enumerate(TEXTS)]
    return with_soft_targets(model, [encode(t, tokenizer, eos_id=eos_id, max_tokens=MAX_TOKENS) for t in texts])


def is_due(step: int, steps: int) -> bool:
    """Say whether to look after this step, counted from 1."""
    return step % EVERY == 0 or step == steps
