from __future__ import annotations

import pytest
from tiny_student import make_tiny_student
from transformers import AutoTokenizer

from homeroom.core.errors import ContentError
from homeroom.core.types import Message
from homeroom.models.rendering import conversation_pieces, prompt_tokens

TALK = (
    Message(role="user", content="One?"),
    Message(role="assistant", content="\n\nFirst."),
    Message(role="user", content="Two?"),
    Message(role="assistant", content="Second."),
)


@pytest.fixture
def tokenizer(tmp_path_factory):
    return AutoTokenizer.from_pretrained(make_tiny_student(tmp_path_factory.mktemp("student")))


def test_what_stands_before_a_first_answer_is_exactly_the_prompt(tokenizer):
    pieces = conversation_pieces(tokenizer, TALK)
    assert [piece.is_answer for piece in pieces] == [False, True, False, True]
    assert list(pieces[0].ids) == prompt_tokens(tokenizer, TALK[:1])
    text = tokenizer.decode([token for piece in pieces for token in piece.ids])
    assert text == tokenizer.apply_chat_template([{"role": m.role, "content": m.content} for m in TALK], tokenize=False)


def test_a_template_that_rewrites_earlier_turns_is_refused_for_long_conversations_only(tokenizer):
    tokenizer.chat_template = tokenizer.chat_template.replace(
        "message['content']", "(message['content'] if loop.last or message['role'] == 'user' else 'forgotten')"
    )
    assert len(conversation_pieces(tokenizer, TALK[:2])) == 2
    with pytest.raises(ContentError, match="turn 2"):
        conversation_pieces(tokenizer, TALK)


def test_a_template_that_refuses_a_conversation_gives_our_error(tokenizer):
    tokenizer.chat_template = "{{ raise_exception('no system prompts here') }}"
    with pytest.raises(ContentError, match="no system prompts here"):
        prompt_tokens(tokenizer, TALK[:1])


def test_a_template_is_told_not_to_think(tokenizer):
    tokenizer.chat_template = "{{ 'thinks' if enable_thinking is not defined or enable_thinking else 'answers' }}"
    assert tokenizer.decode(prompt_tokens(tokenizer, TALK[:1])) == "answers"
