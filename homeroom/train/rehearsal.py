"""Three steps of a run before it begins: how long it will take here, and how much memory, from what they took.

The steps are the run's own: the one with the longest row, which takes most memory, and two ordinary ones for the time.
They are taken at a learning rate of zero and forgotten, so the run starts from exactly the weights it was given.
"""

from __future__ import annotations

import contextlib
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from homeroom.train.batches import Step
from homeroom.train.weights import Weights

GIB = 2**30
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a run is expected to take."""

    seconds: float = 0.0
    gib: float = 0.0  # of memory at its peak: the whole process on a CPU, the tensors on a GPU


def rehearse(steps: Sequence[Step], weights: Weights, read: Callable[[Step], float]) -> Expected:
    """Return what all these steps will take.

    Args:
        steps: The whole run.
        weights: As they are before the first step, and again afterwards.
        read: Takes a step's gradients.

    Raises:
        StageError: the gradients are no numbers even before anything is learned.
    """
    begin_peak()
    largest = max(steps, key=lambda step: (max(map(len, step.rows)), step.tokens))
    middle = sorted(steps, key=lambda step: step.tokens)[len(steps) // 2]
    tokens = seconds = 0.0
    for number, step in enumerate((largest, middle, middle)):
        began = time.monotonic()
        read(step)
        weights.update(0.0)
        if number or len(steps) == 1:  # the first also pays for memory that is then kept
            tokens, seconds = tokens + step.tokens, seconds + time.monotonic() - began
    weights.forget()
    whole = sum(step.tokens for step in steps)
    return Expected(seconds=round(whole * seconds / tokens, 1), gib=round(peak_gib(), 3))


def begin_peak() -> None:
    """Let `peak_gib` count from now; where the system cannot, it counts from the start of the process."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    with contextlib.suppress(OSError):
        CLEAR.write_text("5")


def peak_gib() -> float:
    """Return the most memory that was in use, in GiB: of the GPU where there is one, else of this process."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / GIB
    with contextlib.suppress(OSError, IndexError, ValueError):
        return int(STATUS.read_text().split("VmHWM:")[1].split()[0]) * 1024 / GIB
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / GIB if sys.platform == "darwin" else used * 1024 / GIB
