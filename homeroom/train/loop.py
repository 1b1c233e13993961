"""The training loop: a student, samples and one phase of settings -> a tuned student, in one loop from top to bottom.

    out/  measured.json  metrics.jsonl  checkpoints/  final/  adapter/ (of LoRA, as PEFT has it)

A run may be stopped at any moment (Ctrl-C, SIGTERM, kill -9, power) and started again with the same arguments: it goes
on from its last checkpoint, and on a CPU ends with the same weights to the bit. `phases.py` runs several in a row.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import torch

from homeroom.core.config import WATCHING, Phase
from homeroom.core.errors import ContentError, UsageError
from homeroom.core.files import hash_file, hash_folder, hash_value, lock_folder, read_jsonl, write_jsonl
from homeroom.core.types import Progress, Sample, no_progress
from homeroom.models.student import Student, load_student, pick_device, save_student
from homeroom.train import attention, lora, meter
from homeroom.train.allocator import steady_memory
from homeroom.train.batches import Step, pack, passes, schedule_phase
from homeroom.train.blend import blend, check_share
from homeroom.train.checkpoints import Cursor, load_checkpoint, save_checkpoint, writing_to
from homeroom.train.dropout import Readings
from homeroom.train.events import Events
from homeroom.train.freeze import freeze
from homeroom.train.loss import plain_loss, row_loss
from homeroom.train.measured import measure_once
from homeroom.train.memory import check_memory
from homeroom.train.precision import Choice
from homeroom.train.rehearsal import Expected, begin_peak, peak_gib, rehearse
from homeroom.train.soft import with_soft_targets
from homeroom.train.stop import StopSignals
from homeroom.train.template import Encoded, encode_all
from homeroom.train.watch import check_losses
from homeroom.train.weights import Weights, diverged, learning_rate

MAX_SAMPLE_TOKENS = 1024  # longer samples are cut; the student's own context may be less
CHECKPOINT_SHARE = 0.05  # of the time, at most, goes into checkpoints: a slow disk gets fewer
METRICS, MEASURED = "metrics.jsonl", "measured.json"
ENDS = 10  # steps that the first and the last loss are a mean of


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainResult:
    """What a phase did."""

    steps: int
    tokens: int  # through the student
    seconds: float  # of training, pauses left out
    tokens_per_second: float
    epochs: float
    loss_first: float  # mean per learned token over the first ten steps
    loss_last: float  # ... the last ten
    samples: int
    cut: int  # samples that were too long and lost their end
    dtype: str
    dtype_reason: str
    packed: bool  # several samples a row; else one by one, for models whose layers would mix them
    peak_gib: float = 0.0  # of memory, since this call began
    kl: float = 0.0  # at the end, from the base to the student on general texts, in nats a token; see meter.py
    expected: Expected = field(default_factory=Expected)  # what a rehearsal said before; empty for a run that went on


def train(
    student_path: Path,
    samples: Sequence[Sample],
    *,
    phase: Phase,
    seed: int,
    dtype: str = "auto",
    out: Path,
    progress: Progress = no_progress,
) -> TrainResult:
    """Tune a student on samples and write it to `out/final`; go on where an earlier call was stopped.

    Args:
        student_path: A Hugging Face folder or a GGUF file.
        samples: What to learn; `seed` shuffles them.
        phase: Budget, learning rate, method.
        seed: Decides the order of the data (and where LoRA begins).
        dtype: "auto", "float32" or "bfloat16", to compute in; the weights are float32.
        out: Folder of this run alone.
        progress: Told of the tokens read after every step.

    Raises:
        ContentError: there are no samples, or the student or a sample is faulty.
        MachineError: too little memory or disk, or `out` cannot be written to.
        RefusedError: another run is at work in `out`.
        StageError: the loss is no longer a number, runs away or does not fall.
        KeyboardInterrupt: after Ctrl-C, once a checkpoint is written; SIGTERM likewise does what it did before.
    """
    with writing_to(out), lock_folder(out), steady_memory():
        run = _prepare(student_path, samples, phase, seed, dtype, out)
        expected = _rehearsed(run, progress)
        cursor = _learn(run, phase, out, progress)
        _save(run, student_path, phase, out)
        return _result(run, cursor, expected, out)


def _learn(run: _Run, phase: Phase, out: Path, progress: Progress) -> Cursor:
    """Take every step that is left, from top to bottom, and return where the run stands then."""
    cursor, weights = run.cursor, run.weights
    total = sum(step.tokens for step in run.steps)
    before = read_jsonl(out / METRICS)
    losses = [row["loss"] for row in before]
    events = Events(out / "tensorboard", before) if phase.tensorboard else None
    saved_at, saving, kl = time.monotonic(), 0.0, before[-1].get("kl", 0.0) if before else 0.0

    with StopSignals() as stop, (out / METRICS).open("a", encoding="utf-8") as log:
        for step in run.steps[cursor.step :]:
            began = time.monotonic()
            loss = _read(run, step, cursor.step)
            lr = learning_rate(cursor.step, len(run.steps), peak=phase.lr, warmup_share=phase.warmup_share)
            norm = weights.update(lr)
            seconds = time.monotonic() - began
            cursor = replace(
                cursor, step=cursor.step + 1, tokens=cursor.tokens + step.tokens, seconds=cursor.seconds + seconds
            )
            kl = run.meter.distance() if meter.is_due(cursor.step, len(run.steps)) else kl
            line = _log(log, cursor, loss=loss, lr=lr, norm=norm, speed=step.tokens / seconds, kl=kl)
            if events:
                events.add(line)
            losses.append(line["loss"])
            check_losses(losses, len(run.steps))
            told = f"loss {loss:.2f}, {step.tokens / seconds:.0f} tokens/s, {kl:.3f} nats from the base"
            progress("train", cursor.tokens, total, told)
            due = time.monotonic() - saved_at > max(phase.checkpoint_minutes * 60, saving / CHECKPOINT_SHARE)
            if stop.wanted or (due and cursor.step < len(run.steps)):
                saved_at = time.monotonic()
                save_checkpoint(out / "checkpoints", weights, cursor, keep=phase.checkpoints_kept)
                saving = time.monotonic() - saved_at
            stop.obey()
    return cursor


def _read(run: _Run, step: Step, number: int) -> float:
    """Gather a step's gradients in the weights, and return its mean loss per learned token."""
    rows = [[run.readings.at(number, n) for n in row] for row in step.rows]
    learned = sum(sum(sample.learn) for row in rows for sample in row)
    loss = 0.0
    for row in rows:
        part = run.loss_of(row) / learned
        part.backward()
        run.weights.collect()
        loss += part.item()
    if not math.isfinite(loss):
        raise diverged("the loss")
    return loss


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """Everything the loop needs, ready to start or to go on."""

    student: Student
    encoded: list[Encoded]
    readings: Readings  # of the encoded samples
    steps: list[Step]
    choice: Choice
    packed: bool
    loss_of: Callable[[Sequence[Encoded]], torch.Tensor]  # summed over what is learned of them
    meter: meter.Meter
    weights: Weights
    cursor: Cursor
    device: str


