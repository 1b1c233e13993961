"""The cascade that a generated sample must pass, cheapest check first; each failure has a name and a reason.

All of it is code, so it costs microseconds and cannot be talked round:

    form        a question asks, is neither too short nor too long
    number      every number is in the fact (or, for a text, in the passage)
    name        every name is in the passage or its headings
    drift       a rewrite uses mostly the passage's words
    negation    the answer negates only where its source does
    type        the question asks for the sort of thing that the fact tells
    example     it takes no words from the prompt's worked examples
    leak        the question does not already say all that the fact says (see `details.py`)
    fit         it does not ask for something else than the fact tells (see `fit.py`, `closeness.py`)
    attribution the question speaks of this fact more than of any other (see `attribution.py`)
    support     every clause rests on a sentence of the passage (see `support.py`)
    duplicate   it was not asked in nearly the same words before, by a person or the teacher (see `duplicates.py`)
    exam        its wording is not that of an exam question (8 words in a row, or the same words)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from homeroom.core.sentences import sentences
from homeroom.core.types import Fact, Question
from homeroom.core.words import is_number, words

EXAM_NGRAM = 8  # words in a row that a sample may not share with an exam question
MIN_SHARED = 0.6  # of the telling words of a rewrite
Fault = tuple[str, str]  # (check, reason)

_STOP = frozenset(
    """
    a about above after again all also am an and any anyone are as at be because been before being below between
    both but by can could did do does doing down during each either else ever every everyone few for from
    further get had has have having he her here hers him his how i if in into is it its just kind let many may
    me might more most much must my need no nor not now of off on once one only or other our out over own per
    please same shall she should since so some someone something such take tell than that the their them then
    there these they thing this those through to too under until up upon us use very was we were what whatever
    when where which while who whom whose why will with within without would you your know want happen make long
    """.split()  # noqa: SIM905
)
_NEGATIONS = frozenset("not no never nobody nothing none neither nor without cannot".split())  # noqa: SIM905


def numbers(text: str) -> frozenset[str]:
    """Return the numbers of a text in comparable form; number words count, "one" does not (it is mostly a pronoun)."""
    return frozenset(w for w in words(text) if (is_number(w) and w != "1") or re.fullmatch(r"\d+th", w))


def names(text: str) -> frozenset[str]:
    """Return the words of a text that are capitalised inside a sentence, in comparable form.

    In a text that capitalises its nouns, as German does, this tells nothing, and the result is empty.
    """
    found, inner = [], 0
    for sentence in sentences(text) or []:
        for token in re.findall(r"[\w'’.-]+", sentence.text)[1:]:
            inner += 1
            if (
                token[0].isupper()
                and not (len(token) == 1 and token != "I")
                and token.casefold() not in ("i", "i'm", "i've", "i'll", "i'd")
            ):
                found.append(token)
    if inner >= 12 and len(found) > 0.3 * inner:
        return frozenset()
    return frozenset(w for token in found for w in words(token) if not is_number(w) and w not in _STOP)


def content_words(text: str) -> set[str]:
    """Return the words that carry a text's meaning, cut to their stems: no numbers, no function words."""
    return {_stem(w) for w in words(text) if w not in _STOP and len(w) > 2 and not is_number(w)}


def is_telling(word: str) -> bool:
    """Say whether a single word carries meaning: no function word, no punctuation."""
    return any(w not in _STOP for w in words(word))


def _stem(word: str) -> str:
    for ending in ("ingly", "edly", "ing", "ed", "ly", "er", "es", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


# -- one sample against its source -------------------------------------------------------------------------------


_UNSEEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]")


def unseen_fault(text: str) -> Fault | None:
    """No text steers a terminal, or is shown in another order than it is written, or has letters that nobody sees."""
    found = _UNSEEN.search(text)
    return ("form", f"has the unseen character U+{ord(found[0]):04X}") if found else None


def form_fault(question: str) -> Fault | None:
    """A question is one or a few sentences that ask for something, in characters that are seen."""
    if fault := unseen_fault(question):
        return fault
    unspaced = len(re.findall(r"[\u3040-\u30ff\u4e00-\u9fff]", question))  # Japanese and Chinese put no spaces
    count = len(question.split()) + unspaced // 2
    if not 3 <= count <= 60:
        return "form", f"{count} words"
    if "?" not in question and "？" not in question:
        return "form", "asks nothing"
    if "__" in question:
        return "form", "has a gap in it"
    return None


