"""Conversations with a model in this process: what `homeroom chat` shows, without showing anything.

A `Conversation` remembers what was said and hands the engine as much of it as fits. `compare` puts one question to
several models, each with its own memory, one after the other: two at once would share the same cores.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from homeroom.core.errors import ContentError
from homeroom.core.types import Message


class Engine(Protocol):
    """A model that can be asked: the student in torch, or a script in a test."""

    context_tokens: int

    def answer(self, conversations: list[tuple[Message, ...]], *, max_tokens: int) -> list[str]:
        """Return the most likely answers, in order."""

    def stream(
        self, messages: tuple[Message, ...], *, max_tokens: int, temperature: float, top_p: float, seed: int | None
    ) -> Iterator[str]:
        """Yield the answer a token at a time ("" for a token that is only a part of a character)."""

    def count_tokens(self, messages: tuple[Message, ...]) -> int:
        """Return how many tokens the model reads before it answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How answers are drawn."""

    max_tokens: int = 256
    temperature: float = 0.0  # a student that learned facts says them best without chance
    top_p: float = 1.0
    seed: int | None = None  # None: other answers each time, where there is chance at all


class Conversation:
    """What was said between a person and one model.

    Args:
        engine: The model.
        system: A system prompt; "" for none.
        manner: How answers are drawn.

    Example:
        >>> from homeroom.serve.chat import Conversation
        >>> conversation = Conversation(engine)  # doctest: +SKIP
        >>> "".join(conversation.reply_stream("When does the office open?"))  # doctest: +SKIP
        'At nine.'
    """

    def __init__(self, engine: Engine, *, system: str = "", manner: Manner | None = None) -> None:
        self.engine, self.manner = engine, manner or Manner()
        self._system = (Message(role="system", content=system),) if system else ()
        self.turns: tuple[Message, ...] = ()

    def reply_stream(self, text: str) -> Iterator[str]:
        """Yield the answer in pieces; the turn is remembered when the answer is whole.

        Raises:
            ContentError: `text` is empty, or alone is longer than the model can read.
        """
        if not text.strip():
            raise ContentError("the question is empty")
        asked = (*self.turns, Message(role="user", content=text))
        messages = self._fitting(asked)
        manner, pieces = self.manner, []
        for piece in self.engine.stream(
            messages,
            max_tokens=min(manner.max_tokens, self.engine.context_tokens - self.engine.count_tokens(messages)),
            temperature=manner.temperature,
            top_p=manner.top_p,
            seed=manner.seed,
        ):
            pieces.append(piece)
            yield piece
        self.turns = (*asked, Message(role="assistant", content="".join(pieces)))

    def forget(self) -> None:
        """Begin anew, with the same system prompt."""
        self.turns = ()

    def _fitting(self, turns: tuple[Message, ...]) -> tuple[Message, ...]:
        """Return the system prompt and the latest turns that leave room for the answer."""
        context = self.engine.context_tokens
        room = context - min(self.manner.max_tokens, context // 2)  # a small model answers in less than was allowed
        while self.engine.count_tokens((*self._system, *turns)) > room:
            if len(turns) <= 1:
                raise ContentError(
                    "the question is longer than the model can read",
                    hint=f"Shorten it: it reads at most {context} tokens, and the answer needs room too.",
                )
            turns = turns[2:]  # a question and its answer
        return (*self._system, *turns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A part of one model's answer."""

    name: str
    text: str


def compare(conversations: Mapping[str, Conversation], text: str) -> Iterator[Piece]:
    """Put one question to several models, in their order, and yield their answers in pieces."""
    for name, conversation in conversations.items():
        for piece in conversation.reply_stream(text):
            yield Piece(name=name, text=piece)
