"""What is measured when a run begins and stays with it: the arithmetic it computes in, and the number of threads.

    out/measured.json

A run that goes on on a busier day would otherwise measure something else, and end with other weights: sums depend on
how many threads share them. Kept for one run only: other data, student or settings are measured anew.
"""

from __future__ import annotations

import contextlib
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from homeroom.core.errors import ContentError
from homeroom.core.files import from_json, read_json, write_json
from homeroom.models.student import use_cores
from homeroom.train.precision import Choice, pick_dtype


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """How a run computes."""

    made_from: str  # hash of what the run is made from
    dtype: str
    reason: str
    threads: int

    @property
    def choice(self) -> Choice:
        """The arithmetic, as torch names it."""
        return Choice(getattr(torch, self.dtype), self.reason)


def measure_once(path: Path, *, made_from: str, wanted: str, config: Any, device: str) -> Measured:
    """Return what was measured when this run began, or measure now and keep it; torch uses that many threads.

    Raises:
        UsageError: `wanted` is no type that is known.
    """
    with contextlib.suppress(ContentError):  # not there, or cut off by a power cut: measured anew
        kept = from_json(Measured, read_json(path), where=str(path))
        if kept.made_from == made_from and kept.dtype in ("float32", "bfloat16") and 0 < kept.threads <= 4096:
            torch.set_num_threads(kept.threads)
            return kept
    threads = use_cores()
    choice = pick_dtype(wanted, config, device=device)
    measured = Measured(made_from=made_from, dtype=choice.name, reason=choice.reason, threads=threads)
    write_json(path, dataclasses.asdict(measured))
    return measured
