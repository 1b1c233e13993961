"""Quiz first, and again: effort goes to what the student does not know.

Only the exam's `quiz` split is asked. Before anything is generated, the base answers it; a fact that it knows is taught
lightly, as an anchor, and every other in full. With `samples.rounds` above 1 the tuned student is asked after training,
and the next round asks the teacher for more questions about the facts that it missed, in other words than before. What
each round knew is in `out/rounds/N.json` (0 is the base), and `gains` says it.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from homeroom.core.files import hash_value, read_json, read_jsonl, write_json
from homeroom.core.types import Fact, Question
from homeroom.pipeline.course import Course, digest_of

ANCHOR = 4  # a known fact gets this part of the questions
AGAIN = 0.25  # of the teacher's tokens is spent anew on what was missed, in each round after the first


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """Ids of the facts that need less, or more, than the others."""

    known: frozenset[str] = frozenset()
    missed: tuple[frozenset[str], ...] = ()  # by the student of each round so far

    def wanted(self, questions: int) -> dict[str, int]:
        """Return how many accepted questions each known fact is to have; all others have `questions`."""
        return dict.fromkeys(self.known, max(1, questions // ANCHOR))


def effort(course: Course) -> Effort:
    """Return what the quizzes so far say; the base is asked now if it was not yet.

    A course without quiz questions that name a source, or without facts, gives every fact the same.
    """
    facts = read_jsonl(course.out / "facts" / "facts.jsonl", Fact)
    questions = _questions(course, facts)
    if not questions:
        return Effort()
    _forget_others(course, questions)
    base = read_quiz(course, 0) or ask_quiz(course, 0, course.student(), questions)
    told = [read_quiz(course, n) or {} for n in range(1, latest_round(course) + 1)]
    missed = tuple(_facts_of(t.get("wrong", ()), questions, facts) for t in told)
    return Effort(known=_facts_of(base["right"], questions, facts).difference(*missed), missed=missed)


def latest_round(course: Course) -> int:
    """Return the last round after which the tuned student was asked and another was to follow; 0 before the first."""
    last = course.recipe.samples.rounds - 1
    return max((n for n in range(1, last + 1) if _path(course, n).is_file()), default=0)


def after_training(course: Course) -> bool:
    """Ask the tuned student the quiz, note what it knows, and say whether another round follows."""
    facts = read_jsonl(course.out / "facts" / "facts.jsonl", Fact)
    questions = _questions(course, facts)
    if course.recipe.samples.rounds < 2 or not questions:
        return False
    number, model = latest_round(course) + 1, course.out / "model"
    found = read_quiz(course, number)
    if found is None or found["model"] != digest_of(model):
        found = ask_quiz(course, number, model, questions)
    course.say(f"round {number}: {gains(course)}")
    return number < course.recipe.samples.rounds and bool(found["wrong"])


def ask_quiz(course: Course, number: int, model: Path, questions: Sequence[Question]) -> dict[str, Any]:
    """Ask a student the quiz closed-book, and keep what it knew as `out/rounds/<number>.json`."""
    from homeroom.evaluate.exam import examine
    from homeroom.models.torch_engine import TorchEngine

    course.rest()
    tokens, answer = course.recipe.evaluate.max_tokens, TorchEngine(model).answer
    scores = examine(questions, answer, max_tokens=tokens, progress=course.progress, stage="quiz")
    found = {
        "version": 1,
        "round": number,
        "model": digest_of(model),
        "quiz": hash_value(list(questions)),
        "right": [s.question for s in scores if s.correct],
        "wrong": [s.question for s in scores if not s.correct],
    }
    write_json(_path(course, number), found)
    return found


def read_quiz(course: Course, number: int) -> dict[str, Any] | None:
    """Return what a round's student knew, or None where it was not asked."""
    path = _path(course, number)
    return read_json(path) if path.is_file() else None


def gains(course: Course) -> str:
    """Return how many quiz questions each round's student answered, in words; "" where nobody was asked again.

    Example:
        "the quiz: 0 of 20 before, 9 after round 1, 13 after round 2"
    """
    told = [read_quiz(course, n) for n in range(course.recipe.samples.rounds + 1)]
    known = [(n, len(t["right"]), len(t["right"]) + len(t["wrong"])) for n, t in enumerate(told) if t]
    if len(known) < 2:
        return ""
    first = f"{known[0][1]} of {known[0][2]} before"
    return "the quiz: " + ", ".join([first, *(f"{right} after round {n}" for n, right, _ in known[1:])])


def _questions(course: Course, facts: Sequence[Fact]) -> list[Question]:
    """Return the quiz questions that name the sentence that a fact rests on, and that need no judge."""
    path = course.out / "exam" / "quiz.jsonl"
    rows = read_jsonl(path, Question) if path.is_file() else []
    asked = [q for q in rows if q.source and q.kind != "rubric"]
    return [q for q in asked if any(q.source in f.quote or f.quote in q.source for f in facts)]


def _facts_of(ids: Sequence[str], questions: Sequence[Question], facts: Sequence[Fact]) -> frozenset[str]:
    sources = [q.source for q in questions if q.id in set(ids)]
    return frozenset(f.id for f in facts for source in sources if source in f.quote or f.quote in source)


def _forget_others(course: Course, questions: Sequence[Question]) -> None:
    """Begin anew where another quiz was asked than this one, or another base."""
    found = read_quiz(course, 0)
    if found and (found["quiz"] != hash_value(list(questions)) or found["model"] != digest_of(course.student())):
        shutil.rmtree(course.out / "rounds")


def _path(course: Course, number: int) -> Path:
    return course.out / "rounds" / f"{number}.json"


def steered_by(course: Course) -> str:
    """Return a hash of what the quizzes say, for the record of the samples: another result is another effort."""
    told = [read_quiz(course, n) for n in range(latest_round(course) + 1)]
    return hash_value([[t["right"], t["wrong"]] for t in told[1:] if t])


def weighed(facts: Sequence[Fact], spent: Effort) -> list[Fact]:
    """Return the facts with those that are known last, else in their order."""
    return sorted(facts, key=lambda f: f.id in spent.known)
