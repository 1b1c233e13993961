"""LoRA: two thin matrices beside every linear layer learn, the layer itself stays; merged when training ends.

Less memory for the optimizer (a fiftieth at rank 32), and often less forgetting per fact learned; see `Phase.method`.
"""

# C = width that goes in, O = width that comes out, R = rank

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from homeroom.core.errors import UsageError

MAX_RANK = 1024
ALPHA = 32  # the correction counts ALPHA / rank, so that one learning rate suits every rank


class LoraLinear(nn.Module):
    """A linear layer that does not learn, plus `up @ down`, which does and begins at zero."""

    def __init__(self, layer: nn.Linear, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        self.layer = layer
        down = torch.empty(rank, layer.in_features).uniform_(-1, 1, generator=generator) / math.sqrt(layer.in_features)
        self.down_RC = nn.Parameter(down.to(layer.weight.device))
        self.up_OR = nn.Parameter(torch.zeros(layer.out_features, rank, device=layer.weight.device))
        self.scale = ALPHA / rank

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the layer says, with the correction learned so far."""
        return self.layer(x) + (x @ self.down_RC.T) @ self.up_OR.T * self.scale


def attach(model: Any, *, rank: int, seed: int) -> None:
    """Freeze a float32 model and put a `LoraLinear` around every linear layer of its decoder.

    Raises:
        UsageError: the rank is not between 1 and 1,024.
    """
    if not 0 < rank <= MAX_RANK:
        raise UsageError(f"the rank of LoRA is {rank}, but must be between 1 and {MAX_RANK}")
    generator = torch.Generator().manual_seed(seed)
    model.requires_grad_(False)
    decoder = model.get_decoder()
    for name, layer in [(n, m) for n, m in decoder.named_modules() if isinstance(m, nn.Linear)]:
        parent, _, last = name.rpartition(".")
        setattr(decoder.get_submodule(parent), last, LoraLinear(layer, rank, generator))


@torch.no_grad()
def merge(model: Any, base: Any, share: float = 1.0) -> Any:
    """Add `share` of what was learned to `base`, the float32 model that `attach` was given a copy of, and return it.

    `model` itself may have computed in bfloat16, which rounded all that it did not learn.
    """
    for name, layer in model.get_decoder().named_modules():
        if isinstance(layer, LoraLinear):
            change_OC = layer.up_OR.float() @ layer.down_RC.float() * layer.scale * share
            base.get_decoder().get_submodule(name).weight += change_OC
    return base
