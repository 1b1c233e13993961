"""float32 or bfloat16: measured on this machine, never assumed.

bfloat16 matrix products are twice as fast as float32 on a CPU with AVX512-BF16, many times with AMX, and up to 500
times slower on one without either (pytorch #146508). So both are timed for a third of a second at the student's
shapes, and the faster one computes; the weights that are kept are float32 in any case.
"""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass
from typing import Any

import torch

from homeroom.core.errors import UsageError

WORTH = 1.15  # times faster; less does not pay for the coarser arithmetic
HOPELESS = 3.0  # times slower on a small product: the large one is not even tried
TOKENS = 256
SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Choice:
    """The arithmetic to compute with, and why in a few words."""

    dtype: torch.dtype
    reason: str

    @property
    def name(self) -> str:
        """The name of the type as a recipe writes it."""
        return str(self.dtype).removeprefix("torch.")


def pick_dtype(wanted: str, config: Any, *, device: str = "cpu") -> Choice:
    """Return the type to compute with: the one that is wanted, or for "auto" the faster one here.

    Args:
        wanted: "auto", "float32" or "bfloat16".
        config: The student's; its widths are the shapes that are timed.
        device: "cpu", "cuda" or "mps".
    """
    if wanted in ("float32", "bfloat16"):
        return Choice(getattr(torch, wanted), "asked for")
    if wanted != "auto":
        raise UsageError(f"dtype is {wanted!r}, but must be auto, float32 or bfloat16")
    if device == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
        return Choice(torch.bfloat16, "CUDA") if fast else Choice(torch.float32, "this GPU has no bfloat16")
    if device == "mps":
        return Choice(torch.float32, "bfloat16 is not reliable on MPS")
    return _measured(min(config.hidden_size, 1024), min(getattr(config, "intermediate_size", 0) or 2048, 2048))


@functools.cache
def _measured(width: int, inner: int) -> Choice:
    probe = {dtype: _seconds(dtype, 64, 256, 256, repeat=2) for dtype in (torch.float32, torch.bfloat16)}
    if probe[torch.bfloat16] > HOPELESS * probe[torch.float32]:
        return Choice(torch.float32, "bfloat16 is emulated on this CPU")
    best = dict.fromkeys(probe, float("inf"))
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end or float("inf") in best.values():
        for dtype in best:  # by turns, so that other work on the machine disturbs both alike
            best[dtype] = min(best[dtype], _seconds(dtype, TOKENS, width, inner, repeat=1))
    gain = best[torch.float32] / best[torch.bfloat16]
    picked = torch.bfloat16 if gain >= WORTH else torch.float32
    return Choice(picked, f"bfloat16 computes {gain:.1f} times as fast as float32 here")


def _seconds(dtype: torch.dtype, tokens: int, width: int, inner: int, *, repeat: int) -> float:
    """Time the three products of one linear layer, forward and backward; the best of `repeat` after a first."""
    x, weight, grad = (torch.ones(shape, dtype=dtype) for shape in ((tokens, width), (inner, width), (tokens, inner)))
    times = []
    for _ in range(repeat + 1):
        start = time.perf_counter()
        x @ weight.T, grad @ weight, grad.T @ x
        times.append(time.perf_counter() - start)
    return min(times[1:])
