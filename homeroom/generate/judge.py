"""The teacher as a judge of one token, and how sure it is, where the server tells log-probabilities.

Asked about what code cannot tell: which sentence of its passage answers a question, or none (`samples.look_up`);
retellings that the support check calls undecided (`samples.judge`); and answers to freeform tasks, which no passage can
be compared with. One token costs next to nothing of the teacher's budget, and all that is asked about one passage
shares its beginning. How a small teacher is asked matters: asked whether a fact answers a question, the embedded one
cannot tell; with the whole passage, numbered, and 0 for none, it can (`dev/LOG.md`).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

from homeroom.core.sentences import sentences
from homeroom.core.types import Chunk, Fact, Reply, Request, Seed
from homeroom.generate.prompts import fill, prompts, request
from homeroom.generate.steering import is_steering

SURE = 0.5  # of yes against no, from which on a claim holds
FOUND = 0.65  # of a fact's own sentence against none, from which on a question has its answer there
MOST = 9  # sentences that are numbered: a number of one digit is one token
TOP = 10  # likeliest tokens to be told


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbered:
    """A passage in which a question is looked up, and the numbers of the sentences that a fact rests on."""

    text: str
    own: frozenset[str]


def numbered(chunk: Chunk, fact: Fact) -> Numbered | None:
    """Return the sentences around a fact's with their numbers, at most nine; None where its own is not there."""
    found = [s for s in sentences(chunk.text) if not is_steering(s.text)]
    start, end = fact.start - chunk.start, fact.end - chunk.start
    own = [n for n, s in enumerate(found) if s.start < end and start < s.end]
    if not own:
        return None
    first = own[0] // MOST * MOST  # the same stretch for all facts in it: its beginning is read once
    stretch = found[first : first + MOST]
    text = " ".join(f"[{n}] {s.text}" for n, s in enumerate(stretch, 1))
    return Numbered(text=text, own=frozenset(str(n - first + 1) for n in own if n - first < MOST))


def lookup_request(passage: Numbered, chunk: Chunk, question: str) -> Request:
    """Return the question which sentence of a passage answers a question."""
    prompt = prompts("judge")["lookup"]
    asked = fill(prompt["user"], title=chunk.title, heading=chunk.heading, passage=passage.text, question=question)
    return _one_token(request(prompt["system"], *_lookup_examples(), asked, max_tokens=1))


@functools.cache
def _lookup_examples() -> tuple[str, ...]:
    prompt, turns = prompts("judge")["lookup"], []
    for place, ask in enumerate(prompt["asks"]):
        turns += [f"{'' if place else prompt['example']}Question: {ask['question']}", ask["answer"]]
    return tuple(turns)


def is_found(reply: Reply, passage: Numbered) -> bool:
    """Tell whether the teacher found an answer where it should be; where it is told, by its log-probabilities."""
    weights = {"own": 0.0, "none": 0.0}
    for token, log_probability in reply.top.items():
        word = token.strip().strip("▁Ġ")
        if word == "0" or word in passage.own:
            weights["none" if word == "0" else "own"] += math.exp(log_probability)
    if sum(weights.values()) > 0:
        return weights["own"] / sum(weights.values()) >= FOUND
    return reply.text.strip() != "0"


def claim_request(passage: str, claim: str) -> Request:
    """Return the question whether a passage says a claim; the passage first, for it is shared between many."""
    prompt = prompts("judge")["claim"]
    turns = [t for example in prompt["examples"] for t in (fill(prompt["user"], **example["ask"]), example["answer"])]
    return _one_token(
        request(prompt["system"], *turns, fill(prompt["user"], passage=passage, claim=claim), max_tokens=1)
    )


def grade_request(task: str, question: str, answer: str, seeds: Sequence[Seed]) -> Request:
    """Return the question whether an answer does what a task asks; two of the person's examples say what is good.

    The second example is shown with the first one's answer, as what is not good.
    """
    prompt, turns = prompts("judge")["grade"], []
    if len(seeds) >= 3:
        one, two, three = seeds[:3]
        for asked, told, verdict in ((one.question, one.answer, "yes"), (two.question, three.answer, "no")):
            turns += [fill(prompt["user"], question=asked, answer=told), verdict]
    system = fill(prompt["system"], task=task or "answer the task")
    return _one_token(request(system, *turns, fill(prompt["user"], question=question, answer=answer), max_tokens=1))


def _one_token(asked: Request) -> Request:
    known = {f.name for f in fields(asked)}
    return replace(asked, **{"top_logprobs": TOP}) if "top_logprobs" in known else asked


def says_yes(reply: Reply) -> bool:
    """Tell whether a judge says yes: by its log-probabilities, or by its word where the server does not tell them."""
    return yes_share(reply) >= SURE


def yes_share(reply: Reply) -> float:
    """Return the probability of yes against no."""
    top: dict[str, float] = getattr(reply, "top", {}) or {}
    weights = {"yes": 0.0, "no": 0.0}
    for token, log_probability in top.items():
        word = token.strip().strip("▁Ġ").casefold()
        if word in weights:
            weights[word] += math.exp(log_probability)
    if sum(weights.values()) > 0:
        return weights["yes"] / sum(weights.values())
    return 1.0 if reply.text.strip().casefold().startswith("yes") else 0.0
