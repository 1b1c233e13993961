"""What a question about a fact is answered with: the detail that it asks for, then the fact it rests on.

    "How long are files kept?"    ->    "For nine years. Files of closed claims are kept for nine years."

The words are the document's, so no answer can be invented. The detail stands first because that is what a reader wants,
and because it is the better lesson: with the fact alone a student begins with the commonest beginning and then has to
finish the commonest sentence, and with the teacher's own answers, in the words of the question, it learns to repeat
questions (both measured, `dev/LOG.md`).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from homeroom.core.words import words
from homeroom.generate import checks
from homeroom.generate.details import detail_spans, is_day, is_month, telling, with_its_span
from homeroom.generate.fit import REPEATED
from homeroom.generate.language import subject_of_clause
from homeroom.generate.polar import NEGATION, yes_or_no

CLAUSE = 5  # words before a detail that say what it is
MAX_LEAD = 4  # words before a detail that belong to it: "no more than", "for up to"


def answer(question: str, statement: str, *, subject: str = "") -> str:
    """Return the answer to a question that a fact answers.

    Args:
        subject: What the document is about; its name is no detail.

    Example:
        >>> answer("Who leads the appeal panel?", "The appeal panel is led by Sunniva Okell.")
        'Sunniva Okell. The appeal panel is led by Sunniva Okell.'
        >>> answer("Is the claims desk closed on Wednesdays?", "The claims desk is closed on Wednesdays.")
        'Yes. The claims desk is closed on Wednesdays.'
        >>> answer("What happens on Wednesdays?", "The claims desk is closed on Wednesdays.")
        'The claims desk is closed on Wednesdays.'
    """
    detail = yes_or_no(question, statement, subject=subject) or asked_detail(question, statement, subject=subject)
    if not detail or len(words(detail)) > 0.7 * len(words(statement)):
        return statement
    return f"{detail[0].upper()}{detail[1:]}{'' if detail.endswith('.') else '.'} {statement}"


def asked_detail(question: str, statement: str, *, subject: str = "") -> str:
    """Return the detail of a fact that a question asks for and does not say itself, or "" where its words do not tell.

    Where the question says what sort of thing it wants, it is the detail of that sort whose clause shares most words
    with the question; of equals, the last. Where it does not ("What is the rule?"), it is the only detail there is.
    """
    asked = checks.last_sentence(question)
    wanted, which = checks.asks_for(question), _WHICH.search(asked)
    if checks.is_polar(question) or not _A_THING.search(asked) or _NO_THING.search(asked):
        return ""
    known, said = set(words(question)) | set(words(subject)), checks.content_words(question)
    named = set(words(which[1] or which[2] or question)) if which else set()
    is_time = _A_TIME.search(asked)
    shared = _subject_words(statement)
    found: list[tuple[int, str]] = []
    for start, end in dict.fromkeys(with_its_span(statement, a, b, question=asked) for a, b in detail_spans(statement)):
        own, measures = statement[start:end], checks.numbers(statement[start:end])
        if telling(own) <= known or (wanted and bool(measures) != (wanted == "number")):
            continue
        if _AMOUNT.search(asked) and _CLOCK.search(own):
            continue
        if _OFTEN.search(asked) and not REPEATED.search(own):
            continue
        if is_time and not _tells_when(own, statement[:start], unit=is_time[1]):
            continue  # "When ...?" is not answered by a person, nor by "for nine years"
        is_name, is_plain = not measures and own[0].isupper(), not (wanted or which or is_time)
        if is_plain and is_name and start < len(statement) / 2:
            continue  # what the fact is about, not what it tells
        head, of, thing = own.partition(" of ")
        if of and not measures and checks.content_words(head) <= said:  # "what shape": "the shape of a heron"
            start = end - len(thing)
        detail = _whole(statement, start, end, name=wanted == "name" or (is_plain and not measures))
        clause = checks.content_words(" ".join(statement[:start].split()[-CLAUSE:])) - shared
        is_named = bool(named & set(words(detail)))  # "which plan": "the Orchard plan"
        found.append((len(clause & said) + CLAUSE * is_named, detail))
    if not found or not (wanted or which or len(found) == 1):
        return ""
    sorts = {bool(checks.numbers(detail)) for _, detail in found}
    if len(found) > 1 and len(sorts) == 1 and not any(score for score, _ in found):
        return ""  # two of a sort, and nothing tells which: "opens at 7:30 a.m. and takes its last call at 4 p.m."
    return max(reversed(found), key=lambda f: f[0])[1]


_A_THING = re.compile(
    r"\b(?:what(?:'s)?|which|who|whom|whose|where|how (?:many|much|long|soon|often|old|far|late|early|big|large|high"
    r"|quickly))\b|" + checks.WHEN,
    re.IGNORECASE,
)
_NO_THING = re.compile(
    r"\bwhat (?:happens|happened|if|about)\b|\bwhat\b.*\b(?:do|mean|expect|happen|represent)\b(?: \w+){0,4}\?"
    r"|\bwhat (?:should|can|do|must) (?:i|we|you|they) (?:say|do)\b"
    r"|\bwhat (?:is|are|was|were) the (?:consequences?|effects?|results?|outcomes?)\b",
    re.IGNORECASE,
)
_AMOUNT = re.compile(r"\bhow (?:long|many|much)\b", re.IGNORECASE)
_OFTEN = re.compile(r"\bhow (?:often|frequently)\b", re.IGNORECASE)
_CLOCK = re.compile(r"\d [ap]\.?m\b|\d:\d\d", re.IGNORECASE)
_A_TIME = re.compile(checks.WHEN + r"|\b(?:what|which) (time|hour|day|date|month|season)\b", re.IGNORECASE)
_WHICH = re.compile(
    r"\b(?:which|name) of (?:the |these |its )?((?:\w+ )?\w+)\b"
    r"|\b(?:which|what) (?!(?:is|are|was|were|do|does|did|can|if|should|must|would|will|happens|the|about|one)\b)(\w+)"
    r"|\bwhich one\b",
    re.IGNORECASE,
)


def _subject_words(statement: str) -> set[str]:
    """Return the words of what a fact is about where it tells two things of it: they speak for neither."""
    both = re.search(r"\band (?:it |they )?[a-z]+s?\b", statement)
    head = subject_of_clause(statement)
    return checks.content_words(head) if both and len(head.split()) < 6 else set()


def _tells_when(detail: str, before: str, *, unit: str | None) -> bool:
    """Tell whether a detail is a time or a condition, and not a length of time; in the unit asked for, if any."""
    if re.search(
        r"\b(?:for|takes?|took|lasts?|lasted)(?: up to| about| at (?:least|most))?\s*$", before, re.IGNORECASE
    ):
        return False
    if unit and unit.casefold() in _UNITS:
        return _UNITS[unit.casefold()](detail)
    return checks.is_time(detail) or bool(re.match(_WHENEVER, detail)) or bool(re.search(_PLACED, before))


_UNITS: dict[str, Callable[[str], bool]] = {
    "day": is_day,
    "date": is_day,
    "month": is_month,
    "hour": lambda detail: checks.is_time(detail) and not is_day(detail),
    "time": lambda detail: checks.is_time(detail) and not is_day(detail),
}
_PLACED = r"(?i:\b(?:in|on|at|during)(?: the)?\s*$)"  # "in the Lamplight Regatta"
_WHENEVER = r"(?i:(?:only )?(?:if|when|after|before|while|unless|until|in|on|at|during)\b)"


def _whole(statement: str, start: int, end: int, *, name: bool) -> str:
    """Return the detail with what belongs to it: "for up to 16 nights", "the Harbour plan"."""
    if statement[start:end].split()[0].casefold() in _LEADS:
        return statement[start:end]  # it has its own: "in monthly instalments"
    before, after = statement[:start].split(), statement[end:]
    lead: list[str] = []
    while before and len(lead) < MAX_LEAD and _leads(before[-1].casefold(), lead, name=name):
        lead.insert(0, before.pop())
    if lead == ["to"]:
        lead = []  # "from 9 a.m. to 5 p.m."
    if lead[:1] == ["after"] and not checks.is_time(statement[start:end]):
        lead.pop(0)  # "looks after 84 plots"
    if "than" in lead and "no" not in lead and NEGATION.search(statement):
        lead = []  # "nobody may hold more than two plots": two, and no more
    noun = re.match(r"\s[a-z]+\b", after)
    is_name = not checks.numbers(statement[start:end])
    if lead and lead[-1].casefold() == "the" and is_name and noun and len(words(statement[start:end])) == 1:
        end += noun.end()
    text = " ".join([*lead, statement[start:end]])
    return text[0].lower() + text[1:] if lead else text


def _leads(word: str, lead: list[str], *, name: bool) -> bool:
    """Say whether a word before a detail belongs to it; "younger" does before "than"."""
    return word in _ARTICLES or (not name and (word in _LEADS or (lead[:1] == ["than"] and word.endswith("er"))))


_ARTICLES = frozenset(("the", "a", "an"))
_LEADS = frozenset(
    """
    within at on in by after for until about above below up to most least than more no longer from through first over
    under before every
    """.split()  # noqa: SIM905
)
