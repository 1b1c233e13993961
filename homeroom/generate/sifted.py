"""What a recipe is given, a way to ask the teacher, and what it gives back: samples kept and samples thrown out.

They come one by one, as they pass, so that a hundred thousand of them are on a disk and not in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from homeroom.core.types import Rejected, Reply, Request, Sample

Item = Sample | Rejected


class Ask(Protocol):
    """Puts requests to the teacher."""

    def __call__(self, requests: Sequence[Request], share: float = 1.0) -> list[Reply | None]:
        """Return a reply each, and None for those that no longer fit into `share` of the tokens that are left."""
        ...


class Took(Protocol):
    """Told of each sample once it is checked, for whoever watches a run."""

    def __call__(self, sample: Sample, *, is_kept: bool) -> None:
        """Take note of one sample."""
        ...


def nobody(sample: Sample, *, is_kept: bool) -> None:
    """A `Took` that tells nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sifted:
    """What was kept and what was thrown out."""

    samples: tuple[Sample, ...]
    rejected: tuple[Rejected, ...]


def sifted(items: Iterable[Item]) -> Sifted:
    """Return what came one by one together; for what is known to be little."""
    kept, thrown = [], []
    for item in items:
        (thrown if isinstance(item, Rejected) else kept).append(item)
    return Sifted(samples=tuple(kept), rejected=tuple(thrown))
