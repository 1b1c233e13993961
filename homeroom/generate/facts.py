"""What there is to know in a chunk: one sentence per fact, resting on one sentence of the document.

The teacher reads numbered sentences and answers with lines that begin with such a number; the number, not the
teacher's memory, gives the quote and its byte span. A line whose numbers or names are not in that sentence (or in the
sentence before, which "it" may point to) is thrown out. A sentence that got no fact that
held is a fact as it stands, so that nothing examinable is lost with the teacher's mood.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from homeroom.core.sentences import sentences
from homeroom.core.types import Chunk, Fact, Leaf, Reply, Request, content_id
from homeroom.core.words import is_number, words
from homeroom.generate.checks import content_words, names, numbers, unseen_fault
from homeroom.generate.prompts import fill, prompts, request, told_lines
from homeroom.generate.rows import in_words, is_row
from homeroom.generate.speakers import speakers, without_speaker
from homeroom.generate.steering import in_language_of, is_steering, without_steering
from homeroom.generate.support import passage, support_fault

_LINE = re.compile(r"(?:[-*] ?)?\[(\d{1,3})\] ?(.+)")
TWIN = 0.85  # of the words of two facts together, that both have
MAX_WORDS = 45  # of a statement; a longer one is a paragraph, not a fact


@dataclass(frozen=True, slots=True, kw_only=True)
class _Numbered:
    """One sentence of a chunk with its byte span in the document."""

    text: str
    start: int
    end: int


def fact_requests(chunks: Sequence[Chunk]) -> list[Request]:
    """Return one request a chunk, in order."""
    prompt = prompts("knowledge")["facts"]
    return [
        request(
            prompt["system"] + in_language_of(chunk.text),
            prompt["example_user"],
            prompt["example_answer"],
            fill(
                prompt["user"],
                title=chunk.title,
                heading=topic_of(chunk),
                sentences=" ".join(f"[{i}] {s.text}" for i, s in enumerate(_numbered(chunk), 1)),
            ),
            max_tokens=prompt["max_tokens"],
        )
        for chunk in chunks
    ]


def read_facts(chunk: Chunk, reply: Reply | None) -> list[Fact]:
    """Return the facts of a chunk in the order of the text: the teacher's where they hold, else bare sentences."""
    own, who = _numbered(chunk), speakers(chunk.text)
    found: dict[int, list[str]] = {}
    for line in told_lines(reply):
        match = _LINE.match(line)
        index = int(match[1]) - 1 if match else -1
        if match and 0 <= index < len(own) and not is_row(match[2]) and _holds(match[2], own, index, chunk):
            statement = _tidy(without_speaker(match[2], who))
            if words(statement):
                found.setdefault(index, []).append(statement)
    facts: list[Fact] = []
    for index, sentence in enumerate(own):
        statements, told = list(dict.fromkeys(found.get(index, []))), in_words(sentence.text, chunk.text)
        told = without_speaker(told, who)
        if _misses_much(statements, told):
            statements = [" ".join(told.split())] if _examinable(told) else statements
        facts += [_fact(chunk, sentence, s, listed=index in found) for s in statements]
    return facts


def clear_requests(facts: Sequence[Fact], chunks: Sequence[Chunk]) -> list[tuple[Fact, Request]]:
    """Return a request for each fact that leans on the sentence before it ("Such a family may also ...")."""
    by_id = {c.id: c for c in chunks}
    prompt = prompts("knowledge")["clear"]
    out = []
    for fact in facts:
        if words(fact.statement)[0] in _LEANING:
            chunk = by_id[fact.chunk]
            said = without_speaker(fact.quote, speakers(chunk.text))
            before = chunk.text.encode()[: fact.start - chunk.start].decode(errors="ignore")[-400:]
            before += fact.quote[: len(fact.quote) - len(said)]  # who speaks
            text = fill(
                prompt["user"],
                title=chunk.title,
                heading=topic_of(chunk),
                before=without_steering(before.strip()) or "-",
                statement=fact.statement,
            )
            turns = [prompt["example_user"], prompt["example_answer"], text]
            out.append((fact, request(prompt["system"], *turns, max_tokens=prompt["max_tokens"])))
    return out


