"""The recipe for knowledge: every fact is asked in many words, and every passage is told again in several styles.

Requests are made in waves, so that a budget that ends early has treated all facts alike: first one round of questions
about each fact, then one rewrite of each chunk, then the next round from another angle, and so on. The teacher writes
only the questions; the answer is the fact itself, which has already been checked against the document, so that no
answer can be invented. Code adds what needs no model: a sentence to complete, yes or no with a wrong twin.

Source of the mix of questions and rewrites: Synthetic Mixed Training (arXiv 2603.23562); of the even coverage of facts:
Mecklenburg et al. (arXiv 2404.00213).
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from homeroom.core.config import Samples
from homeroom.core.types import Chunk, Fact, Leaf, Message, Question, Rejected, Reply, Request, Sample, content_id
from homeroom.core.words import is_number, words
from homeroom.generate import checks
from homeroom.generate.attribution import Embed, attribute
from homeroom.generate.facts import subject_of, topic_of
from homeroom.generate.prompts import fill, prompts, request

_NUMBERED = re.compile(r"^\s*\**(?:question\s*)?\d{1,2}\s*[.):]\**\s*(.+?)\s*$", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request to the teacher, and what it is about."""

    kind: str  # "question" or "rewrite"
    request: Request
    chunk: Chunk
    fact: Fact | None = None


def knowledge_asks(facts: Sequence[Fact], chunks: Sequence[Chunk], *, config: Samples) -> list[Ask]:
    """Return what to ask the teacher, in waves; within a wave the most important facts come first.

    Args:
        facts: The ones to be taught, most important first.
        chunks: All chunks of the same leaves; only those of a fact are told again.
    """
    by_id = {c.id: c for c in chunks}
    subjects = _subjects(chunks)
    wanted = list(dict.fromkeys(f.chunk for f in facts))
    asks: list[Ask] = []
    for wave in range(max(config.manners, config.rewrites)):
        if wave < config.manners:
            asks += [_question_ask(f, by_id[f.chunk], subjects[f.chunk], wave, config) for f in facts]
        if wave < config.rewrites:
            asks += [_rewrite_ask(by_id[c], subjects[c], wave, config) for c in wanted]
    return asks


def _subjects(chunks: Sequence[Chunk]) -> dict[str, str]:
    texts: dict[str, list[str]] = defaultdict(list)
    for chunk in chunks:
        texts[chunk.document].append(chunk.text)
    return {c.id: subject_of(c, texts[c.document]) for c in chunks}


def _question_ask(fact: Fact, chunk: Chunk, subject: str, wave: int, config: Samples) -> Ask:
    """Ask for questions about one detail of the fact; each wave takes the next detail and another angle."""
    prompt = prompts("knowledge")["questions"]
    turns: list[str] = []
    for example in prompt["examples"]:
        answer = f"Answer: {example['answer']}"
        turns.append(fill(prompt["user"], statement=example["fact"], about=example["about"], answer=answer, angle=""))
        turns.append(example["questions"])
    details = [d for d in key_details(fact.statement) if not set(words(d)) <= set(words(chunk.title))]
    detail = details[-1 - wave % len(details)] if details else ""
    answer = f"Answer: {detail or 'the whole fact'}"
    angle = prompt["angles"][wave % len(prompt["angles"])]
    about = f"{subject}, {topic_of(chunk)}"
    turns.append(fill(prompt["user"], statement=fact.statement, about=about, answer=answer, angle=angle))
    asked = request(
        prompt["system"],
        *turns,
        max_tokens=prompt["max_tokens"],
        temperature=config.temperature,
        seed=config.seed + wave,
    )
    return Ask(kind="question", request=asked, chunk=chunk, fact=fact)


def _rewrite_ask(chunk: Chunk, subject: str, wave: int, config: Samples) -> Ask:
    prompt = prompts("knowledge")["rewrites"]
    styles = prompt["styles"]
    text = fill(
        prompt["user"],
        title=chunk.title,
        heading=topic_of(chunk),
        passage=chunk.text,
        style=fill(styles[wave % len(styles)], subject=subject),
    )
    limit = min(prompt["max_tokens"], 60 + 2 * len(chunk.text.split()))
    asked = request(prompt["system"], text, max_tokens=limit, temperature=config.temperature, seed=config.seed + wave)
    return Ask(kind="rewrite", request=asked, chunk=chunk)


