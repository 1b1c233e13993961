"""Is it really on? Whether the model that was started answers as the report says that the tuned student does.

    items.jsonl (questions with both models' answers) -> those that tell the two apart -> asked again -> Proof

Users of other tools ask whether the served model is the tuned one at all. The report keeps every answer that the base
and the tuned student gave, greedily; so the questions whose two answers differ are put to the served model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from homeroom.core.errors import RefusedError
from homeroom.core.types import Answer, Message

ASKED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """How the served model answered questions that tell tuned and base apart."""

    asked: int
    tuned: int  # answered as the report has it of the tuned student
    base: int  # answered as the report has it of the base

    def in_words(self) -> str:
        """Return it as a sentence."""
        if not self.asked:
            return "not proved: there is no report with answers that differ"
        return f"{self.tuned} of {self.asked} answers are the tuned student's, {self.base} the base's"


def prove(items: Sequence[Mapping[str, Any]], answer: Answer, *, max_tokens: int) -> Proof:
    """Ask the served model some questions of the report on which base and tuned differ.

    Args:
        items: Lines of `items.jsonl`.
        max_tokens: As the report was made with.

    Raises:
        RefusedError: it answers every one as the base does: these are not the tuned weights.
    """
    fit = [i for i in items if i.get("set") == "final" and i.get("kind") == "short" and not i.get("context")]
    chosen = [i for i in fit if i["before"] != i["after"]][:ASKED]
    if not chosen:
        return Proof(asked=0, tuned=0, base=0)
    said = answer([(Message(role="user", content=i["question"]),) for i in chosen], max_tokens=max_tokens)
    proof = Proof(
        asked=len(chosen),
        tuned=sum(text == item["after"] for text, item in zip(said, chosen, strict=True)),
        base=sum(text == item["before"] for text, item in zip(said, chosen, strict=True)),
    )
    if proof.base == proof.asked:
        raise RefusedError(
            f"answers all of {proof.asked} questions as the base does: these are not the tuned weights",
            where="out/model",
            hint="homeroom run makes the student and its report anew.",
        )
    return proof
