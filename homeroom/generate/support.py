"""Is what a sample says in the words that it rests on? By code, sentence by sentence, clause by clause.

A sentence of an answer or a retelling is cut into clauses, and for each the sentence of the passage is sought that says
it. It is not enough that the words are somewhere in the passage: a number, a name and a subject must stand in *one*
sentence together, or else "water" and "three weeks", both true of something, become a false rule. What can be found:

    number, name   not in the sentence that the clause rests on, be it in the next one
    swap           words of another sentence: another subject, a detail of something else
    foreign        words of nowhere: most of the clause is not in the passage
    negation       a "not" more or less, "at least" for "at most"
    condition      "only with", "if", "above 120" is gone from a rule that has it
    reason         "because", "so that" with a reason that the passage does not give

`support` says "undecided" where the words are too different to tell; a judge may be asked about those (`judge.py`).
It errs towards letting pass in languages other than English, whose grammar it does not know: numbers, names and foreign
words are checked in all of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from homeroom.core.sentences import sentences
from homeroom.core.types import Chunk, Sample
from homeroom.core.words import is_number, words
from homeroom.generate.checks import Fault, is_polar, last_sentence, names, numbers
from homeroom.generate.language import (
    FRAME,
    LEANING,
    UNDECIDED,
    VERB,
    bound,
    clauses,
    covers,
    denials,
    has,
    leans,
    stem,
    stems,
    subject_of_clause,
    turned,
    unframed,
)
from homeroom.generate.rows import in_words

FOREIGN = 0.5  # of a clause's telling words in no place of the passage's sentence, at most
COMMON = 3  # sentences of a passage that have a word, from which on it is nobody's own


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """The sentences that a sample may rest on, and what names them."""

    sentences: tuple[str, ...]
    title: str = ""  # of document and section; its words may be used anywhere
    own: tuple[int, ...] = ()  # which sentences it must rest on; empty: any


@lru_cache(maxsize=4_000)
def passage(text: str, *, title: str = "", quote: str = "") -> Passage:
    """Return a passage for checking; with `quote`, a sample must rest on the sentences that the quote has."""
    found, quoted = [s.text for s in sentences(text)], {s.text for s in sentences(quote)}
    places = tuple(n for n, s in enumerate(found) if s in quoted)
    own = tuple(in_words(s, text) for s in found)
    if quote and not places:
        return Passage(sentences=(*own, quote), title=title, own=(len(own),))
    return Passage(sentences=own, title=title, own=places)


def sample_fault(sample: Sample, chunk: Chunk) -> Fault | None:
    """Return what a sample says that its passage does not: the check of generation, and of the audit.

    A conversation must rest on the sentences that it quotes, a text on any of its chunk.
    """
    title = f"{chunk.title} {chunk.heading}"
    if sample.text:
        return support_fault(body_of(sample), passage(chunk.text, title=title))
    source = passage(chunk.text, title=title, quote=sample.quote)
    return support_fault(sample.messages[-1].content, source, question=sample.messages[0].content)


def doubtful(sample: Sample, chunk: Chunk) -> list[str]:
    """Return the sentences of a text of which code cannot tell whether its passage says them; a judge may."""
    source = passage(chunk.text, title=f"{chunk.title} {chunk.heading}")
    told = [s.text for s in sentences(body_of(sample))]
    return [s for s in told if (fault := support(s, source)) and fault[0] == "undecided"]


def premise_fault(question: str, statement: str) -> Fault | None:
    """A question does not turn a fact's bound about: "over 11 metres" of "no longer than 11 metres"."""
    if is_polar(question) or not _values(question) & _values(statement):
        return None
    if bound(last_sentence(question)) * bound(statement) < 0:
        return "premise", f"asks about the other side of a bound: {statement[:80]}"
    return None


def body_of(sample: Sample) -> str:
    """Return a text without the line that names its document and section."""
    return sample.text.partition("\n\n")[2] or sample.text


def support_fault(text: str, source: Passage, *, question: str = "") -> Fault | None:
    """Return what a text says that its source does not, or None; what is undecided passes."""
    fault = support(text, source, question=question)
    return None if fault is None or fault[0] == "undecided" else fault


