"""A question is answered with the detail it asks for, then the fact; where its words do not tell, with the fact."""

import pytest

from homeroom.generate.answers import answer, asked_detail

DESK = "The claims desk opens at 7:30 a.m. and takes its last call at 4 p.m."
INN = "A family may also stay at the Gull House inn for up to 16 nights."
AGE = "The Orchard plan is not sold to anyone younger than 21."
PANEL = "The appeal panel is led by Sunniva Okell."


@pytest.mark.parametrize(
    ("question", "statement", "detail"),
    [
        ("What time does the desk open?", DESK, "at 7:30 a.m."),
        ("At what hour is the last call taken?", DESK, "at 4 p.m."),
        ("How long may a family stay?", INN, "for up to 16 nights"),
        ("Where can a family stay?", INN, "at the Gull House"),
        ("What is the age limit? How old must a buyer be?", AGE, "21"),
        ("Which age is too young?", AGE, "21"),
        ("Which plan guarantees most?", "The Lantern plan insures up to 18,000 tallens.", "the Lantern plan"),
        ("Which plan is not sold to people under 21?", AGE, "the Orchard plan"),
        ("How much do I bear?", "The customer pays the first 90 tallens.", "the first 90 tallens"),
        ("Who leads the appeal panel?", PANEL, "Sunniva Okell"),
        ("I want to write to the leader of the panel. What is the name of that person?", PANEL, "Sunniva Okell"),
        ("What must a form be filled in with?", "Every form must be filled in with a pencil, or ink.", "a pencil"),
        ("In what shape is the badge?", "An inspector wears a badge in the shape of a heron.", "a heron"),
        ("Damage by which animals is never paid for?", "Damage done by squirrels is never paid for.", "by squirrels"),
        ("What is the rule for water damage?", "Water damage must be reported within five days.", "within five days"),
        ("My roof leaks. When do I report it?", "A leak must be reported on Mondays.", "on Mondays"),
        ("Which of the three plans is paid monthly?", "The Harbour plan is paid in instalments.", "the Harbour plan"),
        ("There are plans. Which one is paid monthly?", "The Harbour plan is paid in instalments.", "the Harbour plan"),
        ("How can it be paid, in what?", "The Harbour plan is paid in monthly instalments.", "in monthly instalments"),
        ("How much time has the desk?", "The desk has 20 minutes from 7:30 a.m. on.", "20 minutes"),
        ("How many plots may I hold?", "Nobody may hold more than two plots.", "two plots"),
        ("Who runs the shop?", "Ruben Haldane runs the shop.", "Ruben Haldane"),
        ("When is rent due?", "Rent is due on 1 March.", "on 1 March"),
        ("What is the bank?", "Payments are sent through Wickerby Bank.", "Wickerby Bank"),
    ],
)
def test_the_detail_is_the_one_that_is_asked_for(question, statement, detail):
    assert asked_detail(question, statement) == detail


@pytest.mark.parametrize(
    ("question", "statement"),
    [
        ("Is the desk open at noon?", DESK),
        ("Why is the desk closed at 5 p.m.?", DESK),
        ("What happens at the desk?", DESK),
        ("Does Sunniva Okell lead the panel?", PANEL),
        ("Who is led by Sunniva Okell?", PANEL),
        ("When someone leads a panel, what happens?", PANEL),
        ("What do the forms do?", "Every form must be filled in with a pencil."),
        ("Can you tell me about age?", AGE),
        ("What does the orange form look like?", "Water claims are made on an orange form."),
        ("Which company is it?", "Brindlemoor Mutual does not accept videos."),
    ],
)
def test_a_question_that_asks_for_no_detail_gets_the_fact_alone(question, statement):
    assert answer(question, statement, subject="Brindlemoor Mutual") == statement


def test_the_detail_comes_first_as_a_sentence_and_the_fact_follows_word_for_word():
    assert answer("How long may a family stay?", INN) == f"For up to 16 nights. {INN}"
    assert answer("What time does the desk open?", DESK) == f"At 7:30 a.m. {DESK}"
    assert answer("Wo tagt der Ausschuss?", "Der Ausschuss tagt in der Alten Seilerei.").endswith("Alten Seilerei.")


@pytest.mark.parametrize(
    ("question", "told"),
    [
        ("What time does the claims desk close?", "The desk opens at 7:30 a.m. and takes its last call at 4 p.m."),
        ("When do closed claims become secret?", "Files of closed claims are kept for nine years."),
        (
            "When do I call the night line?",
            "After a fire, the customer calls the night line, which is answered by Joss Penhale.",
        ),
    ],
)
def test_where_nothing_tells_which_detail_is_meant_the_fact_alone_answers(question, told):
    assert answer(question, told) == told


def test_a_clause_of_its_own_tells_which_of_two_details_is_meant():
    told = "The desk opens at 7:30 a.m. and takes its last call at 4 p.m."
    assert answer("At what time does the desk open?", told).startswith("At 7:30 a.m.")
    assert answer("At what time is the last call?", told).startswith("At 4 p.m.")


SHOP = "The shop opens on Saturdays from ten until noon."
WATER = "Water is turned on from mid-April to the end of October."
OFFICE = "The desk is open from 9 a.m. to 5 p.m. on weekdays."
SHOW = "The summer show takes place on the second Saturday of August."
RENT = "Rent is due on 1 March, and a half plot costs 38 crowns."


@pytest.mark.parametrize(
    ("question", "statement", "lead"),
    [
        ("When does the shop close on Saturdays?", SHOP, "Until noon"),
        ("On which day is the shop open?", SHOP, "On Saturdays"),
        ("What time does the shop open?", SHOP, ""),  # "ten" could be anything
        ("When can I use water?", WATER, "From mid-April to the end of October"),
        ("What is the month when the water is turned on?", WATER, "Mid-April"),
        ("In which month does the water season end?", WATER, "October"),
        ("When is the desk open?", OFFICE, "From 9 a.m. to 5 p.m"),
        ("When does the desk close?", OFFICE, "5 p.m"),
        ("What time does the desk start?", OFFICE, "From 9 a.m"),
        ("When is the summer show?", SHOW, "On the second Saturday of August"),
        ("In which month is the show?", SHOW, "On the second Saturday of August"),
        ("What date is rent due?", RENT, "On 1 March"),
        ("Which day must I bring 38 crowns?", RENT, "On 1 March"),
        (
            "On which day are bonfires allowed?",
            "Bonfires are allowed on Fridays in November and February.",
            "On Fridays in November and February",
        ),
        ("How many plots are there?", "The society looks after 84 plots between railway and works.", "84 plots"),
    ],
)
def test_a_time_is_told_whole_or_the_end_of_it_that_is_asked_for(question, statement, lead):
    assert answer(question, statement) == (f"{lead}. {statement}" if lead else statement)
