"""A fact with a gap: what stands in it, and how it is asked for."""

import pytest

from homeroom.generate.gap import GAP, gapped


@pytest.mark.parametrize(
    ("statement", "detail", "text", "asks"),
    [
        ("Water damage must be reported within five days.", "five days", "within ____.", "within what time"),
        ("Files are kept for nine years.", "nine years", "kept for ____.", "for how long? how many years?"),
        ("A bicycle is insured for at most 1,400 tallens.", "1,400 tallens", "at most ____.", "how many tallens?"),
        ("A late report lowers it by 15 percent.", "15 percent", "it by ____.", "by how many percent?"),
        ("The extension of the desk is 4417.", "4417", "desk is ____.", "which number?"),
        ("The desk opens at 7:30 a.m. on Mondays.", "7:30 a.m.", "at ____ on", "at what time?"),
        ("The desk is closed on Wednesdays.", "Wednesdays", "closed on ____.", "on which day?"),
        ("The panel meets in the Old Rope Loft.", "Old Rope Loft", "in the ____.", "where?"),
        ("The panel is led by Sunniva Okell.", "Sunniva Okell", "led by ____.", "which person?"),
        ("It is signed by the treasurer, Ignace Pomeroy.", "Ignace Pomeroy", "treasurer, ____.", "which person?"),
        ("Only the Harbour plan has it.", "Harbour", "the ____ plan", "which?"),
        ("Claims are made on a green form.", "a green form", "made on ____.", "what? which?"),
        ("It may be paid for in monthly instalments.", "in monthly instalments", "paid for in ____.", "what? which?"),
        ("Cash is insured only when it was locked.", "only when it was locked", "insured ____.", "what condition?"),
    ],
)
def test_a_gap_stands_for_the_detail_and_its_question_word_fits(statement, detail, text, asks):
    found = gapped(statement, detail, is_english=True)
    assert text in found.text
    assert found.text.replace(GAP, found.missing) == statement
    assert asks in found.asks


def test_in_another_language_nothing_is_said_of_how_to_ask():
    assert gapped("Akten werden neun Jahre aufbewahrt.", "neun Jahre", is_english=False).asks == ""


def test_what_is_not_in_the_fact_is_no_gap():
    with pytest.raises(ValueError, match="is not in"):
        gapped("The desk is closed.", "open", is_english=True)