def _prepare(student_path: Path, samples: Sequence[Sample], phase: Phase, seed: int, dtype: str, out: Path) -> _Run:
    if not samples:
        raise ContentError("there is nothing to learn: no samples", where=str(out))
    check_share(phase.blend)
    if phase.checkpoints_kept < 1:
        raise UsageError(f"checkpoints_kept is {phase.checkpoints_kept}, but must be 1 or more", where="train.phases")
    device = pick_device()
    student = load_student(student_path, device=device)
    model = student.model
    made_from = fingerprint(student_path, samples, phase, seed, dtype)
    measured = measure_once(out / MEASURED, made_from=made_from, wanted=dtype, config=model.config, device=device)
    choice = measured.choice
    if device == "cpu":
        check_memory(model.config, phase, dtype=choice.name)
    longest = min(MAX_SAMPLE_TOKENS, student.context_tokens)
    encoded = encode_all(samples, student.tokenizer, eos_id=student.eos_ids[0], max_tokens=longest)
    packed = attention.can_pack(model.config, max(len(e.prefix) + len(e.ids) for e in encoded))
    if phase.method == "lora":
        lora.attach(model, lora.Shape.of(phase), seed=seed)
    else:
        freeze(model, phase.frozen_share)
    weights = Weights(model, dtype=choice.dtype, weight_decay=phase.weight_decay)
    if phase.soft_replay:  # in the arithmetic of the run
        replay = [n for n, sample in enumerate(encoded) if sample.replay]
        for n, soft in zip(replay, with_soft_targets(model, [encoded[n] for n in replay]), strict=True):
            encoded[n] = soft
    steps = schedule_phase(encoded, phase, seed=seed)
    general = meter.read_by_base(model, student.tokenizer, eos_id=student.eos_ids[0])
    if packed:
        model.set_attn_implementation(attention.NAME)
    loss_of = partial(_loss, model, packed=packed, dtype=choice.dtype, device=device)
    distance = meter.Meter(general, loss_of)  # while the student is still its base
    cursor = load_checkpoint(out / "checkpoints", weights, hash_value([made_from, choice.name]))
    _drop_lines_after(out / METRICS, cursor.step)
    return _Run(
        student=student,
        encoded=encoded,
        readings=Readings(samples=encoded, share=phase.word_dropout, seed=seed),
        steps=steps,
        choice=choice,
        packed=packed,
        loss_of=loss_of,
        meter=distance,
        weights=weights,
        cursor=cursor,
        device=device,
    )


