"""The recipe for skills: new tasks in the form of the person's examples, answered and checked.

Where every example rewrites its context by exchanging words (a house style, plain language, terms of art), the examples
themselves say which words become which. Then the teacher only writes new texts that contain those words, and code makes
the exchange: no answer can be wrong. Any other skill is taught by new tasks, grounded or freeform: see `tasks.py`.
"""

from __future__ import annotations

import difflib
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from homeroom.core.config import Samples
from homeroom.core.types import Leaf, Message, Question, Rejected, Request, Sample, Seed, content_id
from homeroom.core.words import words
from homeroom.generate import checks
from homeroom.generate.duplicates import duplicates
from homeroom.generate.prompts import fill, prompts, request
from homeroom.generate.provenance import version_of
from homeroom.generate.sifted import Ask, Sifted, Took, nobody
from homeroom.generate.tasks import Draft, gather, lines_of, rounds

_WORDS = re.compile(r"\s+|[\w'’-]+|[^\w\s]")
PER_CALL = 8  # texts asked for at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """Words that become other words; lower case where they are not a name."""

    old: str
    new: str


def edits_of(seeds: Sequence[Seed]) -> list[Edit]:
    """Return what the examples exchange, or [] where they are not all rewritings that keep most words."""
    found: dict[str, str] = {}
    for seed in seeds:
        before, after = _tokens(seed.context), _tokens(seed.answer)
        matcher = difflib.SequenceMatcher(
            a=[t.casefold() for t in before], b=[t.casefold() for t in after], autojunk=False
        )
        if not seed.context or matcher.ratio() < 0.6:
            return []
        for kind, i1, i2, j1, j2 in matcher.get_opcodes():
            old, new = "".join(before[i1:i2]).strip(), "".join(after[j1:j2]).strip()
            if kind == "equal" or (old.casefold() in _ARTICLES and new.casefold() in _ARTICLES):
                continue
            if kind != "replace" or not old or not new:
                return []
            found[_lower(old)] = _lower(new)
    return [Edit(old=o, new=n) for o, n in sorted(found.items())]


def rewrite(text: str, edits: Sequence[Edit]) -> str:
    """Return the text with every edit made, capitals kept and "a" or "an" put right.

    Example:
        >>> rewrite("A man-made lake. Chairman Ott.", [Edit(old="man-made", new="artificial"),
        ...         Edit(old="chairman", new="chairperson")])
        'An artificial lake. Chairperson Ott.'
    """
    for edit in sorted(edits, key=lambda e: -len(e.old)):
        pattern = re.compile(rf"(?:\b([Aa]n?)(\s+))?(?<![\w-])({re.escape(edit.old)})(?![\w-])", re.IGNORECASE)
        text = pattern.sub(lambda m, new=edit.new: _exchange(m, new), text)
    return text


_ARTICLES = ("a", "an")


def _exchange(match: re.Match[str], new: str) -> str:
    new = new[0].upper() + new[1:] if match[3][0].isupper() else new
    if not match[1]:
        return new
    article = "an" if new[0].casefold() in "aeiou" else "a"
    return (article.capitalize() if match[1][0] == "A" else article) + match[2] + new


def skill_samples(
    leaf: Leaf, ask: Ask, *, config: Samples, exam: Sequence[Question], teacher: str, took: Took = nobody
) -> Sifted:
    """Return checked samples of one skill leaf.

    Args:
        ask: Puts requests to the teacher; None for a reply that the budget no longer allowed.
        exam: Every exam question of the course, for decontamination.
        took: Told of each sample, and whether it passed.
    """
    wording, duplicate = checks.decontamination(exam), duplicates()
    samples: list[Sample] = []
    rejected: list[Rejected] = []
    for seed in leaf.seeds:
        duplicate(seed.context or seed.question)  # a teacher that copies an example has made nothing new
        samples.append(_sample(leaf, seed, kind="seed", teacher=""))
    edits = edits_of(leaf.seeds)
    recipe = "exchange" if edits else "grounded" if leaf.kind == "grounded_skill" else "freeform"

    def accept(draft: Draft) -> bool:
        made = _sample(leaf, draft.task, kind="skill", teacher=teacher)
        made = replace(made, recipe=f"skill/{recipe}@{version_of('skill')}", seed=draft.seed)
        body = draft.task.context or draft.task.question
        fault = draft.fault or duplicate(body) or wording(body) or _form_fault(draft.task, leaf)
        took(made, is_kept=fault is None)
        if fault:
            rejected.append(Rejected(sample=made, check=fault[0], reason=fault[1]))
        else:
            samples.append(made)
        return fault is None

    drafts = iter([_rewriting(leaf, edits, ask, config)]) if edits else rounds(leaf, ask, config=config)
    gather(drafts, accept, wanted=config.skill_samples)
    return Sifted(samples=tuple(samples), rejected=tuple(rejected))


