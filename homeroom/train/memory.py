"""How much memory a training run takes at its peak, said before it starts.

    weights + working copy + gradients + AdamW + what one row leaves behind for the backward pass + logits

Counted from the shapes. Measured with the embedded student (peak resident memory, GiB; rows of 1,155 and 2,049 tokens):
bfloat16 4.26 and 5.69, estimated 4.50 and 5.55; float32 4.39, estimated 5.22.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from homeroom.core.config import Phase
from homeroom.core.errors import MachineError
from homeroom.models.machine import memory
from homeroom.train.batches import ROW_TOKENS
from homeroom.train.loss import PIECE

GIB = 2**30
PROGRAM_GIB = 0.45  # Python, torch and transformers themselves
TYPICAL_SAMPLE = 128  # tokens over which attention keeps its weights
FRAGMENTS = 1.1  # rows differ in size, so freed memory is not always of the size that is wanted next


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryEstimate:
    """Peak memory of a run, and what it is made of."""

    gib: float
    parts: dict[str, float]  # in GiB


def estimate(config: Any, phase: Phase, *, dtype: str = "float32") -> MemoryEstimate:
    """Estimate the peak memory of training a model with this configuration.

    Args:
        config: transformers' configuration of the student.
        phase: Its method, rank and step.
        dtype: What the run computes in, "float32" or "bfloat16".
    """
    width, inner = config.hidden_size, getattr(config, "intermediate_size", 4 * config.hidden_size)
    layers, heads = config.num_hidden_layers, config.num_attention_heads
    head_width = getattr(config, "head_dim", None) or width // heads
    keys = (getattr(config, "num_key_value_heads", None) or heads) * head_width
    queries = heads * head_width
    table = config.vocab_size * width
    matrices = [(width, queries), (width, keys), (width, keys), (queries, width), *[(width, inner)] * 3]
    total = layers * sum(a * b for a, b in matrices) + table * (1 if config.tie_word_embeddings else 2)
    upper = layers - int(phase.frozen_share * layers) if phase.method == "full" else layers  # what learns
    head = table * (0 if config.tie_word_embeddings and upper < layers else 1)
    learned = upper * sum(a * b for a, b in matrices) + head if upper < layers else total
    if phase.method == "lora":
        learned = layers * phase.lora_rank * sum(a + b for a, b in matrices)
    size = 2 if dtype == "bfloat16" else 4
    copied = dtype == "bfloat16"
    tokens = min(ROW_TOKENS, phase.step_tokens)
    per_token = (
        2 * (8 + 3 * size) * width  # two norms, which compute in float32
        + size * (2 * queries + 4 * keys + 3 * width)  # before and after rotation, gathered, their output
        + size * heads * TYPICAL_SAMPLE  # the weights of attention
        + size * 4 * inner
    )
    row = upper * per_token * tokens * FRAGMENTS
    head_gradients = head * size * 2 if phase.method == "full" else 0  # of the tied table, from both its ends
    logits = min(PIECE, tokens) * config.vocab_size * size
    parts = {
        "weights": 4 * (learned if copied and phase.method == "lora" else total),
        "working copy": 2 * total if copied else 0,
        "gradients": learned * (6 if copied else 4),
        "optimizer": 8 * learned,
        "activations": row,
        "logits": logits + head_gradients,
    }
    shares = {name: round(value / GIB, 3) for name, value in parts.items()} | {"program": PROGRAM_GIB}
    return MemoryEstimate(gib=round(sum(shares.values()), 2), parts=shares)


def check_memory(config: Any, phase: Phase, *, dtype: str) -> MemoryEstimate:
    """Return the estimate where it fits into what is free now, the float32 weights being loaded already.

    Raises:
        MachineError: it does not fit; says what is needed, what there is, and what takes less.
    """
    needed, (_, free) = estimate(config, phase, dtype=dtype), memory()
    if 0 < free < needed.gib - needed.parts["weights"] - PROGRAM_GIB:
        raise MachineError(
            f"training needs about {needed.gib:.1f} GiB of memory, and {free:.1f} GiB are free",
            hint=_what_fits(config, phase, dtype, free),
        )
    return needed


def _what_fits(config: Any, phase: Phase, dtype: str, free: float) -> str:
    """Name the first change of the settings that would fit into `free` GiB."""
    changes = (
        {"step_tokens": phase.step_tokens // 2},
        {"frozen_share": max(0.75, phase.frozen_share)},
        {"method": "lora"},
        {"method": "lora", "step_tokens": 128},
    )
    for change in changes:
        less = estimate(config, replace(phase, **change), dtype=dtype)
        if less.gib - less.parts["weights"] - PROGRAM_GIB <= free:
            told = " ".join(f"-o train.phases.0.{name}={value}" for name, value in change.items())
            return f"This would fit, with {less.gib:.1f} GiB: {told}. Or close other programs."
    return "Nothing that changes only the settings would fit: close other programs, or take a smaller student."
