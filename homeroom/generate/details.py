"""The details of a fact that a question can ask for: its numbers with their units, its names, or else a thing."""

from __future__ import annotations

import re
from collections.abc import Sequence

from homeroom.core.types import Fact
from homeroom.core.words import is_number, words
from homeroom.generate import checks


def key_details(statement: str) -> list[str]:
    """Return the details of a fact that a question could ask for, in order: numbers with their units, and names.

    Example:
        >>> key_details("Water damage must be reported to Odile Varrick within five days.")
        ['Odile Varrick', 'five days']
    """
    return [statement[a:b] for a, b in key_spans(statement)]


def key_detail(statement: str) -> str:
    """Return the last detail of a fact that a question could ask for, or ""."""
    return (key_details(statement) or [""])[-1]


def key_spans(statement: str) -> list[tuple[int, int]]:
    """Return where the details stand in a statement, as character spans."""
    tokens = list(re.finditer(r"\S+", statement))
    plain = [words(t[0]) for t in tokens]
    named = checks.names(statement)
    spans, index = [], 1
    while index < len(tokens):
        end = index
        if any(is_number(w) for w in plain[index]) and tokens[index][0].casefold() != "one":
            if index + 1 < len(tokens) and tokens[index][0][-1] not in ",.;)" and plain[index + 1]:
                after = tokens[index + 1][0]
                end = index + (checks.is_telling(after) or checks.is_time(after))  # "five days", "9 a.m."
                end += end > index and tokens[end + 1 : end + 2] != [] and plain[end + 1] == ["ago"]
        elif named & set(plain[index]):
            while end + 1 < len(tokens) and tokens[end][0][-1] not in ",.;" and named & set(plain[end + 1]):
                end += 1
        else:
            index += 1
            continue
        text = tokens[end][0].rstrip(",;:!?)")
        text = text if text.endswith((".m.", ".M.")) else text.rstrip(".,;:!?)")
        first = index - (index == 1 and bool(named & set(plain[1])) and _begins_a_name(tokens[0][0]))
        spans.append((tokens[first].start(), tokens[end].start() + len(text)))
        index = end + 1
    return spans


def _begins_a_name(word: str) -> bool:
    """Say whether the first word of a sentence, which is always capitalised, belongs to the name after it."""
    return word[0].isupper() and word[-1].isalnum() and checks.is_telling(word)


def detail_spans(statement: str) -> list[tuple[int, int]]:
    """Return the spans of the numbers and names of a statement, and of the thing that it tells behind them, if any.

    Things are told apart by plain English grammar, and a statement in another language has none.

    Example:
        >>> for told in ("Claims are made on a green form.", "Damage done by squirrels is never paid for."):
        ...     print([told[a:b] for a, b in detail_spans(told)])
        ['a green form']
        ['by squirrels']
    """
    found = key_spans(statement)
    start = found[-1][1] if found else 0
    rest = (statement[start:] if found else _ASIDE.split(statement)[0]).rstrip(". ")
    if len(checks.content_words(rest)) < 2:
        return found
    thing = next((m for pattern in _THINGS if (m := pattern.search(rest)) and not checks.numbers(m[0])), None)
    if thing is None:
        return found
    begin, end = thing.span(thing.lastindex or 0)
    return [*found, (start + begin, start + end)]


def details(statement: str) -> list[str]:
    """Return the texts of `detail_spans`."""
    return [statement[a:b] for a, b in detail_spans(statement)]


def with_its_span(statement: str, start: int, end: int, *, question: str) -> tuple[int, int]:
    """Return a detail's place, widened to the span of time or the date that it is a part of.

    Of a span only one end is returned where the question asks for it.

    Example:
        >>> told = "The shop opens on Saturdays from ten until noon."
        >>> for asked in ("When is the shop open?", "When does the shop close?", "When does it open?"):
        ...     a, b = with_its_span(told, 31, 34, question=asked)
        ...     print(told[a:b])
        from ten until noon
        noon
        ten
    """
    for found in _FROM_TO.finditer(statement):
        ends = checks.is_time(found["start"]), checks.is_time(found["end"])
        if found.start() <= start and end <= found.end() and any(ends):
            return found.span("end" if _ENDS.search(question) else "start" if _BEGINS.search(question) else 0)
    return next((m.span() for m in _DATE.finditer(statement) if m.start() <= start and end <= m.end()), (start, end))


