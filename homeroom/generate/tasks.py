"""The recipes for skills that are not an exchange of words: new tasks in the person's manner, answered and graded.

    grounded    new contexts like those of the examples -> what is asked about each -> an answer that rests on it
    freeform    new, different tasks -> an answer -> graded by the teacher with one token

They go in rounds until as many are accepted as are wanted, the teacher's tokens are spent, or three rounds have given
nothing. Each round shows other examples and names other subjects, so that the tenth does not say what the first said.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from homeroom.core.config import Samples
from homeroom.core.types import Leaf, Reply, Request, Seed
from homeroom.generate.checks import Fault
from homeroom.generate.judge import grade_request, says_yes
from homeroom.generate.manner import Manner, manner_fault, manner_of
from homeroom.generate.prompts import fill, prompts, request, told_lines
from homeroom.generate.sifted import Ask
from homeroom.generate.steering import in_language_of, steering_fault

A_ROUND = 4  # requests for new tasks or contexts
DRY = 3  # rounds without one accepted sample, after which the recipe gives up
MAX_ROUNDS = 200
_LINE = re.compile(r"(?:(?:text|task|context|example) ?)?(?:\d{1,2} ?[.):]|[-*]) ?(.+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A task with its answer, what is wrong with it, and the seed that the teacher was asked with."""

    task: Seed
    fault: Fault | None
    seed: int


def rounds(leaf: Leaf, ask: Ask, *, config: Samples) -> Iterator[list[Draft]]:
    """Yield the drafts of one round after the other, until the teacher's tokens are spent."""
    manner, grounded = manner_of(leaf.seeds), leaf.kind == "grounded_skill"
    for turn in range(MAX_ROUNDS):
        chance = random.Random(f"{config.seed}{leaf.path}{turn}")
        seed = config.seed + turn
        asked = [_new_request(leaf, turn * A_ROUND + n, chance, seed) for n in range(A_ROUND)]
        replies = ask(asked)
        lines = list(dict.fromkeys(line for reply in replies for line in lines_of(reply)))
        tasks = _questions(leaf, lines, ask, chance, seed) if grounded else [Seed(question=x, answer="") for x in lines]
        good = [t for t in tasks if _task_fault(t, leaf) is None]
        drafts = [Draft(task=t, fault=_task_fault(t, leaf), seed=seed) for t in tasks if t not in good]
        answered = ask([_answer_request(leaf, t, chance, seed) for t in good])
        pairs = [(replace(t, answer=r.text.strip()), r) for t, r in zip(good, answered, strict=True) if r is not None]
        made = [Draft(task=t, fault=_answer_fault(t, r, manner), seed=seed) for t, r in pairs]
        yield drafts + (made if grounded else _graded(leaf, made, ask))
        if not any(r is not None for r in [*replies, *answered]):
            return


def _new_request(leaf: Leaf, number: int, chance: random.Random, seed: int) -> Request:
    """Return a request for new contexts or tasks; each shows other examples and names another circle of subjects."""
    grounded = leaf.kind == "grounded_skill"
    prompt, topics = prompts("skill")["contexts" if grounded else "tasks"], prompts("skill")["texts"]["topics"]
    shown = chance.sample(list(leaf.seeds), min(4, len(leaf.seeds)))
    listed = "\n".join(f"- {' '.join((s.context if grounded else s.question).split())}" for s in shown)
    text = fill(
        prompt["user"], task=leaf.task or "as in the examples", examples=listed, topic=topics[number % len(topics)]
    )
    system = prompt["system"] + in_language_of(listed)
    return request(system, text, max_tokens=prompt["max_tokens"], temperature=0.9, seed=seed)


def _questions(leaf: Leaf, contexts: Sequence[str], ask: Ask, chance: random.Random, seed: int) -> list[Seed]:
    """Return what is asked about each context: the examples' own words where they ask the same, else the teacher's."""
    own = list(dict.fromkeys(s.question for s in leaf.seeds))
    if 2 * len(own) <= len(leaf.seeds) or not contexts:
        return [Seed(question=chance.choice(own), context=c, answer="") for c in contexts]
    prompt = prompts("skill")["questions"]
    asked = []
    for context in contexts:
        turns = []
        for shown in chance.sample(list(leaf.seeds), min(3, len(leaf.seeds))):
            turns += [shown.context, shown.question]
        system = fill(prompt["system"], task=leaf.task or "as in the examples") + in_language_of(own[0])
        asked.append(request(system, *turns, context, max_tokens=prompt["max_tokens"], temperature=0.7, seed=seed))
    return [
        Seed(question=" ".join(reply.text.split()), context=context, answer="")
        for context, reply in zip(contexts, ask(asked), strict=True)
        if reply is not None and reply.finish_reason != "length"
    ]


def _task_fault(task: Seed, leaf: Leaf) -> Fault | None:
    """Return what is wrong with a task before it is answered: another length than any example's, or not a task."""
    for text, examples in (
        (task.question, [s.question for s in leaf.seeds]),
        (task.context, [s.context for s in leaf.seeds]),
    ):
        sizes = [len(e.split()) for e in examples]
        if not 0.4 * min(sizes) <= len(text.split()) <= 2 * max(sizes) + 5:
            return "form", f"{len(text.split())} words, where the examples have {min(sizes)} to {max(sizes)}"
        if text and (fault := steering_fault(text, " ".join(examples))):
            return fault
    return None


def _answer_request(leaf: Leaf, task: Seed, chance: random.Random, seed: int) -> Request:
    prompt = prompts("skill")["answers"]
    turns = []
    for shown in chance.sample(list(leaf.seeds), min(3, len(leaf.seeds))):
        turns += [f"{shown.question}\n\n{shown.context}".strip(), shown.answer]
    turns.append(f"{task.question}\n\n{task.context}".strip())
    return request(
        fill(prompt["system"], task=leaf.task or "answer the task"), *turns, max_tokens=prompt["max_tokens"], seed=seed
    )


def _answer_fault(task: Seed, reply: Reply, manner: Manner) -> Fault | None:
    return ("form", "the answer was cut off") if reply.finish_reason == "length" else manner_fault(task, manner)


def _graded(leaf: Leaf, drafts: Sequence[Draft], ask: Ask) -> list[Draft]:
    """Let the teacher grade the answers that no check has thrown out."""
    good = [d for d in drafts if d.fault is None]
    grades = ask([grade_request(leaf.task, d.task.question, d.task.answer, leaf.seeds) for d in good])
    verdict = {id(d): g for d, g in zip(good, grades, strict=True)}
    refused = "the teacher says that it does not do what is asked"
    return [
        replace(d, fault=("grade", refused)) if (g := verdict.get(id(d))) is not None and not says_yes(g) else d
        for d in drafts
    ]


def lines_of(reply: Reply | None) -> list[str]:
    """Return the numbered or dashed lines of a reply; the last is left out where it was cut off."""
    if reply is None:
        return []
    lines = told_lines(reply)
    if reply.finish_reason == "length":
        lines = lines[:-1]
    return [m[1].strip().strip('"').strip("*- ") for line in lines if (m := _LINE.match(line))]


def gather(drafts: Iterator[list[Draft]], accept: Callable[[Draft], bool], *, wanted: int) -> None:
    """Take drafts round by round until `accept` has said yes `wanted` times, or no round gives any more."""
    have, dry = 0, 0
    for batch in drafts:
        taken = 0
        for draft in batch:
            if have + taken < wanted:
                taken += accept(draft)
        have, dry = have + taken, 0 if taken else dry + 1
        if have >= wanted or dry >= DRY:
            return
