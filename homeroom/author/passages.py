"""Which passages of a document become contexts, and the three checked questions of each.

Passages are taken in an order that covers the document however many it takes: evenly spread ones first, then those
farthest from any taken. Each is given several waves of questions; one that stays below three is given up for the next.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from homeroom.author.qna import Passage, tidy
from homeroom.core import config as settings
from homeroom.core.types import Chunk, Fact, Question, Reply, Request, Sample, Seed
from homeroom.documents.markdown import blocks
from homeroom.generate import checks
from homeroom.generate.answers import asked_detail
from homeroom.generate.attribution import Embed, attributing
from homeroom.generate.closeness import closeness
from homeroom.generate.duplicates import duplicates
from homeroom.generate.facts import clear_requests, fact_requests, read_facts, subject_of, weigh, without_twins
from homeroom.generate.questions import QuestionChecks, question_request, read_questions
from homeroom.taxonomy.rules import MIN_ANSWERS

FACTS_A_PASSAGE = 6  # asked about at most, the most important first
WAVES = 4  # in which a passage's facts are asked about, before it is given up
QUESTION_TOKENS = 80  # of one fact: three questions, of which one is taken; a recipe's 150 give six
Ask = Callable[[Sequence[Request]], list[Reply | None]]


@dataclass(kw_only=True)
class Passages:
    """The passages that were chosen so far, and what choosing the next ones needs."""

    chunks: Sequence[Chunk]  # the whole document, in order
    ask: Ask
    config: settings.Samples
    exam: Sequence[Question] = ()
    embed: Embed | None = None
    made: dict[int, Passage] = field(default_factory=dict)  # number of the chunk -> its passage
    rejected: Counter[str] = field(default_factory=Counter)  # check -> questions that failed it

    def __post_init__(self) -> None:
        self.subject = subject_of(self.chunks[0], [c.text for c in self.chunks])
        self.wording, self.duplicate = checks.decontamination(self.exam), duplicates()

    def choose(self, wanted: int) -> dict[int, Passage]:
        """Return up to `wanted` passages with three questions each, by the number of their chunk."""
        waiting = order_of([n for n, c in enumerate(self.chunks) if is_usable(c)], self.chunks, wanted)
        while waiting and len(self.made) < wanted:
            now, waiting = waiting[: wanted - len(self.made)], waiting[wanted - len(self.made) :]
            self.made |= self._ask_about(now)
        return self.made

    def _ask_about(self, numbers: Sequence[int]) -> dict[int, Passage]:
        """Let the teacher list facts of these chunks and word questions; return the passages that got enough."""
        chunks = [self.chunks[n] for n in numbers]
        replies = self.ask(fact_requests(chunks))
        found = [f for c, r in zip(chunks, replies, strict=True) for f in read_facts(c, r) if quote_of(f, c)]
        facts = self._best(weigh(without_twins(found), []), chunks)
        judge = self._judge(facts, {c.id for c in chunks})
        asked: dict[str, dict[str, list[str]]] = {c.id: {} for c in chunks}  # chunk -> fact -> questions
        tries: Counter[str] = Counter()
        for wave in range(WAVES):
            wanted = [f for c in chunks for f in _next(c, facts, asked[c.id], tries)]
            tries.update(f.id for f in wanted)
            for fact, question in self._questions(wanted, judge, wave):
                asked[fact.chunk].setdefault(fact.id, []).append(question)
        by_id = {f.id: f for f in facts}
        made = {n: _passage(self.chunks[n], asked[self.chunks[n].id], by_id) for n in numbers}
        return {n: passage for n, passage in made.items() if len(passage.seeds) >= MIN_ANSWERS}

    def _best(self, facts: Sequence[Fact], chunks: Sequence[Chunk]) -> list[Fact]:
        """Return the facts of each chunk to ask about: those whose sentence stands alone before those that lean."""
        quoted = [dataclasses.replace(f, statement=f.quote) for f in facts]
        leaning = {f.id for f, _ in clear_requests(quoted, chunks)}
        best: list[Fact] = []
        for chunk in chunks:
            own = sorted((f for f in facts if f.chunk == chunk.id), key=lambda f: f.id in leaning)
            of_sentence = {f.quote: f for f in reversed(own)}
            best += [f for f in own if of_sentence[f.quote] is f][:FACTS_A_PASSAGE]
        return best

    def _judge(self, facts: Sequence[Fact], own: set[str]) -> QuestionChecks:
        others = [f for c in self.chunks if c.id not in own for f in read_facts(c, None)]
        return QuestionChecks(
            facts={f.id: f for f in facts},
            chunks={c.id: c for c in self.chunks},
            subjects=[self.subject],
            wording=self.wording,
            duplicate=self.duplicate,
            whose=attributing([*facts, *others], subjects=[self.subject], embed=self.embed),
            near=closeness(self.embed, subjects=[self.subject]) if self.embed else None,
        )

    def _questions(self, facts: Sequence[Fact], judge: QuestionChecks, wave: int) -> list[tuple[Fact, str]]:
        """Return the questions of one wave that hold; first those that ask for a detail, in the words of the fact."""
        by_id = {c.id: c for c in self.chunks}
        whole = [question_request(f, by_id[f.chunk], self.subject, wave=wave, config=self.config) for f in facts]
        requests = [dataclasses.replace(request, max_tokens=QUESTION_TOKENS) for request in whole]
        drafts: list[tuple[Fact, Sample]] = []
        for fact, reply in zip(facts, self.ask(requests), strict=True):
            if reply is not None:
                drafts += [(fact, sample) for sample in read_questions(reply, fact, self.subject, "")]
        held = []
        for (fact, _), (sample, fault) in zip(drafts, judge.sifted([s for _, s in drafts]), strict=True):
            question = tidy(sample.messages[0].content)
            if fault or checks.is_polar(question):  # a quotation does not say yes or no
                self.rejected[fault[0] if fault else "yes or no"] += 1
            else:
                held.append((fact, question))
        return sorted(held, key=self._rank)

    def _rank(self, held: tuple[Fact, str]) -> tuple[bool, int]:
        """Return what is smaller for a better question: a small teacher's other words are often other things."""
        fact, question = held
        shared = checks.content_words(question) & checks.content_words(fact.statement)
        return not asked_detail(question, fact.statement, subject=self.subject), -len(shared)


