"""How many useful tokens a second our training reads, beside TRL's SFTTrainer, on the same samples of a real course.

    python benchmarks/train_speed.py COURSE [--trl-python PYTHON] [--samples 48] [--rounds 2]

Each arm runs in a process of its own, arm after arm, and the whole row again `--rounds` times, so that other work on
the machine falls on all alike; the median of the rounds counts. Two clocks are kept: that of the wall, and that of the
processor, which other programs do not disturb. A token is useful when it belongs to a sample: padding is not. A
sample's tokens are counted whole in every arm, also where ours reads a shared prefix once. `--trl-python` names an
interpreter that has `trl` beside torch and transformers; without it our arms run alone. One JSON an arm in
`results/train-speed-ARM.json`; an arm that is there is skipped.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
TRL = {  # arm -> what differs from TRL's own defaults
    "trl-defaults": {},
    "trl-batch4": {"per_device_train_batch_size": 4, "gradient_checkpointing": False},
    "trl-bf16-grouped": {
        "per_device_train_batch_size": 8,
        "gradient_checkpointing": False,
        "bf16": True,
        "train_sampling_strategy": "group_by_length",
    },
    "trl-bf16-grouped-16": {
        "per_device_train_batch_size": 16,
        "gradient_checkpointing": False,
        "bf16": True,
        "train_sampling_strategy": "group_by_length",
    },
}
OURS = {  # arm -> what differs from the default phase
    "homeroom-all-layers": {"frozen_share": 0.0},
    "homeroom-defaults": {},
}


class Clock:
    """The two clocks at the end of every step."""

    def __init__(self) -> None:
        self.wall: list[float] = []
        self.cpu: list[float] = []

    def tick(self) -> None:
        """Note that a step has ended."""
        self.wall.append(time.perf_counter())
        self.cpu.append(time.process_time())

    def seconds(self) -> tuple[float, float]:
        """Return what the steps after the first took, by both clocks."""
        return self.wall[-1] - self.wall[0], self.cpu[-1] - self.cpu[0]


def load_samples(course: Path, count: int) -> list[Any]:
    from homeroom.core.files import read_jsonl
    from homeroom.core.types import Sample

    return [s for s in read_jsonl(course / "out/dataset/train.jsonl", Sample) if s.messages][:count]


def run_ours(student: Path, samples: list[Any], settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    from homeroom.core.config import Phase
    from homeroom.train import loop

    clock, planned = Clock(), []
    plan = loop.schedule_phase
    loop.schedule_phase = lambda encoded, *a, **kw: planned.append((encoded, plan(encoded, *a, **kw))) or planned[-1][1]
    phase = Phase(tokens=10**9, epochs=1.0, soft_replay=False, blend=1.0, lr=1e-4, **settings)

    def tick(stage: str, done: float, total: float, note: str = "") -> None:
        if done:
            clock.tick()

    result = loop.train(student, samples, phase=phase, seed=0, out=folder / "run", progress=tick)
    encoded, steps = planned[0]
    useful = [sum(len(encoded[n].prefix) + len(encoded[n].ids) for row in s.rows for n in row) for s in steps]
    return (
        {"useful": sum(useful[1:]), "through_the_model": sum(s.tokens for s in steps[1:])}
        | told(clock)
        | {
            "dtype": result.dtype,
            "expected": {"seconds": result.expected.seconds, "gib": result.expected.gib},
            "seconds_in_all": result.seconds,
            "peak_gib_of_training": result.peak_gib,
        }
    )


def run_trl(student: Path, samples: list[Any], settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    import torch
    import trl
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback

    from homeroom.models.student import use_cores

    use_cores()
    clock, lengths = Clock(), []
    rows = []
    for sample in samples:
        turns = [{"role": m.role, "content": m.content} for m in sample.messages]
        rows.append({"prompt": turns[:-1], "completion": turns[-1:]})

    class Tick(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            clock.tick()

    trainer = trl.SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(student, dtype=torch.float32),
        args=trl.SFTConfig(output_dir=str(folder), num_train_epochs=1, use_cpu=True, save_strategy="no", **settings),
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(student),
        callbacks=[Tick()],
    )
    plain = trainer.training_step

    def counted(model: Any, inputs: Any, *rest: Any, **named: Any) -> Any:
        lengths.append((int(inputs["attention_mask"].sum()), inputs["attention_mask"].numel()))
        return plain(model, inputs, *rest, **named)

    trainer.training_step = counted
    trainer.train()
    return {"useful": sum(u for u, _ in lengths[1:]), "through_the_model": sum(n for _, n in lengths[1:])} | told(clock)


def told(clock: Clock) -> dict[str, float]:
    wall, cpu = clock.seconds()
    return {"wall_s": wall, "cpu_s": cpu, "peak_rss_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}


def run_gemm(student: Path) -> dict[str, Any]:
    """The rate of the bare products of one linear layer at the student's shapes, forward and backward."""
    import torch
    from transformers import AutoConfig

    from homeroom.models.student import use_cores
    from homeroom.train.precision import pick_dtype

    use_cores()
    config = AutoConfig.from_pretrained(student)
    choice = pick_dtype("auto", config)
    width, inner, tokens = config.hidden_size, config.intermediate_size, 512
    x, weight, grad = (
        torch.ones(shape, dtype=choice.dtype) for shape in ((tokens, width), (inner, width), (tokens, inner))
    )
    rates = []
    for _ in range(60):
        began, cpu = time.perf_counter(), time.process_time()
        x @ weight.T, grad @ weight, grad.T @ x
        rates.append((time.perf_counter() - began, time.process_time() - cpu))
    flop = 6 * tokens * width * inner
    best_wall, best_cpu = (min(r[n] for r in rates[5:]) for n in (0, 1))
    return {"dtype": choice.name, "wall_gflops": flop / best_wall / 1e9, "cpu_gflops": flop / best_cpu / 1e9}


