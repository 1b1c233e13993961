"""What people decided about samples, kept in the course so that it outlives every generation.

    samples.decisions.jsonl   a line a decision: which sample, what about it, who, why; the last one about it counts

A sample is known by its question (or text) and leaf, not by its id: the teacher may word the answer anew, and a person
who rejected the question meant the question. An accepted or mended sample is kept whole, so it stays even where the
next generation does not make it again; a rejected one is thrown out by the check "person", with the person's reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from homeroom.core.errors import ContentError
from homeroom.core.files import hash_file, read_jsonl
from homeroom.core.types import Rejected, Sample, content_id
from homeroom.generate.sifted import Item

FILE = "samples.decisions.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a person decided about one sample."""

    key: str  # of the sample as the teacher made it
    what: Literal["accept", "edit", "reject", "undo"]
    sample: Sample | None = None  # as it is to be learned, for "accept" and "edit"
    reason: str = ""
    who: str = ""
    at: str = ""  # ISO 8601


def key_of(sample: Sample) -> str:
    """Return what a sample is known by: its leaf and its question's, or text's, words.

    Example:
        >>> import dataclasses
        >>> from homeroom.core.types import Message
        >>> one = Sample(id="1", kind="direct", leaf="a", messages=(Message(role="user", content="Who, then?"),))
        >>> other = dataclasses.replace(one, id="2", messages=(Message(role="user", content="who then"),))
        >>> key_of(one) == key_of(other)
        True
    """
    return key_of_words(sample.leaf, next((m.content for m in sample.messages if m.role == "user"), sample.text))


def key_of_words(leaf: str, asked: str) -> str:
    """Return `key_of` for a leaf and the question, or text, of a sample: a hundred thousand in seconds."""
    return content_id(leaf, re.findall(r"\w+", asked.casefold()) or asked)


def read_decisions(course: Path) -> dict[str, Decision]:
    """Return the decision that counts for each sample; `{}` where none was made.

    Raises:
        ContentError: the file has lines that are no decisions, or that accept or mend a sample and do not hold it.
    """
    path = course / FILE
    found: dict[str, Decision] = {}
    for number, decision in enumerate(read_jsonl(path, Decision) if path.is_file() else (), 1):
        if decision.what in ("accept", "edit") and decision.sample is None:
            hint = "Give the sample as it is to be learned, or remove the line."
            raise ContentError(f"decision {number} ({decision.what}) holds no sample", where=str(path), hint=hint)
        found.pop(decision.key, None)
        if decision.what != "undo":
            found[decision.key] = decision
    return found


def hash_decisions(course: Path) -> dict[str, str]:
    """Return what a stage's record says of the decisions: nothing where there are none."""
    path = course / FILE
    return {"decisions": hash_file(path)} if path.is_file() else {}


def decided(items: Iterable[Item], decisions: dict[str, Decision], *, leaves: Iterable[str]) -> Iterator[Item]:
    """Yield samples and rejected ones as people decided; decisions about leaves that are gone are passed over.

    What people threw out comes last, and with it whatever asks what an accepted or mended sample asks.
    """
    known, used, thrown = set(leaves), set[str](), list[Rejected]()
    taken = {key for key, d in decisions.items() if d.what != "reject"}
    for item in items:
        if isinstance(item, Rejected):
            if key_of(item.sample) not in taken:
                yield item
            continue
        decision = decisions.get(key_of(item)) if decisions else None
        if decision is None:
            yield item
        elif decision.what == "reject":
            reason = decision.reason or "a person said no"
            thrown.append(Rejected(sample=item, check="person", reason=reason))
        elif decision.key in used or decision.sample is None:
            reason = "asks the same as a sample that a person accepted or mended"
            thrown.append(Rejected(sample=item, check="person", reason=reason))
        else:
            used.add(decision.key)
            yield decision.sample
    for key, decision in decisions.items():
        if key not in used and decision.what != "reject" and decision.sample and decision.sample.leaf in known:
            yield decision.sample
    yield from thrown