def _next(chunk: Chunk, facts: Sequence[Fact], asked: dict[str, list[str]], tries: Counter[str]) -> list[Fact]:
    """Return the facts to ask about now: as many as are missing, those that were tried least first."""
    left = [f for f in facts if f.chunk == chunk.id and f.id not in asked]
    missing = max(0, MIN_ANSWERS - len(asked))
    return sorted(left, key=lambda f: tries[f.id])[:missing]


def order_of(usable: Sequence[int], chunks: Sequence[Chunk], wanted: int) -> list[int]:
    """Return the usable chunks' numbers: `wanted` that are spread evenly over the words, then the farthest from those.

    Example:
        >>> from homeroom.core.types import Chunk
        >>> made = [Chunk(id=str(n), document="", leaf="", title="", heading="", text="w " * 9, start=0, end=0)
        ...         for n in range(7)]
        >>> order_of(range(7), made, 3)
        [1, 3, 5, 0, 2, 4, 6]
    """
    ends, total = [], 0
    for number in usable:
        total += len(chunks[number].text.split())
        ends.append(total)
    order: list[int] = []
    for place in range(min(wanted, len(usable))):
        target = (place + 0.5) * total / wanted
        nearest = min(
            (n for n in range(len(usable)) if usable[n] not in order),
            key=lambda n: max(ends[n] - len(chunks[usable[n]].text.split()) - target, target - ends[n]),
        )
        order.append(usable[nearest])
    left = [n for n in usable if n not in order]
    while left:
        farthest = max(left, key=lambda n: (min((abs(n - o) for o in order), default=0), -n))
        order.append(farthest)
        left.remove(farthest)
    return order


def is_usable(chunk: Chunk) -> bool:
    """Say whether a chunk has sentences enough that can be quoted as answers."""
    return len({quote for f in read_facts(chunk, None) if (quote := quote_of(f, chunk))}) >= MIN_ANSWERS


def quote_of(fact: Fact, chunk: Chunk) -> str:
    """Return a fact's sentence as it stands in the context, or "" where it does not, or is no answer."""
    quote = tidy(" ".join(fact.quote.split()))
    return quote if quote in context_of(chunk) and not quote.endswith((":", "?")) and "|" not in quote else ""


def context_of(chunk: Chunk) -> str:
    """Return a passage as one would quote it: a paragraph or list item on one line, tables and code as they are."""
    lines: list[str] = []
    for block in blocks(chunk.text, 0, len(chunk.text)):
        text = chunk.text[block.start : block.end].strip("\n")
        if block.kind == "paragraph":
            lines.append(" ".join(text.split()))
        elif block.kind == "list":
            lines += _items(text)
        else:
            lines += text.split("\n")
    return tidy("\n".join(lines))


def _items(text: str) -> list[str]:
    """Return a list's items, each on one line with its marker."""
    items: list[str] = []
    for line in text.split("\n"):
        marked = line.lstrip()[:2] in ("- ", "* ", "+ ", "• ") or line.lstrip().split(" ")[0][:-1].isdigit()
        if marked or not items:
            items.append(line.strip())
        elif line.strip():
            items[-1] += f" {line.strip()}"
    return items


def _passage(chunk: Chunk, asked: dict[str, list[str]], facts: dict[str, Fact]) -> Passage:
    """Return the passage with a question of each fact, and second ones where three facts were not to be had."""
    turns: dict[int, list[Seed]] = defaultdict(list)
    for fact_id, questions in asked.items():
        answer = quote_of(facts[fact_id], chunk)
        for turn, question in enumerate(questions[:2]):
            turns[turn].append(Seed(question=question, answer=answer, context=context_of(chunk)))
    seeds = [*turns[0], *turns[1]][:MIN_ANSWERS]
    return Passage(
        context=context_of(chunk), seeds=tuple(sorted(seeds, key=lambda s: context_of(chunk).find(s.answer)))
    )
