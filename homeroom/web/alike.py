"""What a course holds already that is like a new leaf: the same questions, other answers, much the same words."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Any

from homeroom.author.form import LeafForm
from homeroom.generate.checks import content_words
from homeroom.taxonomy.read import read_taxonomy
from homeroom.web.desk import CourseEntry, Desk

MOST, MIN_SHARE = 5, 0.6
MAX_LEAVES_OF_A_WORD = 400  # a word that more leaves have tells nothing


@dataclass(frozen=True, slots=True)
class _Index:
    asked: dict[str, list[tuple[str, str, str]]]  # question in small letters -> (leaf, question, answer)
    words: dict[str, set[str]]  # word -> leaves


def alike(desk: Desk, course: CourseEntry, form: LeafForm) -> dict[str, Any]:
    """Return leaves that ask the same otherwise answered ("contradicting"), and those with much the same words."""
    tree = desk.tree(course)
    index = desk.made(course, "alike", id(tree), lambda: (tree, _index(course)))[1]
    contradicting, same = [], []
    seen: Counter[str] = Counter()
    words: set[str] = set()
    for example in form.examples:
        for pair in example.pairs:
            for leaf, question, answer in index.asked.get(_plain(pair.question), ()):
                if leaf == form.place or not pair.question.strip():
                    continue
                row = {"leaf": leaf, "question": question, "theirs": answer, "mine": pair.answer}
                (same if _plain(answer) == _plain(pair.answer) else contradicting).append(row)
            words |= content_words(pair.question) | content_words(pair.answer)
    telling = [w for w in words if w in index.words]
    for word in telling:
        seen.update(index.words[word] - {form.place})
    near = [
        {"leaf": leaf, "share": round(n / len(words), 2)}
        for leaf, n in seen.most_common(MOST)
        if n / len(words) >= MIN_SHARE
    ]
    return {"contradicting": contradicting[:20], "same": same[:20], "near": near}


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip("?.! ")


def _index(course: CourseEntry) -> _Index:
    asked: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
    words: dict[str, set[str]] = defaultdict(set)
    for leaf in read_taxonomy(course.folder).leaves:
        for seed in leaf.seeds:
            asked[_plain(seed.question)].append((leaf.path, seed.question, seed.answer))
            for word in content_words(seed.question) | content_words(seed.answer):
                words[word].add(leaf.path)
    return _Index(dict(asked), {w: found for w, found in words.items() if len(found) <= MAX_LEAVES_OF_A_WORD})
