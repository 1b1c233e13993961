"""Several processes train one student: weights, gradients and optimizer are split among them (PyTorch's FSDP2).

    torchrun --nproc-per-node 2 -m homeroom.train.parallel --student FOLDER --samples train.jsonl --out FOLDER

One process a GPU (bfloat16, NCCL), or gloo on CPUs. Each step's samples are shared out by tokens, the longest first, so
that no process waits long for another; one without a sample reads a row that counts nothing, because all must meet at
every layer. A step's loss is a sum divided by what the whole step learns, so gradients are summed over processes, not
averaged: losses and weights are those of one process (tested with two). The plain loop (`loop.py`) is the one to read
first; this one has its steps and its settings, but no checkpoints: a run that is stopped begins again.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from homeroom.core.config import Phase
from homeroom.core.errors import ContentError, UsageError
from homeroom.core.files import read_jsonl
from homeroom.core.types import Sample
from homeroom.models.student import load_student, save_student, use_cores
from homeroom.train import attention
from homeroom.train.batches import Row, Step, pack, schedule_phase
from homeroom.train.blend import blend
from homeroom.train.dropout import Readings
from homeroom.train.freeze import freeze
from homeroom.train.loop import MAX_SAMPLE_TOKENS, METRICS
from homeroom.train.loss import row_loss
from homeroom.train.precision import pick_dtype
from homeroom.train.template import Encoded, encode_all
from homeroom.train.weights import BETAS, MAX_NORM, diverged, learning_rate


def train_parallel(
    student_path: Path, samples: Sequence[Sample], *, phase: Phase, seed: int, dtype: str = "auto", out: Path
) -> list[float]:
    """Tune a student with all processes that torchrun started, write it to `out/final`, and return the losses.

    Raises:
        ContentError: there are no samples, or the student cannot read several in one row.
        UsageError: the phase asks for what only one process can: LoRA, soft replay.
        StageError: the loss is no longer a number.
    """
    if phase.method != "full" or phase.soft_replay:
        raise UsageError("several processes train with method full and soft_replay false", where="train.phases")
    rank, processes = world()
    device = f"cuda:{torch.cuda.current_device()}" if torch.cuda.is_available() else "cpu"
    use_cores()
    student = load_student(student_path, device=device)
    longest = min(MAX_SAMPLE_TOKENS, student.context_tokens)
    encoded = encode_all(samples, student.tokenizer, eos_id=student.eos_ids[0], max_tokens=longest)
    if not encoded or not attention.can_pack(student.model.config, max(len(e.prefix) + len(e.ids) for e in encoded)):
        raise ContentError("there are no samples, or this student cannot read several in one row", where=str(out))
    choice = pick_dtype(dtype, student.model.config, device=device.partition(":")[0])
    compute = _agreed(choice.dtype)
    steps = schedule_phase(encoded, phase, seed=seed)
    freeze(student.model, phase.frozen_share)
    student.model.set_attn_implementation(attention.NAME)
    loss_of = split(student.model, dtype=compute)
    weights = [p for p in loss_of.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=0.0, betas=BETAS, weight_decay=phase.weight_decay, fused=True)
    losses, readings = [], Readings(samples=encoded, share=phase.word_dropout, seed=seed)
    for number, step in enumerate(steps):
        total = torch.zeros((), device=device)
        read = {n: readings.at(number, n) for row in step.rows for n in row}
        learned = sum(sum(read[n].learn) for row in step.rows for n in row)
        rows = share_out(step, [len(e.ids) for e in encoded], processes)[rank]
        for row in rows:
            part = loss_of(pack([read[n] for n in row] or [_NOTHING], dtype=compute, device=device)) / learned
            (part if row else part * 0.0).backward()
            total += part.detach() if row else 0.0
        dist.all_reduce(total)
        if not math.isfinite(float(total)):
            raise diverged("the loss")
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(number, len(steps), peak=phase.lr, warmup_share=phase.warmup_share)
        _clip([p.grad for p in weights])
        optimizer.step()
        optimizer.zero_grad()
        losses.append(round(float(total), 5))
    _save(student_path, loss_of, student.tokenizer, phase, losses, out)
    return losses


_NOTHING = Encoded(prefix=(), ids=(1, 1), learn=(False, True))  # read by a process that has no row left


def _agreed(dtype: torch.dtype) -> torch.dtype:
    """Return what the first process measured: all must compute in one type."""
    told = [dtype]
    dist.broadcast_object_list(told)
    return told[0]


def _clip(grads: list[Any]) -> None:
    norm = torch.nn.utils.get_total_norm(grads)
    norm = float(norm.full_tensor() if hasattr(norm, "full_tensor") else norm)
    if not math.isfinite(norm):
        raise diverged("the gradient")
    if norm > MAX_NORM:
        torch._foreach_mul_(grads, MAX_NORM / norm)


def _save(student_path: Path, loss_of: nn.Module, tokenizer: Any, phase: Phase, losses: list[float], out: Path) -> None:
    """Gather the weights in the first process, which writes the student and the metrics."""
    gathered = {}
    for name, weight in loss_of.model.named_parameters():
        whole = weight.full_tensor().detach().float().cpu()  # every process takes part
        if dist.get_rank() == 0:
            gathered[name] = whole
    if dist.get_rank() == 0:
        tuned, base = load_student(student_path).model, load_student(student_path).model
        freeze(tuned, phase.frozen_share)
        for name, weight in tuned.named_parameters():
            weight.data = gathered[name]
        save_student(blend(tuned, base, phase.blend), tokenizer, out / "final")
        lines = [json.dumps({"step": n, "loss": loss}) for n, loss in enumerate(losses, 1)]
        (out / METRICS).write_text("\n".join(lines) + "\n", encoding="utf-8")
    dist.barrier()


def world() -> tuple[int, int]:
    """Join the processes that torchrun started, and return this one's number and how many there are.

    Raises:
        UsageError: torchrun did not start this.
    """
    if "WORLD_SIZE" not in os.environ:
        raise UsageError("several processes are started with torchrun", hint="See the head of train/parallel.py.")
    if not dist.is_initialized():
        cuda = torch.cuda.is_available()
        if cuda:
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        dist.init_process_group("nccl" if cuda else "gloo")
    return dist.get_rank(), dist.get_world_size()


def share_out(step: Step, sizes: Sequence[int], processes: int) -> list[list[tuple[int, ...]]]:
    """Divide a step's samples into rows of like size, as many for every process.

    Args:
        step: What is read before one update.
        sizes: Tokens of every sample.
        processes: How many.

    Returns:
        The rows of each process; a row is empty only where there are fewer samples than rows.

    Example:
        >>> step = Step(rows=((0, 1, 2),), tokens=60)
        >>> share_out(step, [30, 10, 20], 2)
        [[(0,)], [(2, 1)]]
    """
    each = math.ceil(len(step.rows) / processes)
    rows: list[list[int]] = [[] for _ in range(processes * each)]
    loads = [0] * len(rows)
    for sample in sorted((n for row in step.rows for n in row), key=lambda n: (-sizes[n], n)):
        least = loads.index(min(loads))
        rows[least].append(sample)
        loads[least] += sizes[sample]
    return [[tuple(row) for row in rows[number::processes]] for number in range(processes)]


class RowLoss(nn.Module):
    """The loss of a row as a module, so that its forward pass gathers what the processes hold apart."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, row: Row) -> torch.Tensor:
        """Return what `row_loss` does."""
        return row_loss(self.model, row)


