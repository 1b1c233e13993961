"""Conversations: what the engine is handed, and what is remembered."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from homeroom.core.errors import ContentError
from homeroom.core.types import Message
from homeroom.serve.chat import Conversation, Manner, compare


class Parrot:
    """An engine that says how many messages it got and repeats the last; a word is a token."""

    def __init__(self, name: str = "parrot", context_tokens: int = 100) -> None:
        self.name, self.context_tokens = name, context_tokens
        self.seen: list[tuple[Message, ...]] = []

    def answer(self, conversations: list[tuple[Message, ...]], *, max_tokens: int) -> list[str]:
        return [messages[-1].content for messages in conversations]

    def stream(self, messages: tuple[Message, ...], **options: object) -> Iterator[str]:
        self.seen.append(messages)
        assert 0 < options["max_tokens"] <= self.context_tokens - self.count_tokens(messages)
        yield from (self.name, " ", messages[-1].content)

    def count_tokens(self, messages: tuple[Message, ...]) -> int:
        return sum(len(message.content.split()) for message in messages)


def say(conversation: Conversation, text: str) -> str:
    return "".join(conversation.reply_stream(text))


def test_a_conversation_hands_over_all_that_was_said():
    parrot = Parrot()
    conversation = Conversation(parrot, system="Be short.")
    assert say(conversation, "one") == "parrot one"
    say(conversation, "two")
    assert [(m.role, m.content) for m in parrot.seen[1]] == [
        ("system", "Be short."),
        ("user", "one"),
        ("assistant", "parrot one"),
        ("user", "two"),
    ]


def test_forgetting_keeps_the_system_prompt():
    parrot = Parrot()
    conversation = Conversation(parrot, system="Be short.")
    say(conversation, "one")
    conversation.forget()
    say(conversation, "two")
    assert [m.role for m in parrot.seen[1]] == ["system", "user"]


def test_the_oldest_turns_give_way_when_there_is_no_room():
    parrot = Parrot(context_tokens=20)
    conversation = Conversation(parrot, system="Be short.", manner=Manner(max_tokens=10))
    for number in range(4):
        say(conversation, f"question {number}")
    last = parrot.seen[-1]
    assert last[0].role == "system"
    assert last[-1].content == "question 3"
    assert last[1].role == "user"
    assert parrot.count_tokens(last) <= 10
    assert len(conversation.turns) == 8  # it is forgotten by the model only


def test_a_question_that_is_too_long_or_empty_is_refused():
    conversation = Conversation(Parrot(context_tokens=20), manner=Manner(max_tokens=10))
    with pytest.raises(ContentError, match="longer than the model can read"):
        say(conversation, "word " * 11)
    with pytest.raises(ContentError, match="empty"):
        say(conversation, "  ")
    assert conversation.turns == ()


def test_an_answer_that_was_broken_off_is_not_remembered():
    conversation = Conversation(Parrot())
    pieces = conversation.reply_stream("one")
    next(pieces)
    pieces.close()
    assert conversation.turns == ()


def test_two_models_are_asked_the_same_each_with_its_own_memory():
    base, tuned = Parrot("base"), Parrot("tuned")
    both = {"base": Conversation(base), "tuned": Conversation(tuned)}
    for text in ("one", "two"):
        said = {"base": "", "tuned": ""}
        for piece in compare(both, text):
            said[piece.name] += piece.text
        assert said == {"base": f"base {text}", "tuned": f"tuned {text}"}
    assert tuned.seen[1][1].content == "tuned one"
    assert base.seen[1][1].content == "base one"
