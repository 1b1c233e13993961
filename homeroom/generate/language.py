"""Clauses, stems and denials of a sentence, as far as they can be told without a grammar.

What the support check compares. English verbs and conjunctions are known by lists; in another language a sentence is
one clause, and its words are compared as they are.
"""

from __future__ import annotations

import re
from functools import lru_cache

from homeroom.core.sentences import sentences
from homeroom.core.words import words
from homeroom.generate.checks import content_words

COVERED = 0.7  # of a sentence's telling words, from which on a clause tells all of it
UNDECIDED = 0.34  # above this share of other words, code cannot tell a paraphrase from an invention


def stem(word: str) -> str:
    """Return a word without its ending."""
    for ending in ("ation", "ance", "ment", "ity", "ies", "ing", "ied", "ed", "er", "es", "al", "y", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def clauses(sentence: str) -> list[str]:
    """Return the clauses of a sentence, as far as signs and conjunctions tell.

    Example:
        >>> clauses("The panel has five members, led by Sunniva Okell, and it meets in the loft.")
        ['The panel has five members', 'led by Sunniva Okell', 'it meets in the loft.']
    """
    parts = [""]
    for part in _CUT.split(sentence):
        stands = VERB.search(part) or _ADDED.match(part)
        if parts[-1] and stands and (VERB.search(parts[0]) or _ADDED.match(part)) and len(part.split()) >= 2:
            parts.append(part)
        else:
            parts[-1] = f"{parts[-1]}, {part}".lstrip(", ")
    return parts


_ADDED = re.compile(
    r"(?:which|as|with|led|given|made|sent|paid|kept|located|held|answered|valued|run|founded|sold|used)\b",
    re.IGNORECASE,
)
_CUT = re.compile(
    r"; |, (?:and |but |while |whereas |so )?|: (?=[A-Z])| (?:and|but|while|whereas) (?=(?:it|they|he|she|you|we|the|a"
    r"|an|any|every|all|is|are|was|must|may|can|has|have|will|meets|takes|needs|pays|opens|closes|gets|led|starts)\b)"
)


def subject_of_clause(clause: str) -> str:
    """Return the words before the first verb that is known as one, or the first three."""
    match = VERB.search(clause)
    return clause[: match.start()].strip() if match else " ".join(clause.split()[:3])


VERB = re.compile(
    r"\b(?:is|are|was|were|must|may|can|cannot|will|should|has|have|had|does|do|did|needs?|pays?|opens?|takes?|gets?"
    r"|receives?|sends?|insures?|covers?|meets?|starts?|loses?|costs?|lasts?|holds?|wears?)\b",
    re.IGNORECASE,
)
FRAME = frozenset(["certain", "sur", "y", "cours", "cert"])  # "Certainly!", "Of course": stems that state nothing
_FRAMED = re.compile(
    r"(?:(?:the|a|an|their|his|her|your|one)\s+)?(?:newcomer|colleague|friend|assistant|other)\s+"
    r"(?:asks?|answers?|responds?|replies|says|explains|adds|tells (?:him|her|them))\b"
    r"(?P<asks> (?:if|whether|how|about)\b)?(?: that)?[\s:,\"'“”]*",
    re.IGNORECASE,
)
_SPEAKER = re.compile(r"^(?:q|a|newcomer|colleague|friend|user|assistant)\s*:\s*", re.IGNORECASE)


def unframed(sentence: str) -> str:
    """Return what a sentence of a retelling states: "The colleague answers that ..." without its head; "" if it asks.

    Example:
        >>> unframed("The colleague replies that the desk is closed."), unframed("When is it open?")
        ('the desk is closed.', '')
    """
    sentence = _SPEAKER.sub("", sentence)
    match = _FRAMED.match(sentence)
    if sentence.rstrip("\"'”’) ").endswith("?") or (match and match["asks"]):
        return ""
    return sentence[match.end() :] if match else sentence


_POINTING = re.compile(
    r"\b(?:it|they|them|he|him|she|her|this|those|there|its|their"
    r"|that(?! (?:is|are|was|were|can|may|must|have|had|do|did|come|\w+s|\w+ed)\b))\b",  # not "plots that are left"
    re.IGNORECASE,
)
LEANING = re.compile(r"(?:It|They|He|She|This|That|These|Those|Such|There|Its|Their)\b")


def leans(sentence: str) -> bool:
    """Tell whether a sentence points to the one before it: "It ...", "... and they ..."."""
    return bool(LEANING.match(sentence) or _POINTING.search(sentence[:50]))


@lru_cache(maxsize=20_000)
def _stems(text: str) -> frozenset[str]:
    own = {_IRREGULAR.get(w, w) for w in words(text) if w != "doe"}  # "does", folded as a plural
    return frozenset(stem(w) for w in content_words(" ".join(own)))


def stems(text: str) -> set[str]:
    """Return the telling words of a text cut to their stems, irregular verbs in their plain form."""
    return set(_stems(text))


def has(known: set[str], word: str) -> bool:
    """Tell whether a stem, or a longer or shorter form of it, is among others."""
    return word in known or (len(word) >= 4 and any(_alike(word, k) for k in known if k[:4] == word[:4]))


def _alike(one: str, other: str) -> bool:
    """Tell whether two stems begin alike, as "neighbour" and "neighbor" or "inspector" and "inspection" do."""
    pairs = enumerate(zip(one, other, strict=False))
    shared = next((n for n, (a, b) in pairs if a != b), min(len(one), len(other)))
    return shared >= max(4, min(len(one), len(other)) - 1) or shared >= 6


_VERB_FORMS = """
paid:pay made:make sent:send held:hold led:lead met:meet given:give gave:give kept:keep lost:lose won:win sold:sell
bought:buy took:take taken:take told:tell written:write wrote:write began:begin begun:begin found:find stood:stand
left:leave lent:lend worn:wear wore:wear spoilt:spoil spoiled:spoil brought:bring chosen:choose chose:choose came:come
went:go gone:go done:do did:do slept:sleep felt:feel built:build
"""
_IRREGULAR = dict(pair.split(":") for pair in _VERB_FORMS.split())


# -- negation ------------------------------------------------------------------------------------------------------

_NOT = frozenset(["not", "never", "nobody", "none", "nothing", "neither", "nor", "cannot", "without", "no"])
_MORE = frozenset(
    ["more", "less", "later", "earlier", "longer", "higher", "larger", "older", "lower", "sooner"]
)  # than
_AGAINST = frozenset(  # stems of words that say no by themselves
    "clos refus reject deni deny exclud bar ban forbid forbidden prohibit los lose lost lack fail unabl uninsur prevent".split()  # noqa: E501, SIM905
)
_UPPER = re.compile(
    r"\b(?:at most|up to|no (?:more|longer|later|larger|higher|older) than|not (?:more|longer|later) than|maximum"
    r"|(?:less|fewer|shorter|younger|smaller|lower) than|below|within|limit(?:ed)? (?:to|of))\b",
    re.IGNORECASE,
)
_LOWER = re.compile(
    r"\b(?:at least|(?<!no )(?<!not )(?:more|longer|larger|higher|older|greater) than|minimum|above|over|exceed\w*)\b",
    re.IGNORECASE,
)


def turned(clause: str, near: str) -> bool:
    """Tell whether a clause denies what its sentence affirms, or the other way round, or turns a bound about.

    A few words of a sentence ("For nine years.") do not deny what the rest of it does, and a "not" that stands before
    the same word in both ("a family that cannot sleep") is no difference.
    """
    own, parts = stems(clause), [near, *(p for s in sentences(near) for p in (s.text, *clauses(s.text)))]
    new = denials(clause) - denials(near)
    covered = [p for p in parts if covers(own, p)]
    if not covered:
        nearest = max(parts, key=lambda p: len(own & stems(p)))
        left = denials(nearest) - denials(clause)
        tells = len([w for w in own if not has(stems(nearest), w)]) <= UNDECIDED * len(own) and VERB.search(clause)
        if not denials(clause) and any(denial == f"not {w}" for denial in left for w in own):
            return True  # "put fish in it" of "do not put fish in it"
        return bool(new) and not left if denials(clause) else bool(left and tells and len(own) > 2)
    most = max(len(own & stems(p)) for p in covered)  # "so please put fish in it" is not only "the pond is for newts"
    covered = [p for p in covered if len(own & stems(p)) == most]
    even = [p for p in covered if (len(new) + len(denials(p) - denials(clause))) % 2 == 0]
    if not even:
        return not any(bound(clause) * bound(p) < 0 for p in covered)  # "not younger than 21" is "at least 21"
    return all(bound(clause) * bound(p) < 0 for p in even)


def covers(own: set[str], text: str) -> bool:
    """Tell whether most of a text's telling words are among these stems."""
    told = stems(text)
    return bool(told) and sum(has(own, w) for w in told) >= COVERED * len(told)


def denials(text: str) -> set[str]:
    """Return where a text says no: "not" with the telling word after it, and words that say no by themselves.

    Example:
        >>> sorted(denials("The desk is not open. It is closed on Mondays."))
        ['clos', 'not open']
    """
    own = words(text)
    found = {stem(w) for w in own} & _AGAINST
    for place, word in enumerate(own):
        if word in _NOT and not (word == "no" and own[place + 1 : place + 2] and own[place + 1] in _MORE):
            after = next((w for w in own[place + 1 :] if stems(w)), "")
            denial = f"not {stem(after)}"
            found.add(f"{denial} again" if denial in found else denial)
    return found


def bound(text: str) -> int:
    """Return 1 for a text with an upper bound ("at most"), -1 for one with a lower ("more than"), else 0."""
    return 1 if _UPPER.search(text) else -1 if _LOWER.search(text) else 0