def _sample(leaf: Leaf, seed: Seed, *, kind: str, teacher: str) -> Sample:
    asked = f"{seed.question}\n\n{seed.context}" if seed.context else seed.question
    return Sample(
        id=content_id(kind, asked, seed.answer),
        kind=kind,
        messages=(Message(role="user", content=asked), Message(role="assistant", content=seed.answer)),
        leaf=leaf.path,
        teacher=teacher,
    )


def _form_fault(seed: Seed, leaf: Leaf) -> checks.Fault | None:
    if not seed.answer.strip():
        return "form", "the answer is empty"
    longest = max(len(s.answer) for s in leaf.seeds)
    if len(seed.answer) > 3 * longest + 200:
        return "form", "the answer is much longer than any example's"
    if words(seed.answer) == words(seed.context or seed.question):
        return "form", "the answer repeats the task"
    return None


# -- skills that exchange words ----------------------------------------------------------------------------------


def _rewriting(leaf: Leaf, edits: Sequence[Edit], ask: Ask, config: Samples) -> list[Draft]:
    prompt = prompts("skill")["texts"]
    asks = list(_text_asks(leaf, edits, config))
    instructions = _instructions(leaf, ask, config)
    chance = random.Random(config.seed)
    texts: list[tuple[str, checks.Fault | None]] = []
    for (edit, request_), reply in zip(asks, ask([r for _, r in asks]), strict=True):
        del request_
        for line in lines_of(reply):
            texts.append((line, _text_fault(line, edit, prompt)))
    good = [t for t, fault in texts if fault is None]
    pairs = [(f"{a} {b}", None) for a, b in zip(good, _shuffled(good, chance), strict=True) if a != b]
    chance.shuffle(pairs)
    out = []
    for text, fault in texts + pairs[: len(good) // 4]:
        task = Seed(question=chance.choice(instructions), context=text, answer=rewrite(text, edits))
        out.append(Draft(task=task, fault=fault, seed=config.seed))
    chance.shuffle(out)
    return out


def _text_asks(leaf: Leaf, edits: Sequence[Edit], config: Samples) -> Iterator[tuple[Edit, Request]]:
    """One request per edit and topic; the examples shown are those that exchange the word, and two others."""
    prompt = prompts("skill")["texts"]
    rounds = max(1, -(-config.skill_samples // (len(edits) * (PER_CALL - 3))))
    for turn in range(min(rounds, len(prompt["topics"]))):
        for edit in edits:
            own = [s.context for s in leaf.seeds if re.search(rf"\b{re.escape(edit.old)}\b", s.context, re.IGNORECASE)]
            others = random.Random(f"{edit.old}{turn}").sample(
                [s.context for s in leaf.seeds if s.context not in own], 2
            )
            shown = "\n".join(f"- {t}" for t in [*others, *own])
            phrase = f'word "{edit.old}"' if " " not in edit.old else f'words "{edit.old}"'
            yield (
                edit,
                request(
                    prompt["system"],
                    fill(prompt["user"], examples=shown, topic=prompt["topics"][turn], wanted=phrase),
                    max_tokens=prompt["max_tokens"],
                    temperature=config.temperature,
                    seed=config.seed + turn,
                ),
            )


def _text_fault(text: str, edit: Edit, prompt: dict[str, object]) -> checks.Fault | None:
    if not re.search(rf"(?<![\w-]){re.escape(edit.old)}(?![\w-])", text, re.IGNORECASE):
        return "form", f"does not contain {edit.old!r}"
    if re.search(rf"(?<![\w-]){re.escape(edit.new)}(?![\w-])", text, re.IGNORECASE):
        return "form", f"already contains {edit.new!r}"
    if not 5 <= len(text.split()) <= 60:
        return "form", f"{len(text.split())} words"
    return None


def _instructions(leaf: Leaf, ask: Ask, config: Samples) -> list[str]:
    prompt = prompts("skill")["instructions"]
    own = list(dict.fromkeys(s.question for s in leaf.seeds))
    shown = "\n".join(f"- {q}" for q in own[:6])
    asked = [
        request(
            prompt["system"],
            fill(prompt["user"], examples=shown),
            max_tokens=prompt["max_tokens"],
            temperature=config.temperature,
            seed=config.seed + turn,
        )
        for turn in range(2)
    ]
    known = checks.content_words(" ".join(own))
    lines = [
        re.sub(r"^\W*(?:number )?\d+\W+", "", line, flags=re.IGNORECASE) for r in ask(asked) for line in lines_of(r)
    ]
    new = [t for t in lines if 3 <= len(t.split()) <= 25 and len(checks.content_words(t) & known) >= 2]
    return own + list(dict.fromkeys(new))


def _lower(text: str) -> str:
    return text[0].lower() + text[1:]


def _tokens(text: str) -> list[str]:
    return _WORDS.findall(text)


def _shuffled(items: Sequence[str], chance: random.Random) -> list[str]:
    out = list(items)
    chance.shuffle(out)
    return out
