"""Messages -> token ids, the one way in which training, the exam and the chat all do it.

The tokenizer's own chat template makes the text. A conversation is cut where answers begin and end, and the pieces
are tokenized apart, so a trained answer follows exactly the tokens that a prompt will have: `prompt_tokens` of the
turns before it. Words such as `<|im_end|>` inside a message are text, never control tokens: a document or a user
cannot end a turn or speak as the system.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from homeroom.core.errors import ContentError
from homeroom.core.types import Message

STAND_INS = [chr(code) for code in range(0xE000, 0xE100)]  # private characters, in no ordinary text


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a conversation: an answer with the token that ends it, or what stands before or between."""

    ids: tuple[int, ...]
    is_answer: bool


def prompt_tokens(tokenizer: Any, messages: Sequence[Message]) -> list[int]:
    """Return the tokens of a conversation up to where the next answer begins.

    Raises:
        ContentError: the chat template does not take such a conversation.
    """
    hidden = _Hidden(tokenizer, messages)
    return _tokens(tokenizer, hidden.render(len(messages), True), hidden)


def conversation_pieces(tokenizer: Any, messages: Sequence[Message]) -> list[Piece]:
    """Return a whole conversation as pieces, in order; every assistant message is a piece of its own.

    Raises:
        ContentError: it does not end with the assistant, or the chat template changes earlier turns when later ones
            come, so that training could not see what a prompt will be.
    """
    if not messages or messages[-1].role != "assistant":
        raise ContentError("a conversation to learn from must end with the assistant")
    hidden = _Hidden(tokenizer, messages)
    whole = hidden.render(len(messages), False)
    pieces, done = [], 0
    for number, message in enumerate(messages):
        if message.role != "assistant":
            continue
        before, after = hidden.render(number, True), hidden.render(number + 1, False)
        if not (whole.startswith(before) and whole.startswith(after) and done < len(before) < len(after)):
            raise ContentError(
                f"the student's chat template writes turn {number + 1} differently once later turns follow",
                hint="Split the conversation, so that the answer to learn is its last turn.",
            )
        pieces.append(Piece(tuple(_tokens(tokenizer, whole[done : len(before)], hidden)), False))
        pieces.append(Piece(tuple(_tokens(tokenizer, whole[len(before) : len(after)], hidden)), True))
        done = len(after)
    return pieces


def text_tokens(tokenizer: Any, text: str) -> list[int]:
    """Return the tokens of a plain text, in which nothing is a control token."""
    return tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]


class _Hidden:
    """The messages with every control word in them replaced by a private character, until after tokenizing."""

    def __init__(self, tokenizer: Any, messages: Sequence[Message]) -> None:
        self.template = tokenizer.apply_chat_template
        contents = [message.content for message in messages]
        free = iter(character for character in STAND_INS if not any(character in text for text in contents))
        self.words: dict[str, str] = {}  # stand-in -> control word
        for word in sorted(tokenizer.all_special_tokens, key=len, reverse=True):
            if any(word in text for text in contents):
                stand_in = next(free, None)
                if stand_in is None:
                    raise ContentError("too many private characters and control words in one conversation")
                self.words[stand_in] = word
                contents = [text.replace(word, stand_in) for text in contents]
        self.turns = [{"role": m.role, "content": text} for m, text in zip(messages, contents, strict=True)]

    def render(self, count: int, ask: bool) -> str:
        """Return the text of the first `count` turns, and the beginning of an answer when `ask`."""
        if count == 0:
            return ""
        try:
            return self.template(self.turns[:count], tokenize=False, add_generation_prompt=ask, enable_thinking=False)
        except Exception as error:  # a template raises whatever its author chose
            raise ContentError(f"the student's chat template does not take this conversation ({error})") from None


def _tokens(tokenizer: Any, text: str, hidden: _Hidden) -> list[int]:
    ids: list[int] = []
    start = 0
    for place, character in enumerate(text):
        if character in hidden.words:
            ids += tokenizer(text[start:place], add_special_tokens=False)["input_ids"]
            ids += text_tokens(tokenizer, hidden.words[character])
            start = place + 1
        elif not hidden.words:
            break
    return ids + tokenizer(text[start:], add_special_tokens=False)["input_ids"]