_MONTH = f"(?:{checks.MONTHS})"
_DAY = r"(?:(?:first|second|third|fourth|fifth|last|next|every|each) )?(?:mon|tues|wednes|thurs|fri|satur|sun)days?"
_CLOCKED = r"(?: [ap]\.?m\b\.?| o'clock| (?:in the |on )?(?:morning|afternoon|evening|midnight)s?)?"
_FROM_TO = re.compile(
    rf"\b(?:from|between) (?P<start>[^,;]{{1,40}}?) (?:to|until|till|and) "
    rf"(?P<end>(?:the (?:end|beginning|start|middle) of )?[^\s,;.]+(?:\.\d\d)?{_CLOCKED})",
    re.IGNORECASE,
)
_NTH = (
    r"(?:\d{1,2}(?:st|nd|rd|th)?|(?:twenty-|thirty-)?(?:first|second|third|fourth|fifth|sixth|seventh|eighth|ninth)|tenth"
    r"|eleventh|twelfth|(?:thir|four|fif|six|seven|eigh|nine)teenth|twentieth|thirtieth)"
)
_DATE = re.compile(
    rf"\b(?:the )?{_DAY}(?:(?:,|,? and|,? or) {_DAY})*(?: (?:of|in) (?:(?:each|every|the) )?[^\W\d_]+)?"
    rf"(?: and {_MONTH}\b)?|\b(?:the )?{_NTH} (?:of )?{_MONTH}\b",
    re.IGNORECASE,
)
_ENDS = re.compile(r"\b(?:clos(?:e|es|ed|ing)|ends?|ending|finish\w*|stops?|until|till|turned off)\b", re.IGNORECASE)
_BEGINS = re.compile(
    r"\b(?:start\w*|begins?|beginning|opening|turned on)\b|\b(?:do|does|did|will)\b.*\bopen\b", re.IGNORECASE
)


def is_day(text: str) -> bool:
    """Say whether a text names a day of the week or of the year."""
    return bool(_DATE.search(text))


def is_month(text: str) -> bool:
    """Say whether a text names a month."""
    return bool(re.search(rf"\b{_MONTH}\b", text, re.IGNORECASE))


def telling(detail: str) -> set[str]:
    """Return what of a detail a question must say to have said it: its numbers, else its words but for the small ones.

    Example:
        >>> sorted(telling("an orange form")), sorted(telling("the first 90 tallens"))
        (['form', 'orange'], ['1th', '90'])
    """
    return set(checks.numbers(detail)) or set(words(detail)) - _FUNCTION


def leak_fault(question: str, fact: Fact, *, subject: str = "") -> checks.Fault | None:
    """A detail of the fact is left for the answer, or else a word that carries meaning.

    Args:
        subject: What the document is about; its name is no detail.
    """
    asked, told = set(words(question)) | set(words(subject)), fact.statement
    if checks.asks_for(question) == "number" and checks.numbers(told) and checks.numbers(told) <= asked:
        return "leak", "the question already says the number that it asks for"
    bags = [bag for bag in map(telling, details(told)) if not bag <= set(words(subject))]
    left = (
        any(not bag <= asked for bag in bags) if bags else checks.content_words(told) - checks.content_words(question)
    )
    return None if left else ("leak", "the question already says what the fact says")


_ASIDE = re.compile(r",? because\b|, (?:and|or|but|so|which|who|except)\b|;")
_WORD = r"[^\W\d_][\w'’-]*"
_THINGS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"\b(?:only )?(?:if|when|unless|before|after|while) {_WORD}(?: {_WORD})+$",  # "... if the appeal succeeds"
        rf"(?<!without )(?<!half )\b(?:a|an|no|the|its|their|his|her)(?: {_WORD}){{1,3}}"  # "a green form"
        rf"(?: (?:of|from) (?:a |an |the )?{_WORD}(?: {_WORD})?)?$",
        rf"\b(?:by|with) {_WORD}(?= (?:is|are|was|were|may|must|can)\b)",  # "by squirrels"
        rf"\b{_WORD}, (?:{_WORD}(?: {_WORD})?, )*{_WORD}(?: {_WORD})? and {_WORD}(?: {_WORD})?$",  # a list
        rf"\bnot {_WORD} ({_WORD})(?= (?:as|for|to|in|at|on|by|with)\b)",  # "does not accept (videos) as proof"
        rf"\b(?:in|on|at|by|with|without|under|as)(?: {_WORD}){{1,3}}$",
    )
)


def alike(one: Sequence[str], other: Sequence[str]) -> bool:
    """Say whether two details, as words, could be taken for each other.

    Numbers with the same unit can, and names or things of as many words; of things, those that begin alike.
    """
    if is_number(one[0]) and other and is_number(other[0]):
        return len(one) > 1 and list(one[1:]) == list(other[1:])
    begins = {"a" if word == "an" else word for word in (one[0], other[0])}
    begin_alike = (len(begins) == 1 and begins != {"the"}) or not begins & _FUNCTION
    return not any(map(is_number, [*one, *other])) and len(one) == len(other) and begin_alike


_FUNCTION = frozenset(
    "a an no the its their his her without by with if when only unless before after while in on at under as".split()  # noqa: SIM905
)
