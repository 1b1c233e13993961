import time

import pytest

from homeroom.core.types import Question
from homeroom.evaluate.checks import CHECKS, common_length, strip_lead_in

PLAIN = Question(id="q", question="?")


def good(name, answer, question=PLAIN):
    return CHECKS[name](question, answer) == ""


@pytest.mark.parametrize(
    "answer", ['{"a": [1, null]}', "[]", '```json\n{"a": 1}\n```', "Here it is:\n```\n[1, 2]\n```\nBye."]
)
def test_json_objects_and_lists_are_valid_fenced_or_not(answer):
    assert good("valid_json", answer)


@pytest.mark.parametrize(
    "answer", ["{'a': 1}", '{"a": 1} and more', "42", '"text"', "{", "NaN", "[NaN]", "", "[" * 50_000, "1" * 50_000]
)
def test_what_is_not_one_json_document_fails_without_an_error(answer):
    assert not good("valid_json", answer)


def test_a_markdown_table_needs_header_dashes_and_even_rows():
    table = "| plan | fee |\n|:---|---:|\n| Lantern | 90 |\n| Harbour | 210 |"
    assert good("markdown_table", table)
    assert good("markdown_table", f"Here is the table:\n\n{table}\n\nThat is all.")
    assert good("markdown_table", "a | b\n--- | ---\n1 | 2 \\| 3")
    assert not good("markdown_table", "| a | b |\n| 1 | 2 |")
    assert not good("markdown_table", "| a | b |\n|---|---|")
    assert not good("markdown_table", "| a | b |\n|---|---|\n| 1 |")
    assert not good("markdown_table", "a\n---\nb")
    assert not good("markdown_table", "")


def test_csv_needs_two_even_rows_and_columns():
    assert good("csv", "plan,fee\nLantern,90\n")
    assert good("csv", '```csv\nplan,"fee, in tallens"\nLantern,90\n```')
    assert not good("csv", "plan,fee")
    assert not good("csv", "plan\nLantern")
    assert not good("csv", "plan,fee\nLantern")
    assert not good("csv", 'plan,fee\n"Lantern,90')
    assert not good("csv", "The plan, I think, is this.\nIt costs 90.")


# -- keeps_rest ----------------------------------------------------------------------------------------------------

TEXT = Question(
    id="q",
    question="?",
    context="Each fireman must sign the book before he is allowed to enter, and a workman may watch from the gate.",
    must=(("firefighter",), ("they", "the firefighter"), ("worker",)),
    must_not=("fireman", "he", "workman"),
)


GOOD = "Each firefighter must sign the book before they are allowed to enter, and a worker may watch from the gate."


@pytest.mark.parametrize(
    "answer",
    [GOOD, f'"{GOOD}"', f"Rewritten text:\n{GOOD.replace(',', '')}", GOOD.replace("may watch", "may only watch")],
)
def test_replaced_terms_articles_and_agreement_are_no_loss(answer):
    assert good("keeps_rest", answer, TEXT)


@pytest.mark.parametrize(
    "answer",
    [
        "Each firefighter must sign before they enter; a worker may watch.",
        "firefighter they worker",
        "from the gate watch may worker a and, enter to allowed are they before book the sign must firefighter Each",
        f"{GOOD} This wording includes everyone, whatever their gender, and is friendlier.",
    ],
)
def test_a_rewrite_that_shortens_reorders_or_adds_fails(answer):
    assert not good("keeps_rest", answer, TEXT)


def test_the_reason_counts_the_words():
    assert CHECKS["keeps_rest"](TEXT, "firefighter") == "keeps 0 of the other 16 words"


def test_a_lead_in_that_is_part_of_the_context_stays():
    context = "Here are the rules: be kind."
    assert strip_lead_in("Here are the rules: be kind.", context) == "Here are the rules: be kind."
    assert strip_lead_in("Here is the text: “Be kind.”", "Be kind.") == "Be kind."
    assert strip_lead_in("“Be kind,” she said.", "x") == "“Be kind,” she said."


def test_the_longest_common_subsequence_is_right_and_quick_on_texts_made_to_be_slow():
    assert common_length(list("abcd"), list("bxda")) == 2
    assert common_length([], ["a"]) == common_length(["a"], []) == 0
    assert common_length(["a"] * 7, ["a"] * 5) == 5
    start = time.process_time()
    assert common_length(["a", "b"] * 5000, ["b", "a"] * 5000) == 9999
    assert time.process_time() - start < 3