# -- replies -> samples ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Sifted:
    """What was kept and what was thrown out."""

    samples: tuple[Sample, ...]
    rejected: tuple[Rejected, ...]


def read_knowledge(
    asks: Sequence[Ask],
    replies: Sequence[Reply | None],
    facts: Sequence[Fact],
    chunks: Sequence[Chunk],
    *,
    all_facts: Sequence[Fact],
    exam: Sequence[Question],
    teacher: str,
    embed: Embed | None = None,
) -> Sifted:
    """Turn the teacher's replies into samples, check each, and add those that need no teacher.

    Args:
        facts: The ones that are taught.
        all_facts: Every fact known of the leaf; a question must fit its own better than any of these.
        exam: Every exam question of the course, for decontamination.
        teacher: Identity of the model, for the samples' origin.
        embed: Sentences -> vectors, for attribution; without it words alone are compared.
    """
    drafts = [
        draft
        for ask, reply in zip(asks, replies, strict=True)
        if reply is not None
        for draft in (_questions(ask, reply, teacher) if ask.kind == "question" else _rewrite(ask, reply, teacher))
    ]
    subjects = _subjects(chunks)
    for fact in facts:
        drafts += _without_teacher(fact, all_facts, subjects.get(fact.chunk, ""))
    taught = {f.chunk for f in facts}
    drafts += [_passage(c) for c in chunks if c.id in taught]
    sifted = _sift(drafts, {f.id: f for f in facts}, chunks, all_facts, exam, embed)
    return dataclasses.replace(sifted, samples=(*sifted.samples, *_choices(sifted.samples, facts, all_facts)))


def _sift(
    drafts: Sequence[Sample],
    facts: Mapping[str, Fact],
    chunks: Sequence[Chunk],
    all_facts: Sequence[Fact],
    exam: Sequence[Question],
    embed: Embed | None,
) -> Sifted:
    """Put every draft through the cascade; what the cheap checks left goes through attribution together."""
    wording, duplicate = checks.decontamination(exam), checks.duplicates()
    chunk_of = {c.id: c for c in chunks}
    faults: dict[int, checks.Fault] = {}
    for n, draft in enumerate(drafts):
        if draft.kind == "passage":
            continue  # the document itself is what is taught
        text = draft.text or draft.messages[0].content
        own = _text_fault if draft.text else _question_fault
        fault = own(draft, facts, chunk_of[draft.chunk]) or duplicate(text) or wording(text)
        if fault:
            faults[n] = fault
    asked = [n for n, d in enumerate(drafts) if d.kind == "direct" and n not in faults]
    pairs = [(drafts[n].messages[0].content, facts[drafts[n].facts[0]]) for n in asked]
    subjects = sorted(set(_subjects(chunks).values()), key=len, reverse=True)
    for n, fault in zip(asked, attribute(pairs, all_facts, subjects=subjects, embed=embed), strict=True):
        if fault:
            faults[n] = fault
    return Sifted(
        samples=tuple(d for n, d in enumerate(drafts) if n not in faults),
        rejected=tuple(Rejected(sample=drafts[n], check=f[0], reason=f[1]) for n, f in sorted(faults.items())),
    )


def _question_fault(sample: Sample, facts: Mapping[str, Fact], chunk: Chunk) -> checks.Fault | None:
    question, fact = sample.messages[0].content, facts[sample.facts[0]]
    if sample.kind != "direct":
        return None
    source = f"{chunk.title} {chunk.heading} {fact.statement} {fact.quote}"
    return (
        checks.form_fault(question)
        or checks.number_fault(question, source)
        or checks.name_fault(question, set(words(f"{source} {chunk.text}")))
        or checks.example_fault(question, f"{source} {chunk.text}", _example_words())
        or checks.leak_fault(question, fact)
        or checks.type_fault(question, fact)
    )


@functools.cache
def _example_words() -> frozenset[str]:
    """The telling words of the prompt's worked examples: a teacher that repeats them has lost the thread."""
    told = prompts("knowledge")["questions"]["examples"]
    return frozenset(checks.content_words(" ".join(f"{e['fact']} {e['about']}" for e in told))) - _EVERYDAY


_EVERYDAY = frozenset(checks.content_words("looked after night at a time"))


