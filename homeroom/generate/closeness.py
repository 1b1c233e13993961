"""How near a question is to what its fact tells: below one line it is thrown out, below another the answer is careful.

Two likenesses of sentence vectors are added: of the question and the fact, and of the fact's single words and the
question's. The second says how much of what the fact tells, besides the detail that is the answer, the question has in
any words: "How much would it be in this case?" has nothing of "who misses an inspection pays a charge".

Measured on 449 accepted questions about two documents, read by eye; `DROP` was chosen on the first (300, insurance) and
checked on the second (149, allotment). Of the questions that ask for something else and that `fit.py` leaves, 30 %
(38 %) are dropped and 22 % (35 %) answered with care; of those that ask for what the fact tells, 6 % (16 %) are
dropped. No mix of eleven such measures, learned on one document, told more of them apart on the other (`dev/LOG.md`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from homeroom.core.words import is_number, words
from homeroom.generate.attribution import Embed, without
from homeroom.generate.checks import is_telling

DROP = 1.1  # below it a question is thrown out
CAREFUL = 1.3  # below it the answer is the fact alone, without the detail in front
MAX_WORDS = 20_000  # whose vectors are remembered, 1.5 KiB each
Closeness = Callable[[str, str, str, float], float]
_PART = re.compile(r"[;:]|, (?:and|but|so|which|though|because|before)\b")


def closeness(embed: Embed, *, subjects: Sequence[str]) -> Closeness:
    """Return a function of question, fact, detail and the likeness of the first two that says how near they are.

    Args:
        subjects: What the documents are about; its words say nothing about which fact is meant.
    """
    known: dict[str, object] = {}

    def vectors(some: Sequence[str]) -> list[object]:
        new = [w for w in some if w not in known]
        if new:
            if len(known) > MAX_WORDS:
                known.clear()
                new = list(some)
            known.update(zip(new, embed(new), strict=True))
        return [known[w] for w in some]

    def covered(told: Sequence[str], asked: Sequence[str]) -> float:
        import numpy as np

        if not told or not asked:
            return 0.0 if told else 0.5
        both = vectors(list(dict.fromkeys([*told, *asked])))
        likeness = np.array(both[: len(told)]) @ np.array([known[w] for w in asked]).T
        return float(likeness.max(axis=1).mean())

    def near(question: str, statement: str, detail: str, likeness: float) -> float:
        asked = _words(without(question, subjects))
        own = set(words(detail))
        parts = [p for p in _PART.split(without(statement, subjects)) if p.strip()] or [statement]
        told = [p for p in parts if own and own <= set(words(p))][:1] or parts
        return likeness + max(covered([w for w in _words(p) if w not in own], asked) for p in told)

    return near


def _words(text: str) -> list[str]:
    """Return the words that carry a text's meaning, each once, as they are."""
    return list(dict.fromkeys(w for w in words(text) if len(w) > 2 and is_telling(w) and not is_number(w)))
