"""What a run will take, said before it starts, and beside it afterwards what it took.

Per stage: why it runs, the teacher's calls and tokens, the time as a range, and the money where there is a price.
The range is narrow where a pilot or an earlier run measured this teacher and this student, and wide where they are
guessed; the plan says which. A pilot puts a few of the course's own first requests to the teacher: their answers are
kept, so the run does not ask them again.
"""

from __future__ import annotations

import math
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from homeroom.core.files import (
    RESUMING,
    Record,
    free_gib,
    read_json,
    read_jsonl,
    read_record,
    why_stale,
    write_json,
)
from homeroom.core.types import Chunk, Reply
from homeroom.generate.coverage import TEACHER_TOKENS, TRAINING_TOKENS
from homeroom.pipeline.course import Course, fetch_student, own_training_tokens, training_tokens
from homeroom.pipeline.generating import FACTS_SHARE
from homeroom.pipeline.plan import (
    LISTING_TOKENS,
    MOST,
    exam_tokens,
    facts_are_listed,
    for_stage,
    measured_rates,
    num_facts,
    num_words,
)
from homeroom.pipeline.rates import CALLS, calls_of, keep_rates, known_rates, teacher_key, train_key
from homeroom.pipeline.run import FORMAT, STAGES, made_from

PILOT_CALLS = 4
MEASURED, UNKNOWN = 1.3, 2.5  # the time may be this many times as long, or as short
FILE = "planned.json"