def number_fault(text: str, source: str) -> Fault | None:
    """Every number of a text is in its source."""
    foreign = numbers(text) - numbers(source)
    return ("number", f"{', '.join(sorted(foreign))} is not in the source") if foreign else None


def name_fault(text: str, source_words: set[str]) -> Fault | None:
    """Every name of a text is a word of its source."""
    foreign = names(text) - source_words
    return ("name", f"{', '.join(sorted(foreign))} is not in the source") if foreign else None


def drift_fault(text: str, source: str) -> Fault | None:
    """A text that tells a passage again uses mostly the passage's words; much else is decoration or invention."""
    own, known = content_words(text), content_words(source)
    share = len(own & known) / max(1, len(own))
    return ("drift", f"{1 - share:.0%} of its words are not the passage's") if share < MIN_SHARED else None


def negation_fault(text: str, source: str) -> Fault | None:
    """A statement negates only where its source does."""
    said, known = _NEGATIONS & set(words(text)), _NEGATIONS & set(words(source))
    return ("negation", f"says {', '.join(sorted(said))!s}, the source does not") if said and not known else None


def asks_for(question: str) -> str:
    """Return what sort of detail a question wants: "number", "name", "place", or "" where its words do not tell."""
    asked = question.casefold()
    return next((sort for sort, pattern in _WANTS.items() if pattern.search(asked)), "")


_WANTS = {
    "number": re.compile(
        r"\bhow (?:many|much|long|soon|quickly|old|large|big|high|often|late|early|far)\b"
        r"|\bwhat (?:percentage|amount|number)\b|\bwhich number\b"
        r"|\b(?:deadline|time limit|time frame|timeframe|maximum|minimum|percentage)\b"
    ),
    "place": re.compile(
        r"\bwhere\b|\b(?:which|what|name of the) (?:place|building|town|city|room|street)\b|\b(?:location|address) of\b"
    ),
    "name": re.compile(
        r"(?:^|[.,:;!?] |\b(?:and|but|to|by|for|from|with|of|is|was|know|me|wonder|remind) )(?:who|whom|whose)\b"
        r"|\bname of\b"  # "families who ..." asks for nobody
        r"|\bwhich (?:person|bank|company|member|employee|colleague|individual)\b"
    ),
}
_NAME_OF = re.compile(
    r"\bname of (?:the |an? |your |our |their |its )?"
    r"(?P<what>[a-z-]+(?: (?!(?:for|of|to|in|at|on|by|with|and)\b)[a-z-]+)??)"
    r"(?=\?| (?:that|which|who|where|for|of|to|in|at|on|by|with|and|used|responsible|is|was|given)\b)",
    re.IGNORECASE,
)
_PLACED = re.compile(r"\b(?:in|at|on|near|to|from|through)\s+(?:the\s+)?(?:[a-z]+\s+of\s+(?:the\s+)?)?(?=[A-Z])")


def tells(statement: str) -> frozenset[str]:
    """Return which sorts of detail a statement has; a name behind "in", "at" or the like is a place."""
    named, placed = bool(names(statement)), bool(_PLACED.search(statement))
    others = _PLACED.sub("", re.sub(_PLACED.pattern + r"\S+(?:\s[A-Z]\S+)*", "", statement))
    sorts = ["number"] * bool(numbers(statement)) + ["place"] * (named and placed)
    return frozenset(sorts + ["name"] * bool(names(others)))


def type_fault(question: str, fact: Fact) -> Fault | None:
    """A question for a number, a name, a place, a time or a reason is answered by a fact that has one."""
    wanted = asks_for(question)
    if wanted and wanted not in tells(fact.statement) and not _is_named(question, fact.statement):
        return "type", f"asks for a {wanted}, the fact has none"
    asked = last_sentence(question)
    return next(
        (
            ("type", f"asks for a {sort}, the fact has none")
            for sort, (ask, tell) in _TELLING.items()
            if ask.search(asked) and not tell.search(fact.statement)
        ),
        None,
    )


def _is_named(question: str, statement: str) -> bool:
    """Say whether a fact has the name of a thing that is asked for: any name at all, or "form" of "a purple form"."""
    of = _NAME_OF.search(question)
    if of is None:
        return False
    last = content_words(of["what"].split()[-1])
    return bool(names(statement)) or (bool(last) and last <= content_words(statement))