def _text_fault(sample: Sample, facts: Mapping[str, Fact], chunk: Chunk) -> checks.Fault | None:
    source = f"{chunk.title} {chunk.heading} {chunk.text}"
    body = sample.text.partition("\n\n")[2]
    whole = " ".join(line for line in body.splitlines() if line.rstrip().endswith((".", "!", "?", "。")))
    if len(sample.text.split()) < 0.3 * len(chunk.text.split()):
        return "form", "much shorter than the passage"
    return (
        checks.number_fault(body, source)
        or checks.name_fault(whole, set(words(source)) | _LETTER_WORDS)
        or checks.drift_fault(body, source)
        or checks.negation_fault(body, source)
    )


_LETTER_WORDS = frozenset("dear colleague team hello hi thank note memo subject date friend customer person".split())  # noqa: SIM905


def _questions(ask: Ask, reply: Reply, teacher: str) -> Iterator[Sample]:
    assert ask.fact is not None
    lines = reply.text.splitlines()
    if reply.finish_reason == "length":
        lines = lines[:-1]  # cut in the middle
    for line in lines:
        match = _NUMBERED.match(line)
        if match:
            yield _qa("direct", match[1].strip("* "), ask.fact.statement, ask.fact, teacher)


def _qa(kind: str, question: str, answer: str, fact: Fact, teacher: str = "") -> Sample:
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


def _rewrite(ask: Ask, reply: Reply, teacher: str) -> Iterator[Sample]:
    lines = [_MARKS.sub("", line) for line in reply.text.splitlines()]
    text = "\n".join(line for line in lines if "[" not in line).strip()  # "[Your Name]": a form, not a text
    if reply.finish_reason == "length":
        text = text[: text.rfind(".") + 1]
    if text:
        yield _text("rewrite", text, ask.chunk, teacher)


_MARKS = re.compile(r"\*\*|^#+ *|^\s*(?:\d{1,2}[.)]|[-*•])\s+")  # of headings, lists and bold type


def _passage(chunk: Chunk) -> Sample:
    return _text("passage", chunk.text, chunk, "")


def _text(kind: str, text: str, chunk: Chunk, teacher: str) -> Sample:
    head = f"{chunk.title}: {chunk.heading}" if chunk.heading else chunk.title
    return Sample(
        id=content_id(kind, head, text),
        kind=kind,
        text=f"{head}\n\n{text}",
        learn="all",
        leaf=chunk.leaf,
        chunk=chunk.id,
        quote=chunk.text,
        start=chunk.start,
        end=chunk.end,
        teacher=teacher,
    )


def seed_samples(leaves: Sequence[Leaf]) -> Iterator[Sample]:
    """Yield what people wrote in knowledge leaves, as it stands."""
    for leaf in leaves:
        for seed in leaf.seeds:
            yield Sample(
                id=content_id("seed", leaf.path, seed.question, seed.answer),
                kind="seed",
                messages=(Message(role="user", content=seed.question), Message(role="assistant", content=seed.answer)),
                leaf=leaf.path,
                quote=seed.context,
            )


# -- what needs no teacher ---------------------------------------------------------------------------------------


def _without_teacher(fact: Fact, all_facts: Sequence[Fact], subject: str) -> Iterator[Sample]:
    for start, end in _key_spans(fact.statement):
        before, after = fact.statement[:start], fact.statement[end:]
        yield _qa("cloze", f"Complete the sentence about {subject}: {before}____{after}", fact.statement, fact)
        if len(before.split()) >= 3:
            yield _qa("cloze", f"{subject}: how does this go on? {before.strip()} ...", fact.statement, fact)
    inverted = _inverted(fact.statement)
    if inverted:
        yield _qa("inverted", inverted, fact.statement, fact)
    yield _qa("yes_no", f"Is this right? {fact.statement}", f"Yes. {fact.statement}", fact)
    twin = _wrong_twin(fact, all_facts)
    if twin:
        yield _qa("yes_no", f"Is this right? {twin}", f"No. {fact.statement}", fact)


def key_details(statement: str) -> list[str]:
    """Return the details of a fact that a question could ask for, in order: numbers with their units, and names.

    Example:
        >>> key_details("Water damage must be reported to Odile Varrick within five days.")
        ['Odile Varrick', 'five days']
    """
    return [statement[a:b] for a, b in _key_spans(statement)]


def key_detail(statement: str) -> str:
    """Return the last detail of a fact that a question could ask for, or ""."""
    return (key_details(statement) or [""])[-1]


