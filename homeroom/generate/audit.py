"""Are the checks any good? Corrupted copies are planted among good samples of this very course, and counted.

A corruption knows nothing of the checks: it exchanges, drops or adds words by rules of its own, as a teacher that errs
would, and only where the result says something else. What is caught, and by which check, is told for each kind; what is
lost is counted on answers that people wrote (seeds, exam answers with their source), which no check has chosen. The
checks are those of generation, called as generation calls them: `support.sample_fault` and `texts.text_fault`.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from homeroom.core.sentences import sentences
from homeroom.core.types import Chunk, Message, Sample
from homeroom.generate.checks import Fault
from homeroom.generate.support import body_of

ASKED = {  # kind of corruption -> share that is to be caught
    "number": 0.95,
    "negation": 0.95,
    "elsewhere": 0.8,
    "subject": 0.8,
    "condition": 0.8,
    "reason": 0.8,
    "foreign": 0.8,
}
LOST = 0.05  # of good samples, at most
PER_KIND = 200  # planted, at most, in each group
A_TEXT = 5  # times a retelling is corrupted, for it has many sentences

_NUMBERS = {
    w: n
    for n, w in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen".split()  # noqa: SIM905
    )
}
_SPELT = {n: w for w, n in _NUMBERS.items()}
_SPELT_NUMBERS = "|".join(list(_NUMBERS)[2:])  # not "one", which is mostly a pronoun
_NUMBER = re.compile(rf"(?<![\w.,:])(?:\d+(?:,\d{{3}})*(?:[.:]\d+)?|{_SPELT_NUMBERS})(?![\w,:]?\d)\b", re.IGNORECASE)
_NAME = re.compile(r"(?:(?<=[a-z,] )[A-Z][a-z'’]+|(?<![\w.] )\b[A-Z][a-z'’]+(?= [A-Z]))(?: [A-Z][a-z'’]+)*")
_VERBS = re.compile(
    r"\b(is|are|was|were|must|may|can|will|should|has|have|needs?|pays?|receives?|insures?|opens|sends|holds)\b"
)
_DROPPED = re.compile(
    r",? (?:only )?\b(?:if|when|unless|(?<!look )(?<!looks )after|before|until|except|provided|while|without|only with"
    r"|worth more than|below|above|under|instead|for more than|longer than"
    r"|(?:who|that) (?:has|is|are|stands?|misses|makes|holds|arrives?))\b"
    r"(?:[^,.;]|(?<=\d)[.,](?=\d))*"
)
_REASONS = (
    ", because the law asks for it", ", so that nobody has to wait", " to keep the costs low",
    ", since most people forget it otherwise", ", as the founder wished", " for reasons of safety",
    ", which protects everyone from fraud", " due to a fire in the old building",
    ". This is because of the many complaints", ", because it has always been done like that",
)  # fmt: skip
_FOREIGN = (
    "The museum shop closes an hour before the museum.", "Every apprentice gets a new pair of boots in spring.",
    "The ferry carries bicycles free of charge.", "A broken window is reported to the caretaker.",
    "The choir meets in the school hall after supper.", "Tickets are checked twice on the mountain railway.",
    "The library lends out seeds as well as books.", "Dogs are welcome in the garden but not in the house.",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """One good sample and, beside it, a corrupted copy."""

    group: str  # "answers", "texts" or "people's"
    kind: str
    good: Sample
    bad: Sample


def corrupt(kind: str, text: str, others: Sequence[str], chance: random.Random) -> str:
    """Return the text with one thing wrong, or "" where this kind cannot be planted in it.

    Args:
        text: One sentence or a few.
        others: The other sentences of the passage, for what is true elsewhere.
    """
    wrong = _KINDS[kind](text, others, chance)
    return wrong if wrong and wrong != text else ""


def _number(text: str, others: Sequence[str], chance: random.Random) -> str:
    """Exchange a number for one that is nowhere in the passage."""
    found = list(_NUMBER.finditer(text))
    if not found:
        return ""
    match = chance.choice(found)
    taken = {_value(m[0]) for t in (text, *others) for m in _NUMBER.finditer(t)}
    old = _value(match[0])
    for step in chance.sample([1, 2, 3, 5, 10, old, 4 * old + 5], 7):
        new = old + step
        if new not in taken and new != old:
            spelt = _SPELT.get(int(new), "") if match[0].casefold() in _NUMBERS else ""
            return _put(text, match, spelt or f"{int(new):,}")
    return ""


def _value(text: str) -> float:
    spelt = _NUMBERS.get(text.casefold())
    return float(text.replace(",", "").replace(":", ".")) if spelt is None else float(spelt)


def _elsewhere(text: str, others: Sequence[str], chance: random.Random) -> str:
    """Exchange a number or a name for one that is true of something else in the passage."""
    for pattern in chance.sample([_NUMBER, _NAME], 2):
        found = list(pattern.finditer(text))
        like = sorted({m[0] for t in others for m in pattern.finditer(t)} - {m[0] for m in found})
        if found and like:
            return _put(text, chance.choice(found), chance.choice(like))
    return ""


def _subject(text: str, others: Sequence[str], chance: random.Random) -> str:
    """Exchange what a sentence speaks of for what another sentence of the passage speaks of."""
    own = _VERBS.search(text)
    if not own or not 0 < own.start() < 60:
        return ""
    heads = {t[: m.start()] for t in others if (m := _VERBS.search(t)) and 0 < m.start() < 60 and m[1] == own[1]}
    heads = {
        h
        for h in heads
        if not re.search(r"[,;]|^(?:It|They|He|She|Such|That|This|These|Those|There|If|When|And|But|So|Because)\b", h)
    }
    heads -= {text[: own.start()]}
    return chance.choice(sorted(heads)) + text[own.start() :] if heads else ""


def _condition(text: str, others: Sequence[str], chance: random.Random) -> str:
    """Leave out on what a rule depends."""
    found = [m for m in _DROPPED.finditer(text) if len(text) - len(m[0]) > 20 and m.end() >= len(text) - 1]
    return _put(text, found[-1], "") if found else ""


def _negation(text: str, others: Sequence[str], chance: random.Random) -> str:
    """Take a "not" away, or put one in."""
    if re.search(r"\b(?:not|never)\b ", text):
        return re.sub(r"\b(?:does |do )?(?:not|never)\b ", "", text, count=1)
    if re.match(r"(Yes|No)\b", text):
        return ("No" if text.startswith("Yes") else "Yes") + text[2 + text.startswith("Yes") :]
    match = re.search(r"\b(is|are|was|were|must|may|can|will|should)\b", text)
    return f"{text[: match.end()]} not{text[match.end() :]}" if match else ""


def _reason(text: str, others: Sequence[str], chance: random.Random) -> str:
    """Add a reason that nobody gave."""
    return text.rstrip(". ") + chance.choice(_REASONS) + "." if len(text.split()) >= 4 else ""


def _foreign(text: str, others: Sequence[str], chance: random.Random) -> str:
    """Say something of quite another matter beside it."""
    return f"{text.rstrip()} {chance.choice(_FOREIGN)}"


_KINDS: dict[str, Callable[[str, Sequence[str], random.Random], str]] = {
    "number": _number,
    "elsewhere": _elsewhere,
    "subject": _subject,
    "condition": _condition,
    "negation": _negation,
    "reason": _reason,
    "foreign": _foreign,
}


def _put(text: str, match: re.Match[str], new: str) -> str:
    return text[: match.start()] + new + text[match.end() :]


# -- planting ------------------------------------------------------------------------------------------------------


def plant(group: str, samples: Iterable[Sample], chunks: Mapping[str, Chunk], *, seed: int = 0) -> list[Planted]:
    """Return corrupted copies of each kind, at most `PER_KIND` each, drawn from all samples."""
    pool = [s for s in samples for _ in range(A_TEXT if s.text else 1)]
    out: list[Planted] = []
    for kind in ASKED:
        chance = random.Random(f"{seed}{group}{kind}")
        chance.shuffle(pool)
        made = (Planted(group=group, kind=kind, good=s, bad=b) for s in pool if (b := _spoilt(kind, s, chunks, chance)))
        out += [planted for _, planted in zip(range(PER_KIND), made, strict=False)]
    return out


def _spoilt(kind: str, sample: Sample, chunks: Mapping[str, Chunk], chance: random.Random) -> Sample | None:
    """Return a copy with one sentence corrupted; a short answer before it is made to agree, as a teacher's would."""
    told = body_of(sample) if sample.text else sample.messages[-1].content
    own = [s.text for s in sentences(told)]
    if not own:
        return None
    place = len(own) - 1 if sample.messages else chance.randrange(len(own))
    others = [s.text for s in sentences(chunks[sample.chunk].text) if s.text not in (sample.quote, own[place])]
    wrong = corrupt(kind, own[place], others, chance)
    if not wrong or (kind == "condition" and _still_said(own[place], wrong, sample)):
        return None
    before = own[:place]
    if sample.messages:
        before = [] if kind == "condition" else [_agreeing(s, own[place], wrong) for s in before]
    text = " ".join([*before, wrong, *own[place + 1 :]])
    if sample.text:
        return replace(sample, text=f"{sample.text.partition(chr(10) * 2)[0]}\n\n{text}")
    return replace(sample, messages=(*sample.messages[:-1], Message(role="assistant", content=text)))


