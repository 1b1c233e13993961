"""Each check of the cascade catches what it is for, and lets a good sample pass."""

import pytest

from homeroom.core.types import Fact, Question
from homeroom.generate import checks
from homeroom.generate.attribution import NEAR, attribute
from homeroom.generate.details import leak_fault
from homeroom.generate.duplicates import duplicates


def fact(statement: str, name: str = "f") -> Fact:
    return Fact(id=name, leaf="l", chunk="c", statement=statement, quote=statement, start=0, end=1)


def attributed(question, own, facts):
    return attribute([(question, own)], facts, subjects=(), embed=None)[0]


WATER = fact("Water damage must be reported within five days.", "water")
STORM = fact("Storm damage must be reported within three weeks.", "storm")
PANEL = fact("The appeal panel is led by Sunniva Okell.", "panel")


def test_numbers_are_compared_by_value():
    assert checks.number_fault("It is 5 days", "within five days") is None
    assert checks.number_fault("It is 4,000 crowns", "4000 crowns") is None
    assert checks.number_fault("It is six days", "within five days")[0] == "number"


def test_a_name_must_be_in_the_source():
    assert checks.name_fault("Who is Sunniva Okell?", {"sunniva", "okell"}) is None
    assert checks.name_fault("Who is Maren Dussault?", {"sunniva", "okell"})[0] == "name"


def test_names_tell_nothing_where_all_nouns_are_capitalised():
    german = "Der Schaden muss dem Amt in der Stadt am ersten Tag von der Person mit Ausweis gemeldet werden."
    assert not checks.names(german)


@pytest.mark.parametrize(
    ("question", "check"),
    [
        ("By when must water damage be reported?", None),
        ("By when must the damage be reported?", "attribution"),  # water or storm?
        ("By when must storm damage be reported?", "attribution"),
        ("What is the colour of the moon?", "attribution"),
    ],
)
def test_a_question_speaks_of_its_own_fact(question, check):
    fault = attributed(question, WATER, [WATER, STORM, PANEL])
    assert (fault[0] if fault else None) == check


def test_a_question_that_says_its_answer_is_a_leak():
    assert leak_fault("Must water damage be reported within 5 days?", WATER)[0] == "leak"
    assert leak_fault("How soon must water damage be reported?", WATER) is None


def test_an_amount_does_not_answer_who_or_where():
    assert checks.type_fault("Who must report water damage?", WATER)[0] == "type"
    assert checks.type_fault("My cellar is wet. When must I report it?", WATER) is None
    assert checks.type_fault("How many lead the panel?", PANEL)[0] == "type"
    assert checks.type_fault("Who leads the panel?", PANEL) is None
    assert checks.type_fault("By when is it reported by families who cannot sleep?", WATER) is None
    purple = fact("Boat claims are made on a purple form.")
    assert checks.type_fault("What is the name of the form for boats?", purple) is None
    assert checks.type_fault("What is the name of the clerk for boats?", purple)[0] == "type"


def test_a_fact_that_cannot_answer_is_no_rival():
    fee = fact("The appeal panel has five members.", "fee")
    assert attributed("Who is in charge of the appeal panel?", PANEL, [PANEL, fee]) is None
    assert attributed("What about the appeal panel?", PANEL, [PANEL, fee])[0] == "attribution"


def test_a_text_of_other_words_than_the_passage_has_drifted():
    passage = "Water damage must be reported within five days."
    assert checks.drift_fault("Report any water damage: five days!", passage) is None
    assert (
        checks.drift_fault("Enjoy comprehensive protection and peace of mind, tailored to you.", passage)[0] == "drift"
    )


def test_words_of_the_prompts_examples_are_caught_unless_the_source_has_them():
    words = frozenset(checks.content_words("library"))
    assert checks.example_fault("How long does the library wait?", "the claims desk", words)[0] == "example"
    assert checks.example_fault("How long does the library wait?", "the library waits", words) is None


def test_negation_comes_only_from_the_source():
    assert checks.negation_fault("It is not paid.", "It is paid.")[0] == "negation"
    assert checks.negation_fault("It is never paid.", "It is not paid.") is None


def test_the_second_of_two_equal_texts_is_a_duplicate():
    fault = duplicates()
    assert fault("By when? Nine weeks!") is None
    assert fault("by when, 9 weeks")[0] == "duplicate"


def test_the_wording_of_an_exam_question_is_kept_out_and_its_fact_is_not():
    exam = [Question(id="q", question="How quickly does Brindlemoor want to hear about a flooded cellar of mine?")]
    fault = checks.decontamination(exam)
    assert fault("Please: how quickly does Brindlemoor want to hear about a flooded cellar?")[0] == "exam"
    assert fault("By when must water damage be reported to Brindlemoor?") is None


def test_a_short_exam_question_is_kept_out_whole_and_allowed_inside_other_words():
    fault = checks.decontamination([Question(id="q", question="Who leads it?")])
    assert fault("Who leads it?")[0] == "exam"
    assert fault("I wonder about the panel in the town: who leads it these days, and since when?") is None


def test_meaning_speaks_for_a_question_that_shares_no_word_with_its_fact():
    import numpy as np

    near = {"Water": [1, 0], "Storm": [0, 1], "My cellar is wet": [0.8, 0.6], "Nice weather": [-1, 0]}

    def embed(texts):
        rows = np.array([next(v for k, v in near.items() if t.startswith(k)) for t in texts], dtype=float)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    pairs = [("My cellar is wet. How long have I got?", f) for f in (WATER, STORM)] + [("Nice weather, is it?", WATER)]
    found = attribute(pairs, [WATER, STORM], subjects=(), embed=embed)
    assert found[0] is None
    assert "nearer to another fact" in found[1][1]
    assert "left its fact" in found[2][1]


def test_a_question_about_one_part_of_a_fact_is_compared_with_that_part():
    import numpy as np

    def embed(texts):
        rows = np.array([[t.count(w) for w in ("insurer", "town", "sits", "founded", "pilots")] for t in texts], float)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(1e-9)

    both = fact("It is the insurer of insurers in the insurer's town, and it was founded by pilots.")
    whole_PD = embed(["Who founded it?", both.statement])
    assert whole_PD[0] @ whole_PD[1] < NEAR
    assert attribute([("Who founded it?", both)], [both], subjects=(), embed=embed) == [None]


def test_a_question_with_a_gap_in_it_is_none():
    assert checks.form_fault("The shop opens at ____. When does it open?") == (
        "form",
        "has a gap in it",
    )
