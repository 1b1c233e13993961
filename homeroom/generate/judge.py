"""The teacher as a judge of one token: yes or no, and how sure it is, where the server tells log-probabilities.

Asked only about what code cannot tell: retellings that the support check calls undecided (`samples.judge`), and answers
to freeform tasks, which no passage can be compared with. One token costs next to nothing of the teacher's budget, and
all that is asked about one passage shares its beginning. How good a judge a small teacher is has not been measured.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields, replace

from homeroom.core.types import Reply, Request, Seed
from homeroom.generate.prompts import fill, prompts, request

SURE = 0.5  # of yes against no, from which on a claim holds
TOP = 10  # likeliest tokens to be told


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
