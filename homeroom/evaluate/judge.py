"""A judge for what rules cannot grade: which of two answers is better, asked in both orders.

    rubric question, answers of base and tuned, a rubric -> "Answer A ... Answer B ...: which?" twice -> a preference

Judges like the first answer, or the second, whatever it says; so each pair is shown in both orders, and only a choice
that stays the same counts. Where the model gives log-probabilities, one token decides; else its first word does. How
far the judge can be trusted is measured beside it: shipped questions with their right answer and another question's.
It never decides the verdict of a report.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from homeroom.core.types import Answer, Message, Question
from homeroom.evaluate.likelihood import Logprob, others
from homeroom.evaluate.statistics import mcnemar, rate

RUBRIC = "The better answer is right, says what was asked and nothing else, and is clearly written."
MAX_RUBRIC, MAX_SHOWN = 4000, 2000  # characters of a rubric, and of an answer that is shown to the judge
LABELLED = 40  # pairs that its agreement is measured on
_LETTER = re.compile(r"\b([AB])\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """A model that compares answers: by its words, or, where it gives them, by log-probabilities."""

    name: str
    answer: Answer
    logprob: Logprob | None = None


def judge_report(
    questions: Sequence[Question],
    before: Sequence[str],
    after: Sequence[str],
    judge: Judge,
    *,
    rubrics: Mapping[str, str],
    labelled: Sequence[Question],
) -> dict[str, Any]:
    """Return how often a judge prefers the tuned model's answer, and how far it can be trusted.

    Args:
        questions: Of the kind rubric.
        before: The base's answers.
        after: The tuned model's.
        rubrics: Leaf -> what makes an answer good; `RUBRIC` where there is none.
        labelled: Questions with answers that are known to be right.
    """
    found = prefer(questions, before, after, judge, rubrics=rubrics)
    wins, losses = found.count(1), found.count(-1)
    return {
        "name": judge.name,
        "n": len(questions),
        "wins": wins,
        "losses": losses,
        "ties": len(found) - wins - losses,
        "p": mcnemar(wins, losses),
        "by": "log-probability of one token" if judge.logprob else "its first word",
        "agreement": agreement(judge, labelled),
    }


def prefer(
    questions: Sequence[Question],
    first: Sequence[str],
    second: Sequence[str],
    judge: Judge,
    *,
    rubrics: Mapping[str, str] | None = None,
) -> list[int]:
    """Return for each question 1 where the second answer is preferred in both orders, -1 for the first, else 0."""
    shown = []
    for question, one, two in zip(questions, first, second, strict=True):
        rubric = (rubrics or {}).get(question.leaf, RUBRIC)[:MAX_RUBRIC]
        shown += [_asked(question, one, two, rubric), _asked(question, two, one, rubric)]
    chosen = _by_logprob(shown, judge.logprob) if judge.logprob else _by_word(shown, judge.answer)
    found = []
    for n, (one, two) in enumerate(zip(first, second, strict=True)):
        straight, turned = chosen[2 * n], chosen[2 * n + 1]
        same = one.strip() == two.strip()
        found.append(0 if same else {("B", "A"): 1, ("A", "B"): -1}.get((straight, turned), 0))
    return found


def agreement(judge: Judge, labelled: Sequence[Question]) -> dict[str, Any]:
    """Return how often a judge prefers a right answer to another question's: count, share, interval."""
    asked = [q for q in labelled if q.answer][:LABELLED]
    wrong = others(asked)
    asked, wrong = [q for q, w in zip(asked, wrong, strict=True) if w], [w for w in wrong if w]
    found = rate([choice == 1 for choice in prefer(asked, wrong, [q.answer for q in asked], judge)])
    return {"n": found.n, "correct": found.correct, "accuracy": found.accuracy, "ci95": list(found.ci95)}


def _asked(question: Question, one: str, two: str, rubric: str) -> tuple[Message, ...]:
    known = question.answer if question.kind == "rubric" else ""  # of others the answer is what is judged
    reference = f"An answer that is known to be good: {known}\n\n" if known else ""
    text = (
        f"Compare two answers to a question. {rubric}\n\nQuestion: {question.question}\n"
        f"{question.context + chr(10) if question.context else ''}\n{reference}"
        f"Answer A:\n{one[:MAX_SHOWN]}\n\nAnswer B:\n{two[:MAX_SHOWN]}\n\n"
        "Which answer is better? Reply with one letter, A or B."
    )
    return (Message(role="user", content=text),)


def _by_logprob(shown: Sequence[tuple[Message, ...]], logprob: Logprob) -> list[str]:
    values = logprob([s for s in shown for _ in "AB"], ["A", "B"] * len(shown))
    return ["A" if values[2 * n] >= values[2 * n + 1] else "B" for n in range(len(shown))]


def _by_word(shown: Sequence[tuple[Message, ...]], answer: Answer) -> list[str]:
    said = answer(list(shown), max_tokens=8)
    return [match[1] if (match := _LETTER.search(text.upper())) else "" for text in said]
