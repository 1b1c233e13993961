"""The stage `evaluate`: two models and an exam -> a folder with report.json, report.html and items.jsonl.

    out/answers/<hash>.json   every answer, kept as soon as it is given: model + prompt + length decide the name
    out/items.jsonl           one line a question: both answers, right or wrong, why
    out/report.json           see `report.py`
    out/report.html           see `page.py`

An evaluation that was stopped continues with the first question that was not answered, and a base that is compared
with one student after another is asked once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from homeroom.core.config import Evaluate
from homeroom.core.errors import ContentError
from homeroom.core.files import hash_value, read_json, to_json, write_json, write_jsonl, write_text
from homeroom.core.types import Answer, Message, Progress, Question, Score, no_progress
from homeroom.evaluate.exam import examine
from homeroom.evaluate.grade import prompt
from homeroom.evaluate.judge import Judge, judge_report
from homeroom.evaluate.likelihood import Logprob, measure
from homeroom.evaluate.page import page
from homeroom.evaluate.report import Outcome, make_report
from homeroom.evaluate.statistics import rate

STAGE = "evaluate"
MAX_ANSWER_CHARACTERS = 100_000
_SETS = {"exam": "final", "more": "retention_more"}  # what items.jsonl calls them


@dataclass(frozen=True, slots=True, kw_only=True)
class Suites:
    """What both models are asked."""

    exam: Sequence[Question]  # only its final split: the others have steered the training
    retention: Sequence[Question] = ()  # old abilities, which decide
    more: Sequence[Question] = ()  # further old abilities, which are shown
    control: Sequence[Question] = ()  # facts that were not taught
    corrections: Sequence[Question] = ()  # wordings that people corrected; taught as they stand, so they score nothing
    passages: Mapping[str, str] = field(default_factory=dict)  # id of a final question -> the passage that answers it
    found: Mapping[str, str] = field(default_factory=dict)  # id of a final question -> what a search finds for it
    rubrics: Mapping[str, str] = field(default_factory=dict)  # leaf -> what makes an answer to a rubric question good


@dataclass(frozen=True, slots=True, kw_only=True)
class Pupil:
    """A model that is examined."""

    answer: Answer
    logprob: Logprob | None = None  # None: it gives no log-probabilities


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """Some questions for one model."""

    name: str  # "exam", "open_book", "with_sources", "control", "retention", "corrections"
    model: str  # "base" or "tuned"
    questions: Sequence[Question]
    passages: Mapping[str, str] = field(default_factory=dict)


def evaluate_models(
    suites: Suites,
    *,
    base: Pupil,
    tuned: Pupil,
    config: Evaluate,
    out: Path,
    facts_about: Mapping[str, Any],
    judge: Judge | None = None,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Ask both models everything, write the report into `out`, and return it.

    Args:
        base: The student before training.
        tuned: The student after training.
        config: Length of answers, floor of retention.
        out: Made if missing; what was kept there before is used.
        facts_about: What the page says of course, models and budget; see `page.py`. Answers are kept for a model
            whose `digest` stands in `facts_about["models"]`.
        judge: Compares the answers to rubric questions; None leaves them out.
        progress: Told of each finished handful of questions, over both models.

    Raises:
        ContentError: the exam has no final question, or one that cannot be graded.
    """
    asked = [question for question in suites.exam if question.split == "final"]
    final = [question for question in asked if question.kind != "rubric"]
    if not final:
        raise ContentError("the exam has no question of the split final", hint='A line without "split" is final.')
    models = facts_about.get("models") or {}
    digests = {name: str((models.get(name) or {}).get("digest") or "") for name in ("base", "tuned")}
    answers = {
        name: keep_answers(pupil.answer, out / "answers", digest=digests[name])
        for name, pupil in (("base", base), ("tuned", tuned))
    }
    scores = _ask(_parts(suites, final), answers, config.max_tokens, progress)
    named = {"exam": final, "control": suites.control, "retention": suites.retention, "more": suites.more}
    named |= {"corrections": suites.corrections}
    outcomes = {name: _outcomes(questions, name, scores) for name, questions in named.items()}
    report = make_report(
        base=models.get("base") or {"name": "base"},
        tuned=models.get("tuned") or {"name": "tuned"},
        final=outcomes["exam"],
        retention=outcomes["retention"],
        more=outcomes["more"],
        control=outcomes["control"],
        open_book=scores["open_book", "base"],
        with_sources=_outcomes([q for q in final if suites.found.get(q.id)], "with_sources", scores),
        corrections=outcomes["corrections"],
        judge=_judged([q for q in asked if q.kind == "rubric"], suites, answers, judge, config.max_tokens),
        likelihood=_likelihood(final, base.logprob, tuned.logprob, out / "answers", digests),
        budget=_budget(facts_about),
        retention_floor=config.retention_floor,
    )
    items = _items(outcomes, scores)
    write_jsonl(out / "items.jsonl", items)
    write_json(out / "report.json", report)
    write_text(out / "report.html", page(report, items, facts_about))
    return report