def is_time(text: str) -> bool:
    """Say whether a text names a time: a unit of it, a day, a month, an hour."""
    return bool(_TIMES.search(text))


def is_polar(question: str) -> bool:
    """Say whether a question wants yes or no; "Can you tell me where ...?" does not.

    Example:
        >>> is_polar("I lost my key. Is it insured?"), is_polar("Can you tell me who leads it?")
        (True, False)
    """
    return bool(_POLAR.match(_IF.sub("", last_sentence(question))))


def last_sentence(question: str) -> str:
    """Return the part of a question that asks, without the situation that is told before it."""
    return re.split(r"(?<=[a-z\d][.!]) (?=[A-Z])", question.strip())[-1]


_IF = re.compile(r"^(?:if|when|in|at|as|according|under|after|before)\b[^,?]*, ", re.IGNORECASE)
_POLAR = re.compile(
    r"(?:is|are|was|were|do|does|did|can|could|may|must|will|would|should|has|have|am)\b"
    r"(?! (?:you|i|we) (?:tell|know|explain|give|describe|say|name|please)\b)",
    re.IGNORECASE,
)
_AUXILIARY = r"(?:is|are|was|were|do|does|did|can|could|may|must|should|shall|will|would|has|have|am)"
WHEN = rf"(?:^|[,:;] |\b(?:and|but|so) )when {_AUXILIARY}\b"  # the question, not the condition
MONTHS = "january|february|march|april|may|june|july|august|september|october|november|december"
_TIMES = re.compile(
    r"\b(?:seconds?|minutes?|hours?|days?|nights?|weeks?|months?|years?|quarters?|dawn|noon|midnight|mornings?"
    rf"|evenings?|afternoons?|spring|summer|autumn|winter|\w+days?|{MONTHS}|[ap]m|\d{{4}}|\d{{1,2}}[:.]\d\d)\b|[ap]\.m\.",
    re.IGNORECASE,
)
_WHENEVER = re.compile(r"\b(?:when|while|before|after|if|until|once|during|at the|as soon)\b", re.IGNORECASE)
_TELLING = {  # what is asked for -> how a question asks for it, how a fact tells it
    "reason": (
        re.compile(r"\bwhy\b|\b(?:reason|purpose|importance) (?:for|of|behind|why)\b", re.IGNORECASE),
        re.compile(
            r"\b(?:because|since|therefore|due to|owing to|so that|in order|for \w+ing|purpose|reason)\b",
            re.IGNORECASE,
        ),
    ),
    "length of time": (
        re.compile(r"\bfor how long\b|\bhow long (?:before|after|until|ago)\b", re.IGNORECASE),
        re.compile(_TIMES.pattern, re.IGNORECASE),
    ),
    "time": (
        re.compile(WHEN, re.IGNORECASE),
        re.compile(f"{_TIMES.pattern}|{_WHENEVER.pattern}", re.IGNORECASE),
    ),
}


def example_fault(question: str, source: str, example_words: frozenset[str]) -> Fault | None:
    """A question takes no telling word from the prompt's worked examples, unless its own source has it."""
    taken = (content_words(question) & example_words) - content_words(source)
    return ("example", f"{', '.join(sorted(taken))} comes from the prompt") if taken else None


def decontamination(exam: Iterable[Question]) -> Callable[[str], Fault | None]:
    """Return a check that a text does not use an exam question's wording.

    It fails on eight words in a row, or on all words of a shorter question. The facts that the exam asks for are what
    is taught, so they are no reason to fail.
    """
    grams: set[tuple[str, ...]] = set()
    for question in exam:
        for text in (question.question, question.context):
            own = tuple(words(text))
            if len(own) >= 3:
                size = min(EXAM_NGRAM, len(own))
                grams.update(own[i : i + size] for i in range(len(own) - size + 1))
    sizes = sorted({len(g) for g in grams})

    def fault(text: str) -> Fault | None:
        own = tuple(words(text))
        for size in sizes:
            if size < EXAM_NGRAM and len(own) > size + 3:
                continue  # a short question's words inside a longer text are no copy of it
            if any(own[i : i + size] in grams for i in range(len(own) - size + 1)):
                return "exam", "uses the wording of an exam question"
        return None

    return fault
