"""Tasks of EleutherAI's lm-evaluation-harness (`lm-eval`), asked of base and tuned and compared question by question.

    base, tuned (Hugging Face folders), task names --lm-eval--> right or wrong for each question --> report

lm-eval has the questions and grades them; what is added is the comparison that its own table lacks: the same questions
before and after, with an interval of the difference and McNemar's exact p. A task is known to lm-eval by its name
(`arc_easy`; most are fetched from the hub), or lies as a YAML file in a folder of one's own, which may hold code of its
own and is as trustworthy as who wrote it. Only tasks that grade each question as right or wrong can be compared.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from homeroom.core.errors import ContentError, MachineError, UsageError
from homeroom.evaluate.report import aligned
from homeroom.evaluate.statistics import difference, rate

INSTALL_HINT = "pip install 'lm-eval[hf]'"  # no extra of ours: a part of it (chardet) is under the LGPL
METRICS = ("acc_norm", "acc", "exact_match", "em")  # of one question, 0 or 1; the first that a task has counts
MAX_TASKS = 50


def run_tasks(
    models: Mapping[str, Path],
    tasks: Sequence[str],
    *,
    include: Path | None = None,
    limit: int | None = None,
    chat: bool = True,
) -> dict[str, Any]:
    """Return how many questions of each task every model answers right, and how the last differs from the first.

    Args:
        models: Name -> Hugging Face folder; one, or base and tuned.
        tasks: As lm-eval calls them.
        include: A folder with tasks of one's own.
        limit: Questions of a task at most; all, if None.
        chat: Ask in the model's own chat template, as everything else here does.

    Raises:
        MachineError: lm-eval is not installed, or cannot fetch a task.
        UsageError: a task is not known.
        ContentError: a task does not grade its questions as right or wrong.
    """
    if not 0 < len(tasks) <= MAX_TASKS:
        raise UsageError(f"{len(tasks)} tasks were named; 1 to {MAX_TASKS} can be run at once")
    scored = {name: scores_of(path, tasks, include=include, limit=limit, chat=chat) for name, path in models.items()}
    first, *_ = every = list(scored.values())
    last = every[-1]
    rows = []
    for task in last:
        row: dict[str, Any] = {"task": task, "metric": last[task]["metric"]}
        row |= {name: _listed(asdict(rate(list(found[task]["right"].values())))) for name, found in scored.items()}
        if len(scored) > 1:
            same = [key for key in first[task]["right"] if key in last[task]["right"]]
            change = difference(*([found[task]["right"][key] for key in same] for found in (first, last)))
            row["difference"] = _listed(asdict(change))
        rows.append(row)
    return {"version": 1, "models": {name: str(path) for name, path in models.items()}, "chat": chat, "tasks": rows}


def scores_of(
    path: Path, tasks: Sequence[str], *, include: Path | None = None, limit: int | None = None, chat: bool = True
) -> dict[str, dict[str, Any]]:
    """Return, by task, the metric and whether each question was answered right, by its place in the task."""
    simple_evaluate, TaskManager = _harness()
    from homeroom.models.student import pick_device

    manager = TaskManager(include_path=str(include)) if include else TaskManager()
    unknown = [task for task in tasks if not manager.match_tasks([task])]
    if unknown:
        raise UsageError(
            f"lm-eval knows no task {unknown[0]!r}",
            hint="Its list: lm_eval ls tasks. Tasks of your own: --include FOLDER",
        )
    try:
        found = simple_evaluate(
            model="hf",
            model_args={"pretrained": str(path), "dtype": "float32"},
            tasks=list(tasks),
            task_manager=manager,
            limit=limit,
            device=pick_device(),
            batch_size=8,
            apply_chat_template=chat,
            log_samples=True,
            bootstrap_iters=0,
        )
    except (ConnectionError, FileNotFoundError, OSError) as error:
        said = str(error).splitlines()[0][:300] if str(error) else type(error).__name__
        hint = "Most tasks are fetched from the Hugging Face hub once; HOMEROOM_OFFLINE=1 forbids it."
        raise MachineError(f"lm-eval could not get its questions: {said}", where=", ".join(tasks), hint=hint) from error
    return {task: _right(task, samples) for task, samples in found["samples"].items()}


def tasks_table(found: Mapping[str, Any]) -> str:
    """Return the result as plain text."""
    names = list(found["models"])
    rows = [("task", "n", *names, *(("change", "95 % interval", "p") if len(names) > 1 else ("95 % interval",)))]
    for row in found["tasks"]:
        shares = [f"{100 * row[name]['accuracy']:.1f} %" for name in names]
        ends = (row["difference"] if len(names) > 1 else row[names[0]])["ci95"]
        interval = " to ".join(f"{100 * end:{'+' if len(names) > 1 else ''}.1f}" for end in ends)
        more = (f"{100 * row['difference']['difference']:+.1f} points",) if len(names) > 1 else ()
        after = (f"{row['difference']['p']:.3f}",) if len(names) > 1 else ()
        rows.append((f"{row['task']} ({row['metric']})", str(row[names[0]]["n"]), *shares, *more, interval, *after))
    return aligned(rows)


def _harness() -> tuple[Any, Any]:
    """Return lm-eval's two entrances; offline where Homeroom is."""
    if os.environ.get("HOMEROOM_OFFLINE") == "1":
        os.environ.update({"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"})  # read once, at the import below
    try:
        from lm_eval import simple_evaluate
        from lm_eval.tasks import TaskManager
    except ImportError as error:
        raise MachineError(f"lm-eval is not installed ({error})", hint=INSTALL_HINT) from None
    return simple_evaluate, TaskManager


def _right(task: str, samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    first = samples[0].get("filter", "none") if samples else "none"  # what reads the answer; some tasks have several
    samples = [sample for sample in samples if sample.get("filter", "none") == first]
    metric = next((name for name in METRICS if samples and name in samples[0]), "")
    values = {str(sample["doc_id"]): float(sample[metric]) for sample in samples} if metric else {}
    if not metric or not set(values.values()) <= {0.0, 1.0}:
        raise ContentError(
            "does not grade its questions as right or wrong",
            where=task,
            hint=f"Tasks with one of {', '.join(METRICS)} can be compared; run lm-eval itself for others.",
        )
    named = metric if first == "none" else f"{metric},{first}"  # as lm-eval's own table has it
    return {"metric": named, "right": {key: value == 1.0 for key, value in values.items()}}


def _listed(found: dict[str, Any]) -> dict[str, Any]:
    return found | {"ci95": list(found["ci95"])}