def _parts(suites: Suites, final: Sequence[Question]) -> list[_Part]:
    read = [q for q in final if suites.passages.get(q.id)]
    looked_up = [q for q in final if suites.found.get(q.id)]
    parts = [_Part(name="open_book", model="base", questions=read, passages=suites.passages)]
    for model in ("base", "tuned"):
        parts += [
            _Part(name="exam", model=model, questions=final),
            _Part(name="with_sources", model=model, questions=looked_up, passages=suites.found),
            _Part(name="control", model=model, questions=suites.control),
            _Part(name="retention", model=model, questions=suites.retention),
            _Part(name="more", model=model, questions=suites.more),
            _Part(name="corrections", model=model, questions=suites.corrections),
        ]
    return sorted(parts, key=lambda part: part.model)  # the base first: its answers are kept for the next student


def _outcomes(
    questions: Sequence[Question], name: str, scores: Mapping[tuple[str, str], Sequence[Score]]
) -> list[Outcome]:
    pairs = zip(questions, scores[name, "base"], scores[name, "tuned"], strict=True)
    return [Outcome(question=q, before=before, after=after) for q, before, after in pairs]


def _judged(
    questions: Sequence[Question], suites: Suites, answers: Mapping[str, Answer], judge: Judge | None, max_tokens: int
) -> dict[str, Any] | None:
    if not questions:
        return None
    if judge is None:
        return {"name": "", "n": len(questions)}
    asked = [prompt(question) for question in questions]
    before, after = (answers[name](asked, max_tokens=max_tokens) for name in ("base", "tuned"))
    return judge_report(questions, before, after, judge, rubrics=suites.rubrics, labelled=suites.retention)


def _likelihood(
    final: Sequence[Question], before: Logprob | None, after: Logprob | None, folder: Path, digests: Mapping[str, str]
) -> dict[str, Any] | None:
    """Measure, or return what was measured for these weights and questions before."""
    if before is None or after is None:
        return None
    key = {"likelihood": 1, **digests, "questions": hash_value(list(final))}
    path = folder / f"{hash_value(key)}.json"
    if all(digests.values()) and path.is_file():
        kept = read_json(path)
        if isinstance(kept, dict) and kept.get("key") == key:
            return kept["measured"]
    measured = measure(final, before, after)
    if all(digests.values()):
        write_json(path, {"key": key, "measured": measured})
    return measured


