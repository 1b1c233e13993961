"""Do lm-eval and Homeroom agree? One multiple-choice task, the same weights in torch, question by question.

    PYTHON benchmarks/harness.py MODEL [MODEL ...]       PYTHON has lm-eval beside torch; a MODEL is a folder

The questions are the shipped retention suite's that have one short answer, each with the answers of three others of its
kind as the wrong choices (or its own choices, where it has them). lm-eval asks them as a task of its own (a YAML file
and a JSON file that this writes), with the model's chat template and `acc_norm`; Homeroom takes the likeliest choice a
character, as its report does. Both run in this process in float32, one after the other. Writes
`results/harness-N.json` for each model: how many each has right, how often they take the same choice, and which they do
not. Three minutes a model on two cores.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
sys.path.remove(str(ROOT / "benchmarks"))  # or a file of this folder may stand before a package
RESULTS = ROOT / "benchmarks" / "results"
TASK = {
    "task": "homeroom_retention",
    "dataset_path": "json",
    "test_split": "test",
    "output_type": "multiple_choice",
    "doc_to_text": "{{question}}",
    "doc_to_choice": "{{choices}}",
    "doc_to_target": "{{right}}",
    "target_delimiter": "",
    "metric_list": [{"metric": "acc"}, {"metric": "acc_norm"}],
    "metadata": {"version": 1},
}


def choices() -> list[dict[str, Any]]:
    """Return the questions with four choices each; the right one at a place of its own."""
    from homeroom.core.words import words
    from homeroom.evaluate.choices import right_choice
    from homeroom.evaluate.exam import shipped

    suite = [q for name in ("general", "more") for q in shipped(name) if not q.context]
    kinds: dict[str, list[Any]] = {}
    for question in suite:
        if question.kind == "short" and question.answer and len(question.answer) < 60:
            kinds.setdefault(question.leaf, []).append(question)
    rows = [
        {"question": q.question, "choices": list(q.choices), "right": right_choice(q)}
        for q in suite
        if q.kind == "choice"
    ]
    for questions in kinds.values():
        for question in questions:
            drawn = random.Random(question.id)
            others = {tuple(words(q.answer)): q.answer for q in questions}
            others.pop(tuple(words(question.answer)), None)
            if len(others) >= 3:
                listed = [*drawn.sample(list(others.values()), 3), question.answer]
                drawn.shuffle(listed)
                rows.append({"question": question.question, "choices": listed, "right": listed.index(question.answer)})
    return rows


def theirs(model: Path, rows: list[dict[str, Any]]) -> list[int]:
    """Return the choice that lm-eval takes for each question, by `acc_norm`'s measure."""
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data.jsonl"
        data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        task = TASK | {"dataset_kwargs": {"data_files": {"test": str(data)}}}
        (Path(folder) / "homeroom_retention.yaml").write_text(json.dumps(task), encoding="utf-8")  # JSON is YAML
        found = simple_evaluate(
            model="hf",
            model_args={"pretrained": str(model), "dtype": "float32"},
            tasks=["homeroom_retention"],
            task_manager=TaskManager(include_path=folder),
            device="cpu",
            batch_size=8,
            apply_chat_template=True,
            bootstrap_iters=0,
        )
    taken = {}
    for sample in found["samples"]["homeroom_retention"]:
        row, values = rows[sample["doc_id"]], [float(answer[0]) for answer in sample["filtered_resps"]]
        best = max(range(len(values)), key=lambda n: values[n] / len(row["choices"][n]))
        assert (best == row["right"]) == bool(sample["acc_norm"]), sample["doc_id"]  # it is what lm-eval counts
        taken[sample["doc_id"]] = best
    return [taken[n] for n in range(len(rows))]


def ours(model: Path, rows: list[dict[str, Any]]) -> list[int]:
    """Return the choice that Homeroom takes for each question."""
    from homeroom.core.types import Question
    from homeroom.evaluate.likelihood import chosen
    from homeroom.models.torch_engine import TorchEngine

    questions = [
        Question(id=str(n), kind="choice", question=row["question"], choices=tuple(row["choices"]))
        for n, row in enumerate(rows)
    ]
    return chosen(questions, TorchEngine(model, dtype="float32").logprob)


def main() -> None:
    """Compare on every model that has no cell yet."""
    from homeroom.core.files import write_json
    from homeroom.evaluate.statistics import difference

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("models", type=Path, nargs="+")
    parser.add_argument("--questions", type=int, default=228, help="at most; drawn by chance")
    args = parser.parse_args()
    rows = choices()
    rows = random.Random(0).sample(rows, min(len(rows), args.questions))
    for number, model in enumerate(args.models):
        place = RESULTS / f"harness-{number}.json"
        if place.is_file():
            print(f"{place.name}: there")
            continue
        one, other = ours(model, rows), theirs(model, rows)
        right = [row["right"] for row in rows]
        hits = {name: [a == b for a, b in zip(taken, right, strict=True)] for name, taken in (("o", one), ("t", other))}
        change = difference(hits["o"], hits["t"])
        found = {
            "version": 1,
            "model": model.name,
            "questions": len(rows),
            "homeroom": sum(hits["o"]),
            "lm_eval": sum(hits["t"]),
            "same_choice": sum(a == b for a, b in zip(one, other, strict=True)),
            "difference": {"difference": change.difference, "ci95": list(change.ci95), "p": change.p},
            "differ": [row["question"] for row, a, b in zip(rows, one, other, strict=True) if a != b],
        }
        write_json(place, found)
        print(f"{place.name}: {found}")


if __name__ == "__main__":
    main()
