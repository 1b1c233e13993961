"""Which of the lettered choices an answer names: by their text, by what sets one apart, or by letter.

    choices ["The Lantern plan", "The Orchard plan"]
    "The Orchard plan."      named by text
    "Orchard"                named by what sets it apart from the others
    "B", "(B)", "B) ...", "The answer is b."   named by letter
    "A heron"                names no letter: that A is an article

Several named are a set of several: an answer that lists them all has picked none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from homeroom.core.errors import ContentError
from homeroom.core.types import Question
from homeroom.core.words import MAX_CHARACTERS, find, is_number, without, words

LETTERS = "ABCDEFGHIJ"
MAX_CHOICES = len(LETTERS)

_AFTER_ARTICLE = re.compile(r"\s+(?!(?:or|and)\b)\w")
_ARTICLES = ("a", "an", "the")


def right_choice(question: Question) -> int:
    """Return the position of the choice that `answer` (or, where it names none, `must`) names.

    Raises:
        ContentError: it names none, or several.
    """
    named = picks(question.choices, question.answer)
    if len(named) != 1 and question.must:
        texts = [words(choice) for choice in question.choices]
        wanted = [[words(alternative) for alternative in group] for group in question.must]
        named = {i for i, text in enumerate(texts) if all(any(find(a, text) for a in group) for group in wanted)}
    if len(named) != 1:
        raise ContentError(
            f"the answer {question.answer!r} names {len(named)} of the {len(question.choices)} choices, not one",
            where=f"question {question.id}",
            hint="Write the answer exactly as one of the choices, or its letter.",
        )
    return named.pop()


def picks(choices: Sequence[str], answer: str) -> set[int]:
    """Return the positions of the choices that an answer names; empty where it names none.

    Example:
        >>> plans = ["The Lantern plan", "The Orchard plan"]
        >>> picks(plans, "B"), picks(plans, "the orchard plan"), picks(plans, "Lantern or Orchard")
        ({1}, {1}, {0, 1})
    """
    alone = _letter_alone(len(choices), answer)
    if alone is not None:
        return {alone}
    said, named = words(answer), set()
    patterns = [_without_article(words(choice)) for choice in choices]
    for i in sorted(range(len(patterns)), key=lambda i: -len(patterns[i])):  # "harbour watch" before "harbour"
        if find(patterns[i], said):
            named.add(i)
            said = without([patterns[i]], said)
    in_full = bool(named)
    for i, pattern in enumerate(patterns):
        others = {word for j, other in enumerate(patterns) if j != i for word in other}
        own = [word for word in pattern if word not in others and word not in _ARTICLES]
        # Beside a choice that is named in full, a mere number is likely to be about something else.
        if own and all(word in said for word in own) and not (in_full and all(map(is_number, own))):
            named.add(i)
    return named | _letters(choices, answer[:MAX_CHARACTERS])


def _letter_alone(count: int, answer: str) -> int | None:
    letters = LETTERS[:count]
    match = re.fullmatch(rf"\W*([{letters}])\W*", answer[:100].upper()) if letters else None
    return letters.index(match[1]) if match else None


def _letters(choices: Sequence[str], answer: str) -> set[int]:
    letters = LETTERS[: len(choices)]
    if not letters:
        return set()
    for choice in choices:
        if choice.strip():  # a letter inside the text of a choice ("Vitamin C") names nothing
            answer = re.sub(rf"(?<!\w){re.escape(choice)}(?!\w)", " ", answer, flags=re.IGNORECASE)
    found = set()
    for match in re.finditer(rf"(?<![\w'’.])([{letters}])(?![\w'’]|\.\w)", answer):
        article = match[1] == "A" and _AFTER_ARTICLE.match(answer, match.end())
        if not article:
            found.add(letters.index(match[1]))
    said = rf"\b(?:answer|option|choice|letter)(?: is)?:?\s*\(?([{letters.lower()}])(?=\W*$|[).:])"
    return found | {letters.index(match[1].upper()) for match in re.finditer(said, answer)}


def _without_article(text: list[str]) -> list[str]:
    return text[1:] if len(text) > 1 and text[0] in _ARTICLES else text
