"""Exams as files, checked at the door, and the asking of them.

    exam.jsonl --read_exam--> [Question] --ask(answer)--> [text] --grade--> [Score]

An exam is written by a person and steers what a model is said to know, so a line that could never be answered right
(a flat `must`, a choice that names no choice, an answer that its own rules refuse) is an error with its line, before
anything is asked. The format is described in `docs/exam.md`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from homeroom.core.errors import ContentError, StageError
from homeroom.core.files import from_json, read_jsonl
from homeroom.core.types import Answer, Progress, Question, Score, content_id, no_progress
from homeroom.core.words import words
from homeroom.evaluate.checks import CHECKS
from homeroom.evaluate.choices import LETTERS, MAX_CHOICES
from homeroom.evaluate.grade import grade, prompt

MAX_FILES = 100
MAX_MIB = 20  # of one file
MAX_LINES = 20_000  # of one file
MAX_CHARACTERS = 20_000  # of a question, context, answer or source
MAX_TERM_CHARACTERS = 500  # of an alternative, a forbidden term, a choice, an id or a leaf
MAX_TERMS = 100  # groups, alternatives, forbidden terms
MAX_FAULTS = 20  # shown at once

AT_ONCE = 64  # conversations given to a model in one call: progress is told, and answers kept, after each
CHARACTERS_PER_TOKEN = 3  # few, so that a rewrite is not cut short


def shipped(name: str) -> list[Question]:
    """Return a suite that ships: "general" or "more" old abilities, or "control", which nobody teaches."""
    return read_exam(Path(str(resources.files("homeroom.data") / "retention" / f"{name}.jsonl")))


def read_exam(path: Path) -> list[Question]:
    """Read an exam: one `.jsonl` file, or every one of a folder in the order of their names.

    A line without an `id` gets one from its content.

    Raises:
        ContentError: naming every faulty line (the first twenty): unknown keys, wrong types, what cannot be graded,
            and what was asked before.
    """
    files = sorted(path.glob("*.jsonl"))[: MAX_FILES + 1] if path.is_dir() else [path]
    if not files:
        raise ContentError("no .jsonl file is in this folder", where=str(path), hint="See docs/exam.md for the format.")
    if len(files) > MAX_FILES:
        raise ContentError(f"more than {MAX_FILES} files", where=str(path))
    questions: list[Question] = []
    faults: list[str] = []
    seen: dict[Any, str] = {}
    for file in files:
        for number, row in _rows(file):
            place = f"line {number}" if len(files) == 1 else f"{file.name} line {number}"
            try:
                question = to_question(row)
                _refuse_repeated(question, place, seen)
                questions.append(question)
            except ContentError as error:
                faults.append(f"{place}: {error.message}" + (f" ({error.hint})" if error.hint else ""))
    if faults:
        more = [f"and {len(faults) - MAX_FAULTS} more"] if len(faults) > MAX_FAULTS else []
        raise ContentError(
            "\n  ".join(["", *faults[:MAX_FAULTS], *more]), where=str(path), hint="See docs/exam.md for the format."
        )
    if not questions:
        raise ContentError("holds no question", where=str(path), hint="See docs/exam.md for the format.")
    return questions


def _rows(file: Path) -> list[tuple[int, dict]]:
    if file.is_file() and file.stat().st_size > MAX_MIB * 2**20:
        raise ContentError(f"larger than {MAX_MIB} MiB", where=str(file), hint="Split the exam into several files.")
    try:
        rows = read_jsonl(file)
        lines = file.read_text(encoding="utf-8").split("\n")  # as `read_jsonl` counts them
    except RecursionError:
        raise ContentError("nested too deeply", where=str(file)) from None
    numbers = [number for number, line in enumerate(lines, 1) if line.strip()]
    if len(numbers) > MAX_LINES:
        raise ContentError(f"more than {MAX_LINES:,} questions", where=str(file))
    return list(zip(numbers, rows, strict=True))


def to_question(row: Any) -> Question:
    """Build and check one question from the JSON of an exam line.

    Raises:
        ContentError: it has a fault, or its own `answer` would be graded as wrong.
    """
    _refuse_flat_must(row)
    if isinstance(row, dict) and not row.get("id"):
        row = {**row, "id": content_id({name: value for name, value in row.items() if name != "split"})}
    question = from_json(Question, row)
    _check_sizes(question)
    _check_parts(question)
    if question.kind == "rubric":  # a judge compares the answers
        return question
    score = grade(question, question.answer)
    if question.answer and not score.correct:
        raise ContentError(f"its own answer would be wrong: {score.reason}")
    return question


def _refuse_flat_must(row: Any) -> None:
    must = row.get("must") if isinstance(row, dict) else None
    if isinstance(must, str) or (isinstance(must, list) and any(isinstance(group, str) for group in must)):
        raise ContentError(
            "must is a list of groups, and each group is a list of alternatives",
            hint='Write [["9 weeks", "63 days"]] for "either will do", [["9 weeks"], ["north gate"]] for "both".',
        )


def _check_sizes(question: Question) -> None:
    for name in ("question", "answer", "context", "source"):
        if len(getattr(question, name)) > MAX_CHARACTERS:
            raise ContentError(f"{name} is longer than {MAX_CHARACTERS:,} characters")
    alternatives = [alternative for group in question.must for alternative in group]
    terms = [*alternatives, *question.must_not, *question.choices]
    if any(len(term) > MAX_TERM_CHARACTERS for term in (*terms, question.id, question.leaf, question.check)):
        raise ContentError(f"a term, choice, id or leaf is longer than {MAX_TERM_CHARACTERS} characters")
    if max(len(question.must), len(question.must_not), *map(len, question.must), 0) > MAX_TERMS:
        raise ContentError(f"more than {MAX_TERMS} terms in must or must_not")
    texts = (*terms, question.id, question.leaf, question.question, question.answer, question.context, question.source)
    if any("\ud800" <= character <= "\udfff" for text in texts for character in text):
        raise ContentError("holds half a character (a lone surrogate)")
    wordless = next((term for term in terms if not words(term)), None)
    if wordless is not None:
        raise ContentError(f"{wordless!r} has no word that could be compared")


def _check_parts(question: Question) -> None:
    if not question.question.strip():
        raise ContentError("question is empty")
    if () in question.must:
        raise ContentError("a group of must is empty, so nothing could satisfy it")
    if question.check and question.check not in CHECKS:
        raise ContentError(f"there is no check called {question.check!r}", hint=f"Known: {', '.join(sorted(CHECKS))}.")
    if question.check == "keeps_rest" and not question.context:
        raise ContentError("keeps_rest needs the context whose rest is kept")
    if question.kind == "rubric" and (question.must or question.must_not or question.check):
        raise ContentError("a rubric is judged, so must, must_not and check have no effect on it")
    if question.check and question.kind in ("choice", "yes_no"):
        raise ContentError(f"a check has no effect on a {question.kind} question")
    if question.kind == "choice" and not 2 <= len(question.choices) <= MAX_CHOICES:
        raise ContentError(f"a choice needs 2 to {MAX_CHOICES} choices ({LETTERS[0]} to {LETTERS[-1]})")
    if question.choices and question.kind != "choice":
        raise ContentError('choices are given, but the kind is not "choice"')
    if len({tuple(words(choice)) for choice in question.choices}) < len(question.choices):
        raise ContentError("two choices are the same")
    if question.kind == "rewrite" and not question.context:
        raise ContentError("a rewrite needs the context that is to be rewritten")


def _refuse_repeated(question: Question, place: str, seen: dict[Any, str]) -> None:
    wording = (*words(question.question), "/", *words(question.context), "/", *words(" / ".join(question.choices)))
    for key, what in ((question.id, f"the id {question.id!r}"), (wording, "the same question")):
        if key in seen:
            raise ContentError(f"{what} was used before, on {seen[key]}")
        seen[key] = place


# -- asking --------------------------------------------------------------------------------------------------------


def examine(
    questions: Sequence[Question],
    answer: Answer,
    *,
    max_tokens: int,
    progress: Progress = no_progress,
    passages: Mapping[str, str] | None = None,
    stage: str = "evaluate",
) -> list[Score]:
    """Ask every question and grade the answers, in the order of `questions`.

    Args:
        questions: May be empty.
        answer: The model.
        max_tokens: Of one answer; a rewrite gets what its context needs, if that is more.
        progress: Told after every few questions.
        passages: Id of a question -> the passage to read first (open-book); without one it is asked closed-book.
        stage: The name under which progress is told.

    Raises:
        ContentError: a question cannot be graded; said before anything is asked.
        StageError: the model gave another number of answers than it was asked for.
    """
    for question in questions:
        grade(question, "")
    texts: list[str] = [""] * len(questions)
    done = 0
    for limit, places in _by_length(questions, max_tokens).items():
        for start in range(0, len(places), AT_ONCE):
            batch = places[start : start + AT_ONCE]
            asked = [prompt(questions[i], passage=(passages or {}).get(questions[i].id, "")) for i in batch]
            answers = answer(asked, max_tokens=limit)
            if len(answers) != len(batch):
                raise StageError(f"the model gave {len(answers)} answers to {len(batch)} questions")
            for i, text in zip(batch, answers, strict=True):
                texts[i] = text
            done += len(batch)
            progress(stage, done, len(questions))
    return [grade(question, text) for question, text in zip(questions, texts, strict=True)]


def _by_length(questions: Sequence[Question], max_tokens: int) -> dict[int, list[int]]:
    """Group the positions of questions by how many tokens their answers may need, a power of two for rewrites."""
    groups: dict[int, list[int]] = {}
    for i, question in enumerate(questions):
        needed = len(question.context.encode()) // CHARACTERS_PER_TOKEN + 32 if question.kind == "rewrite" else 0
        limit = max_tokens if needed <= max_tokens else 1 << (needed - 1).bit_length()
        groups.setdefault(limit, []).append(i)
    return dict(sorted(groups.items()))
