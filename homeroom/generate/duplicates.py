"""What has been said before, in the same words or nearly: each text is compared with all before it, in linear time.

Texts are sets of words and pairs of neighbouring words. Two are near-duplicates where their sets are nearly the same
(`NEAR`, Jaccard). Candidates are found by MinHash: sets that are much alike have most of their smallest hash values in
common, so it is enough to look up a few groups of them ("bands"), and then to compare exactly. Source: Broder,
"On the resemblance and containment of documents" (1997).
"""

from __future__ import annotations

import functools
import zlib
from array import array
from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

from homeroom.core.words import words
from homeroom.generate.checks import Fault

if TYPE_CHECKING:
    import numpy as np

NEAR = 0.9  # of all words and pairs of two texts, both have
BANDS, ROWS = 12, 3  # of hash values; sets that share 90 % are missed once in six million times


class Seen(Protocol):
    """A check that remembers."""

    def __call__(self, text: str, *, exact: bool = False) -> Fault | None:
        """Return a fault where the text was there before; with `exact`, only in the very same words."""
        ...


def duplicates(known: Iterable[str] = ()) -> Seen:
    """Return a check that remembers what it has seen, `known` from the start: the second of two like texts fails.

    A number more or less is a difference, however long the text: "within 5 days" and "within 6 days" are two texts.
    """
    seen: set[tuple[str, ...]] = set()
    sets: list[array[int]] = []
    bands: dict[bytes, list[int]] = {}

    def fault(text: str, *, exact: bool = False) -> Fault | None:
        own = words(text)
        key = tuple(own)
        if key in seen:
            return "duplicate", "the same words again"
        seen.add(key)
        if exact:
            return None
        marks = _marks(own)
        keys = _bands(marks)
        near = {n for k in keys for n in bands.get(k, ())}
        if any(_alike(marks, sets[n]) for n in sorted(near)):
            return "duplicate", "nearly the same words again"
        for k in keys:
            bands.setdefault(k, []).append(len(sets))
        sets.append(marks)
        return None

    for text in known:
        fault(text)
    return fault


def _marks(own: list[str]) -> array[int]:
    """Return the sorted hashes of a text's words and pairs of words; those of its numbers are odd, all others even."""
    plain = {zlib.crc32(w.encode()) * 2 + any(c.isdigit() for c in w) for w in own}
    pairs = {zlib.crc32(f"{a} {b}".encode()) * 2 for a, b in pairwise(own)}
    return array("Q", sorted(plain | pairs))


def _bands(marks: array[int]) -> list[bytes]:
    """Return for each band a key that two sets have in common when its smallest hash values are the same."""
    import numpy as np

    if len(marks) < 4:
        return []  # two or three words: only the same words are the same
    factors_H, marks_M = _factors(), np.frombuffer(marks, dtype=np.uint64)
    smallest_H = (factors_H[:, None] * marks_M[None, :] >> np.uint64(32)).min(axis=1)  # multiply-shift, wraps at 64 bit
    return [bytes([n]) + smallest_H[n * ROWS : (n + 1) * ROWS].tobytes() for n in range(BANDS)]


@functools.cache
def _factors() -> np.ndarray:
    """Return the odd factors of the hash functions, the same in every process."""
    import numpy as np

    return np.random.Generator(np.random.PCG64(0)).integers(1 << 62, size=BANDS * ROWS, dtype=np.uint64) * 2 + 1


def _alike(one: array[int], other: array[int]) -> bool:
    mine, theirs = set(one), set(other)
    if {m for m in mine ^ theirs if m % 2}:
        return False  # another number
    return len(mine & theirs) >= NEAR * len(mine | theirs)