def split(model: Any, *, dtype: torch.dtype) -> RowLoss:
    """Split a model among the processes, layer by layer, and return its loss.

    Args:
        model: On this process's device, in float32; the same in every process.
        dtype: To compute in; gradients are summed in float32.

    Raises:
        UsageError: its layers are not known.
    """
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    layers = next(
        (m for m in model.modules() if isinstance(m, nn.ModuleList) and len(m) == model.config.num_hidden_layers), None
    )
    if layers is None:
        raise UsageError("the layers of this model are not known, so it cannot be split among processes")
    policy = MixedPrecisionPolicy(param_dtype=dtype, reduce_dtype=torch.float32)
    loss = RowLoss(model)
    for layer in layers:
        fully_shard(layer, mp_policy=policy)
    fully_shard(loss, mp_policy=policy)
    for module in loss.modules():
        if hasattr(module, "set_gradient_divide_factor"):
            module.set_gradient_divide_factor(1.0)  # the sum: a step's loss is already divided by all it learns
            module.set_force_sum_reduction_for_comms(True)  # gloo knows no other
    return loss


def main() -> None:
    """Read the arguments and train; see the head of this file."""
    import argparse

    parser = argparse.ArgumentParser(description="Train a student with all processes that torchrun started.")
    for name in ("student", "samples", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--phase", default="{}", help="settings of the phase, as JSON")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    phase = dataclasses.replace(Phase(soft_replay=False), **json.loads(args.phase))
    args.out.mkdir(parents=True, exist_ok=True)
    samples = read_jsonl(args.samples, Sample)
    train_parallel(args.student, samples, phase=phase, seed=args.seed, dtype=args.dtype, out=args.out)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
