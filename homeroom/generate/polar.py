"""Questions that want yes or no: what they are answered with, and how a fact is turned into one.

    "Is the desk open on Mondays?"    ->    "Yes. The desk is open on Mondays."

Whether it is yes or no is decided by code, and only where nothing can go wrong: every telling word of the question is
in the fact, the fact makes no exception, and one of the two negates or neither does. For any other question the answer
is not known, and `polar_fault` throws it out. One thing more: where a fact denies something, a question about just that
("Can I send videos?") is answered with no, whatever its other words.
"""

from __future__ import annotations

import re

from homeroom.core.words import words
from homeroom.generate.checks import Fault, content_words, is_polar, last_sentence, names, numbers
from homeroom.generate.details import details

TOLD = 0.6  # of the fact's telling words are in a question that can be answered, at least

NEGATION = re.compile(
    r"\b(?:not|never|nobody|none|neither|cannot|without|no(?! (?:\w+er|more|less) than\b))\b|n't\b", re.IGNORECASE
)
_BOUND = re.compile(r"\bno (?:\w+er|more|less) than\b", re.IGNORECASE)
_ONLY = re.compile(r"\bonly (?:if|when|with)\b", re.IGNORECASE)
_EXCEPTION = re.compile(r"\b(?:only|except|unless|if|but|because|unlike|either|or)\b", re.IGNORECASE)
_VERBS = "is|are|was|were|can|may|must|will|should"
_STATEMENT = re.compile(rf"(?P<who>[^,;:]{{3,80}}?) (?P<verb>{_VERBS}|does|do|did) (?P<no>not |never )?(?P<rest>.+)\.")
_ANOTHER = re.compile(  # what a denial does not answer: whether there is something, whether it is needed
    r"^(?:is|are|was|were) there\b|\b(?:necessary|required|needed|information|consider|request)\b", re.IGNORECASE
)
_SECOND = re.compile(rf";|, (?:and|so|though)\b|\b(?:{_VERBS})\b", re.IGNORECASE)  # a second statement
_NO_SUBJECT = re.compile(
    r"\b(?:who|that|which|whose|where|no|nobody|nothing|none|neither|few|only)\b"
    r"|^(?:after|before|if|when|in|on|at|for|under|with)\b",
    re.IGNORECASE,
)


def yes_or_no(question: str, statement: str, *, subject: str = "") -> str:
    """Return "Yes" or "No" for a question that a fact decides, or "".

    Args:
        subject: What the document is about; its name in a question says nothing.

    Example:
        >>> yes_or_no("Are videos accepted as proof?", "The office does not accept videos as proof.")
        'No'
        >>> yes_or_no("Are letters accepted in court?", "The office does not accept videos as proof.")
        ''
    """
    last, known = last_sentence(question), content_words(subject)
    asked, told = content_words(last) - known, content_words(statement) - known
    if not is_polar(question) or numbers(last) - numbers(statement) or re.search(r"\bor\b", last):
        return ""  # "for fish or newts?" is no question for yes or no
    if NEGATION.search(statement) and not _EXCEPTION.search(statement) and not NEGATION.search(last):
        things = content_words(" ".join(details(statement))) - known
        if things and things <= asked and len(asked - told) <= len(asked & told) + 1 and not _ANOTHER.search(last):
            return "No"  # it speaks of what the fact denies, in other words, and of nothing else
    if re.match(r"(?:every|each|all|any)\b", statement, re.IGNORECASE):
        asked -= content_words("always ever")
    if _is_condition_left_out(last, asked, statement):
        return "No"
    if asked - told:
        return ""
    if _EXCEPTION.search(statement) or len(asked & told) < TOLD * len(told):
        return ""
    if bool(_BOUND.search(last)) != bool(_BOUND.search(statement)):
        return ""
    negated = bool(NEGATION.search(last)) != bool(NEGATION.search(statement))
    return "No" if negated else "Yes"


def _is_condition_left_out(last: str, asked: set[str], statement: str) -> bool:
    """Say whether a question asks for something "without" what the fact allows it "only with"."""
    only = _ONLY.search(statement)
    if only is None or not re.search(r"\bwithout\b", last, re.IGNORECASE) or len(NEGATION.findall(last)) > 1:
        return False
    condition = content_words(statement[only.end() :])
    return bool(content_words(statement[: only.start()]) & asked) and 2 * len(condition & asked) >= len(condition) > 0


def polar_fault(question: str, statement: str, *, subject: str = "") -> Fault | None:
    """A question that wants yes or no is one that the fact decides."""
    if is_polar(question) and not yes_or_no(question, statement, subject=subject):
        return "type", "asks for yes or no, the fact does not tell which"
    return None


def turned(statement: str, *, subject: str = "") -> tuple[str, bool] | None:
    """Return a plain English statement as a question, and whether it is to be answered with yes; None where unsure.

    Example:
        >>> turned("The claims desk is never closed on Wednesdays.")
        ('Is the claims desk closed on Wednesdays?', False)
        >>> turned("Damage that was done by squirrels is never paid for.")
    """
    match = _STATEMENT.fullmatch(statement)
    if not match or _SECOND.search(match["rest"]) or _NO_SUBJECT.search(match["who"]) or _EXCEPTION.search(statement):
        return None
    if match["verb"] in ("does", "do", "did") and not match["no"]:
        return None
    first, *others = match["who"].split()
    is_name = first.casefold() in words(subject) or set(words(first)) & names(f". {match['rest']}")
    if not is_name and not (others and others[0][0].isupper() and first.casefold() not in ("the", "a", "an", "every")):
        first = first[0].lower() + first[1:]
    return f"{match['verb'].capitalize()} {' '.join([first, *others])} {match['rest']}?", not match["no"]
