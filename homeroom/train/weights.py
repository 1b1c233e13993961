"""What is being trained: float32 weights, the copy that computes, and AdamW.

With bfloat16 the model computes on a copy, because a step of 3e-4 is lost in eight bits: gradients are carried to the
float32 weights, AdamW moves those, and the copy is written anew. With float32 there is one set of weights.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from homeroom.core.errors import StageError

BETAS = (0.9, 0.95)
MAX_NORM = 1.0  # of the gradient of a step
LOWEST = 0.1  # of the learning rate, at the end


class Weights:
    """The parameters of a model that learn, and their optimizer.

    Args:
        model: Its weights are float32; those that require a gradient are trained. Computes in `dtype` afterwards.
        dtype: torch.float32 or torch.bfloat16.
        weight_decay: Of AdamW.
    """

    def __init__(self, model: Any, *, dtype: torch.dtype, weight_decay: float) -> None:
        named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
        self.names = [name for name, _ in named]
        self.copy = [parameter for _, parameter in named]
        self.master = self.copy
        if dtype != torch.float32:
            self.master = [p.detach().clone() for p in self.copy]
            for parameter in model.parameters():  # not model.to(): it would round the rotary frequencies as well
                parameter.data = parameter.data.to(dtype)
        fused = self.master[0].device.type in ("cpu", "cuda", "mps")
        self.optimizer = torch.optim.AdamW(
            self.master, lr=0.0, betas=BETAS, weight_decay=weight_decay, fused=fused, foreach=not fused
        )
        self._empty = True  # no gradient has come in since the last update

    @torch.no_grad()
    def collect(self) -> None:
        """Take in the gradients of one backward pass; several make one step."""
        if self.master is self.copy:
            return
        grads = [p.grad for p in self.copy]
        if self._empty:
            for weight in self.master:
                weight.grad = torch.empty_like(weight) if weight.grad is None else weight.grad
            torch._foreach_copy_([weight.grad for weight in self.master], grads)
        else:
            torch._foreach_add_([weight.grad for weight in self.master], grads)
        self._empty = False
        for parameter in self.copy:
            parameter.grad = None

    @torch.no_grad()
    def update(self, lr: float) -> float:
        """Move the weights by one step and return the norm that the gradient had before it was clipped.

        Raises:
            StageError: the gradient is not finite; the weights are as before.
        """
        grads = [weight.grad for weight in self.master]
        norm = float(torch.linalg.vector_norm(torch.stack(torch._foreach_norm(grads))))
        if not math.isfinite(norm):
            raise diverged("the gradient")
        if norm > MAX_NORM:
            torch._foreach_mul_(grads, MAX_NORM / norm)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.step()
        if self.master is self.copy:
            self.optimizer.zero_grad(set_to_none=True)
        else:
            torch._foreach_copy_(self.copy, self.master)
        self._empty = True
        return norm

    def forget(self) -> None:
        """Let the optimizer remember no step, as before the first."""
        self.optimizer.state.clear()

    def state(self) -> dict[str, torch.Tensor]:
        """Return every tensor that a resumed run needs, by name."""
        tensors = {}
        for name, weight in zip(self.names, self.master, strict=True):
            tensors[f"weight/{name}"] = weight.detach()
            tensors.update({f"{part}/{name}": value for part, value in self.optimizer.state[weight].items()})
        return tensors

    @torch.no_grad()
    def load_state(self, tensors: dict[str, torch.Tensor]) -> None:
        """Become what `state` returned, to the bit.

        Raises:
            KeyError: a tensor is missing.
        """
        for name, weight in zip(self.names, self.master, strict=True):
            weight.copy_(tensors[f"weight/{name}"])
            self.optimizer.state[weight] = {
                part: tensors[f"{part}/{name}"].to(weight.device) for part in ("step", "exp_avg", "exp_avg_sq")
            }
        if self.master is not self.copy:
            torch._foreach_copy_(self.copy, self.master)

    def finish(self) -> None:
        """Give the model the float32 weights; the bfloat16 copy is gone afterwards."""
        for parameter, weight in zip(self.copy, self.master, strict=True):
            parameter.data, parameter.grad = weight.detach(), None


def learning_rate(step: int, steps: int, *, peak: float, warmup_share: float) -> float:
    """Return the rate of a step, counted from 0: a straight warm-up, then half a cosine down to a tenth of `peak`."""
    warmup = math.ceil(warmup_share * steps)
    if step < warmup:
        return peak * (step + 1) / warmup
    done = (step - warmup) / max(1, steps - 1 - warmup)
    return peak * (LOWEST + (1 - LOWEST) * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))


def diverged(what: str) -> StageError:
    """Return the error for a loss or gradient that is no longer a number."""
    return StageError(
        f"training fell apart: {what} is not a finite number",
        hint="Use a lower learning rate (half of it), or -o train.dtype=float32; the last checkpoint is kept.",
    )
