"""Tokens a second and the share of a GPU's peak (MFU) of full fine-tuning, for architectures of 1B to 8B.

    python benchmarks/train_gpu.py [--sizes 1b,3b,8b] [--step-tokens 16384] [--steps 12] [--peak-tflops 989]

Weights are random: they do not change the speed. Samples have the lengths of a real course (20 to 200 tokens with a
shared prefix of 25). The step is the loop's own: packed rows, the head's fused loss, clipping, AdamW. MFU counts 6
operations for each weight of a matrix and token, and nothing for attention. `--peak-tflops` is what the GPU can do in
dense bf16 (H100 and H200: 989). `--trl` takes the same samples through TRL's SFTTrainer in bf16 without gradient
checkpointing, batches grouped by length. One JSON a size in `results/train-gpu-SIZE[-trl].json`. On a CPU `--sizes
tiny` shows that it runs; **no GPU was at hand when this was written: nothing here was measured on one**.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from homeroom.train import attention
from homeroom.train.batches import Step, pack, schedule
from homeroom.train.loss import row_loss
from homeroom.train.template import Encoded
from homeroom.train.weights import Weights

RESULTS = Path(__file__).resolve().parent / "results"
SIZES = {  # Llama 3.2 and 3.1's shapes
    "tiny": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4},
    "1b": {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32},
    "3b": {"hidden_size": 3072, "intermediate_size": 8192, "num_hidden_layers": 28, "num_attention_heads": 24},
    "8b": {"hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32},
}
VOCABULARY = 128_256
WARM = 2  # steps that are not counted


def make_model(size: str, device: str) -> Any:
    heads = SIZES[size]["num_attention_heads"]
    shape = {**SIZES[size], "num_key_value_heads": min(8, heads), "tie_word_embeddings": size in ("tiny", "1b", "3b")}
    vocabulary = 1000 if size == "tiny" else VOCABULARY
    config = AutoConfig.for_model("llama", **shape, vocab_size=vocabulary, max_position_embeddings=4096)
    with torch.device(device):
        return AutoModelForCausalLM.from_config(config, dtype=torch.float32)


def make_samples(count: int, vocabulary: int) -> list[Encoded]:
    draw = random.Random(0)
    prefix = tuple(draw.randrange(vocabulary) for _ in range(25))
    samples = []
    for _ in range(count):
        length = min(200, max(20, int(draw.lognormvariate(4.0, 0.5))))
        ids = tuple(draw.randrange(vocabulary) for _ in range(length))
        samples.append(Encoded(prefix=prefix, ids=ids, learn=tuple(n > length // 2 for n in range(length))))
    return samples


def run_ours(model: Any, samples: list[Encoded], steps: list[Step], device: str) -> float:
    """Return the seconds of all steps but the first few."""
    model.set_attn_implementation(attention.NAME)
    weights = Weights(model, dtype=torch.bfloat16, weight_decay=0.0)
    began = 0.0
    for number, step in enumerate(steps):
        if number == WARM:
            wait(device)
            began = time.perf_counter()
        learned = sum(sum(samples[n].learn) for row in step.rows for n in row)
        for row in step.rows:
            packed = pack([samples[n] for n in row], dtype=torch.bfloat16, device=device)
            (row_loss(model, packed) / learned).backward()
            weights.collect()
        weights.update(1e-5)
    wait(device)
    return time.perf_counter() - began


def run_trl(model: Any, samples: list[Encoded], steps: list[Step], device: str) -> float:
    import trl
    from datasets import Dataset
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast, TrainerCallback

    ends = []

    class Tick(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            wait(device)
            ends.append(time.perf_counter())

    rows = []
    for step in steps:
        for n in (n for row in step.rows for n in row):
            ids = [*samples[n].prefix, *samples[n].ids]
            learned = [0] * len(samples[n].prefix) + [int(x) for x in samples[n].learn]
            rows.append({"input_ids": ids, "completion_mask": learned})
    core = Tokenizer(models.WordLevel({"a": 0, "<pad>": 1}, unk_token="a"))
    with tempfile.TemporaryDirectory() as folder:
        batch = max(1, len(rows) // len(steps))
        config = trl.SFTConfig(
            output_dir=folder,
            per_device_train_batch_size=batch,
            bf16=True,
            gradient_checkpointing=False,
            train_sampling_strategy="group_by_length",
            save_strategy="no",
            num_train_epochs=1,
            use_cpu=device == "cpu",
        )
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, pad_token="<pad>", eos_token="<pad>")
        trainer = trl.SFTTrainer(
            model=model,
            args=config,
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
            callbacks=[Tick()],
        )
        trainer.train()
    return (ends[-1] - ends[WARM - 1]) * (len(steps) - WARM) / (len(ends) - WARM)


def wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", default="1b,3b,8b")
    parser.add_argument("--step-tokens", type=int, default=16_384)
    parser.add_argument("--row-tokens", type=int, default=8_192)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--peak-tflops", type=float, default=989.0)
    parser.add_argument("--trl", action="store_true")
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for size in args.sizes.split(","):
        place = args.results / f"train-gpu-{size}{'-trl' * args.trl}.json"
        if place.is_file():
            print(f"{place.name}: there")
            continue
        model = make_model(size, device)
        samples = make_samples(4000, model.config.vocab_size)
        whole = args.steps * args.step_tokens
        steps = schedule(
            samples, tokens=whole, step_tokens=args.step_tokens, epochs=0, seed=0, row_tokens=args.row_tokens
        )
        seconds = (run_trl if args.trl else run_ours)(model, samples, steps, device)
        counted = steps[WARM:]
        tokens = sum(s.tokens for s in counted)
        useful = sum(len(samples[n].prefix) + len(samples[n].ids) for s in counted for row in s.rows for n in row)
        matrices = sum(p.numel() for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name)
        matrices += model.lm_head.weight.numel() if model.config.tie_word_embeddings else 0
        cell = {
            "version": 1,
            "size": size,
            "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
            "seconds": round(seconds, 3),
            "useful_tokens_per_s": round(useful / seconds, 1),
            "tokens_per_s": round((useful if args.trl else tokens) / seconds, 1),
            "mfu": round(6 * matrices * (useful if args.trl else tokens) / seconds / (args.peak_tflops * 1e12), 4),
            "peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 1) if device == "cuda" else None,
        }
        place.write_text(json.dumps(cell, indent=2) + "\n", encoding="utf-8")
        print(cell)


if __name__ == "__main__":
    main()
