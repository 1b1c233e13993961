import dataclasses
from pathlib import Path

import pytest

import homeroom
from homeroom.core.errors import ContentError
from homeroom.core.files import read_jsonl
from homeroom.core.types import Message, Question
from homeroom.evaluate.grade import grade, prompt

EXAMPLES = Path(homeroom.__file__).parent / "data"


def ask(*must, **fields):
    groups = tuple((group,) if isinstance(group, str) else tuple(group) for group in must)
    return Question(**{"id": "q", "question": "How long do I have?", "must": groups} | fields)


def right(question, answer):
    return grade(question, answer).correct


# -- short ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer", ["Nine weeks.", "It is 9 weeks", "within **9 weeks** of it", "a nine-week period", "9-week"]
)
def test_nine_weeks_is_found_however_it_is_written(answer):
    assert right(ask("9 weeks"), answer)


@pytest.mark.parametrize(
    "answer",
    ["19 weeks", "9.5 weeks", "1,9 weeks", "-9 weeks", "9", "9 days", "weeks 9", "9,000 weeks", "ninety weeks", ""],
)
def test_nine_weeks_is_not_found_in_another_number_or_unit(answer):
    assert not right(ask("9 weeks"), answer)


def test_every_group_is_needed_and_one_alternative_of_each_is_enough():
    question = ask(("9 weeks", "63 days"), ("north gate", "gate 4"))
    assert right(question, "63 days, at the North Gate")
    assert not right(question, "9 weeks, 63 days")
    assert grade(question, "9 weeks").reason == 'does not say "north gate" or "gate 4"'


def test_a_forbidden_word_makes_it_wrong_as_a_whole_word_only():
    question = ask("green", must_not=("orange",))
    assert right(question, "green, like an orangery")
    assert not right(question, "green or ORANGE")


def test_without_must_the_answer_itself_is_looked_for():
    question = ask(answer="Within 36 hours.")
    assert right(question, "You have thirty-six hours")
    assert not right(question, "within hours")
    assert not right(question, "136 hours")


def test_an_answer_of_small_words_only_is_looked_for_whole():
    assert right(ask(answer="It is on."), "yes, it is on")
    assert not right(ask(answer="It is on."), "off")


def test_a_short_question_can_have_a_check():
    question = ask(check="valid_json")
    assert right(question, '{"a": 1}')
    assert not right(question, "a: 1")


# -- guards --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        "9 weeks or 12 weeks",
        "12 or 9 weeks",
        "9 or 12 weeks",
        "12 weeks or 9 weeks",
        "between 9 and 12 weeks",
        "9 to 12 weeks",
        "9-12 weeks",
        "5 weeks, 9 weeks, 12 weeks",
        "1, 2, 3, 4, 5, 6, 7, 8, 9 weeks",
        " ".join(f"{n} weeks" for n in range(100)),
        "It is 9 weeks. It is 12 weeks. It is 3 weeks.",
        "not 9 weeks",
        "It isn't 9 weeks but 12 weeks",
        "never the 9 weeks",
    ],
)
def test_a_hedged_flooded_or_denied_number_is_wrong(answer):
    assert not right(ask("9 weeks"), answer)


@pytest.mark.parametrize(
    "answer",
    [
        "9 weeks, that is 63 days",
        "9 weeks for fire, and 3 weeks for storms",
        "Not 12 weeks: 9 weeks",
        "9 weeks, or later by agreement",
        "9 weeks and 2 days",
        "Section 4 says 9 weeks",
        "no more than 9 weeks",
        "9 weeks (nine weeks)",
        "not 9 weeks? Yes, 9 weeks",
    ],
)
def test_a_right_number_among_other_things_is_right(answer):
    assert right(ask("9 weeks"), answer)


def test_numbers_that_the_question_or_the_exam_names_are_no_hedge():
    question = ask(("9 weeks", "63 days"), question="Is it 3 weeks or 5 weeks, and how long for fire?")
    assert right(question, "Not 3 weeks or 5 weeks but 9 weeks")
    assert right(ask("9 weeks", "4 weeks"), "9 weeks, and 4 weeks for storms")
    assert right(ask(("9 weeks", "4 weeks")), "9 or 4 weeks")


def test_opening_hours_are_no_hedge_but_two_closing_hours_are():
    assert right(ask(("4 p.m.", "4 o'clock")), "from 7:30 a.m. to 4 p.m.")
    assert right(ask("4 p.m."), "open from 9 to 4 pm")
    assert not right(ask("4 p.m."), "3 pm or 4 pm")


