"""What TRL's SFTTrainer makes of fifty steps on the tiny student: the numbers that `test_trl.py` holds our loop to.

TRL brings pandas, pyarrow and datasets along (330 MB), so it is no dependency of ours: this program runs in a virtual
environment of its own that has `trl`, `torch` and `transformers`, and writes `golden/trl.json`:

    PYTHONPATH=.:tests python tests/trl_reference.py

TRL reads the conversations themselves, by its own way from messages to tokens and labels; nothing of ours is between.
"""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path
from typing import Any

from tiny_student import SENTENCES, make_tiny_student

GOLDEN = Path(__file__).parent.parent / "golden" / "trl.json"
STEPS, BATCH = 50, 6
LR, WARMUP, LOWEST = 2e-3, 0.1, 0.1
# The line break stands before a turn and not after it: TRL also learns what a template writes after the last answer.
TEMPLATE = (
    "{% for message in messages %}{{ ('' if loop.first else '\n') + '<|im_start|>' + message['role'] + '\n'"
    " + message['content'] + '<|im_end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '\n<|im_start|>assistant\n' }}{% endif %}"
)


def conversations() -> list[list[dict[str, str]]]:
    """Return 24 conversations of one question and its answer, of many lengths, some with a system prompt."""
    talks = []
    for number in range(24):
        words = SENTENCES[number % len(SENTENCES)].split()
        ask, tell = " ".join(words[: 3 + number % 5]) + f" {number}?", " ".join(words[number % 4 :])
        talk = [{"role": "user", "content": ask}, {"role": "assistant", "content": f"{tell} {number}."}]
        talks.append([{"role": "system", "content": "Be short."}, *talk] if number % 3 == 0 else talk)
    return talks


def batches() -> list[list[int]]:
    """Return which conversations each of the fifty steps reads."""
    return [[(step * BATCH + n * 7) % 24 for n in range(BATCH)] for step in range(STEPS)]


def rate(step: int) -> float:
    """Return the learning rate of a step: a straight warm-up, then half a cosine down to a tenth."""
    warmup = math.ceil(WARMUP * STEPS)
    if step < warmup:
        return LR * (step + 1) / warmup
    done = (step - warmup) / (STEPS - 1 - warmup)
    return LR * (LOWEST + (1 - LOWEST) * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))


def student(folder: Path) -> Path:
    """Write the tiny student with the template above."""
    make_tiny_student(folder)
    (folder / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    return folder


def fingerprint(named: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return of each tensor its norm, its sum, and 24 of its values evenly spaced: small, and hard to hit by luck."""
    told = {}
    for name, tensor in named.items():
        flat = tensor.detach().double().flatten()
        told[name] = {
            "norm": float(f"{float(flat.norm()):.9g}"),
            "sum": float(f"{float(flat.sum()):.9g}"),
            "values": [float(f"{x:.7g}") for x in flat[:: max(1, len(flat) // 24)][:24].tolist()],
        }
    return told


def run_trl(folder: Path) -> dict[str, Any]:
    """Train with TRL as it comes and return the losses, gradient norms, first gradients and last weights."""
    import torch
    import trl
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback

    torch.set_num_threads(1)
    talks, first = conversations(), {}
    rows = [{"prompt": talks[n][:-1], "completion": talks[n][-1:]} for batch in batches() for n in batch]
    model = AutoModelForCausalLM.from_pretrained(student(folder / "student"), dtype=torch.float32)
    settings = trl.SFTConfig(
        output_dir=str(folder / "out"),
        per_device_train_batch_size=BATCH,
        num_train_epochs=1,
        learning_rate=LR,
        max_grad_norm=1.0,
        bf16=False,
        use_cpu=True,
        gradient_checkpointing=False,
        train_sampling_strategy="sequential",
        completion_only_loss=True,
        logging_steps=1,
        save_strategy="no",
        disable_tqdm=True,
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR, betas=(0.9, 0.95), weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate(min(step, STEPS - 1)) / LR)

    class KeepFirst(TrainerCallback):
        def on_pre_optimizer_step(self, args, state, control, **_):
            if not first:
                first.update(fingerprint({n: p.grad for n, p in model.named_parameters()}))

    trainer = trl.SFTTrainer(
        model=model,
        args=settings,
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoTokenizer.from_pretrained(folder / "student"),
        optimizers=(optimizer, schedule),
        callbacks=[KeepFirst()],
    )
    trainer.train()
    steps = [line for line in trainer.state.log_history if "grad_norm" in line]
    assert len(steps) == STEPS
    return {
        "made_with": {"trl": trl.__version__, "torch": torch.__version__.split("+")[0]},
        "losses": [line["loss"] for line in steps],
        "gradient_norms": [line["grad_norm"] for line in steps],
        "first_gradients_clipped": first,
        "weights": fingerprint(dict(model.named_parameters())),
    }


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        numbers = run_trl(Path(folder))
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")
    print(f"{GOLDEN}: loss {numbers['losses'][0]:.4f} -> {numbers['losses'][-1]:.4f}")


if __name__ == "__main__":
    main()
