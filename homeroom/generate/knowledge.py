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

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from homeroom.core.config import Samples
from homeroom.core.types import Chunk, Fact, Leaf, Message, Question, Rejected, Sample, content_id
from homeroom.generate import checks
from homeroom.generate.attribution import Embed, attributing
from homeroom.generate.closeness import closeness
from homeroom.generate.drills import choices, drills
from homeroom.generate.duplicates import duplicates
from homeroom.generate.facts import subject_of
from homeroom.generate.judge import claim_request, says_yes
from homeroom.generate.questions import QuestionChecks, question_request, read_questions
from homeroom.generate.sifted import Ask, Sifted, Took, nobody
from homeroom.generate.steering import without_steering
from homeroom.generate.support import doubtful, sample_fault
from homeroom.generate.texts import read_rewrite, rewrite_request, text_fault, text_sample

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
    written: Sequence[str] = (),
    took: Took = nobody,
) -> Sifted:
    """Let the teacher write samples of facts, check each, and add those that need no teacher.

    Args:
        facts: The ones to be taught, most important first.
        chunks: All chunks of the same leaves; only those of a fact are told again.
        all_facts: Every fact known of the leaf; a question must fit its own better than any of these.
        exam: Every exam question of the course, for decontamination.
        teacher: Identity of the model, for the samples' origin.
        embed: Sentences -> vectors, for attribution; without it words alone are compared.
        wanted: Id of a fact -> accepted questions that it is to have, where that is not `config.questions`.
        written: Questions that people wrote; they are samples already.
        took: Told of each sample, and whether it passed.
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
        took=took,
    )
    for wave in range(max(config.manners, config.rewrites)):
        if wave < config.manners:
            work.ask_about_facts(wave)
        if wave < config.rewrites:
            work.tell_again(told, wave)
    drilled = [d for f in facts for d in drills(f, all_facts, subjects.get(f.chunk, ""))]
    work.keep(
        drilled,
        [judge.repeats(d.messages[0].content, exact=True) or sample_fault(d, chunk_of[d.chunk]) for d in drilled],
    )
    passages = [
        text_sample("passage", without_steering(chunk_of[c].text), chunk_of[c]) for c in told
    ]  # the words that are taught
    samples = (*work.samples, *passages, *choices(work.samples, facts, all_facts, subjects))
    return Sifted(samples=samples, rejected=tuple(work.rejected))


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
    samples: list[Sample] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    took: Took = nobody

    def ask_about_facts(self, wave: int) -> None:
        """Ask about every fact that has too few questions, those with the fewest first."""
        have = Counter(s.facts[0] for s in self.samples if s.kind == "direct")
        wanted = sorted(
            (f for f in self.facts.values() if have[f.id] < self.wanted.get(f.id, self.config.questions)),
            key=lambda f: have[f.id],
        )
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
        self.keep([draft for draft, _ in sifted], [fault for _, fault in sifted])

    def keep(self, drafts: Sequence[Sample], faults: Sequence[checks.Fault | None]) -> None:
        """Put each draft with the samples, or with the rejected and the reason."""
        for draft, fault in zip(drafts, faults, strict=True):
            self.took(draft, is_kept=not fault)
            if fault:
                self.rejected.append(Rejected(sample=draft, check=fault[0], reason=fault[1]))
            else:
                self.samples.append(draft)

    def tell_again(self, chunks: Sequence[str], wave: int) -> None:
        """Let every passage be told again in this wave's style."""
        requests = [rewrite_request(self.chunks[c], self.subjects[c], wave=wave, config=self.config) for c in chunks]
        for chunk_id, reply in zip(chunks, self.ask(requests, share=REWRITE_SHARE), strict=True):
            chunk = self.chunks[chunk_id]
            seed = self.config.seed + wave
            drafts = list(read_rewrite(reply, chunk, self.teacher, seed)) if reply is not None else []
            faults = [text_fault(d, chunk) or self.judge.repeats(d.text) for d in drafts]
            self.keep(drafts, self.judged(drafts, faults, chunk) if self.config.judge else faults)

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