def _key_spans(statement: str) -> list[tuple[int, int]]:
    tokens = list(re.finditer(r"\S+", statement))
    plain = [words(t[0]) for t in tokens]
    named = checks.names(statement)
    spans, index = [], 1
    while index < len(tokens):
        end = index
        if any(is_number(w) and w != "1" for w in plain[index]):
            if index + 1 < len(tokens) and tokens[index][0][-1] not in ",.;)" and plain[index + 1]:
                end = index + (plain[index + 1][0] not in _NO_UNIT)
        elif named & set(plain[index]):
            while end + 1 < len(tokens) and tokens[end][0][-1] not in ",.;" and named & set(plain[end + 1]):
                end += 1
        else:
            index += 1
            continue
        text = tokens[end][0]
        stop = tokens[end].end() - (len(text) - len(text.rstrip(".,;:!?)"))) * (text not in ("a.m.", "p.m."))
        spans.append((tokens[index].start(), stop))
        index = end + 1
    return spans


_NO_UNIT = frozenset("and or to of in on at by for with from is are was were".split())  # noqa: SIM905


def _choices(samples: Sequence[Sample], facts: Sequence[Fact], all_facts: Sequence[Fact]) -> Iterator[Sample]:
    """Yield a question with lettered choices for each fact with a kept question and two like details elsewhere."""
    asked = {s.facts[0]: s.messages[0].content for s in reversed(samples) if s.kind == "direct"}
    for fact in facts:
        own = key_detail(fact.statement)
        others = dict.fromkeys(
            d
            for f in sorted(all_facts, key=lambda f: content_id(f.id, fact.id))
            for d in key_details(f.statement)
            if own and f.leaf == fact.leaf and words(d) != words(own) and _alike(words(own), words(d))
        )
        if fact.id in asked and len(others) >= 2:
            choices = sorted([own, *list(others)[:3]], key=lambda c: content_id(fact.id, c))
            listed = "\n".join(f"{letter}) {choice}" for letter, choice in zip("ABCD", choices, strict=False))
            answer = f"{'ABCD'[choices.index(own)]}) {own}"
            yield _qa("choice", f"{asked[fact.id]}\n\n{listed}", answer, fact)


def _inverted(statement: str) -> str:
    """Return a plain English question for the name in "The head of claims is Odile Varrick.", or "".

    Example:
        >>> _inverted("The head of claims is Odile Varrick."), _inverted("The panel is led by Sunniva Okell.")
        ('Who is the head of claims?', 'By whom is the panel led?')
    """
    sorts = checks.tells(statement)
    match = re.fullmatch(r"(The|A|An|Every|Each) ([^,]{3,80}?) (is|are|was|were) (?:(\w+) )?by (.+?)\.", statement)
    if match and checks.names(statement) & set(words(match[5])):
        return f"By whom {match[3]} {match[1].lower()} {match[2]} {match[4] or ''}".rstrip() + "?"
    match = re.fullmatch(r"(The|A|An|Every|Each) ([^,]{3,80}?) (is|are|was|were) (.+?)\.", statement)
    if match and checks.names(statement) & set(words(match[4])) and match[4][0].isupper() and "name" in sorts:
        return f"Who {match[3]} {match[1].lower()} {match[2]}?"
    if match and "place" in sorts and re.match(r"(?:in|at|on) ", match[4]):
        return f"Where {match[3]} {match[1].lower()} {match[2]}?"
    return ""


def _wrong_twin(fact: Fact, all_facts: Sequence[Fact]) -> str:
    """Return the fact with its last detail exchanged for a like one of another fact, or "" where none is like it.

    Like are a number with the same unit, and a name of as many words.
    """
    spans = _key_spans(fact.statement)
    if not spans:
        return ""
    start, end = spans[-1]
    own = words(fact.statement[start:end])
    for other in sorted(all_facts, key=lambda f: content_id(fact.id, f.id)):
        for theirs in key_details(other.statement) if other.leaf == fact.leaf and other.id != fact.id else ():
            found = words(theirs)
            if found != own and theirs not in fact.statement and _alike(own, found):
                return fact.statement[:start] + theirs + fact.statement[end:]
    return ""


def _alike(one: Sequence[str], other: Sequence[str]) -> bool:
    if is_number(one[0]) and other and is_number(other[0]):
        return len(one) > 1 and list(one[1:]) == list(other[1:])
    return not any(map(is_number, [*one, *other])) and len(one) == len(other)