def _rehearsed(run: _Run, progress: Progress) -> Expected:
    """Say how long the run will take and how much memory, before its first step; a run that goes on knows both."""
    if run.cursor.step:
        return Expected()
    expected = rehearse(run.steps, run.weights, lambda step: _read(run, step, 0))
    begin_peak()
    told = f"about {expected.seconds / 60:.0f} min and {expected.gib:.1f} GiB of memory"
    progress("train", 0, sum(step.tokens for step in run.steps), told)
    return expected


def _loss(model: Any, samples: Sequence[Encoded], *, packed: bool, dtype: torch.dtype, device: str) -> torch.Tensor:
    if packed:
        return row_loss(model, pack(samples, dtype=dtype, device=device))
    return plain_loss(model, samples)


def _save(run: _Run, student_path: Path, phase: Phase, out: Path) -> None:
    run.weights.finish()
    model = run.student.model
    if phase.method == "lora":
        lora.save_adapter(model, lora.Shape.of(phase), out / "adapter", base=student_path, share=phase.blend)
        model = lora.merge(model, load_student(student_path, device=run.device).model, phase.blend)
    elif phase.frozen_share or phase.blend < 1:
        model = blend(model, load_student(student_path, device=run.device).model, phase.blend)
    model.set_attn_implementation("sdpa")
    save_student(model, run.student.tokenizer, out / "final")


def _result(run: _Run, cursor: Cursor, expected: Expected, out: Path) -> TrainResult:
    rows = read_jsonl(out / METRICS)
    losses, kl = [row["loss"] for row in rows], rows[-1].get("kl", 0.0)
    first, last = losses[:ENDS], losses[-ENDS:]
    return TrainResult(
        steps=len(run.steps),
        tokens=cursor.tokens,
        seconds=round(cursor.seconds, 1),
        tokens_per_second=round(cursor.tokens / max(cursor.seconds, 1e-9), 1),
        epochs=round(passes(run.encoded, run.steps), 2),
        loss_first=round(sum(first) / len(first), 4),
        loss_last=round(sum(last) / len(last), 4),
        samples=len(run.encoded),
        cut=sum(e.cut > 0 for e in run.encoded),
        dtype=run.choice.name,
        dtype_reason=run.choice.reason,
        packed=run.packed,
        peak_gib=round(peak_gib(), 3),
        kl=kl,
        expected=expected,
    )


def fingerprint(student_path: Path, samples: Sequence[Sample], phase: Phase, seed: int, dtype: str) -> str:
    """Return a hash of everything that decides the weights a run ends with; how often it is saved does not."""
    settings = {name: value for name, value in asdict(phase).items() if name not in WATCHING}
    return hash_value([hash_student(student_path), hash_value(list(samples)), settings, seed, dtype])


def hash_student(path: Path) -> str:
    """Return one hash over a model's files."""
    return hash_folder(path, "*") if path.is_dir() else hash_file(path)


def _log(
    log: TextIO, cursor: Cursor, *, loss: float, lr: float, norm: float, speed: float, kl: float
) -> dict[str, float]:
    """Write a line of metrics and return it."""
    line = {
        "step": cursor.step,
        "tokens": cursor.tokens,
        "loss": round(loss, 5),
        "lr": float(f"{lr:.4g}"),
        "gradient_norm": round(norm, 4),
        "seconds": round(cursor.seconds, 2),
        "tokens_per_second": round(speed, 1),
        "peak_gib": round(peak_gib(), 3),
        "kl": round(kl, 5),
    }
    log.write(json.dumps(line) + "\n")
    log.flush()
    return line


def _drop_lines_after(metrics: Path, step: int) -> None:
    """Keep the lines up to the step from which a run goes on, so that no step is written twice."""
    metrics.parent.mkdir(parents=True, exist_ok=True)
    kept = []
    for line in metrics.read_text(encoding="utf-8").splitlines() if metrics.is_file() else []:
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            break  # a line that a kill cut short, the last
        if row["step"] <= step:
            kept.append(row)
    write_jsonl(metrics, kept)
