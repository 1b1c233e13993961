"""Soft targets: for replay, the student learns what its base would have said next, and how surely, at every token.

The base's answer alone says which word came first; its distribution also says which were near, and that is what a tuned
student forgets. The tokens of a question have a distribution too, and keep the student where it was as well. It costs
one reading of the replay by the base before the first step.

Source: knowledge distillation (Hinton et al., arXiv 1503.02531), from the student's own base as in learning without
forgetting (Li and Hoiem, arXiv 1606.09282).
"""

# N = tokens to predict, K = likeliest tokens, V = vocabulary

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from homeroom.train.template import Encoded

BATCH = 16  # samples of like length that are read together
TOP = 128  # likeliest tokens that are kept of a distribution; what they hold is made 1 again


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Soft:
    """What the base thinks comes next, at each token of a sample but its first."""

    ids_NK: torch.Tensor
    probs_NK: torch.Tensor  # each row sums to 1
    entropy: float  # summed over N, in nats: no student's loss is less

    @classmethod
    def of(cls, ids_NK: torch.Tensor, probs_NK: torch.Tensor) -> Soft:
        """Return distributions with their entropy."""
        return cls(ids_NK=ids_NK, probs_NK=probs_NK, entropy=float(-torch.xlogy(probs_NK, probs_NK).sum()))

    def of_rows(self, rows: torch.Tensor) -> Soft:
        """Return the distributions of some of the tokens."""
        return Soft.of(self.ids_NK[rows], self.probs_NK[rows])


@torch.no_grad()
def with_soft_targets(model: Any, samples: Sequence[Encoded]) -> list[Encoded]:
    """Return the samples with what `model`, the base, expects at each of their tokens, all of which are now learned.

    Args:
        model: In the arithmetic that the run computes in, so that a student that is still its base is right to the bit.
    """
    whole = [replace(sample, learn=(False,) + (True,) * (len(sample.ids) - 1)) for sample in samples]
    order = sorted(range(len(whole)), key=lambda n: _length(whole[n]))
    found: list[Encoded] = list(whole)
    for start in range(0, len(order), BATCH):
        places = order[start : start + BATCH]
        for n, soft in zip(places, _soft(model, [whole[n] for n in places]), strict=True):
            found[n] = replace(whole[n], soft=soft)
    return found


def _soft(model: Any, samples: Sequence[Encoded]) -> Iterator[Soft]:
    """Read samples together, padded on the right: what stands after a token does not change what is expected there."""
    longest = max(map(_length, samples))
    scale = 1.0 / getattr(model.config, "logits_scaling", 1.0)  # Granite divides its logits
    rows = [[*s.prefix, *s.ids] + [0] * (longest - _length(s)) for s in samples]
    hidden_BTD = model.base_model(input_ids=torch.tensor(rows, device=model.device), use_cache=False).last_hidden_state
    for sample, hidden_TD in zip(samples, hidden_BTD, strict=True):
        first = len(sample.prefix)
        logits_NV = model.get_output_embeddings()(hidden_TD[first : first + len(sample.ids) - 1]).float() * scale
        top_NK, ids_NK = logits_NV.topk(min(TOP, logits_NV.shape[-1]), dim=-1)
        yield Soft.of(ids_NK.cpu(), top_NK.softmax(-1).cpu())


def _length(sample: Encoded) -> int:
    return len(sample.prefix) + len(sample.ids)
