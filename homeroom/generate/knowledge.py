"""The recipe for knowledge: every fact is asked in many words, and every passage is told again in several styles.

It goes in waves. In each, the teacher writes questions about every fact that has too few, from another angle than
before. So a budget that ends early has treated all facts alike, and one that is long is spent on the facts that are
hard to ask about. The teacher writes only the questions: the answer is taken from the fact, which has already been
checked against the document, so that none can be invented. Beside them, each passage is told again in another style,
and code adds what needs no model: a sentence to complete, yes or no with a wrong twin, a choice.

Source of the mix of questions and rewrites: Synthetic Mixed Training (arXiv 2603.23562); of the even coverage of facts:
Mecklenburg et al. (arXiv 2404.00213).
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from homeroom.core.config import Samples
from homeroom.core.types import Chunk, Fact, Leaf, Message, Question, Rejected, Sample, content_id
from homeroom.generate import checks
from homeroom.generate.attribution import Embed, attributing
from homeroom.generate.closeness import closeness
from homeroom.generate.drills import choices, composed, drills
from homeroom.generate.duplicates import duplicates
from homeroom.generate.facts import subject_of
from homeroom.generate.judge import Numbered, claim_request, is_found, lookup_request, numbered, says_yes
from homeroom.generate.provenance import QUESTION_CHECKS
from homeroom.generate.questions import QuestionChecks, lead_of, question_request, read_questions
from homeroom.generate.sifted import Ask, Item
from homeroom.generate.steering import tongue, without_steering
from homeroom.generate.support import doubtful, sample_fault
from homeroom.generate.texts import read_rewrite, rewrite_request, text_fault, text_sample

BLOCK = 256  # facts that are asked about before their samples are passed on: more would only fill memory
Checked = tuple[Sample, checks.Fault | None]
REWRITE_SHARE = 0.15  # of the tokens that are left, at most, goes into one wave of retellings


def knowledge_samples(
    facts: Sequence[Fact],
    chunks: Sequence[Chunk],
    ask: Ask,
    *,
    config: Samples,
    all_facts: Sequence[Fact],
    exam: Sequence[Question],
    teacher: str,
    embed: Embed | None = None,
    wanted: Mapping[str, int] | None = None,
    written: Iterable[str] = (),
) -> Iterator[Item]:
    """Let the teacher write samples of facts, check each, and add those that need no teacher; yield them as they pass.

    Args:
        facts: The ones to be taught, most important first.
        chunks: All chunks of the same leaves; only those of a fact are told again.
        all_facts: Every fact known of the leaf; a question must fit its own better than any of these.
        exam: Every exam question of the course, for decontamination.
        teacher: Identity of the model, for the samples' origin.
        embed: Sentences -> vectors, for attribution; without it words alone are compared.
        wanted: Id of a fact -> accepted questions that it is to have, where that is not `config.questions`.
        written: Questions that there are samples of already.
    """
    subjects = _subjects(chunks)
    by_id, chunk_of = {f.id: f for f in facts}, {c.id: c for c in chunks}
    told = list(dict.fromkeys(f.chunk for f in facts))
    wording, duplicate = checks.decontamination(exam), duplicates(written)
    names = sorted(set(subjects.values()), key=len, reverse=True)
    judge = QuestionChecks(
        facts=by_id,
        chunks=chunk_of,
        subjects=names,
        wording=wording,
        duplicate=duplicate,
        whose=attributing(all_facts, subjects=names, embed=embed),
        near=closeness(embed, subjects=names) if embed else None,
    )
    work = _Work(
        ask=ask,
        config=config,
        teacher=teacher,
        facts=by_id,
        chunks=chunk_of,
        subjects=subjects,
        judge=judge,
        wanted=wanted or {},
    )
    for wave in range(max(config.manners, config.rewrites)):
        if wave < config.manners:
            yield from work.ask_about_facts(wave)
        if wave < config.rewrites:
            yield from work.tell_again(told, wave)
    asked = {fact: question for fact, (question, _) in work.first.items()}
    drilled = (drill for fact in facts for drill in drills(fact, all_facts, subjects.get(fact.chunk, "")))
    for made in itertools.chain(drilled, composed(asked, facts, chunk_of)):  # by rules, without the teacher
        fault = judge.repeats(made.messages[0].content, exact=True) or sample_fault(made, chunk_of[made.chunk])
        yield from work.pass_on([(made, fault)])
    for chunk in told:  # the words that are taught
        yield text_sample("passage", without_steering(chunk_of[chunk].text), chunk_of[chunk])
    yield from choices(asked, facts, all_facts, subjects)


def _subjects(chunks: Sequence[Chunk]) -> dict[str, str]:
    texts: dict[str, list[str]] = defaultdict(list)
    for chunk in chunks:
        texts[chunk.document].append(chunk.text)
    return {c.id: subject_of(c, texts[c.document]) for c in chunks}


@dataclass(kw_only=True)
class _Work:
    """What the waves share."""

    ask: Ask
    config: Samples
    teacher: str
    facts: Mapping[str, Fact]  # by id, most important first
    chunks: Mapping[str, Chunk]
    subjects: Mapping[str, str]  # id of a chunk -> what its document is about
    judge: QuestionChecks
    wanted: Mapping[str, int] = field(default_factory=dict)  # questions of facts that need less than others
    have: Counter[str] = field(default_factory=Counter)  # questions that were kept of each fact
    first: dict[str, tuple[str, bool]] = field(default_factory=dict)  # that is answered with a detail first, if any is

    def ask_about_facts(self, wave: int) -> Iterator[Item]:
        """Ask about every fact that has too few questions, those with the fewest first."""
        have = Counter(self.have)
        wanted = sorted(
            (f for f in self.facts.values() if have[f.id] < self.wanted.get(f.id, self.config.questions)),
            key=lambda f: have[f.id],
        )
        for start in range(0, len(wanted), BLOCK):
            yield from self._ask_about(wanted[start : start + BLOCK], wave)

    def _ask_about(self, wanted: Sequence[Fact], wave: int) -> Iterator[Item]:
        requests = [
            question_request(f, self.chunks[f.chunk], self.subjects[f.chunk], wave=wave, config=self.config)
            for f in wanted
        ]
        drafts = [
            draft
            for fact, reply in zip(wanted, self.ask(requests), strict=True)
            if reply is not None
            for draft in read_questions(reply, fact, self.subjects[fact.chunk], self.teacher, self.config.seed + wave)
        ]
        sifted = self.judge.sifted(drafts)
        yield from self.pass_on(self._looked_up(sifted) if self.config.look_up else sifted)

    def _looked_up(self, drafts: Sequence[Checked]) -> list[Checked]:
        """Let the teacher look the questions that passed up in their passages, one token each."""
        out, asked = list(drafts), []
        passages = {fact: self._passage(d) for fact, d in {d.facts[0]: d for d, _ in drafts}.items()}
        for n, (draft, fault) in enumerate(drafts):
            passage = passages.get(draft.facts[0]) if fault is None else None
            if passage and tongue(draft.messages[0].content) in ("en", ""):
                asked.append((n, passage))
        asked.sort(key=lambda a: a[1].text)  # a passage is read once for all its questions
        requests = [
            lookup_request(p, self.chunks[drafts[n][0].chunk], drafts[n][0].messages[0].content) for n, p in asked
        ]
        for (n, passage), reply in zip(asked, self.ask(requests) if asked else (), strict=True):
            draft = drafts[n][0]
            if reply is not None and not is_found(reply, passage):
                out[n] = draft, ("look-up", "the teacher does not find the answer in the passage")
            elif reply is not None:
                out[n] = replace(draft, checks=(*QUESTION_CHECKS, "look-up")), None
        return out

    def _passage(self, draft: Sample) -> Numbered | None:
        """Return where a question is looked up; None in other languages than English, in which nobody measured it."""
        chunk = self.chunks[draft.chunk]
        return numbered(chunk, self.facts[draft.facts[0]]) if tongue(chunk.text) in ("en", "") else None

    def pass_on(self, drafts: Iterable[Checked]) -> Iterator[Item]:
        """Yield each draft, or the rejected one with the reason, and remember which fact has how many questions."""
        for draft, fault in drafts:
            if fault:
                yield Rejected(sample=draft, check=fault[0], reason=fault[1])
                continue
            if draft.kind == "direct":
                self._count(draft)
            yield draft

    def _count(self, draft: Sample) -> None:
        fact, question = self.facts[draft.facts[0]], draft.messages[0].content
        self.have[fact.id] += 1
        has_detail = bool(lead_of(draft, fact))
        if not checks.is_polar(question) and (fact.id not in self.first or (has_detail and not self.first[fact.id][1])):
            self.first[fact.id] = question, has_detail

    def tell_again(self, chunks: Sequence[str], wave: int) -> Iterator[Item]:
        """Let every passage be told again in this wave's style."""
        requests = [rewrite_request(self.chunks[c], self.subjects[c], wave=wave, config=self.config) for c in chunks]
        for chunk_id, reply in zip(chunks, self.ask(requests, share=REWRITE_SHARE), strict=True):
            chunk = self.chunks[chunk_id]
            seed = self.config.seed + wave
            drafts = list(read_rewrite(reply, chunk, self.teacher, seed)) if reply is not None else []
            faults = [text_fault(d, chunk) or self.judge.repeats(d.text) for d in drafts]
            faults = self.judged(drafts, faults, chunk) if self.config.judge else faults
            yield from self.pass_on(zip(drafts, faults, strict=True))

    def judged(
        self, drafts: Sequence[Sample], faults: Sequence[checks.Fault | None], chunk: Chunk
    ) -> list[checks.Fault | None]:
        """Ask the teacher, with one token each, about the sentences that no check could decide."""
        asked = [(n, s) for n, d in enumerate(drafts) if faults[n] is None for s in doubtful(d, chunk)]
        replies = self.ask([claim_request(chunk.text, claim) for _, claim in asked])
        out = list(faults)
        for (n, claim), reply in zip(asked, replies, strict=True):
            if reply is not None and not says_yes(reply):
                out[n] = out[n] or ("judge", f"the teacher says that the passage does not say: {claim[:80]}")
        return out


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