def child(args: argparse.Namespace) -> None:
    from homeroom.pipeline.course import fetch_student

    student = fetch_student("smollm2-135m")
    samples = load_samples(args.course, args.samples)
    with tempfile.TemporaryDirectory() as folder:
        if args.arm == "gemm":
            found = run_gemm(student)
        elif args.arm in OURS:
            found = run_ours(student, samples, OURS[args.arm], Path(folder))
        else:
            found = run_trl(student, samples, TRL[args.arm], Path(folder))
    print("RESULT " + json.dumps(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("course", type=Path)
    parser.add_argument("--trl-python", default="")
    parser.add_argument("--samples", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--arm", default="", help="run one arm in this process, and print what it found")
    args = parser.parse_args()
    if args.arm:
        return child(args)
    arms = {"gemm": sys.executable, **dict.fromkeys(OURS, sys.executable)}
    arms |= dict.fromkeys(TRL, args.trl_python) if args.trl_python else {}
    arms = {arm: python for arm, python in arms.items() if not (RESULTS / f"train-speed-{arm}.json").is_file()}
    found: dict[str, list[dict[str, Any]]] = {arm: [] for arm in arms}
    for _ in range(args.rounds):
        for arm, python in arms.items():
            command = [python, __file__, str(args.course), "--samples", str(args.samples), "--arm", arm]
            env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1"}
            ended = subprocess.run(command, env=env, capture_output=True, text=True)
            lines = [line for line in ended.stdout.splitlines() if line.startswith("RESULT ")]
            if not lines:
                sys.exit(f"{arm} failed:\n{ended.stderr[-3000:]}")
            found[arm].append(json.loads(lines[-1].removeprefix("RESULT ")))
            print(arm, found[arm][-1], flush=True)
            write_cell(arm, args.samples, found[arm])


def write_cell(arm: str, samples: int, runs: list[dict[str, Any]]) -> None:
    cell: dict[str, Any] = {"version": 1, "arm": arm, "samples": samples, "runs": runs}
    if arm != "gemm":
        cell["useful_per_cpu_s"] = round(statistics.median(r["useful"] / r["cpu_s"] for r in runs), 2)
        cell["useful_per_wall_s"] = round(statistics.median(r["useful"] / r["wall_s"] for r in runs), 2)
    (RESULTS / f"train-speed-{arm}.json").write_text(json.dumps(cell, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