def evaluate_one(
    exam: Sequence[Question],
    answer: Answer,
    *,
    model: Mapping[str, Any],
    max_tokens: int = Evaluate().max_tokens,
    keep: Path | None = None,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Grade any model on any exam, every split of it.

    Args:
        exam: From `read_exam`.
        answer: The model.
        model: What is known of it: `name`, and `digest` where there is one.
        max_tokens: Of an answer; rewrites get what their text needs.
        keep: Folder for answers, so that a stopped evaluation continues; None keeps nothing.
        progress: Told of each finished handful of questions.
    """
    if keep is not None:
        answer = keep_answers(answer, keep, digest=str(model.get("digest") or ""))
    scores = examine(exam, answer, max_tokens=max_tokens, progress=progress)
    by_kind: dict[str, list[bool]] = {}
    for question, score in zip(exam, scores, strict=True):
        by_kind.setdefault(question.kind, []).append(score.correct)
    items = [
        {**_about(question), "answer": score.answer, "correct": score.correct, "reason": score.reason}
        for question, score in zip(exam, scores, strict=True)
    ]
    total = asdict(rate([score.correct for score in scores]))
    kinds = {kind: asdict(rate(correct)) for kind, correct in by_kind.items()}
    return to_json({"version": 1, "model": dict(model), **total, "by_kind": kinds, "items": items})


def keep_answers(answer: Answer, folder: Path, *, digest: str) -> Answer:
    """Return an `Answer` that keeps what the model says in `folder` and asks only what is not there yet.

    Without a `digest` nothing could tell this model's answers from another's, so nothing is kept.
    """
    if not digest:
        return answer

    def ask(conversations: list[tuple[Message, ...]], *, max_tokens: int) -> list[str]:
        keys = [{"model": digest, "messages": to_json(c), "max_tokens": max_tokens} for c in conversations]
        paths = [folder / f"{hash_value(key)}.json" for key in keys]
        texts = [_kept(path, key) for path, key in zip(paths, keys, strict=True)]
        missing = [i for i, text in enumerate(texts) if text is None]
        if missing:
            given = answer([conversations[i] for i in missing], max_tokens=max_tokens)
            for i, text in zip(missing, given, strict=False):  # `examine` says when some are missing
                texts[i] = _storable(text)
                write_json(paths[i], {**keys[i], "answer": texts[i]})
        return [text for text in texts if text is not None]

    return ask


def _kept(path: Path, key: Mapping[str, Any]) -> str | None:
    """Return the answer in `path`, or None where there is none, or none that can be read: it is asked again."""
    if not path.is_file():
        return None
    try:
        kept = read_json(path)
    except ContentError:
        return None
    same = isinstance(kept, dict) and all(kept.get(name) == value for name, value in key.items())
    return kept["answer"] if same and isinstance(kept.get("answer"), str) else None


def _storable(text: str) -> str:
    """Cut what no answer needs, and replace half characters, which UTF-8 cannot hold."""
    return text[:MAX_ANSWER_CHARACTERS].encode("utf-8", "replace").decode("utf-8")


def _ask(
    parts: Sequence[_Part], answers: Mapping[str, Answer], max_tokens: int, progress: Progress
) -> dict[tuple[str, str], list[Score]]:
    total, before, scores = sum(len(part.questions) for part in parts), 0, {}
    for part in parts:

        def told(stage: str, done: float, _: float, note: str = "", *, start: int = before, part: _Part = part) -> None:
            progress(stage, start + done, total, f"{part.model}: {part.name.replace('_', ' ')}")

        scores[part.name, part.model] = examine(
            part.questions,
            answers[part.model],
            max_tokens=max_tokens,
            progress=told,
            passages=part.passages,
            stage=STAGE,
        )
        before += len(part.questions)
    return scores


def _budget(facts_about: Mapping[str, Any]) -> dict[str, Any]:
    stages = [dict(stage) for stage in facts_about.get("stages") or ()]
    return {**(facts_about.get("budget") or {}), **({"stages": stages} if stages else {})}


def _items(
    outcomes: Mapping[str, Sequence[Outcome]], scores: Mapping[tuple[str, str], Sequence[Score]]
) -> list[dict[str, Any]]:
    more = {
        "open_book": {s.question: s for s in scores["open_book", "base"]},
        "with_sources_before": {s.question: s for s in scores["with_sources", "base"]},
        "with_sources": {s.question: s for s in scores["with_sources", "tuned"]},
    }
    items = []
    for name, part in outcomes.items():
        for outcome in part:
            item = {
                "set": _SETS.get(name, name),
                **_about(outcome.question),
                "before": outcome.before.answer,
                "after": outcome.after.answer,
                "correct_before": outcome.before.correct,
                "correct_after": outcome.after.correct,
                "reason_before": outcome.before.reason,
                "reason": outcome.after.reason,
            }
            for part, found in more.items() if name == "exam" else ():
                score = found.get(outcome.question.id)
                item |= {part: score.answer, f"correct_{part}": score.correct} if score else {}
            items.append(item)
    return items


def _about(question: Question) -> dict[str, Any]:
    """What an item says of its question; `gold` is the answer, or what it must say."""
    gold = question.answer or "; ".join(" or ".join(group) for group in question.must)
    return {
        "id": question.id,
        "split": question.split,
        "kind": question.kind,
        "leaf": question.leaf,
        "question": question.question,
        "context": question.context,
        "choices": list(question.choices),
        "gold": gold,
        "source": question.source,
    }