def test_a_bare_number_is_hedged_by_or_and_by_a_row_of_numbers():
    assert right(ask("21"), "21, after 12 months")
    assert right(ask("4417", "4417"), "extension 4417, room 12")
    assert not right(ask("21"), "18 or 21")
    assert not right(ask("21"), "18, 19, 20, 21, 22")
    assert right(ask("seven"), "There are 7 days in 1 week, 365 days in a year")
    assert not right(ask("seven"), "5 days. 6 days. 7 days. 8 days.")


def test_one_clear_alternative_is_enough_where_another_is_hedged():
    assert right(ask(("9 weeks", "63 days")), "63 days (9 or 10 weeks)")


def test_a_negative_question_lets_an_answer_be_negative():
    assert right(ask("green", question="Which colour is not accepted?"), "Not green.")
    assert right(ask("not insured"), "It isn't insured.")


def test_a_denied_word_is_wrong():
    assert not right(ask("pencil"), "not a pencil but a pen")
    assert not right(ask("insured"), "It is not insured")
    assert grade(ask("pencil"), "not a pencil").reason == 'denies "pencil"'


# -- choice --------------------------------------------------------------------------------------------------------

PLANS = ("The Lantern plan", "The Harbour plan", "The Orchard plan", "None of its plans")


def choose(answer, choices=PLANS):
    return Question(id="q", kind="choice", question="Which?", answer=answer, choices=choices)


@pytest.mark.parametrize(
    "answer",
    [
        "The Orchard plan",
        "orchard plan.",
        "Orchard",
        "C",
        "c",
        "C.",
        "(C)",
        "C) The Orchard plan",
        "Answer: C",
        "The answer is c.",
    ],
)
def test_a_choice_is_named_by_text_by_what_sets_it_apart_or_by_letter(answer):
    assert right(choose("The Orchard plan"), answer)
    assert right(choose("C"), answer)
    assert not right(choose("The Harbour plan"), answer)


@pytest.mark.parametrize(
    "answer",
    [
        "The Lantern plan or the Orchard plan",
        "B) The Orchard plan",
        "B, C",
        "A or C",
        "Lantern, Harbour, Orchard",
        "A) The Lantern plan\nB) The Harbour plan\nC) The Orchard plan\nD) None of its plans",
        "The Harbour plan, not Orchard",
        "a plan",
        "A good question!",
        "I don't know",
        "",
    ],
)
def test_naming_several_choices_or_none_is_wrong(answer):
    assert not right(choose("The Orchard plan"), answer)
    assert not right(choose("The Lantern plan"), answer)


def test_a_choice_inside_a_longer_choice_is_not_named_by_it():
    question = choose("Yes, but only boats", ("Yes", "Yes, but only boats", "No"))
    assert right(question, "Yes, but only boats.")
    assert not right(question, "Yes.")


def test_letters_within_choices_are_text():
    choices = ("Vitamin A", "Vitamin C", "Vitamin D")
    assert right(choose("Vitamin C", choices), "Vitamin C")
    assert right(choose("Vitamin A", choices), "It is vitamin A")
    assert not right(choose("Vitamin D", choices), "Vitamin C")


def test_choices_that_are_numbers_need_no_unit_but_one_only():
    choices = ("9 weeks", "12 weeks", "19 weeks")
    assert right(choose("9 weeks", choices), "9")
    assert right(choose("9 weeks", choices), "It is nine weeks, says section 12.")
    assert not right(choose("9 weeks", choices), "19 weeks")
    assert not right(choose("9 weeks", choices), "9 or 12")


def test_a_choice_without_answer_is_taken_from_must():
    question = Question(id="q", kind="choice", question="Which?", must=(("Orchard",),), choices=PLANS)
    assert right(question, "C")


def test_a_choice_whose_answer_is_no_choice_is_an_error():
    with pytest.raises(ContentError, match="names 0 of the 4 choices"):
        grade(choose("The Castle plan"), "C")


# -- yes or no -----------------------------------------------------------------------------------------------------


def yes_no(answer, **fields):
    return Question(id="q", kind="yes_no", question="Is it paid?", answer=answer, **fields)


def test_the_first_yes_or_no_decides():
    assert right(yes_no("Yes."), "YES, no doubt")
    assert right(yes_no("No, never."), "No. Yes was the old rule.")
    assert not right(yes_no("No."), "Well, yes.")
    assert not right(yes_no("No."), "Nothing is paid")
    assert not right(yes_no("Yes."), "Yes or no.")
    assert not right(yes_no("No."), "No/Yes")


def test_must_of_a_yes_no_question_can_ask_for_more():
    question = yes_no("Yes, on Thursdays.", must=(("yes",), ("Thursday",)), must_not=("no", "Friday"))
    assert right(question, "Yes, on Thursday, no later.")
    assert not right(question, "Yes.")
    assert not right(question, "Yes, on Thursday or Friday.")