def support(text: str, source: Passage, *, question: str = "") -> Fault | None:
    """Return the first fault of a text, a fault called "undecided" where there is none but doubt, or None.

    Args:
        question: What the text answers; its words may be used in the answer, and "Yes." is checked against it.
    """
    verdict = _VERDICT.match(text)
    if question and verdict and (is_polar(question) or question.startswith(_RIGHT)):
        wrong = _verdict_fault(verdict[1].casefold() == "yes", question, source)
        text = text[verdict.end() :]
        if wrong or not text.strip():
            return wrong
    told = [unframed(s.text) for s in sentences(text)]
    told = [t for t in told if t]
    doubt: Fault | None = None
    for place, sentence in enumerate(told):
        around = " ".join(told[max(0, place - 1) : place + 2])
        fault = _sentence(sentence, f"{around} {question}", source, question)
        if fault and fault[0] != "undecided":
            return fault
        doubt = doubt or fault
    return doubt


_VERDICT = re.compile(r"\s*(yes|no)(?:[.,:;!]+\s*|\s*$)", re.IGNORECASE)
_RIGHT = "Is this right? "


def _verdict_fault(says_yes: bool, question: str, source: Passage) -> Fault | None:
    """Check "yes" and "no": read as a statement, the question must hold where the answer is yes, and only there."""
    asked = question.removeprefix(_RIGHT) if question.startswith(_RIGHT) else last_sentence(question)
    found = _sentence(asked.rstrip("?. ") + ".", question, source, "")
    if says_yes:
        wrong = found is not None and found[0] not in ("undecided", "foreign", "condition")
        return ("negation", f"yes, where the passage says otherwise ({found[1]})") if found and wrong else None
    own = stems(asked)
    same = [s for n, s in enumerate(source.sentences) if (not source.own or n in source.own) and covers(own, s)]
    if found is None and any(denials(s) == denials(asked) for s in same):
        return "negation", f"no, where the passage says so: {same[0][:60]}"
    return None


def _sentence(sentence: str, around: str, source: Passage, question: str) -> Fault | None:
    """Check one sentence: its reason, then each clause: what it rests on, and whether the rule kept its condition."""
    reason = _REASON.search(sentence)
    if reason and _reason_is_new(sentence[reason.end() :], source):
        return "reason", f"the passage gives no such reason: {sentence[reason.start() :][:60]}"
    doubt, subject, named = None, "", names(sentence)
    parts = clauses(sentence)
    for clause in parts:
        ways = [clause] if not subject else [clause, f"{subject} {clause}"]
        found = [
            (_severity(fault), -len(stems(way) & stems(source.sentences[place])), n, fault, place)
            for n, way in enumerate(ways)
            for place in source.own or range(len(source.sentences))
            for fault in (_against(way, clause, named, place, source, question),)
        ]
        if not found:
            return "foreign", "there is nothing that it could rest on"
        _, _, _, fault, place = min(found, key=lambda f: f[:3])
        if fault and fault[0] != "undecided":
            return fault
        doubt = doubt or fault
        fault = _condition(clause if len(parts) > 1 else sentence, around, source.sentences[place])
        if fault:
            return fault
        subject = subject or subject_of_clause(clause)
    return doubt


_ORDER = ("", "undecided", "condition", "negation", "swap", "name", "number", "foreign")


def _severity(fault: Fault | None) -> int:
    return _ORDER.index(fault[0]) if fault else 0


# -- one clause against one sentence -------------------------------------------------------------------------------


