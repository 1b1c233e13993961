"""LoRA: two thin matrices beside linear layers learn, the layers themselves stay; merged when training ends.

Less memory for the optimizer (a fiftieth at rank 32), and often less forgetting per fact learned; see `Phase.method`.
What was learned is also written as an adapter in the format of PEFT, which other programs load beside the base.

Sources: LoRA (Hu et al., arXiv 2106.09685); the root of the rank as scale, rsLoRA (Kalajdzievski, arXiv 2312.03732).
"""

# C = width that goes in, O = width that comes out, R = rank

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from homeroom.core.config import Phase
from homeroom.core.errors import ContentError, UsageError
from homeroom.core.files import read_json, write_json

MAX_RANK = 1024
ALPHA = 32  # the correction counts ALPHA / rank, so that one learning rate suits every rank
MLP = ("gate_proj", "up_proj", "down_proj", "input_linear", "output_linear")  # names of linear layers outside attention
WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
PREFIX = "base_model.model."  # PEFT's, before the name that a layer has in the model


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How large the correction is, what it corrects, and how much it counts."""

    rank: int
    mlp_only: bool = False
    stable: bool = False

    @classmethod
    def of(cls, phase: Phase) -> Shape:
        """Return the one that a phase asks for."""
        return cls(rank=phase.lora_rank, mlp_only=phase.lora_layers == "mlp", stable=phase.lora_stable)

    @property
    def scale(self) -> float:
        """What the correction is multiplied by."""
        return ALPHA / (math.sqrt(self.rank) if self.stable else self.rank)


class LoraLinear(nn.Module):
    """A linear layer that does not learn, plus `up @ down`, which does and begins at zero."""

    def __init__(self, layer: nn.Linear, shape: Shape, generator: torch.Generator) -> None:
        super().__init__()
        self.layer = layer
        down = torch.empty(shape.rank, layer.in_features).uniform_(-1, 1, generator=generator)
        self.down_RC = nn.Parameter((down / math.sqrt(layer.in_features)).to(layer.weight.device))
        self.up_OR = nn.Parameter(torch.zeros(layer.out_features, shape.rank, device=layer.weight.device))
        self.scale = shape.scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the layer says, with the correction learned so far."""
        return self.layer(x) + (x @ self.down_RC.T) @ self.up_OR.T * self.scale


def attach(model: Any, shape: Shape, *, seed: int) -> None:
    """Freeze a float32 model and put a `LoraLinear` around the linear layers of its decoder.

    Raises:
        UsageError: the rank is not between 1 and 1,024, or there is no layer to put it around.
    """
    if not 0 < shape.rank <= MAX_RANK:
        raise UsageError(f"the rank of LoRA is {shape.rank}, but must be between 1 and {MAX_RANK}")
    generator = torch.Generator().manual_seed(seed)
    model.requires_grad_(False)
    decoder = model.get_decoder()
    linear = [(name, layer) for name, layer in decoder.named_modules() if isinstance(layer, nn.Linear)]
    chosen = [(name, layer) for name, layer in linear if not shape.mlp_only or name.rpartition(".")[2] in MLP]
    if not chosen:
        raise UsageError("no linear layer outside attention has a name that is known", hint="Use lora_layers: all.")
    for name, layer in chosen:
        parent, _, last = name.rpartition(".")
        setattr(decoder.get_submodule(parent), last, LoraLinear(layer, shape, generator))


@torch.no_grad()
def merge(model: Any, base: Any, share: float = 1.0) -> Any:
    """Add `share` of what was learned to `base`, the float32 model that `attach` was given a copy of, and return it.

    `model` itself may have computed in bfloat16, which rounded all that it did not learn.
    """
    for name, layer in _layers(model):
        change_OC = layer.up_OR.float() @ layer.down_RC.float() * layer.scale * share
        base.get_submodule(name).weight += change_OC
    return base


def _layers(model: Any) -> list[tuple[str, LoraLinear]]:
    return [(name, layer) for name, layer in model.named_modules() if isinstance(layer, LoraLinear)]


# -- PEFT ----------------------------------------------------------------------------------------------------------


def save_adapter(model: Any, shape: Shape, folder: Path, *, base: Path, share: float = 1.0) -> Path:
    """Write `share` of what was learned as an adapter that PEFT loads, and return `folder`.

    Args:
        model: After `attach` and training.
        shape: What `attach` was given.
        folder: Made if missing.
        base: The model that it is an adapter of; its name is written, not its path.
        share: Of the way from the base; it goes into the weights, so whoever loads them gets the same.
    """
    tensors = {}
    for name, layer in _layers(model):
        tensors[f"{PREFIX}{name}.lora_A.weight"] = layer.down_RC.detach().float().cpu().contiguous()
        tensors[f"{PREFIX}{name}.lora_B.weight"] = (layer.up_OR.detach().float() * share).cpu().contiguous()
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base.name,
        "r": shape.rank,
        "lora_alpha": ALPHA,
        "use_rslora": shape.stable,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "target_modules": sorted({name.rpartition(".")[2] for name, _ in _layers(model)}),
    }
    write_json(folder / CONFIG, config)
    return folder


@torch.no_grad()
def load_adapter(model: Any, folder: Path) -> Any:
    """Merge a LoRA adapter in PEFT's format into `model`, the float32 base, and return it.

    Raises:
        ContentError: it is none, is damaged, is of a sort that is not known here, or was made for another base.
    """
    config = read_json(folder / CONFIG)
    rank, alpha = config.get("r"), config.get("lora_alpha")
    odd = [
        k for k in ("use_dora", "rank_pattern", "alpha_pattern", "modules_to_save", "fan_in_fan_out") if config.get(k)
    ]
    if config.get("peft_type") != "LORA" or config.get("bias", "none") != "none" or odd:
        found = ", ".join([str(config.get("peft_type")), *odd])
        raise ContentError(f"an adapter of a sort that is not read here ({found})", where=str(folder))
    if not isinstance(rank, int) or not 0 < rank <= MAX_RANK or not isinstance(alpha, int | float):
        raise ContentError(f"r is {rank!r} and lora_alpha {alpha!r}, which cannot be", where=str(folder / CONFIG))
    try:
        tensors = load_file(folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise ContentError(f"its weights cannot be read ({error})", where=str(folder / WEIGHTS)) from None
    scale = alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)
    places = dict(model.named_modules())
    pairs = []
    for key in sorted(tensors):
        name, ends, part = key.removeprefix(PREFIX).rpartition(".lora_A.weight")
        if key.endswith(".lora_B.weight") and key.replace("lora_B", "lora_A") in tensors:
            continue
        up, layer = tensors.get(key.replace("lora_A", "lora_B")), places.get(name)
        fits = ends and not part and up is not None and isinstance(layer, nn.Linear)
        if not fits or (up.shape[0], tensors[key].shape[1]) != tuple(layer.weight.shape):
            told = config.get("base_model_name_or_path")
            raise ContentError(
                f"it was made for another base ({told}): {key[:100]!r} does not fit this one",
                where=str(folder),
                hint="Load it beside the model that it names.",
            )
        pairs.append((layer, up, tensors[key]))
    if not pairs:
        raise ContentError("an adapter without weights", where=str(folder))
    for layer, up_OR, down_RC in pairs:
        layer.weight += (up_OR.float() @ down_RC.float() * scale).to(layer.weight)
    return model
