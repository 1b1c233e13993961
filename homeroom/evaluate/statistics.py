"""How sure the numbers of a report are: an interval for one rate, and for the difference of two on the same questions.

Questions are taken as a sample of all that could have been asked (Miller 2024, arXiv 2411.00640), and before and after
are compared question by question, which needs about half as many questions as comparing two rates. Questions that
rest on the same source go together: two questions about one sentence are hardly two pieces of evidence.

What no interval over questions can say: how another training run with another seed would have come out. For that,
train with several seeds and look at their spread.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Z95 = 1.959963984540054  # of the normal distribution, two-sided
RESAMPLES = 10_000
MIN_SOURCES = 10  # below, too few to draw from (a whole exam on one document): questions are drawn one by one
_DRAWN = 1_000_000  # sources drawn at once, which bounds the memory to some tens of MB


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How many of some questions were answered right."""

    n: int
    correct: int
    accuracy: float  # 0 where n is 0
    ci95: tuple[float, float]  # Wilson


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How two models differ on the same questions."""

    n: int
    difference: float  # accuracy after minus before, -1 to 1
    ci95: tuple[float, float]  # bootstrap over sources
    p: float  # exact McNemar, two-sided
    gained: int  # wrong before, right after
    lost: int  # right before, wrong after


def rate(correct: Sequence[bool]) -> Rate:
    """Count right answers, with a 95 % interval that is sound near 0 and 1.

    Example:
        >>> rate([True] * 8 + [False] * 2).ci95
        (0.4902, 0.9433)
    """
    n, right = len(correct), sum(map(bool, correct))
    return Rate(n=n, correct=right, accuracy=round(right / n, 4) if n else 0.0, ci95=wilson(right, n))


def wilson(right: int, n: int) -> tuple[float, float]:
    """Return the Wilson score interval of `right` out of `n`; (0, 1) where nothing was asked."""
    if not n:
        return (0.0, 1.0)
    share, z2 = right / n, Z95**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return (round(max(0.0, middle - half), 4), round(min(1.0, middle + half), 4))


def difference(
    before: Sequence[bool],
    after: Sequence[bool],
    *,
    sources: Sequence[str] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Difference:
    """Compare two models question by question.

    Args:
        before: Whether each question was right.
        after: The same questions in the same order.
        sources: What each question rests on; equal ones are resampled together, if there are at least ten different
            ones. "" or None: a source of its own.
        resamples: How often the bootstrap draws.
        seed: Same seed, same interval.

    Returns:
        The difference; its interval is (-1, 1) where there are fewer than two questions to draw from.
    """
    if len(before) != len(after) or (sources is not None and len(sources) != len(before)):
        raise ValueError("before, after and sources must be about the same questions")
    gained = sum(bool(a) and not b for b, a in zip(before, after, strict=True))
    lost = sum(bool(b) and not a for b, a in zip(before, after, strict=True))
    n = len(before)
    changes = [int(bool(a)) - int(bool(b)) for b, a in zip(before, after, strict=True)]
    return Difference(
        n=n,
        difference=round((gained - lost) / n, 4) if n else 0.0,
        ci95=_bootstrap(changes, sources or [""] * n, resamples, seed),
        p=mcnemar(gained, lost),
        gained=gained,
        lost=lost,
    )


def mcnemar(gained: int, lost: int) -> float:
    """Return the exact two-sided p: how likely so lopsided a change is if both directions were equally likely.

    Example:
        >>> mcnemar(9, 1)
        0.021484
    """
    n, term, tail = gained + lost, 1, 0
    for k in range(min(gained, lost) + 1):
        tail += term
        term = term * (n - k) // (k + 1)
    return round(min(1.0, 2 * tail / 2**n), 6)


def _bootstrap(changes: list[int], sources: Sequence[str], resamples: int, seed: int) -> tuple[float, float]:
    """Return the 2.5th and 97.5th percentile of the mean change over resampled sources."""
    import numpy

    keys = [source or i for i, source in enumerate(sources)]
    if len(set(keys)) < MIN_SOURCES:
        keys = list(range(len(changes)))
    sums: dict[object, list[int]] = {}
    for key, change in zip(keys, changes, strict=True):
        entry = sums.setdefault(key, [0, 0])
        entry[0] += change
        entry[1] += 1
    if len(sums) < 2:
        return (-1.0, 1.0)
    change, count = numpy.array(list(sums.values()), dtype=float).T
    random = numpy.random.default_rng(seed)
    means = []
    rows = max(1, _DRAWN // len(sums))
    for start in range(0, resamples, rows):
        drawn = random.integers(0, len(sums), size=(min(rows, resamples - start), len(sums)))
        means.append(change[drawn].sum(axis=1) / count[drawn].sum(axis=1))
    low, high = numpy.percentile(numpy.concatenate(means), [2.5, 97.5])
    return (round(float(low), 4), round(float(high), 4))