def _against(way: str, clause: str, named: frozenset[str], place: int, source: Passage, question: str) -> Fault | None:
    """Return what a clause says that one sentence of the passage, with the one it leans on, does not.

    Args:
        way: The clause, or the clause behind the subject of its sentence.
        named: The names in its sentence.
    """
    sentence = source.sentences[place]
    near = f"{source.sentences[place - 1] if place and leans(sentence) else ''} {sentence}"
    if words(way) == words(sentence):
        return None
    free = f"{source.title} {question}"
    new = _values(way) - _values(sentence) - _values(question)
    if _ONE.search(way) and "1" not in words(f"{sentence} {question}"):
        new |= {"1"}
    if new or _units_differ(way, f"{near} {question}"):
        return "number", f"{', '.join(sorted(new)) or 'the unit'} is not in: {sentence[:80]}"
    told, known, granted = stems(way), stems(near), stems(free) | FRAME
    strange = _strange_names(named & set(words(way)), way, near, free, _whole(source))
    if strange:
        return "name", f"{', '.join(strange)} is not in: {sentence[:80]}"
    own = stems(clause)
    missing = {w for w in own if not has(known, w) and not has(granted, w)}
    anchored = len(own) <= 2 and (numbers(clause) or named & set(words(clause)))  # "at least 21"
    telling = [w for w in own if not has(granted, w)]  # what title and question give is no evidence
    if len(missing) > FOREIGN * len(telling) and not anchored:
        return "foreign", f"not said there: {', '.join(sorted(missing)[:5])}"
    is_rule = VERB.search(way) is not None  # else a detail: "On 14 March."
    if (is_rule or not anchored) and (borrowed := _borrowed(way, near, place, source, known | granted)):
        return "swap", f"{', '.join(borrowed[:4])} belongs to another sentence"
    if is_rule and _crossed(way, near):
        return "swap", f"its details have changed places: {sentence[:80]}"
    is_detail = not is_rule and len(own) <= 2 and not denials(way)  # "A sticker." of "nothing without a sticker"
    if told and not is_detail and turned(way, near):
        return "negation", f"says the opposite of: {sentence[:80]}"
    rare = any(_is_elsewhere(w, place, source) and _is_rare(w, place, source) for w in missing)
    if rare or len(missing) > UNDECIDED * len(telling):
        return "undecided", f"in other words than: {sentence[:80]}"
    return None


def _strange_names(used: set[str], way: str, near: str, free: str, whole: str) -> list[str]:
    """Return names that a sentence does not have; one of the title is strange where it stands for another."""
    known = stems(near) | FRAME
    strange = [w for w in sorted(used - set(words(near))) if not has(known, stem(w))]
    lost = [w for w in names(near) if w not in words(way)]
    granted = set(words(free)) | stems(free)
    outright = [w for w in strange if w not in granted and not has(granted, stem(w))]
    outright = [w for w in outright if not any(f"{first} {w}" in whole for first in words(near))]  # "Kit", Kit Marlo
    return outright or (strange if lost and covers(stems(way) | {stem(w) for w in lost}, near) else [])


@lru_cache(maxsize=2_000)
def _whole(source: Passage) -> str:
    return " ".join(words(" ".join(source.sentences)))


def _borrowed(way: str, near: str, place: int, source: Passage, allowed: set[str]) -> list[str]:
    """Return the words that belong to other sentences of the passage, where they stand for words of this one."""
    verb = VERB.search(way)
    told, subject = stems(way), stems(way[: verb.start()]) if verb else set()
    theirs = stems(subject_of_clause(source.sentences[place]))
    lost = {w for w in theirs if not has(told, w)}
    missing = [w for w in sorted(told) if not has(allowed, w)]
    rare = [w for w in missing if _is_elsewhere(w, place, source) and _is_rare(w, place, source)]
    in_subject = [w for w in subject if not has(stems(near), w) and _is_elsewhere(w, place, source)]
    if verb and lost and subject and not LEANING.match(way) and (in_subject or lost == theirs):
        return sorted(in_subject) or sorted(subject)
    return rare if len(rare) > 1 or (rare and (lost or _one_exchanged(told, near))) else []


def _one_exchanged(told: set[str], near: str) -> bool:
    """Tell whether a clause says all of a sentence but a word or two, in whose place there must be others."""
    known = stems(near)
    return any(not has(told, w) for w in known) and covers(told, near)


def _is_elsewhere(word: str, place: int, source: Passage) -> bool:
    return any(has(stems(s), word) for n, s in enumerate(source.sentences) if n != place)


