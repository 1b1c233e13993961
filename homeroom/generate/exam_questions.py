"""Exam questions that the teacher writes, for the splits that no person wrote.

They are made from the facts, before any sample is, with a prompt of their own; a decontamination check keeps their
wording out of the samples. What an answer must contain is taken from the fact by code (its last number with the unit,
or its last name), so a wrong answer of the teacher cannot become the key.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from homeroom.core.config import Exam
from homeroom.core.types import Fact, Question, Reply, Request, Split, content_id
from homeroom.core.words import words
from homeroom.generate import checks
from homeroom.generate.attribution import Embed, attributing
from homeroom.generate.details import key_detail, leak_fault
from homeroom.generate.duplicates import duplicates
from homeroom.generate.prompts import fill, prompts, request, told_lines

PER_CALL = 5
_LINE = re.compile(r"(\d{1,2}) ?[.)] ?(.+?) ?\| ?.")


def exam_asks(facts: Sequence[Fact], *, config: Exam) -> list[tuple[list[Fact], Request]]:
    """Return which facts to ask about together, and the requests; facts without a detail to ask for are left out.

    Args:
        facts: Most important first; the exam asks about every n-th of those that can be examined, so that it speaks of
            the whole document and still of what matters.
    """
    usable = [f for f in facts if key_detail(f.statement)]
    step = max(1, len(usable) // max(1, config.questions))
    chosen = usable[::step][: config.questions]
    prompt = prompts("knowledge")["exam"]
    asks = []
    for start in range(0, len(chosen), PER_CALL):
        group = list(chosen[start : start + PER_CALL])
        listed = "\n".join(f"{i}. {f.statement}" for i, f in enumerate(group, 1))
        text = fill(prompt["user"], facts=listed)
        asked = request(
            prompt["system"],
            prompt["example_user"],
            prompt["example_answer"],
            text,
            max_tokens=60 * len(group),
        )
        asks.append((group, asked))
    return asks


def read_exam(
    asks: Sequence[tuple[list[Fact], Request]],
    replies: Sequence[Reply | None],
    *,
    all_facts: Sequence[Fact],
    written: Sequence[Question],
    config: Exam,
    embed: Embed | None = None,
) -> list[Question]:
    """Return the questions that hold, divided over the splits that nobody wrote, at most one a fact.

    Args:
        all_facts: A question must speak of its own fact more than of any other of these.
        written: What a person wrote; its splits get nothing from the teacher, and its wording is not used again.
    """
    missing = [s for s in ("quiz", "dev", "final") if s not in {q.split for q in written}]
    duplicate, whose = duplicates(), attributing(all_facts, subjects=(), embed=embed)
    wording = checks.decontamination(written)
    out: list[Question] = []
    asked: set[str] = set()  # facts
    for (group, _), reply in zip(asks, replies, strict=True):
        for line in told_lines(reply):
            match = _LINE.match(line)
            if not match or not 1 <= int(match[1]) <= len(group) or not missing:
                continue
            fact, text = group[int(match[1]) - 1], match[2].strip()
            if fact.id in asked:
                continue
            fault = (
                checks.form_fault(text)
                or checks.number_fault(text, fact.statement)
                or leak_fault(text, fact)
                or whose([(text, fact)])[0].fault
                or duplicate(text)
                or wording(text)
                or _says_the_key(text, key_detail(fact.statement))
            )
            if not fault:
                asked.add(fact.id)
                out.append(_question(text, fact, _split(fact, missing, config)))
    return out


def _says_the_key(text: str, key: str) -> checks.Fault | None:
    asked, wanted = words(text), words(key)
    return ("leak", "says the answer") if set(wanted) <= set(asked) else None


def _question(text: str, fact: Fact, split: Split) -> Question:
    key = key_detail(fact.statement)
    return Question(
        id=content_id("exam", text),
        question=text,
        split=split,
        answer=key,
        must=((key,),),
        leaf=fact.leaf,
        source=fact.quote,
    )


def _split(fact: Fact, missing: Sequence[Split], config: Exam) -> Split:
    """Choose by the fact's id, so that a longer run later puts the same fact into the same split."""
    place = int(content_id("split", fact.id), 16) / 16**12
    shares = {"quiz": config.quiz_share, "dev": config.dev_share}
    shares["final"] = 1 - config.quiz_share - config.dev_share
    whole = sum(shares[s] for s in missing)
    for split in missing:
        place -= shares[split] / whole
        if place < 0:
            return split
    return missing[-1]