def _still_said(good: str, wrong: str, sample: Sample) -> bool:
    """Tell whether the question holds what was left out of its answer: then nothing is wrong with the answer."""
    dropped = set(re.findall(r"\w{4,}", good.casefold())) - set(re.findall(r"\w{4,}", wrong.casefold()))
    asked = sample.messages[0].content.casefold() if sample.messages else ""
    return 2 * sum(w in asked for w in dropped) >= max(1, len(dropped))


def _agreeing(lead: str, good: str, wrong: str) -> str:
    """Return a short answer ("Within five days.") with what was exchanged in its sentence exchanged in it too."""
    old, new = good.split(), wrong.split()
    if len(old) != len(new):
        return lead
    changed = {a.strip(".,"): b.strip(".,") for a, b in zip(old, new, strict=True) if a != b}
    return " ".join(w.replace(w.strip(".,"), changed.get(w.strip(".,"), w.strip(".,"))) for w in lead.split())


# -- counting ------------------------------------------------------------------------------------------------------

Check = Callable[[Sample], Fault | None]


def audit(planted: Sequence[Planted], written: Sequence[Sample], check: Check) -> dict[str, Any]:
    """Return, per group and kind, how many copies were planted and caught, by which check; and what was lost.

    Args:
        written: Answers of people that are known to be good.
        check: What generation throws a sample out with.
    """
    groups: dict[tuple[str, str], list[Planted]] = defaultdict(list)
    for p in planted:
        groups[p.group, p.kind].append(p)
    rows = [_row(group, kind, members, check) for (group, kind), members in groups.items()]
    lost = [(s, fault) for s in written if (fault := check(s))]
    return {
        "version": 1,
        "kinds": rows,
        "good": len(written),
        "lost": len(lost),
        "lost_by": dict(Counter(fault[0] for _, fault in lost).most_common()),
        "lost_samples": [{"text": _words_of(s), "check": f[0], "reason": f[1]} for s, f in lost[:40]],
        "ok": all(r["caught"] >= r["asked"] for r in _together(rows)) and len(lost) <= LOST * max(1, len(written)),
    }


