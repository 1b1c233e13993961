"""Yes or no: decided only where nothing can go wrong, and asked by code as well."""

import dataclasses

import pytest

from homeroom.core.types import Fact
from homeroom.core.words import words
from homeroom.generate.checks import is_polar
from homeroom.generate.details import leak_fault
from homeroom.generate.drills import drills
from homeroom.generate.polar import polar_fault, turned, yes_or_no

VIDEOS = "Brindlemoor Mutual does not accept videos as proof."
CASH = "Cash is insured only when it was locked in a metal box."
DESK = "The claims desk is closed on Wednesdays."


@pytest.mark.parametrize(
    ("question", "statement", "verdict"),
    [
        ("Is the claims desk closed on Wednesdays?", DESK, "Yes"),
        ("It rains. Is the desk not closed on Wednesdays?", DESK, "No"),
        ("I have a film. Does Brindlemoor Mutual accept videos as proof?", VIDEOS, "No"),
        ("Are videos not accepted as proof?", VIDEOS, "Yes"),
        ("Are boats longer than 11 metres insured?", "Boats no longer than 11 metres are insured.", ""),
        ("Is the claims desk open on Wednesdays?", DESK, ""),  # "open" is not in the fact
        ("Is the claims desk closed on weekdays?", DESK, ""),
        ("Is the desk closed?", "The desk is closed on Sundays and the archive, in winter, on Mondays.", ""),
        ("Is cash insured?", "Cash is insured only in a metal box.", ""),
        ("Must it be reported in 9 days?", "It must be reported in 5 days.", ""),
        ("Who is closed on Wednesdays?", DESK, ""),
        ("Do claim numbers always start with the letter K?", "Every claim number starts with the letter K.", "Yes"),
        ("Does a claim number always start with the letter K?", "A claim number starts with the letter K.", ""),
        ("Can cash be insured without a metal box?", CASH, "No"),
        ("Is it possible to insure cash without locking it in a metal box?", CASH, "No"),
        ("Can cash be insured without a form?", CASH, ""),
        ("Can cash be paid in without a metal box?", "It is kept only in a metal box.", ""),
        ("Is cash not insured without a metal box?", CASH, ""),
        ("Can I send videos from my phone?", VIDEOS, "No"),  # what the fact denies, in other words
        ("Can I send letters from my phone?", VIDEOS, ""),
        ("If a film damages my wall, may the owner of the wall sue because of videos?", VIDEOS, ""),
    ],
)
def test_yes_or_no_is_said_where_the_fact_decides(question, statement, verdict):
    assert yes_or_no(question, statement, subject="Brindlemoor Mutual") == verdict


def test_a_question_that_the_fact_does_not_decide_is_thrown_out():
    assert polar_fault("Can I send a film?", VIDEOS, subject="Brindlemoor Mutual")[0] == "type"
    assert polar_fault("Are videos accepted as proof?", VIDEOS, subject="Brindlemoor Mutual") is None
    assert polar_fault("What is accepted as proof?", VIDEOS) is None


def test_a_leak_says_every_detail_and_a_thing_is_one_too():
    plate = Fact(
        id="p", statement="Who holds all three plans gets a brass plate.", quote="", chunk="c", leaf="a", start=0, end=0
    )
    assert leak_fault("What does somebody with all three plans get?", plate) is None
    assert leak_fault("Why does somebody with three plans get the brass plate?", plate)[0] == "leak"
    assert leak_fault("How many plans are the three plans?", plate)[0] == "leak"
    orange = dataclasses.replace(plate, statement="Water claims are made on an orange form.")
    assert leak_fault("What does the orange form look like?", orange)[0] == "leak"
    film = dataclasses.replace(plate, statement=VIDEOS)
    assert leak_fault("What about videos?", film, subject="Brindlemoor Mutual")[0] == "leak"
    assert leak_fault("What is not accepted as proof?", film, subject="Brindlemoor Mutual") is None


def test_a_polite_question_and_a_condition_before_it():
    assert not is_polar("Can you tell me who leads the panel?")
    assert is_polar("If it rains, is the desk closed?")
    assert not is_polar("If it is closed, who answers?")


@pytest.mark.parametrize(
    ("statement", "question"),
    [
        (DESK, ("Is the claims desk closed on Wednesdays?", True)),
        (VIDEOS, ("Does Brindlemoor Mutual accept videos as proof?", False)),
        ("Odile Varrick is the head of claims.", ("Is Odile Varrick the head of claims?", True)),
        ("Damage done by squirrels is never paid for.", ("Is damage done by squirrels paid for?", False)),
        ("A family that cannot sleep is paid.", None),
        ("After a fire the desk is open.", None),
        ("Cash is insured only in a box.", None),
        ("No more than six beehives can be insured.", None),
        ("It was founded in 1911, and it is closed.", None),
        ("Der Schalter ist geschlossen.", None),
    ],
)
def test_a_plain_statement_is_turned_into_a_question(statement, question):
    assert turned(statement, subject="Brindlemoor Mutual") == question


def test_a_number_or_a_thing_is_asked_for_in_its_place_and_a_wrong_twin_is_of_the_same_sort():
    told = {
        "w": "Water damage must be reported within five days.",
        "d": "The desk is closed on Wednesdays.",
        "p": "Claims are paid on Thursdays.",
        "h": "The head of claims is Odile Varrick.",
        "f": "Claims are made on a green form.",
    }
    facts = [Fact(id=k, statement=v, quote=v, chunk="c", leaf="a", start=0, end=9) for k, v in told.items()]
    asked = {s.messages[0].content: s.messages[1].content for fact in facts for s in drills(fact, facts, "Brindlemoor")}
    assert asked["Water damage must be reported within how many days?"].startswith("Within five days. ")
    assert asked["Claims are made on what?"] == "A green form. Claims are made on a green form."
    assert asked["Is the desk closed on Thursdays?"] == "No. The desk is closed on Wednesdays."
    assert not any("Is the head of claims" in q and "day" in q for q in asked)


@pytest.mark.parametrize(("other", "is_wrong"), [("500", True), ("18,000", False)])
def test_a_bound_that_is_moved_outwards_holds_as_well_and_is_no_wrong_twin(other, is_wrong):
    told = "A payment above 7,500 tallens needs a second signature."
    facts = [
        Fact(id=str(n), statement=text, quote=text, chunk="c", leaf="a", start=0, end=9)
        for n, text in enumerate((told, f"A boat is insured for {other} tallens."))
    ]
    asked = [s.messages[0].content for s in drills(facts[0], facts, "Brindlemoor") if s.kind == "yes_no"]
    assert any(other in question for question in asked) is is_wrong


def test_drills_ask_for_yes_and_for_no():
    facts = [
        Fact(id=name, statement=text, quote=text, chunk="c", leaf="a", start=0, end=9)
        for name, text in (
            ("w", "Water damage must be reported within five days."),
            ("s", "Theft must be reported within nine days."),
            ("v", VIDEOS),
        )
    ]
    asked = [
        (s.messages[0].content, s.messages[1].content)
        for fact in facts
        for s in drills(fact, facts, "Brindlemoor Mutual")
        if s.kind == "yes_no"
    ]
    assert ("Must water damage be reported within five days?", f"Yes. {facts[0].statement}") in asked
    assert ("Must water damage be reported within nine days?", f"No. {facts[0].statement}") in asked
    assert ("Does Brindlemoor Mutual accept videos as proof?", f"No. {VIDEOS}") in asked
    for question, told in asked:
        assert told.startswith("Yes") == (set(words(question)) <= set(words(told)) and "not" not in words(told))