def make_plan(course: Course, *, pilot: bool = False) -> dict[str, Any]:
    """Return, per stage, why it would run and what it takes; and the share of facts that would be taught.

    Args:
        pilot: Put a few requests to the teacher first; their answers are kept.
    """
    tried = run_pilot(course) if pilot else None
    rates = _rates(course)
    work, facts = _work(course, rates), num_facts(course)
    stages, recipe = _stages(course, work, rates, tried), course.recipe
    own = own_training_tokens(recipe)
    most = min(work["samples"]["answer_tokens"] // TEACHER_TOKENS, own // TRAINING_TOKENS)
    total = {
        k: sum(s[k] for s in stages) for k in ("calls", "tokens", "seconds", "seconds_low", "seconds_high", "money")
    }
    return {
        "version": 1,
        "stages": stages,
        **total,
        "budget_seconds": course.budget.get("seconds"),
        "facts": facts,
        "facts_are_listed": facts_are_listed(course),
        "share_covered": round(min(1.0, max(1, most) / facts), 3),
        "teacher_tokens": recipe.samples.teacher_tokens,
        "training_tokens": training_tokens(recipe),
        "rates": rates,
        "pilot": tried,
        "memory_gib": _memory_gib(course),
        "disk_gib": 3.5,
        "disk_free_gib": round(free_gib(course.out), 1),
    }


def _rates(course: Course) -> dict[str, Any]:
    return course.budget.get("rates") or measured_rates(course, pilot=False)


def _stages(
    course: Course, work: dict[str, dict[str, Any]], rates: dict[str, Any], tried: dict[str, Any] | None
) -> list[dict[str, Any]]:
    sure = {kind: _sure(kind, rates, tried) for kind in ("teacher", "train")}
    stages, stale = [], False
    for name in STAGES:
        why = _why(course, name) or ("what it is made from will change" if stale else "")
        stale = stale or bool(why)
        stage = {"name": name, "runs": bool(why), "why": why or "up to date"}
        stages.append(stage | _cost(course, work[name], sure["teacher" if name in CALLS else "train"], runs=bool(why)))
    return stages


def _work(course: Course, rates: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what each stage takes if it runs: calls, tokens of prompts and answers or of training, seconds."""
    recipe, facts = course.recipe, num_facts(course)
    teacher = min(recipe.samples.teacher_tokens, int(facts * TEACHER_TOKENS * MOST))
    listing = min(facts * LISTING_TOKENS, int(FACTS_SHARE * teacher))
    written = (course.folder / "exam.jsonl").is_file()
    asked = {"facts": listing, "exam": 0 if written else recipe.exam.questions * 25, "samples": teacher - listing}
    work: dict[str, dict[str, Any]] = {}
    for name, tokens in asked.items():
        prompt, answer = calls_of(recipe, name)
        calls = math.ceil(tokens / answer)
        prompts = int(calls * prompt)
        work[name] = {"calls": calls, "answer_tokens": tokens, "prompt_tokens": prompts, "tokens": tokens}
        work[name]["seconds"] = tokens / rates["teacher"]
    training, answers = training_tokens(recipe), exam_tokens(course)
    work["documents"] = {"seconds": 1.0 + num_words(course) / 50_000}
    work["dataset"] = {"seconds": 30.0}
    work["train"] = {"tokens": training, "seconds": training / rates["train"]}
    work["report"] = {"tokens": answers, "seconds": answers / rates["answer"]}
    return work


def _cost(course: Course, work: dict[str, Any], times: float, *, runs: bool) -> dict[str, Any]:
    teacher, seconds = course.recipe.teacher, work["seconds"] if runs else 0.0
    calls, prompts, answers = (work.get(k, 0) if runs else 0 for k in ("calls", "prompt_tokens", "answer_tokens"))
    return {
        "calls": calls,
        "prompt_tokens": prompts,
        "tokens": work.get("tokens", 0) if runs else 0,
        "seconds": round(seconds),
        "seconds_low": round(seconds / times),
        "seconds_high": round(seconds * times),
        "money": round((prompts * teacher.prompt_price + answers * teacher.answer_price) / 1e6, 4),
    }


def _sure(kind: str, rates: dict[str, Any], tried: dict[str, Any] | None) -> float:
    """Return how many times as long, or as short, a stage may take."""
    if kind == "teacher" and tried:
        return max(1.15, 1 + 2 * tried["spread"] / math.sqrt(tried["calls"]))
    return UNKNOWN if kind in rates.get("guessed", ()) else MEASURED


def _why(course: Course, stage: str) -> str:
    inputs, config = made_from(for_stage(course, stage), stage)
    return why_stale(course.out / stage, Record(kind=stage, format=FORMAT[stage], inputs=inputs, config=config))


def _memory_gib(course: Course) -> float | None:
    """Return what training needs at its peak, or None while the student, or torch, is not on this machine."""
    from homeroom.models.store import installed

    student, train = course.recipe.student.model, course.recipe.train
    is_here = student in {m.name for m in installed()} or Path(student).is_dir()
    if not is_here or find_spec("torch") is None:
        return None
    from transformers import AutoConfig

    from homeroom.train.memory import estimate

    config = AutoConfig.from_pretrained(fetch_student(student), local_files_only=True)
    known = str(known_rates().get(f"dtype {train_key(course.recipe)}", "")) if train.dtype == "auto" else train.dtype
    possible = [known] if known in ("float32", "bfloat16") else ["float32", "bfloat16"]  # not known: the larger one
    return round(max(estimate(config, train.phases[0], dtype=dtype).gib for dtype in possible), 1)


# -- the pilot -----------------------------------------------------------------------------------------------------


def run_pilot(course: Course) -> dict[str, Any] | None:
    """Put the course's first requests to the teacher, learn its rate, and return what they took; None without chunks.

    Raises:
        MachineError, StageError: the teacher is not there, or does not answer.
    """
    from homeroom.documents.stage import make_documents
    from homeroom.generate.facts import fact_requests
    from homeroom.models.store import store_home

    with tempfile.TemporaryDirectory() as place:
        folder = course.out / "documents"
        if not (folder / "record.json").is_file():
            folder, config = Path(place), course.recipe.documents
            make_documents(course.leaves, course.folder, config=config, out=folder, cache=store_home() / "git")
        requests = fact_requests(read_jsonl(folder / "chunks.jsonl", Chunk)[:PILOT_CALLS])
    replies: list[Reply] = []
    began = time.monotonic()
    for request in requests:  # one after the other: a time for each
        replies += [r for r in course.ask([request], stage="pilot", max_tokens=request.max_tokens) if r]
    course.rest()
    if not replies:
        return None
    fresh = [r for r in replies if not r.kept]
    pace = [r.completion_tokens / max(0.01, r.seconds) for r in replies]
    mean = sum(pace) / len(pace)
    spread = math.sqrt(sum((p - mean) ** 2 for p in pace) / len(pace)) / mean if mean else 0.0
    known, recipe = known_rates(), course.recipe
    prompt, answer = (
        sum(v) / len(replies) for v in zip(*((r.prompt_tokens, r.completion_tokens) for r in replies), strict=False)
    )
    known[f"call facts {teacher_key(recipe)}"] = [round(max(1.0, prompt), 1), round(max(1.0, answer), 1)]
    if fresh:
        known[teacher_key(recipe)] = round(sum(r.completion_tokens for r in fresh) / (time.monotonic() - began), 2)
    keep_rates(known)
    return {"calls": len(replies), "kept": len(replies) - len(fresh), "spread": round(spread, 3)}


# -- shown ---------------------------------------------------------------------------------------------------------


def plan_table(plan: dict[str, Any]) -> str:
    """Return the plan as lines for a terminal."""
    lines = [f"{'stage':<10} {'calls':>6} {'tokens':>9} {'minutes':>13}  why"]
    for stage in [*plan["stages"], plan | {"name": "in all", "runs": True, "why": ""}]:
        minutes = _span(stage) if stage["runs"] else "-"
        tokens = f"{stage['tokens']:,}" if stage["name"] != "in all" else ""  # the teacher's and the student's
        lines.append(f"{stage['name']:<10} {stage['calls']:>6,} {tokens:>9} {minutes:>13}  {stage['why']}".rstrip())
    about = "" if plan["facts_are_listed"] else "about "
    lines.append(f"{plan['share_covered']:.0%} of {about}{plan['facts']} facts would be taught well.")
    rates = plan["rates"]
    guessed = f" ({' and '.join(rates['guessed'])} guessed: --pilot measures)" if rates.get("guessed") else ""
    lines.append(f"Rates: teacher {rates['teacher']:.0f}, training {rates['train']:.0f} tokens a second{guessed}.")
    if plan["money"]:
        prompts = sum(s["prompt_tokens"] for s in plan["stages"])
        lines.append(f"Price: {plan['money']:.2f}, for {prompts:,} tokens of prompts and what the teacher generates.")
    if plan["memory_gib"]:
        lines.append(
            f"Memory: {plan['memory_gib']:g} GiB. Disk: {plan['disk_gib']:g} of {plan['disk_free_gib']:g} GiB free."
        )
    return "\n".join(lines)


def _span(stage: dict[str, Any]) -> str:
    low, high = stage["seconds_low"] / 60, stage["seconds_high"] / 60
    return f"{low:.1f}" if high - low < 0.1 else f"{low:.1f} to {high:.1f}"


# -- planned and actual --------------------------------------------------------------------------------------------


def note_plan(course: Course) -> None:
    """Keep what the stages that are about to run are planned to take; one that goes on keeps its first plan."""
    path = course.out / FILE
    before = {s["name"]: s for s in read_json(path)["stages"]} if path.is_file() else {}
    rates = _rates(course)
    for stage in _stages(course, _work(course, rates), rates, None):
        begun = stage["name"] in before and stage["why"] == RESUMING
        if stage["runs"] and not begun:
            before[stage["name"]] = stage
    write_json(path, {"version": 1, "stages": [before[name] for name in STAGES if name in before]})


def planned_and_actual(folder: Path, *, prompt_price: float = 0.0, answer_price: float = 0.0) -> list[dict[str, Any]]:
    """Return, per finished stage that was planned, what was planned and what it took.

    Args:
        prompt_price: Of a million prompt tokens; `answer_price` of a million generated ones.
    """
    path = folder / "out" / FILE
    rows = []
    for planned in read_json(path)["stages"] if path.is_file() else ():
        record = read_record(folder / "out" / planned["name"])
        if record is None:
            continue
        spent = record.spent
        prompts, answers = spent.get("prompt_tokens", 0), spent.get("answer_tokens", 0)
        actual = {
            "calls": spent.get("calls", 0),
            "kept": spent.get("kept", 0),
            "tokens": answers or (record.summary.get("tokens", 0) if planned["name"] == "train" else 0),
            "seconds": record.seconds,
            "money": round((prompts * prompt_price + answers * answer_price) / 1e6, 4),
        }
        rows.append({"name": planned["name"], "planned": planned, "actual": actual})
    return rows


def actual_table(rows: list[dict[str, Any]]) -> str:
    """Return planned and actual side by side as lines for a terminal."""
    head = f"{'stage':<10} {'calls':>15} {'tokens':>19} {'minutes':>20}"
    lines = [f"{'':<10} planned and actual", head]
    money = [0.0, 0.0]
    for row in rows:
        planned, actual = row["planned"], row["actual"]
        calls = f"{planned['calls']:,} / {actual['calls']:,}" if planned["calls"] or actual["calls"] else "-"
        tokens = f"{planned['tokens']:,} / {actual['tokens']:,}" if planned["tokens"] and actual["tokens"] else "-"
        lines.append(f"{row['name']:<10} {calls:>15} {tokens:>19} {_span(planned):>12} / {actual['seconds'] / 60:.1f}")
        money = [money[0] + planned["money"], money[1] + actual["money"]]
    if any(money):
        lines.append(f"price: {money[0]:.2f} planned, {money[1]:.2f} actual")
    return "\n".join(lines)