def _is_rare(word: str, place: int, source: Passage) -> bool:
    """Tell whether so few sentences have a word that it belongs to them."""
    holders = [n for n, s in enumerate(source.sentences) if n != place and has(stems(s), word)]
    return len(holders) < max(2, min(COMMON, len(source.sentences) // 2))


_ONE = re.compile(r"(?<![\w.,:])1(?![\w.,:]?\d)\b")  # the digit; the word is mostly a pronoun


def _values(text: str) -> set[str]:
    """Return the numbers of a text; "the fourteenth" and 14 are one."""
    return {re.sub(r"(?<=\d)(?:st|nd|rd|th)$", "", n) for n in numbers(text)}


def _units_differ(clause: str, sentence: str) -> bool:
    """Tell whether a number stands before a unit of time or measure there, and before another one here."""
    here, there = _units(clause), _units(sentence)
    return any(unit and there.get(number) and unit not in there[number] for number, own in here.items() for unit in own)


def _units(text: str) -> dict[str, set[str]]:
    own = words(text)
    found: dict[str, set[str]] = {}
    for number, unit in pairwise(own):
        if is_number(number) and unit in _UNITS:
            found.setdefault(number, set()).add(unit)
    return found


_UNIT_NAMES = """
second minute hour day night week month year percent metre meter kilometre centimetre millimetre mile foot inch kilo
kilogram gram tonne pound litre liter dollar euro cent crown am pm
"""
_UNITS = frozenset(_UNIT_NAMES.split())


def _crossed(clause: str, sentence: str) -> bool:
    """Tell whether two details of a sentence have changed places: each stands after the words of the other."""
    there, here = _leads(sentence), _leads(clause)
    shared = [d for d in here if d in there]
    for one in shared:
        own = len(here[one] & (there[one] - _common(there)))
        for other in there:
            if other != one and len(here[one] & (there[other] - _common(there))) > own and not own:
                return True
    return False


def _leads(text: str) -> dict[str, set[str]]:
    """Return each number and name with the telling words before it, back to the detail before that."""
    named, found, since = names(text), {}, []
    for token in text.split():
        plain = words(token)
        if any(is_number(w) and w != "1" for w in plain) or (named & set(plain)):
            if since:
                found.setdefault(" ".join(plain), stems(" ".join(since)))
            since = [] if found else since
        else:
            since.append(token)
    return found


def _common(leads: dict[str, set[str]]) -> set[str]:
    return set.intersection(*leads.values()) if len(leads) > 1 else set()


# -- conditions and reasons ----------------------------------------------------------------------------------------

_CONDITION = re.compile(
    r"\b(?:only (?:with|if|when|on|for|in|at|by|after|before|to)|if|when(?:ever)?|unless|until|while|after|before"
    r"|except(?: (?:for|in|when|if))?|provided|without|worth|above|below|under (?!every|all|any)|over"
    r"|(?:more|longer|less|younger|older|fewer) than|who|that (?=(?:has|have|had|stands?|holds?|needs?|can|cannot|must"
    r"|may)\b)|whose|instead of|during)\b",
    re.IGNORECASE,
)
_REASON = re.compile(
    r"\b(?:because|since (?!\d|the (?:first|last)\b)|so that|in order to|due to|owing to|thanks to|to (?:ensure|prevent"
    r"|protect|avoid|guarantee|make sure|help|keep)|for (?:safety|security|legal|fairness|reasons?)|as (?:this|it|that)"
    r"|which (?:means|ensures|helps|is why)|this (?:is because|ensures|helps|means)|the reason)\b",
    re.IGNORECASE,
)


def _condition(told: str, around: str, sentence: str) -> Fault | None:
    """Return a fault where a sentence tells the rule of another without the condition that the rule has."""
    here = stems(told)
    if not VERB.search(told):
        return None  # "Claims below 120 tallens.": a detail, not a rule
    for match in _CONDITION.finditer(sentence):
        end = re.search(r"[,;](?!\d)|\.(?!\w)", sentence[match.end() :])
        part = sentence[match.start() : match.end() + (end.start() if end else len(sentence))]
        verb = VERB.search(part[len(match[0]) :])
        if match.start() < len(sentence) / 3 and verb and match[0].casefold() not in ("if", "when", "after"):
            part = part[: len(match[0]) + verb.end()]  # "A customer who misses ... pays": up to the second verb
        rest = stems(sentence.replace(part, " "))
        wanted = (stems(part) - rest) | {w for w in words(part) if is_number(w) and w != "1"}
        if not wanted or len(rest) < 2:
            continue
        kept = [w for w in wanted if has(stems(around), w) or w in words(around)]
        if 2 * len(kept) < len(wanted) and len([w for w in rest if has(here, w)]) >= 0.6 * len(rest):
            return "condition", f"without: {part.strip()[:60]}"
    return None


def _reason_is_new(reason: str, source: Passage) -> bool:
    told = stems(re.split(r"[;.]|, (?:and|but)\b", reason)[0])
    given = [source.sentences[n] for n in source.own or range(len(source.sentences))]
    known = set[str]().union(*(stems(s) for s in given if _REASON.search(s)))
    missing = [w for w in told if not has(known, w)]
    return not told or len(missing) > UNDECIDED * len(told)
