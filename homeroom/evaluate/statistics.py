"""How sure the numbers of a report are: an interval for one rate, and for the difference of two on the same questions.

Questions are taken as a sample of all that could have been asked (Miller 2024, arXiv 2411.00640), and before and after
are compared question by question, which needs about half as many questions as comparing two rates. Questions that
rest on the same source go together: two questions about one sentence are hardly two pieces of evidence. Few sources
make a plain bootstrap too sure of itself, so its interval is widened as Student's t is wider than the normal; what the
intervals cover is tested on simulated exams whose truth is known.

What no interval over questions can say: how another training run with another seed would have come out. For that,
train with several seeds and look at their spread.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

Z95 = 1.959963984540054  # of the normal distribution, two-sided
Z80 = 0.8416212335729143  # one-sided: a power of 80 %
EFFECT = 0.05  # that an exam should be able to show
RESAMPLES = 10_000
MIN_SOURCES = 10  # below, too few to draw from (a whole exam on one document): questions are drawn one by one
_STUDENTS_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)  # tabled; Fisher's is too small
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
    needed: int  # questions like these that would show a difference of 5 points with 80 % certainty


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """The mean of a measure over questions."""

    n: int
    mean: float
    ci95: tuple[float, float]  # bootstrap over sources


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
        needed=needed(changes),
    )


def mean(
    values: Sequence[float],
    *,
    sources: Sequence[str] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    bound: float = math.inf,
) -> Mean:
    """Return the mean of a measure that each question has, with an interval as `difference` gives it.

    Fewer than two questions have the widest interval, (-bound, bound); `bound` is the most that a value can be.
    """
    n = len(values)
    low, high = _bootstrap(list(values), sources or [""] * n, resamples, seed, bound=bound)
    return Mean(n=n, mean=round(sum(values) / n, 4) if n else 0.0, ci95=(low, high))


def needed(changes: Sequence[float], *, effect: float = EFFECT) -> int:
    """Return how many questions like these show a difference of `effect` in 80 of 100 exams.

    Args:
        changes: After minus before of each question: -1, 0 or 1. Where hardly any changed, as many are taken to change
            as the effect itself needs; without any, half of them, the worst that can be expected.

    Example:
        >>> needed([1, 0, 0, 0, -1, 0, 0, 0]), needed([])
        (785, 1570)
    """
    middle = sum(changes) / len(changes) if changes else 0.0
    spread = sum((c - middle) ** 2 for c in changes) / len(changes) if changes else 0.5
    spread = max(spread, effect - effect**2)
    return math.ceil((Z95 + Z80) ** 2 * spread / effect**2 - 1e-9)


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


def _bootstrap(
    changes: Sequence[float], sources: Sequence[str], resamples: int, seed: int, *, bound: float = 1.0
) -> tuple[float, float]:
    """Return the 2.5th and 97.5th percentile of the mean over resampled sources, widened for their number."""
    import numpy

    keys: list[object] = [source or i for i, source in enumerate(sources)]
    if len(set(keys)) < MIN_SOURCES:
        keys = list(range(len(changes)))
    sums: dict[object, list[float]] = {}
    for key, change in zip(keys, changes, strict=True):
        entry = sums.setdefault(key, [0, 0])
        entry[0] += change
        entry[1] += 1
    if len(sums) < 2:
        return (-bound, bound)
    if bound == 1 and len(set(changes)) == 1:  # drawing again would change nothing, but other questions might
        unseen = wilson(0, len(sums))[1]
        return (round(max(-1.0, changes[0] - unseen), 4), round(min(1.0, changes[0] + unseen), 4))
    change, count = numpy.array(list(sums.values()), dtype=float).T
    random = numpy.random.default_rng(seed)
    means = []
    rows = max(1, _DRAWN // len(sums))
    for start in range(0, resamples, rows):
        drawn = random.integers(0, len(sums), size=(min(rows, resamples - start), len(sums)))
        means.append(change[drawn].sum(axis=1) / count[drawn].sum(axis=1))
    middle, wider = change.sum() / count.sum(), _wider(len(sums))
    low, high = (middle + wider * (end - middle) for end in numpy.percentile(numpy.concatenate(means), [2.5, 97.5]))
    return (round(max(-bound, float(low)), 4), round(min(bound, float(high)), 4))


def _wider(sources: int) -> float:
    """Return how much wider an interval over this many sources must be: by Student's t, and by n over n - 1."""
    return students_t(sources - 1) / Z95 * math.sqrt(sources / (sources - 1))


def students_t(free: int) -> float:
    """Return the 97.5th percentile of Student's t with this many degrees of freedom.

    Example:
        >>> students_t(2), round(students_t(20), 3)
        (4.303, 2.086)
    """
    if free <= len(_STUDENTS_T):
        return _STUDENTS_T[free - 1]
    z = Z95
    return z + (z**3 + z) / (4 * free) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * free**2)  # Fisher 1926
