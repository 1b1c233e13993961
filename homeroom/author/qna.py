"""A knowledge leaf as the text of a `qna.yaml`: readable, within 110 columns, and read back as the same words.

Texts are folded block scalars, where quotes, colons and number signs mean nothing. A line break of the text is an empty
line there, as YAML has it. What would not come back as it was (a line that begins with a space) is written in quotes.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from homeroom.core.types import Seed

WIDTH = 110


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A context and the questions that it answers."""

    context: str
    seeds: tuple[Seed, ...]


def qna_text(
    passages: Sequence[Passage], *, created_by: str, domain: str, outline: str, document: str, mark: str = ""
) -> str:
    """Return the file.

    Args:
        mark: A comment for the first line, without a line end; "" for none.
    """
    lines = [mark] if mark else []
    lines += ["version: 3", *field_lines("created_by", created_by, 0), *field_lines("domain", domain, 0)]
    lines += field_lines("document_outline", outline, 0)
    lines.append("seed_examples:")
    for passage in passages:
        lines += _item("context", passage.context, 2)
        lines.append("    questions_and_answers:")
        for seed in passage.seeds:
            lines += pair_lines(seed, 6)
    lines += field_lines("document", document, 0)
    return "\n".join(lines) + "\n"


def pair_lines(seed: Seed, indent: int, *, with_context: bool = False) -> list[str]:
    """Return the lines of one list item: a question and its answer, and, for a skill, the context."""
    lines = [*_item("question", seed.question, indent), *field_lines("answer", seed.answer, indent + 2)]
    return lines + (field_lines("context", seed.context, indent + 2) if with_context and seed.context else [])


def _item(key: str, text: str, indent: int) -> list[str]:
    first, *rest = field_lines(key, text, indent + 2)
    return [f"{' ' * indent}- {first.lstrip()}", *rest]


def field_lines(key: str, text: str, indent: int) -> list[str]:
    r"""Return the lines of one key and its text.

    Example:
        >>> field_lines("domain", "boats", 0), field_lines("answer", "No: never.\nNot even then.", 2)
        (['domain: boats'], ['  answer: >-', '    No: never.', '', '    Not even then.'])
    """
    space, text = " " * indent, tidy(text)
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS and len(text) + len(key) + indent < WIDTH:
        return [f"{space}{key}: {text}"]
    if any(line[:1].isspace() for line in text.split("\n")) or not text:
        return [f"{space}{key}: {json.dumps(text, ensure_ascii=False)}"]
    found = [f"{space}{key}: >-"]
    for number, line in enumerate(text.split("\n")):
        wrapped = textwrap.wrap(line, WIDTH - indent - 2, break_long_words=False, break_on_hyphens=False)
        found += [""] * bool(number) + [f"{space}  {part}" for part in wrapped]
    return found


_PLAIN = re.compile(r"[A-Za-z][\w ./-]*", re.ASCII)
_WORDS = frozenset(("true", "false", "yes", "no", "on", "off", "null", "y", "n", "nan", "inf"))


_UNWANTED = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]")


def tidy(text: str) -> str:
    r"""Return a text with single spaces in each line, and without control characters and marks that turn it around.

    Example:
        >>> tidy("  one \x07 two  \n\n three\u2028four ")
        'one two\n\nthree four'
    """
    return "\n".join(" ".join(line.split()) for line in _UNWANTED.sub(" ", text).split("\n")).strip("\n")
