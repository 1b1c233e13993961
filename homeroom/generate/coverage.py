"""How much of what there is to know the budget can teach: the most important facts well, not all of them badly.

A fact that is met fewer than some twenty times in different words is not learned by a small student (see
`dev/LOG.md` and the sources in `docs/method.md`), so tokens are first given to the most important facts until each has
its share, and only then to the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from homeroom.core.types import Fact

TEACHER_TOKENS = 150  # generated per fact for one round of questions and its part of a rewrite
TRAINING_TOKENS = 1_100  # read by the student per fact: 25 exposures of about 40 tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Which facts are taught, most important first."""

    facts: tuple[Fact, ...]
    known: int  # how many there are

    @property
    def share(self) -> float:
        """The part of all facts that is taught."""
        return len(self.facts) / self.known if self.known else 0.0


def cover(facts: Sequence[Fact], *, teacher_tokens: int, training_tokens: int) -> Coverage:
    """Return the facts, in their order of importance, that the tokens suffice for; at least one.

    Args:
        facts: Most important first, as `facts.weigh` orders them.
        teacher_tokens: What the teacher may still generate.
        training_tokens: What the student may read of samples about facts, repetitions counted.
    """
    most = min(teacher_tokens // TEACHER_TOKENS, training_tokens // TRAINING_TOKENS)
    return Coverage(facts=tuple(facts[: max(1, most)]), known=len(facts))
