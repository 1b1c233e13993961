"""Samples -> token ids and what of them is learned.

    Sample -> encode -> Encoded(prefix | ids, learn)

Of a conversation the answers are learned, each with the token that ends it; of a plain text, everything. `prefix` is
the beginning that all conversations with this system prompt share: it is never learned, so `batches` reads it once for
many samples. Look at any sample with `show`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from homeroom.core.errors import ContentError
from homeroom.core.types import Message, Sample
from homeroom.models.rendering import conversation_pieces, prompt_tokens, text_tokens

if TYPE_CHECKING:
    from homeroom.train.soft import Soft


FREE = frozenset({"direct", "inverted", "in_place", "composed", "replay"})  # kinds whose questions have words to spare


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """A sample as the student reads it."""

    prefix: tuple[int, ...]  # tokens shared with other samples, read before `ids`; may be empty
    ids: tuple[int, ...]
    learn: tuple[bool, ...]  # one for each of `ids`; the first is never learned: nothing certain stands before it
    cut: int = 0  # tokens at the end that did not fit
    replay: bool = False  # of a general prompt, read in its share
    question: int = 0  # the first so many of `ids` are a question of which words may be missing; see dropout.py
    answer: int = 0  # ... and there its answer begins
    soft: Soft | None = field(default=None, compare=False)  # what the base expects at each learned token; see soft.py


def encode_all(samples: Iterable[Sample], tokenizer: Any, *, eos_id: int, max_tokens: int) -> list[Encoded]:
    """Encode every sample, in order.

    Raises:
        ContentError: naming the first ten samples from which nothing can be learned.
    """
    encoded, faults = [], []
    for number, sample in enumerate(samples, 1):
        try:
            encoded.append(encode(sample, tokenizer, eos_id=eos_id, max_tokens=max_tokens))
        except ContentError as error:
            faults.append(f"sample {sample.id} (number {number}): {error.message}")
    if faults:
        raise ContentError(f"{len(faults)} samples cannot be learned from: {'; '.join(faults[:10])}")
    return encoded


def encode(sample: Sample, tokenizer: Any, *, eos_id: int, max_tokens: int) -> Encoded:
    """Return a sample's tokens, prefix apart, and which of them are learned.

    Args:
        sample: A conversation that ends with the assistant, or a text.
        tokenizer: The student's.
        eos_id: The token that ends an answer or a text.
        max_tokens: Longest sample, prefix included; what is beyond is cut off and counted.

    Raises:
        ContentError: nothing would be learned (no answer, an empty one, or one wholly beyond `max_tokens`), or all
            of a conversation of which only the answers should be.
    """
    if bool(sample.text) == bool(sample.messages):
        raise ContentError("a sample is either a conversation or a text")
    if sample.text:
        ids = [*text_tokens(tokenizer, sample.text), eos_id]
        learn = [True] * len(ids)
    else:
        ids, learn = _conversation(sample, tokenizer, eos_id)
    prefix, tail = ((), 0) if sample.learn == "all" or sample.text else _shared(tokenizer, sample.messages)
    if tuple(ids[: len(prefix)]) != prefix or any(learn[: len(prefix) + 1]):
        prefix = ()
    cut = max(0, len(ids) - max_tokens)
    ids, learn = ids[len(prefix) : max_tokens], learn[len(prefix) : max_tokens]
    if learn:
        learn[0] = False
    if not any(learn):
        raise ContentError(
            "nothing in it would be learned", hint="Is the answer empty, or the prompt longer than the student reads?"
        )
    if sample.messages and sample.learn == "assistant" and all(learn[1:]) and not prefix:
        raise ContentError(
            "all of it would be learned, the question too: the chat template writes nothing before answers"
        )
    answer = learn.index(True)
    is_free = sample.kind in FREE and len(sample.messages) == 2 and prefix
    return Encoded(
        prefix=prefix,
        ids=tuple(ids),
        learn=tuple(learn),
        cut=cut,
        replay=sample.kind == "replay",
        question=max(0, answer - tail) if is_free else 0,
        answer=answer if is_free else 0,
    )


def _conversation(sample: Sample, tokenizer: Any, eos_id: int) -> tuple[list[int], list[bool]]:
    ids: list[int] = []
    learn: list[bool] = []
    pieces = conversation_pieces(tokenizer, sample.messages)
    for piece, message in zip(pieces[1::2], (m for m in sample.messages if m.role == "assistant"), strict=True):
        if piece.is_answer and not message.content.strip():
            raise ContentError("an answer in it is empty")
    for piece in pieces:
        ids += piece.ids
        end = len(piece.ids) - piece.ids[::-1].index(eos_id) if piece.is_answer and eos_id in piece.ids else None
        learn += [piece.is_answer and (end is None or n < end) for n in range(len(piece.ids))]
    if eos_id not in pieces[-1].ids:  # a template that leaves the end of the last answer open
        ids, learn = [*ids, eos_id], [*learn, True]
    last = len(learn) - learn[::-1].index(True)
    if sample.learn == "all":
        return ids[:last], [True] * last
    return ids[:last], learn[:last]  # what the template writes after the last answer teaches nothing


def _shared(tokenizer: Any, messages: Sequence[Message]) -> tuple[tuple[int, ...], int]:
    """Return the tokens with which every prompt under this system prompt begins, and how many end each."""
    system = messages[:1] if messages[0].role == "system" else ()
    one, other = (prompt_tokens(tokenizer, [*system, Message(role="user", content=word)]) for word in ("A", "7"))
    begin, end = _same(one, other), _same(one[::-1], other[::-1])
    return tuple(begin), len(end)


def _same(one: Sequence[int], other: Sequence[int]) -> list[int]:
    pairs = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return [token for token, _ in pairs]


def labelled(encoded: Encoded, tokenizer: Any) -> list[tuple[str, str]]:
    """Return each token's text with its label: "shared" (the prefix), "read" or "learned"."""
    labels = ["shared"] * len(encoded.prefix) + ["learned" if learned else "read" for learned in encoded.learn]
    texts = [tokenizer.decode([token]) for token in (*encoded.prefix, *encoded.ids)]
    return list(zip(texts, labels, strict=True))


def show(encoded: Encoded, tokenizer: Any) -> str:
    """Return the sample as text in which what is learned stands between ⟦ and ⟧, and "|" ends the shared prefix."""
    parts = [tokenizer.decode(list(encoded.prefix)) + "|" if encoded.prefix else ""]
    start = 0
    for place in range(1, len(encoded.ids) + 1):
        if place == len(encoded.ids) or encoded.learn[place] != encoded.learn[start]:
            text = tokenizer.decode(list(encoded.ids[start:place]))
            parts.append(f"⟦{text}⟧" if encoded.learn[start] else text)
            start = place
    return "".join(parts)
