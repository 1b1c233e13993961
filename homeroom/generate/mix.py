"""What the student reads: samples of every leaf in even measure, plain texts beside questions, and replay.

`mix` chooses what one pass over the data holds, and all replay there is; training reads another part of it in every
pass, up to its share (`train/batches.py`). How often the data is passed over is the training's token budget.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from homeroom.core.config import Dataset
from homeroom.core.types import Rejected, Sample

PASSES = 2.0  # over all samples at least, where the budget is short; fewer means that some are read once


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixed:
    """One pass of samples in a seeded order with all replay among them, and its tokens by kind."""

    samples: tuple[Sample, ...]
    tokens: dict[str, int]


def mix(
    samples: Sequence[Sample],
    replay: Sequence[Sample],
    *,
    count: Callable[[Sample], int],
    tokens: int,
    config: Dataset,
) -> Mixed:
    """Return one pass of the samples, thinned evenly over facts where the budget is short, and the replay.

    Args:
        count: Tokens that a sample costs in training.
        tokens: What training may read of the samples, repetitions counted and replay left out.
    """
    chance = random.Random(config.seed)
    out = [*_thin(samples, int(tokens / PASSES), count, chance, config.text_share), *replay]
    chance.shuffle(out)
    by_kind: Counter[str] = Counter()
    for sample in out:
        by_kind[sample.kind] += count(sample)
    return Mixed(samples=tuple(out), tokens=dict(by_kind.most_common()))


def _thin(
    samples: Sequence[Sample], budget: int, count: Callable[[Sample], int], chance: random.Random, text_share: float
) -> list[Sample]:
    """Keep what fits: texts up to their share, then one question of every fact in turn until the budget is spent."""
    if sum(count(s) for s in samples) <= budget:
        return list(samples)
    texts = [s for s in samples if s.text]
    chance.shuffle(texts)
    texts.sort(key=lambda s: s.kind != "passage")  # the document's own words first
    kept, spent = [], 0
    for text in texts:
        if spent + count(text) <= budget * text_share:
            kept.append(text)
            spent += count(text)
    groups: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        if sample.messages:
            groups[",".join(sample.facts) or sample.leaf + sample.id].append(sample)
    for group in groups.values():
        chance.shuffle(group)
    depth = 0
    while spent < budget and any(len(g) > depth for g in groups.values()):
        for group in groups.values():
            if len(group) > depth and spent < budget:
                kept.append(group[depth])
                spent += count(group[depth])
        depth += 1
    return kept


def card(mixed: Mixed, rejected: Sequence[Rejected], *, teacher: str, student: str, leaves: Sequence[str]) -> str:
    """Return the dataset's card in Markdown: what is in it, whose, by which model, and what was thrown out."""
    kinds = Counter(s.kind for s in mixed.samples)
    by_leaf = Counter(s.leaf or "(replay)" for s in mixed.samples)
    lines = ["# Data card", "", f"Teacher: {teacher}. Student: {student}. Leaves: {', '.join(leaves)}.", ""]
    lines += ["| kind | samples | tokens a pass |", "|---|---|---|"]
    lines += [f"| {k} | {n} | {mixed.tokens.get(k, 0):,} |" for k, n in kinds.most_common()]
    lines += ["", "| leaf | samples |", "|---|---|"]
    lines += [f"| {k} | {n} |" for k, n in by_leaf.most_common()]
    lines += ["", "| thrown out by | samples |", "|---|---|"]
    lines += [f"| {k} | {n} |" for k, n in Counter(r.check for r in rejected).most_common()]
    lines += [
        "",
        "Replay is the base student's own answers to general prompts that ship with Homeroom (Apache-2.0); training "
        "reads a part of it in every pass.",
    ]
    return "\n".join(lines) + "\n"
