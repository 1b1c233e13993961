"""Rows of tables become sentences that a question can be asked about."""

import pytest

from homeroom.core.types import Chunk, Reply
from homeroom.generate.facts import read_facts
from homeroom.generate.rows import in_words
from homeroom.generate.support import passage, support_fault

TABLE = """Members may keep animals.

| Animal | Allowed | Limit | RSPB |
|---|:-:|---|---|
| **Hens** | yes | six | no |
| Cockerels | no | - | |
| a \\| b | yes | two hives | n/a |

The pond is for newts."""


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("| **Hens** | yes | six | no |", "Hens: allowed yes, limit six, RSPB no."),
        ("| Cockerels | no | - | |", "Cockerels: allowed no."),
        ("| a \\| b | yes | two hives | n/a |", "a | b: allowed yes, limit two hives."),
        ("| Animal | Allowed | Limit | RSPB |", ""),
        ("| Bees | yes | two hives |", "Bees: yes, two hives."),  # of a table that is not here
        ("The pond is for newts.", "The pond is for newts."),
        ("|", ""),
        ("| | |", ""),
    ],
)
def test_a_row_is_told_with_the_heads_of_its_columns(row, told):
    assert in_words(row, TABLE) == told


def test_a_row_that_begins_with_a_number_says_of_what():
    table = "| Plots | Rent |\n|---|---|\n| 3 | 90 crowns |"
    assert in_words("| 3 | 90 crowns |", table) == "Plots 3: rent 90 crowns."


def test_a_table_without_a_rule_has_no_head():
    assert in_words("| Hens | six |", "| Animal | Limit |\n| Hens | six |") == "Hens: six."


@pytest.mark.parametrize("reply", [None, "[2] | Animal | Allowed | Limit | RSPB |\n[3] | **Hens** | yes | six | no |"])
def test_facts_of_a_table_are_sentences_and_its_head_is_none(reply):
    chunk = Chunk(
        id="c", document="d", text=TABLE, start=0, end=len(TABLE.encode()), title="Rules", heading="Animals", leaf="l"
    )
    said = Reply(text=reply, finish_reason="stop", prompt_tokens=0, completion_tokens=9) if reply else None
    facts = {fact.statement: fact for fact in read_facts(chunk, said)}
    assert "Hens: allowed yes, limit six, RSPB no." in facts
    assert not any("|" in statement and "a | b" not in statement for statement in facts)
    assert not any("Animal" in statement for statement in facts)
    quote = facts["Hens: allowed yes, limit six, RSPB no."].quote
    assert quote == "| **Hens** | yes | six | no |"
    source = passage(TABLE, quote=quote)
    assert support_fault("Six. Hens: allowed yes, limit six, RSPB no.", source) is None
    assert support_fault("Four. Hens: allowed yes, limit four, RSPB no.", source) is not None