def test_a_yes_no_question_that_says_neither_is_an_error():
    with pytest.raises(ContentError, match="whether yes or no"):
        grade(yes_no("Perhaps."), "Yes")


# -- rewrite -------------------------------------------------------------------------------------------------------

CHAIR = Question(
    id="q",
    kind="rewrite",
    question="Rewrite this with inclusive terms.",
    context="The chairman opened the meeting at 9 and thanked every member for coming so early.",
    must=(("chairperson", "chair"),),
    must_not=("chairman",),
    check="keeps_rest",
)


REST = "opened the meeting at 9 and thanked every member for coming so early."


@pytest.mark.parametrize(
    ("answer", "good"),
    [
        (f"The chair {REST}", True),
        (f"Here is the text without “chairman”:\n\n“The chair {REST}”", True),
        (f"Sure! Here is the rewritten text: The chairperson {REST}", True),
        (f"The chairman, or chair, {REST}", False),
        ("The chair opened it.", False),
        ("chair", False),
        (f"The chairman {REST}", False),
    ],
)
def test_a_rewrite_has_the_new_term_not_the_old_and_keeps_the_rest(answer, good):
    assert right(CHAIR, answer) is good


def test_a_number_in_a_rewrite_is_no_hedge():
    question = dataclasses.replace(CHAIR, must=(("9 members",),), must_not=(), check="")
    assert right(question, "9 members or 12 members")


# -- the rest ------------------------------------------------------------------------------------------------------


def test_a_rubric_is_not_graded_by_rules():
    with pytest.raises(ContentError, match="judge"):
        grade(ask("x", kind="rubric"), "x")


def test_a_question_without_anything_to_grade_by_is_an_error():
    with pytest.raises(ContentError, match="neither must nor answer"):
        grade(ask(), "x")


def test_an_unknown_check_is_an_error_that_lists_the_known_ones():
    with pytest.raises(ContentError, match="keeps_rest, markdown_table, soap, valid_json"):
        grade(ask(check="spelling"), "x")


def test_an_empty_answer_is_wrong_for_every_kind():
    for question in (ask("x"), choose("C"), yes_no("Yes."), CHAIR, ask(must_not=("x",))):
        assert grade(question, " \n").reason == "no answer"


def test_prompts_are_the_question_then_the_context_or_choices_below_the_passage():
    assert prompt(ask("x")) == (Message(role="user", content="How long do I have?"),)
    assert prompt(ask("x"), passage="Nine weeks.")[0].content == "Nine weeks.\n\nHow long do I have?"
    assert prompt(CHAIR)[0].content == f"{CHAIR.question}\n\n{CHAIR.context}"
    assert prompt(choose("B", ("Red", "Blue")))[0].content == "Which?\n\nA) Red\nB) Blue"


@pytest.mark.parametrize(
    "path", sorted(EXAMPLES.glob("**/exam.jsonl")) + sorted(EXAMPLES.glob("retention/*.jsonl")), ids=str
)
def test_every_shipped_question_accepts_its_own_answer_and_no_flood(path):
    questions = read_jsonl(path, Question)
    flood = " ".join(f"{n} tallens, {n} weeks, {n} days, {n} hours." for n in range(20))
    assert questions
    for question in questions:
        assert right(question, question.answer), question
        assert question.kind == "choice" or not right(question, flood), question


@pytest.mark.parametrize(
    "flood",
    [
        "9 weeks ",
        "9 ",
        "9 or ",
        "and 9 and ",
        "123 123 ",
        "A ",
        "B) ",
        "the ",
        " \n",
        "```\n",
        "not ",
        "yes   ",
        "Here: ",
        "answer a ",
        '"',
        "\\|",
    ],
)
def test_no_answer_is_made_to_be_slow(flood):
    import time

    start = time.process_time()
    for question in (ask("9 weeks"), ask("9"), choose("B", ("9 weeks", "12 weeks", "A")), yes_no("Yes."), CHAIR):
        grade(question, (flood * 20_000)[:20_000])
    for check in ("valid_json", "markdown_table", "csv"):
        grade(ask(check=check), (flood * 20_000)[:20_000])
    assert time.process_time() - start < 6


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("It is found in various forms, including white, gray and black. It is dark gray.", False),
        ("Many colours, such as red, white, black or brown", False),
        ("Black, including its dust, its ash and its smoke.", True),
        ("It has several names, including black gold.", True),
        ("There are many, including white, gray and black. Coal is black.", True),
    ],
)
def test_an_answer_that_is_only_one_example_of_several_is_no_answer(answer, right):
    question = Question(id="q", question="What colour is coal?", must=(("black",),))
    assert grade(question, answer).correct is right