def _row(group: str, kind: str, members: Sequence[Planted], check: Check) -> dict[str, Any]:
    faults = [check(p.bad) for p in members]
    missed = [_words_of(p.bad) for p, fault in zip(members, faults, strict=True) if not fault]
    return {
        "group": group,
        "kind": kind,
        "planted": len(members),
        "caught": round(1 - len(missed) / len(members), 4),
        "asked": ASKED[kind],
        "by": dict(Counter(fault[0] for fault in faults if fault).most_common()),
        "missed": missed[:20],
    }


def _together(rows: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield each kind over all groups."""
    for kind, asked in ASKED.items():
        own = [r for r in rows if r["kind"] == kind]
        planted = sum(r["planted"] for r in own)
        if planted:
            caught = sum(r["caught"] * r["planted"] for r in own) / planted
            yield {"kind": kind, "planted": planted, "caught": caught, "asked": asked}


def _words_of(sample: Sample) -> str:
    return body_of(sample) or " | ".join(m.content for m in sample.messages)


def audit_table(found: Mapping[str, Any]) -> str:
    """Return an audit as lines for a terminal."""
    lines = [f"{'kind':<11}{'in':<10}{'planted':>8}{'caught':>8}{'asked':>7}   by"]
    for row in sorted(found["kinds"], key=lambda r: (list(ASKED).index(r["kind"]), r["group"])):
        by = ", ".join(f"{name} {n}" for name, n in row["by"].items())
        lines.append(f"{row['kind']:<11}{row['group']:<10}{_counts(row)}   {by}")
    lines.append("")
    lines += [f"{row['kind']:<21}{_counts(row)}" for row in _together(found["kinds"])]
    share = found["lost"] / found["good"] if found["good"] else 0.0
    by = ", ".join(f"{name} {n}" for name, n in found["lost_by"].items())
    told = f"{found['lost']} of {found['good']} good answers of people lost ({share:.1%}, asked at most {LOST:.0%})"
    lines.append(f"{told} {by}".rstrip())
    return "\n".join(lines)


def _counts(row: Mapping[str, Any]) -> str:
    mark = "" if row["caught"] >= row["asked"] else "  falls short"
    return f"{row['planted']:>8}{row['caught']:>8.1%}{row['asked']:>7.0%}{mark}"
