"""Talks and interviews: who says a line is not part of what it says.

**Kit Marlo:** We open at nine, and you need no ticket.    ->  We open at nine, and you need no ticket.
[00:12:07] KIT MARLO: We open at nine.                     ->  We open at nine.
Opening hours: nine to five.                               ->  (as it is: nobody speaks)
"""

from __future__ import annotations

import re

_LABEL = re.compile(r"^\W*(?:\[?\d{1,2}:\d\d(?::\d\d)?\]?\W*)?(?P<who>[^\W\d_][^:*\n]{0,39}?):\**\s+(?=\S)")
_SPEAKING = re.compile(r"\b(?:I|we|you|my|our|your|me|us)\b", re.IGNORECASE)
MAX_WORDS = 6  # of a name: "Visitor in a green coat"


def speakers(text: str) -> frozenset[str]:
    """Return who speaks in a text: the labels of lines of which at least one speaks to somebody.

    Example:
        >>> sorted(speakers("**Kit:** We open at nine." + chr(10) + "**Ada:** Good."))
        ['Ada', 'Kit']
        >>> speakers("Hours: nine to five." + chr(10) + "Price: two crowns.")
        frozenset()
    """
    lines = [(match["who"].strip(), line[match.end() :]) for line in text.splitlines() if (match := _LABEL.match(line))]
    named = frozenset(who for who, _ in lines if len(who.split()) <= MAX_WORDS)
    return named if any(_SPEAKING.search(said) for who, said in lines if who in named) else frozenset()


def without_speaker(statement: str, named: frozenset[str]) -> str:
    """Return a statement without the label of one who speaks in its text, else as it is."""
    match = _LABEL.match(statement)
    if not match or match["who"].strip() not in named:
        return statement
    said = statement[match.end() :].strip()
    return said[:1].upper() + said[1:]