def clear_fact(fact: Fact, chunk: Chunk, reply: Reply | None) -> Fact:
    """Return the fact in the teacher's clearer words, or as it was where they do not hold."""
    text = next((_tidy(line) for line in told_lines(reply) if line), "")
    if not words(text) or words(text)[0] in _LEANING or unseen_fault(text):
        return fact
    if not numbers(fact.statement) <= numbers(text):
        return fact
    near = f"{chunk.title} {chunk.heading} {chunk.text}"
    own = content_words(text)
    holds = numbers(text) <= numbers(near) and names(text) <= set(words(near)) and own <= content_words(near)
    holds = holds and not _is_of_speaker(text, fact.statement, chunk)
    keeps = len(own & content_words(fact.statement)) >= 0.7 * len(content_words(fact.statement))
    return replace(fact, statement=text, origin="teacher") if holds and keeps else fact


def _is_politeness(statement: str) -> bool:
    """Tell whether a fact is no more than somebody's thanks or greeting: "Ada thanked Kit for something"."""
    return len(statement.split()) < 8 and _POLITE.search(statement) is not None


_POLITE = re.compile(r"\b(?:thank(?:s|ed)?|greet(?:s|ed)?|welcome[sd]?|said (?:hello|goodbye))\b", re.IGNORECASE)


def _is_of_speaker(statement: str, said: str, chunk: Chunk) -> bool:
    """Tell whether a fact says of the one who speaks what is said of a thing: "It began in a garage"."""
    people = {w for who in speakers(chunk.text) for w in words(who)}
    return words(said)[:1] != [] and words(said)[0] in _THINGS and bool(set(words(statement)[:2]) & people)


_LEANING = frozenset("such it they he she this these that those his her their its we our i my there here then".split())  # noqa: SIM905
_THINGS = frozenset({"it", "its", "this", "that", "these", "those"})


def _fact(chunk: Chunk, sentence: _Numbered, statement: str, *, listed: bool) -> Fact:
    return Fact(
        id=content_id(chunk.leaf, chunk.id, sentence.start, statement),
        leaf=chunk.leaf,
        chunk=chunk.id,
        statement=statement,
        quote=sentence.text,
        start=sentence.start,
        end=sentence.end,
        origin="teacher" if listed else "sentence",
    )


def weigh(facts: Sequence[Fact], leaves: Sequence[Leaf]) -> list[Fact]:
    """Return the facts with their importance, most important first; equal ones keep the order of the text.

    Signs that need no model: the person's seeds and outline speak of it, it can be examined (a number or a name), its
    words come up elsewhere in the document, as what matters does in a talk; and one that does: the teacher listed it.
    """
    seeds = {
        leaf.path: Counter(w for s in leaf.seeds for w in content_words(s.question + " " + s.answer)) for leaf in leaves
    }
    outlines = {leaf.path: content_words(leaf.task + " " + leaf.domain) for leaf in leaves}
    common = Counter((f.leaf, w) for f in facts for w in content_words(f.statement))
    weighed = []
    for fact in facts:
        own = content_words(fact.statement)
        asked = sum(1 for w in own if seeds.get(fact.leaf, {}).get(w))
        again = sum(1 for w in own if common[fact.leaf, w] > 1)
        score = 1.0 + bool(numbers(fact.statement)) + bool(names(fact.statement)) + (fact.origin == "teacher")
        score += (asked + 0.5 * again + len(own & outlines.get(fact.leaf, set()))) / max(4, len(own))
        weighed.append(replace(fact, importance=round(score, 3)))
    return sorted(weighed, key=lambda f: -f.importance)


