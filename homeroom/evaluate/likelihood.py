"""How likely the right answers are to a model: what moves before the first answer turns right.

    question, its answer, another question's answer, log-probabilities before and after -> bits a character

An answer that was never generated can still have become likelier. But every answer of the exam's sort becomes likelier
once a student has learned how such answers look, so the same is measured for the answer of another question of the
same kind, the format control. What the right answer gained beyond that is about the fact. Bits a character do not
depend on how a tokenizer cuts a text, and a short answer counts like a long one.

A choice is taken by the same measure: the likeliest of the choices, a character for a character, without letters that
a small model may not know how to use.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol

from homeroom.core.types import Message, Question
from homeroom.core.words import words
from homeroom.evaluate.choices import right_choice
from homeroom.evaluate.grade import prompt
from homeroom.evaluate.statistics import difference, mean, rate

KINDS = ("short", "yes_no")


class Logprob(Protocol):
    """A model that says how likely given answers are."""

    def __call__(self, conversations: Sequence[tuple[Message, ...]], continuations: Sequence[str]) -> list[float]:
        """Return the summed natural log-probability of each continuation as the beginning of the answer."""
        ...


def others(questions: Sequence[Question]) -> list[str]:
    """Return for each question the answer of another one of its kind that says something else, or "" without one.

    Each answer is used about equally often: the questions of a kind are turned by half their number.
    """
    found = [""] * len(questions)
    for kind in {q.kind for q in questions}:
        places = [i for i, q in enumerate(questions) if q.kind == kind]
        for n, i in enumerate(places):
            turned = (places[(n + len(places) // 2 + k) % len(places)] for k in range(len(places)))
            mine = words(questions[i].answer)
            found[i] = next((questions[j].answer for j in turned if words(questions[j].answer) != mine), "")
    return found


def measure(final: Sequence[Question], before: Logprob, after: Logprob) -> dict[str, Any] | None:
    """Return what became likelier, as the report has it; None where the exam has nothing to measure.

    Args:
        final: The final exam; questions of the kinds short and yes_no that have an answer count, choices by themselves.
        before: The base.
        after: The tuned model.
    """
    asked = [q for q in final if q.kind in KINDS and q.answer.strip()]
    control = others(asked)
    asked, control = [q for q, c in zip(asked, control, strict=True) if c], [c for c in control if c]
    gold = [q.answer for q in asked]
    choices = [q for q in final if q.kind == "choice"]
    if not asked and not choices:
        return None
    sources = [q.source for q in asked]
    bits = {
        (name, which): _bits(asked, texts, logprob)
        for name, logprob in (("before", before), ("after", after))
        for which, texts in (("gold", gold), ("other", control))
    }
    gains = {w: [b - a for b, a in zip(bits["before", w], bits["after", w], strict=True)] for w in ("gold", "other")}
    specific = [g - o for g, o in zip(gains["gold"], gains["other"], strict=True)]
    return {
        "unit": "bits a character",
        "n": len(asked),
        "before": {w: _mean(bits["before", w]) for w in ("gold", "other")},
        "after": {w: _mean(bits["after", w]) for w in ("gold", "other")},
        "specific": _listed(mean(specific, sources=sources)),
        "choice": _choices(choices, before, after) if choices else None,
    }


def chosen(questions: Sequence[Question], logprob: Logprob) -> list[int]:
    """Return for each choice question the choice that is likeliest a character, as the whole answer."""
    asked = [(i, choice) for i, q in enumerate(questions) for choice in q.choices]
    plain = [Question(id=q.id, question=q.question, context=q.context) for q in questions]
    values = logprob([prompt(plain[i]) for i, _ in asked], [choice for _, choice in asked]) if asked else []
    best: list[tuple[float, int]] = [(-math.inf, 0)] * len(questions)
    numbers = [0] * len(questions)
    for (i, choice), value in zip(asked, values, strict=True):
        best[i] = max(best[i], (value / len(choice), -numbers[i]))
        numbers[i] += 1
    return [-number for _, number in best]


def _choices(questions: Sequence[Question], before: Logprob, after: Logprob) -> dict[str, Any]:
    right = [right_choice(q) for q in questions]
    was, now = ([c == r for c, r in zip(chosen(questions, p), right, strict=True)] for p in (before, after))
    change = difference(was, now, sources=[q.source for q in questions])
    return {
        "before": _listed(rate(was)),
        "after": _listed(rate(now)),
        "difference": {"difference": change.difference, "ci95": list(change.ci95), "p": change.p},
    }


def _bits(questions: Sequence[Question], texts: Sequence[str], logprob: Logprob) -> list[float]:
    values = logprob([prompt(q) for q in questions], list(texts)) if questions else []
    return [-value / math.log(2) / len(text) for value, text in zip(values, texts, strict=True)]


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 4) if values else 0.0


def _listed(value: Any) -> Mapping[str, Any]:
    found = asdict(value)
    low, high = found["ci95"]
    return found | {"ci95": [low if math.isfinite(low) else None, high if math.isfinite(high) else None]}
