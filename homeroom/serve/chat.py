"""Conversations with a model in this process: what `homeroom chat` shows, without showing anything.

A `Conversation` remembers what was said and hands the engine as much of it as fits. `compare` puts one question to
several models, each with its own memory, one after the other: two at once would share the same cores.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from textwrap import wrap
from typing import Protocol

from homeroom.core.errors import ContentError
from homeroom.core.types import Message
from homeroom.serve.retrieval import Cited, Library


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
        library: Documents to look every question up in; what is found stands before the question, and is forgotten
            with the answer.

    Example:
        >>> from homeroom.serve.chat import Conversation
        >>> conversation = Conversation(engine)  # doctest: +SKIP
        >>> "".join(conversation.reply_stream("When does the office open?"))  # doctest: +SKIP
        'At nine.'
    """

    def __init__(
        self, engine: Engine, *, system: str = "", manner: Manner | None = None, library: Library | None = None
    ) -> None:
        self.engine, self.manner, self.library = engine, manner or Manner(), library
        self.sources: tuple[Cited, ...] = ()  # of the last answer
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
        messages = self._fitting((*self.turns, self._read(text)))
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

    def _read(self, text: str) -> Message:
        """Return the question with what was looked up before it."""
        found = self.library.look_up(text) if self.library else None
        self.sources = found.sources if found else ()
        return Message(role="user", content=f"{found.text}\n\n{text}" if found else text)

    def last(self) -> tuple[str, str]:
        """Return the last question and its answer; ("", "") at the beginning."""
        return (self.turns[-2].content, self.turns[-1].content) if self.turns else ("", "")

    def forget(self) -> None:
        """Begin anew, with the same system prompt."""
        self.turns, self.sources = (), ()

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


def columns(texts: Mapping[str, str], *, width: int) -> list[str]:
    """Return answers side by side, each in a column under its name, as lines of at most `width` characters.

    Example:
        >>> columns({"base": "I do not know.", "tuned": "At nine."}, width=21)
        ['base      | tuned', 'I do not  | At nine.', 'know.     |']
    """
    each = max(8, (width - 3 * (len(texts) - 1)) // len(texts))
    cells = [
        [name, *(part for line in text.split("\n") for part in wrap(line, each) or [""])]
        for name, text in texts.items()
    ]
    rows = zip_longest(*cells, fillvalue="")
    return [" | ".join(cell.ljust(each) for cell in row).rstrip() for row in rows]


def transcript(conversations: Mapping[str, Conversation]) -> str:
    """Return what was said as Markdown, one heading a model."""
    parts = []
    for name, conversation in conversations.items():
        lines = [f"**{turn.role}**: {turn.content}" for turn in conversation.turns]
        parts.append("\n\n".join([f"## {name or 'model'}", *lines]))
    return "\n\n".join(parts) + "\n"