def without_twins(facts: Sequence[Fact]) -> list[Fact]:
    """Return the facts without those that say what an earlier one of the same leaf says in the same words.

    Two that share so much share one of their rarest words, so only those are compared (Chaudhuri et al., 2006).
    """
    bags = [frozenset(content_words(f.statement)) | frozenset(numbers(f.statement)) for f in facts]
    common = Counter((f.leaf, w) for f, bag in zip(facts, bags, strict=True) for w in bag)
    holders: dict[tuple[str, str], list[int]] = defaultdict(list)
    kept: list[Fact] = []
    for place, (fact, own) in enumerate(zip(facts, bags, strict=True)):
        rare = sorted(own, key=lambda w: (common[fact.leaf, w], w))[: len(own) - math.ceil(TWIN * len(own)) + 1] or [""]
        near = {n for w in rare for n in holders[fact.leaf, w]}
        if not any(len(own & bags[n]) >= TWIN * len(own | bags[n]) for n in near):
            kept.append(fact)
            for word in rare:
                holders[fact.leaf, word].append(place)
    return kept


def _numbered(chunk: Chunk) -> list[_Numbered]:
    return [
        _Numbered(text=s.text, start=chunk.start + s.start, end=chunk.start + s.end)
        for s in sentences(chunk.text)
        if not is_steering(s.text)
    ]


def _holds(statement: str, own: Sequence[_Numbered], index: int, chunk: Chunk) -> bool:
    """Tell whether a statement's numbers and names are those of its sentence, and its words mostly so."""
    if not 3 <= len(statement.split()) <= MAX_WORDS or statement.rstrip()[-1] in ":?":
        return False
    if chunk.title in statement and chunk.title not in own[index].text:
        return False  # "the senior inspector of the Claims Handbook"
    if is_steering(statement) or unseen_fault(statement) or _is_politeness(statement):
        return False
    if _is_of_speaker(statement, without_speaker(own[index].text, speakers(chunk.text)), chunk):
        return False
    near = f"{chunk.title} {chunk.heading} {own[index - 1].text if index else ''} {own[index].text}"
    if not numbers(statement) <= numbers(own[index].text) or not names(statement) <= set(words(f"{near} {chunk.text}")):
        return False
    mine = content_words(statement)
    if not mine or len(mine & content_words(near)) < 0.6 * len(mine):
        return False
    source = passage(chunk.text, title=f"{chunk.title} {chunk.heading}", quote=own[index].text)
    return support_fault(statement, source) is None


def _misses_much(statements: Sequence[str], sentence: str) -> bool:
    """Tell whether a sentence says more than the facts that the teacher made of it."""
    said = " ".join(statements)
    own = content_words(sentence)
    return not numbers(sentence) <= numbers(said) or len(own & content_words(said)) < 0.75 * len(own)


def _examinable(sentence: str) -> bool:
    count, fewest = len(sentence.split()), 3 if ":" in sentence else 4  # "Cockerels: allowed no."
    return fewest <= count <= MAX_WORDS and not sentence.rstrip().endswith("?") and len(content_words(sentence)) >= 2


def _tidy(statement: str) -> str:
    statement = statement.strip().strip("*").strip()
    return f"{statement}." if statement and statement[-1] not in ".!?。！？" else statement


def subject_of(chunk: Chunk, texts: Sequence[str]) -> str:
    """Return what a document is about, as a question would name it: the longest name of its title that recurs.

    Example:
        "Brindlemoor Mutual Claims Handbook" -> "Brindlemoor Mutual", when the text speaks of it.
    """
    parts = [w for w in re.split(r"\s+", chunk.title) if w]
    text = " ".join(texts)
    for size in range(min(4, len(parts)), 0, -1):
        for start in range(len(parts) - size + 1):
            name = " ".join(parts[start : start + size]).strip(":,;.")
            if name[:1].isupper() and len(name) > 3 and text.count(name) >= 2 and not is_number(name):
                return name
    return chunk.title


def topic_of(chunk: Chunk) -> str:
    """Return a chunk's heading without its number, else the document's title."""
    return re.sub(r"^[\d.]+[.)]?\s+", "", chunk.heading) or chunk.title
