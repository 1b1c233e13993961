"""Who says a line is no part of what it says; a list of hours and prices has no speakers."""

import dataclasses

from homeroom.core.types import Chunk, Fact, Reply
from homeroom.generate.answers import answer
from homeroom.generate.drills import choices
from homeroom.generate.facts import clear_fact, clear_requests, read_facts
from homeroom.generate.fit import fit_fault
from homeroom.generate.speakers import speakers, without_speaker

TALK = "**Kit Marlo:** I am at my bench on Fridays only.\n\n**Visitor in a green coat:** And the shed shuts at nine."
CHUNK = Chunk(
    id="c", document="d", leaf="knowledge/shed", start=0, end=len(TALK), text=TALK, title="A talk", heading=""
)


def test_labels_of_speakers_are_found_and_those_of_lists_are_not():
    assert speakers(TALK) == {"Kit Marlo", "Visitor in a green coat"}
    assert speakers("[00:12:07] KIT: We open at nine.\n[00:12:09] ADA: Good.") == {"KIT", "ADA"}
    assert not speakers("Hours: nine to five.\nPrice: two crowns a week.")
    assert without_speaker("[00:12:07] KIT: we open at nine.", frozenset({"KIT"})) == "We open at nine."
    assert without_speaker("Cockerels: allowed no.", frozenset({"KIT"})) == "Cockerels: allowed no."
    assert without_speaker("Kit: ", frozenset({"Kit"})) == "Kit: "


def test_a_fact_of_a_talk_has_no_label_and_the_teacher_that_clears_it_is_told_who_speaks():
    listed = "[2] **Visitor in a green coat:** And the shed shuts at nine."
    facts = read_facts(CHUNK, Reply(text=listed, finish_reason="stop", prompt_tokens=9, completion_tokens=9))
    assert [f.statement for f in facts] == ["I am at my bench on Fridays only.", "And the shed shuts at nine."]
    assert facts[0].quote.startswith("**Kit Marlo:** I am")  # the document's own words and place
    (fact, asked), *more = clear_requests(facts, [CHUNK])
    assert fact == facts[0]
    assert not more
    assert "Kit Marlo:" in asked.messages[-1].content


def test_what_is_called_it_is_not_one_who_speaks():
    text = "**Ada Brask:** The shed is old. It began with a toaster, and I mended the toaster myself."
    chunk = dataclasses.replace(CHUNK, text=text, end=len(text))
    fact = next(f for f in read_facts(chunk, None) if f.statement.startswith("It began"))
    for said, taken in (("Ada Brask", False), ("The shed", True)):
        clearer = f"{said} began with a toaster, and I mended the toaster myself."
        reply = Reply(text=clearer, finish_reason="stop", prompt_tokens=9, completion_tokens=9)
        assert (clear_fact(fact, chunk, reply).statement == clearer) is taken
        listed = Reply(text=f"[2] {clearer}", finish_reason="stop", prompt_tokens=9, completion_tokens=9)
        assert (clearer in [f.statement for f in read_facts(chunk, listed)]) is taken


def test_thanks_are_no_fact():
    text = "**Ada Brask:** Thank you, Kit, for that. The shed shuts at nine."
    chunk = dataclasses.replace(CHUNK, text=text, end=len(text))
    listed = Reply(text="[1] Ada Brask thanked Kit.", finish_reason="stop", prompt_tokens=9, completion_tokens=9)
    assert "Ada Brask thanked Kit." not in [f.statement for f in read_facts(chunk, listed)]


def told(number: int, statement: str) -> Fact:
    return Fact(
        id=f"f{number}", leaf="knowledge/shed", chunk="c", statement=statement, quote=statement, start=number, end=90
    )


def test_the_right_choice_is_what_the_question_asks_for_and_not_just_the_last_detail():
    facts = [
        told(1, "Fifty-three people came on a Thursday."),
        told(2, "Forty people came on a Friday."),
        told(3, "Nine people came on a Monday."),
        told(4, "June has sewn in Port Isolde for thirty years."),
    ]
    asked = {
        "f1": "How many people came to the wet evening?",
        "f2": "On which day did the many come?",
        "f4": "Who sews?",
    }
    made = {s.facts[0]: s.messages for s in choices(asked, facts, facts, {})}
    assert set(made) == {"f2"}  # of the others no detail is what is asked for
    assert made["f2"][1].content.endswith(") Friday")


def test_days_that_belong_together_and_a_time_ago_are_answered_whole():
    shed, founded = "The shed is open on Tuesdays and Fridays.", "Ada founded the shed eleven years ago."
    assert answer("On which days is the shed open?", shed).startswith("On Tuesdays and Fridays. ")
    assert answer("When did Ada start the shed?", founded).startswith("Eleven years ago. ")
    hours = "The shed is open from six to nine on Tuesdays."
    assert answer("How often is the shed open?", hours) in (hours, f"On Tuesdays. {hours}")
    assert fit_fault("How often is the shed open?", hours, "from six") is not None
