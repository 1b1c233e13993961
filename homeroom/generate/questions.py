"""Questions about facts: what the teacher is asked, and the checks that a question must pass before it is answered."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from homeroom.core.config import Samples
from homeroom.core.types import Chunk, Fact, Message, Reply, Request, Sample, content_id
from homeroom.core.words import words
from homeroom.generate import checks
from homeroom.generate.answers import answer
from homeroom.generate.attribution import Attribute
from homeroom.generate.closeness import CAREFUL, DROP, Closeness
from homeroom.generate.details import details, leak_fault
from homeroom.generate.duplicates import Seen
from homeroom.generate.facts import topic_of
from homeroom.generate.fit import fit_fault
from homeroom.generate.polar import polar_fault
from homeroom.generate.prompts import fill, prompts, request, told_lines
from homeroom.generate.steering import in_language_of, steering_fault, tongue
from homeroom.generate.support import premise_fault, sample_fault

_NUMBERED = re.compile(r"\**(?:question ?)?\d{1,2} ?[.):]\** ?(.+)", re.IGNORECASE)
Check = Callable[[str], checks.Fault | None]


def question_request(fact: Fact, chunk: Chunk, subject: str, *, wave: int, config: Samples) -> Request:
    """Return a request for questions about one detail of the fact; each wave takes the next detail and angle."""
    prompt = prompts("knowledge")["questions"]
    turns: list[str] = []
    for example in prompt["examples"]:
        wanted = f"Answer: {example['answer']}"
        turns.append(fill(prompt["user"], statement=example["fact"], about=example["about"], answer=wanted, angle=""))
        turns.append(example["questions"])
    told = [d for d in details(fact.statement) if not set(words(d)) <= set(words(chunk.title))]
    detail = told[-1 - wave % len(told)] if told else ""
    wanted = f"Answer: {detail or 'the whole fact'}"
    angle = prompt["angles"][wave % len(prompt["angles"])]
    about = f"{subject}, {topic_of(chunk)}"
    turns.append(fill(prompt["user"], statement=fact.statement, about=about, answer=wanted, angle=angle))
    return request(
        prompt["system"] + in_language_of(chunk.text),
        *turns,
        max_tokens=prompt["max_tokens"],
        temperature=config.temperature,
        seed=config.seed + wave,
    )


def read_questions(reply: Reply, fact: Fact, subject: str, teacher: str, seed: int = 0) -> Iterator[Sample]:
    """Yield the questions of a reply, answered from the fact."""
    lines = told_lines(reply)
    if reply.finish_reason == "length":
        lines = lines[:-1]  # cut in the middle
    for line in lines:
        match = _NUMBERED.match(line)
        if match:
            question = match[1].strip("* ")
            told = answer(question, fact.statement, subject=subject)
            yield replace(question_sample("direct", question, told, fact, teacher), seed=seed)


def question_sample(kind: str, question: str, answer: str, fact: Fact, teacher: str = "") -> Sample:
    """Return a sample of one question and answer that rests on one fact."""
    return Sample(
        id=content_id(kind, question, answer),
        kind=kind,
        messages=(Message(role="user", content=question), Message(role="assistant", content=answer)),
        leaf=fact.leaf,
        facts=(fact.id,),
        chunk=fact.chunk,
        quote=fact.quote,
        start=fact.start,
        end=fact.end,
        teacher=teacher,
    )


def lead_of(sample: Sample, fact: Fact) -> str:
    """Return the detail that stands in front of the fact in an answer, or ""."""
    return sample.messages[-1].content.removesuffix(fact.statement).strip().removesuffix(".")


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionChecks:
    """The cascade that a question must pass; what it has seen before, it remembers."""

    facts: Mapping[str, Fact]
    chunks: Mapping[str, Chunk]
    subjects: Sequence[str]  # what the documents are about, the longest first
    wording: Check
    duplicate: Seen
    whose: Attribute
    near: Closeness | None  # None: there is no embedder

    def sifted(self, drafts: Sequence[Sample]) -> list[tuple[Sample, checks.Fault | None]]:
        """Return each question with what is wrong with it, or None; what the cheap checks left is compared together.

        A question that is not quite near its fact is answered with the fact alone, without a detail in front.
        """
        found = [(draft, self._own_fault(draft)) for draft in drafts]
        left = [n for n, (_, fault) in enumerate(found) if fault is None]
        pairs = [(drafts[n].messages[0].content, self.facts[drafts[n].facts[0]]) for n in left]
        for n, (question, fact), whose in zip(left, pairs, self.whose(pairs), strict=True):
            found[n] = (drafts[n], whose.fault)
            if whose.fault is None and self.near is not None and tongue(question) in ("en", ""):
                near = self.near(question, fact.statement, lead_of(drafts[n], fact), whose.likeness)
                if near < DROP:
                    found[n] = drafts[n], ("fit", f"is not near enough to its fact ({near:.2f})")
                elif near < CAREFUL and not checks.is_polar(question):
                    plain = question_sample(drafts[n].kind, question, fact.statement, fact, drafts[n].teacher)
                    found[n] = replace(plain, seed=drafts[n].seed), None
        return found

    def _own_fault(self, draft: Sample) -> checks.Fault | None:
        question, fact, chunk = draft.messages[0].content, self.facts[draft.facts[0]], self.chunks[draft.chunk]
        source = f"{chunk.title} {chunk.heading} {fact.statement} {fact.quote}"
        return (
            checks.form_fault(question)
            or steering_fault(question, f"{source} {chunk.text}")
            or checks.number_fault(question, source)
            or checks.name_fault(question, set(words(f"{source} {chunk.text}")))
            or checks.example_fault(question, f"{source} {chunk.text}", _example_words())
            or self._cannot_answer(draft, question, fact)
            or premise_fault(question, fact.statement)
            or sample_fault(draft, chunk)
            or self.repeats(question)
        )

    def _cannot_answer(self, draft: Sample, question: str, fact: Fact) -> checks.Fault | None:
        subject, detail = " ".join(self.subjects), lead_of(draft, fact)
        if checks.is_polar(question):  # it may say all that the fact says: whether it is so is left to answer
            return polar_fault(question, fact.statement, subject=subject)
        return (
            leak_fault(question, fact, subject=subject)
            or checks.type_fault(question, fact)
            or fit_fault(question, fact.statement, detail)
        )

    def repeats(self, text: str, *, exact: bool = False) -> checks.Fault | None:
        """Return a fault if the text was there before, in the samples or in an exam."""
        return self.duplicate(text, exact=exact) or self.wording(text)


@functools.cache
def _example_words() -> frozenset[str]:
    """The telling words of the prompt's worked examples: a teacher that repeats them has lost the thread."""
    told = prompts("knowledge")["questions"]["examples"]
    return frozenset(checks.content_words(" ".join(f"{e['fact']} {e['about']}" for e in told))) - _EVERYDAY


_EVERYDAY = frozenset(checks.content_words("looked after night at a time"))
