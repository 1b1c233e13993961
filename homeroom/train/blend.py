"""How far the student goes from its base: the weights of both, mixed, know nearly all of the new and of the old.

Measured on a 135M student (`dev/LOG.md`): what is forgotten on the way differs much from seed to seed, what is learned
little; four fifths of the way 96 % of the base's general knowledge was there that had been 76 %.

Source: WiSE-FT, Robust fine-tuning of zero-shot models (Wortsman et al., arXiv 2109.01903).
"""

from __future__ import annotations

from typing import Any

import torch

from homeroom.core.errors import UsageError


def check_share(share: float) -> None:
    """Refuse a share that is none.

    Raises:
        UsageError: it is not above 0 and at most 1.
    """
    if not 0 < share <= 1:
        raise UsageError(f"blend is {share:g}, not above 0 and at most 1", where="train.phases")


@torch.no_grad()
def blend(model: Any, base: Any, share: float) -> Any:
    """Put every weight of a tuned model `share` of the way from `base` to where it is, and return the model.

    What was frozen becomes the base's to the bit; training in bfloat16 had rounded it.
    """
    for (name, tuned), (other, original) in zip(model.named_parameters(), base.named_parameters(), strict=True):
        assert name == other
        if not tuned.requires_grad:
            tuned.data = original.data
        elif share < 1:
            tuned.data = torch.lerp(original.data, tuned.data, share)
    return model
