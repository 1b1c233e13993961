"""Soft targets: for replay, the student learns what its base would have said next, and how surely, at every token.

The base's answer alone says which word came first; its distribution also says which were near, and that is what a tuned
student forgets. The tokens of a question have a distribution too, and keep the student where it was as well. It costs
one reading of the replay by the base before the first step.

Source: knowledge distillation (Hinton et al., arXiv 1503.02531), from the student's own base as in learning without
forgetting (Li and Hoiem, arXiv 1606.09282).
"""

# N = tokens to predict, K = likeliest tokens, V = vocabulary

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from homeroom.train.template import Encoded

TOP = 128  # likeliest tokens that are kept of a distribution; what they hold is made 1 again


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Soft:
    """What the base thinks comes next, at each token of a sample but its first."""

    ids_NK: torch.Tensor
    probs_NK: torch.Tensor  # each row sums to 1
    entropy: float  # summed over N, in nats: no student's loss is less


@torch.no_grad()
def with_soft_targets(model: Any, samples: Sequence[Encoded]) -> list[Encoded]:
    """Return the samples with what `model`, the base, expects at each of their tokens, all of which are now learned."""
    whole = [replace(sample, learn=(False,) + (True,) * (len(sample.ids) - 1)) for sample in samples]
    return [replace(sample, soft=_soft(model, sample)) for sample in whole]


def _soft(model: Any, sample: Encoded) -> Soft:
    ids = torch.tensor([sample.prefix + sample.ids], device=model.device)
    learned = torch.tensor((False,) * len(sample.prefix) + sample.learn, device=model.device)
    logits_NV = model(input_ids=ids, use_cache=False).logits[0, :-1][learned[1:]].float()
    probs_NK, ids_NK = logits_NV.softmax(-1).topk(min(TOP, logits_NV.shape[-1]), dim=-1)
    probs_NK = probs_NK / probs_NK.sum(-1, keepdim=True)
    return Soft(ids_NK=ids_NK.cpu(), probs_NK=probs_NK.cpu(), entropy=float(-torch.xlogy(probs_NK, probs_NK).sum()))
