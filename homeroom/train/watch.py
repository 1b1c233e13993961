"""A loss that runs away, or does not fall, ends a run early and says what to try: nobody waits an hour for noise.

The verdict depends on the losses alone, so a run that goes on after a stop is judged like one that never stopped. The
limits are wide, and a doubt helps the run: that nothing is learned is said only where the losses scatter so little
that it is certain, and never of a loss that is low already.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, variance

from homeroom.core.errors import StageError

ENDS = 10  # steps that a loss is a mean of
RUNAWAY = 2.0  # times the best loss so far, and ...
MARGIN = 1.0  # ... so many nats above it
PATIENCE = 60  # steps before a loss may be said not to fall, and at least half of the run
LEAST = 0.02  # share of the loss by which the later half of those steps must be below the earlier one, ...
CERTAIN = 4.0  # ... unless so many standard errors could hide it
LOW = 0.5  # nats a token, from which on little is left to learn


def check_losses(losses: Sequence[float], steps: int) -> None:
    """Do nothing while a run goes as it should.

    Args:
        losses: Of every step so far, per learned token.
        steps: Of the whole run.

    Raises:
        StageError: the loss has run away, or has not fallen in half of the run.
    """
    if len(losses) < 2 * ENDS:
        return
    if len(losses) % ENDS == 0:  # ten steps that share no loss with the ten before
        last = fmean(losses[-ENDS:])
        best = min(fmean(losses[n : n + ENDS]) for n in range(0, len(losses) - ENDS + 1, ENDS))
        if last > RUNAWAY * best and last > best + MARGIN:
            raise StageError(
                f"training runs away: the loss was {best:.2f} at its best and is {last:.2f} after {len(losses)} steps",
                hint="Use a lower learning rate (a third of it) or a longer warm-up (warmup_share).",
            )
    if len(losses) == max(PATIENCE, steps // 2):
        _check_falls(losses, steps)


def _check_falls(losses: Sequence[float], steps: int) -> None:
    half = len(losses) // 2
    earlier, later = losses[:half], losses[-half:]
    before, after = fmean(earlier), fmean(later)
    error = math.sqrt((variance(earlier) + variance(later)) / half)
    if before > LOW and before - after + CERTAIN * error < LEAST * before:
        raise StageError(
            f"nothing is learned: the loss was {before:.2f} in {half} steps and {after:.2f} in the next {half}, "
            f"after {len(losses)} of {steps}",
            hint="Look at what is learned (homeroom train COURSE --show 5), raise the learning rate, or train more of "
            "the student: frozen_share 0, or a higher lora_rank.",
        )
