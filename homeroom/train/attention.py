"""Attention over a packed row, sample by sample, in the place of the model's own.

A dense mask over a row of 1,024 tokens makes attention 40 % of a training step on a CPU (SmolLM2-135M in bf16: 93 ms
of a layer's 240), although a sample of 60 tokens looks no further than itself and the prefix. So queries, keys and
values are gathered into small batches of samples of like length, and put back. For those batches two plain matrix
products (16 ms) beat torch's flash kernel for CPUs (42 ms); a long text goes to that kernel, which keeps no scores.

transformers hands its keyword arguments through to the attention of each layer; that is how `blocks` gets here.
"""

# T = tokens of the row, H = heads, K = key-value heads, D = width of a head; S, L, M as in batches.py

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from homeroom.train.batches import Block

NAME = "homeroom_packed"
SHORT = 256  # tokens of a sample; beyond, the scores of all layers take more memory than the speed is worth
PACKED = ("llama", "mistral", "qwen2", "qwen3", "granite", "granitemoehybrid", "smollm3", "gemma3_text")  # tested


def packed_attention(
    module: Any,
    query: torch.Tensor,  # 1 H T D
    key: torch.Tensor,  # 1 K T D
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float,
    blocks: Sequence[Block],
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Return what each token gathered from those it may see, as 1 T H D."""
    query_THD, key_TKD, value_TKD = (x[0].transpose(0, 1).contiguous() for x in (query, key, value))
    parts = []
    for block in blocks:
        length = block.query_SL.shape[1]
        attend = _by_products if length <= SHORT and query.device.type == "cpu" else _by_kernel
        out_SHLD = attend(
            _gather(query_THD, block.query_SL),
            _gather(key_TKD, block.key_SM),
            _gather(value_TKD, block.key_SM),
            block.bias_LM,
            scaling,
        )
        parts.append(out_SHLD.transpose(1, 2).flatten(0, 1).index_select(0, block.real))
    return torch.cat(parts)[None], None


def _gather(x_THD: torch.Tensor, places_SL: torch.Tensor) -> torch.Tensor:
    """Return the rows at these places as a batch, S H L D."""
    return x_THD.index_select(0, places_SL.flatten()).unflatten(0, places_SL.shape).transpose(1, 2)


def _by_products(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bias_LM: torch.Tensor, scale: float):
    samples, heads, length, width = query.shape
    shape = (samples, key.shape[1], heads // key.shape[1] * length, width)  # heads that share keys side by side
    scores = torch.matmul((query * scale).reshape(shape), key.transpose(-1, -2))
    weights = scores.view(samples, heads, length, -1).add_(bias_LM).softmax(-1)
    return torch.matmul(weights.view(*shape[:3], -1), value).view(samples, heads, length, width)


def _by_kernel(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bias_LM: torch.Tensor, scale: float):
    grouped = key.shape[1] != query.shape[1]
    return scaled_dot_product_attention(query, key, value, attn_mask=bias_LM, scale=scale, enable_gqa=grouped)


AttentionInterface.register(NAME, packed_attention)


def can_pack(config: Any, longest: int) -> bool:
    """Say whether every layer of a model is plain attention over all that stands before, for samples of that length.

    State-space and convolution layers mix neighbours in a row, so their models read one sample a row.
    """
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    window = getattr(config, "sliding_window", None)
    plain = kinds <= {"full_attention", "sliding_attention", "attention"}
    return config.model_type in PACKED and plain and (window is None or longest <= window)
