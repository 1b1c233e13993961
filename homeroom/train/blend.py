"""How far the student goes from its base: the weights of both, mixed, know nearly all of the new and of the old.

Measured on a 135M student (`dev/LOG.md`): what is forgotten on the way differs much from seed to seed, what is learned
little; four fifths of the way 96 % of the base's general knowledge was there that had been 76 %.

Source: WiSE-FT, Robust fine-tuning of zero-shot models (Wortsman et al., arXiv 2109.01903).
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

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


def dial(base: Path, tuned: Path, share: float, out: Path) -> Path:
    """Write the student that is `share` of the way from `base` to `tuned` into `out`, and return it.

    Args:
        base: Hugging Face folder.
        tuned: Hugging Face folder of the same shape.
        out: Replaced.

    Raises:
        UsageError: the share is none, or the weights of the two do not have the same names and shapes.
    """
    check_share(share)
    old, new = _weights(base), _weights(tuned)
    shapes = {name: tensor.shape for name, tensor in old.items()}
    if any(shapes.get(name) != tensor.shape for name, tensor in new.items()):
        raise UsageError("base and tuned are not of one shape", where=f"{base}, {tuned}")
    mixed = {n: torch.lerp(old[n].float(), t.float(), share).to(t.dtype).contiguous() for n, t in new.items()}
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(tuned, out, ignore=shutil.ignore_patterns("*.safetensors", "*.safetensors.index.json", "*.gguf"))
    save_file(mixed, out / "model.safetensors", metadata={"format": "pt"})
    return out


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    return {name: tensor for file in sorted(folder.glob("*.safetensors")) for name, tensor in load_file(file).items()}
