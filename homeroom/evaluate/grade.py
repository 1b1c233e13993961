"""Whether an answer is right, decided by rules that a person can read in `docs/exam.md`: no model judges.

    Question + answer -> Score(correct, reason)

`must` is a list of groups, each needing one of its alternatives; `must_not` is a list of what may not appear. Both
are compared as whole words after `words()`. Two guards keep a right word from hiding a wrong answer: an alternative
that is denied ("not a pencil") does not count, and a number that is offered together with others of its unit
("9 weeks or 12 weeks", or a whole list of them) does not count either. See `guards.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from homeroom.core.errors import ContentError
from homeroom.core.types import Message, Question, Score
from homeroom.core.words import MAX_CHARACTERS, find, is_number, words
from homeroom.evaluate.checks import CHECKS, strip_lead_in
from homeroom.evaluate.choices import LETTERS, picks, right_choice
from homeroom.evaluate.guards import affirmed, example, front, hedge

YES_NO = frozenset({"yes", "no"})
_YES_OR_NO = re.compile(r"\b(?:yes\s*(?:/|or)\s*no|no\s*(?:/|or)\s*yes)\b", re.IGNORECASE)

# Trimmed from both ends of a model answer that stands in for `must`: "Within 36 hours." asks for "36 hours".
EMPTY_WORDS = """
    a about above after an and are at be before below beyond by for from have in into is it its of on only that the
    their there they this those to under until up was were with within you your
""".split()  # noqa: SIM905 -- one word a line would be a screen of its own


def grade(question: Question, answer: str) -> Score:
    """Say whether `answer` is right, and if not, why.

    Raises:
        ContentError: the question cannot be graded: a `rubric`, which a judge compares, an unknown check, or nothing
            to compare with.

    Example:
        >>> weeks = Question(id="1", question="How long?", must=(("nine weeks",),))
        >>> grade(weeks, "You have 9 weeks.").correct, grade(weeks, "19 weeks").correct
        (True, False)
    """
    if question.kind == "rubric":
        raise ContentError(
            "questions of the kind rubric need a judge, who compares two models' answers",
            where=f"question {question.id}",
            hint="Name a judge in the recipe (judge.url, judge.model), or use must, check, choice or yes_no.",
        )
    reason = _why_wrong(question, answer)
    if not answer.strip():
        reason = "no answer"
    return Score(question=question.id, answer=answer, correct=not reason, reason=reason)


def prompt(question: Question, *, passage: str = "") -> tuple[Message, ...]:
    """Return the conversation in which a model is asked: closed-book, or open-book below its `passage`.

    A context follows its question after a blank line, as in the samples for training; choices follow with letters.
    """
    text = question.question
    if question.context:
        text = f"{text}\n\n{question.context}"
    if question.kind == "choice":
        text += "\n" + "".join(f"\n{letter}) {c}" for letter, c in zip(LETTERS, question.choices, strict=False))
    if passage:
        text = f"{passage}\n\n{text}"
    return (Message(role="user", content=text),)


def _why_wrong(question: Question, answer: str) -> str:
    if question.kind == "choice":
        return _grade_choice(question, answer)
    if question.kind == "yes_no":
        return _grade_yes_no(question, answer)
    body = strip_lead_in(answer, question.context) if question.kind == "rewrite" else answer
    missed = _missed(question, body, guarded=question.kind == "short")
    return missed or _forbidden(question, body) or _failed_check(question, body)


def _failed_check(question: Question, answer: str) -> str:
    if not question.check:
        return ""
    if question.check not in CHECKS:
        raise ContentError(
            f"there is no check called {question.check!r}",
            where=f"question {question.id}",
            hint=f"Use one of: {', '.join(sorted(CHECKS))}.",
        )
    return CHECKS[question.check](question, answer[:MAX_CHARACTERS])


# -- must and must_not --------------------------------------------------------------------------------------------


def _missed(question: Question, answer: str, *, guarded: bool) -> str:
    """Return why some group of `must` is not satisfied, or ""; a plain `answer` stands in for a missing `must`."""
    groups = [{alternative: words(alternative) for alternative in group} for group in question.must]
    if not groups and question.answer and not question.check:
        core = _core_of(words(question.answer))
        groups = [{" ".join(core): core}]
    elif not (groups or question.must_not or question.check):
        raise ContentError("has neither must nor answer to grade by", where=f"question {question.id}")
    said, asked = words(answer), words(question.question)
    named = {w for w in asked if is_number(w)} | {w for g in groups for a in g.values() for w in a if is_number(w)}
    for group in groups:
        found = {text: a for text, a in group.items() if find(a, said)}
        if not found:
            return f"does not say {_quoted(group)}"
        if not guarded:
            continue
        meant = affirmed(list(found.values()), said, asked)
        if not meant:
            return f"denies {_quoted(found)}"
        hedges = [hedge(a, said, named) or (len(groups) == 1 and example(a, answer)) or "" for a in meant]
        if all(hedges):
            return hedges[0]
    return front(answer[:MAX_CHARACTERS], named) if guarded and groups else ""


def _forbidden(question: Question, answer: str) -> str:
    said = words(answer)
    return next((f'says "{text}"' for text in question.must_not if find(words(text), said)), "")


def _core_of(wanted: list[str]) -> list[str]:
    """Drop words that carry nothing from both ends, unless nothing would remain."""
    full = [i for i, word in enumerate(wanted) if word not in EMPTY_WORDS]
    return wanted[full[0] : full[-1] + 1] if full else wanted


def _quoted(alternatives: Iterable[str]) -> str:
    texts = [f'"{text}"' for text in alternatives]
    return " or ".join(texts[:3]) + (" or the like" if len(texts) > 3 else "")


# -- choice and yes_no --------------------------------------------------------------------------------------------


def _grade_choice(question: Question, answer: str) -> str:
    right = right_choice(question)
    picked = picks(question.choices, answer)
    if not picked:
        return "names none of the choices"
    if len(picked) > 1:
        return f"names several choices: {', '.join(LETTERS[i] for i in sorted(picked))}"
    return "" if picked == {right} else f"picks {LETTERS[min(picked)]}, not {LETTERS[right]}"


def _grade_yes_no(question: Question, answer: str) -> str:
    """The first yes or no decides; `must` and `must_not` may ask for, or forbid, other words besides."""
    right = right_word(question)
    said = words(answer)
    first = next((word for word in said if word in YES_NO), "")
    if not first:
        return "says neither yes nor no"
    if _YES_OR_NO.search(answer[:MAX_CHARACTERS]):
        return "says both yes and no"
    if first != right:
        return f"says {first}, not {right}"
    for group in question.must:
        if not any(words(a) in (["yes"], ["no"]) or find(words(a), said) for a in group):
            return f"does not say {_quoted(group)}"
    other = [text for text in question.must_not if set(words(text)) - YES_NO]
    return next((f'says "{text}"' for text in other if find(words(text), said)), "")


def right_word(question: Question) -> str:
    """Return "yes" or "no": what a `yes_no` question wants.

    Raises:
        ContentError: neither `must` nor `answer` says so.
    """
    for text in [a for group in question.must for a in group] + [question.answer]:
        for word in words(text):
            if word in YES_NO:
                return word
    raise ContentError(
        "does not say whether yes or no is right",
        where=f"question {question.id}",
        hint='Begin the answer with "Yes" or "No".',
    )
