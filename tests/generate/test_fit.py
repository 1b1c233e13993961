"""Questions that are near their fact and yet ask for something else are found; those that ask for it pass."""

import numpy as np
import pytest

from homeroom.core.types import Chunk, Fact
from homeroom.generate import checks
from homeroom.generate.attribution import attributing
from homeroom.generate.closeness import CAREFUL, DROP, closeness
from homeroom.generate.duplicates import duplicates
from homeroom.generate.fit import fit_fault
from homeroom.generate.questions import QuestionChecks, question_sample

DOGS = "A dog is not admitted while it rains, except in the Fern House."
HIVES = "No more than six hives can stand in one garden."

BESIDE = [  # question, fact, detail in front: all of places that no course of ours is about
    ("In which house are dogs not admitted in the rain?", DOGS, "In the Fern House"),
    ("When is the shop open?", "The shop is open daily except on Mondays.", "On Mondays"),
    ("How much may one garden have?", HIVES, "No more than six hives"),
    ("How many gardens can it be?", HIVES, ""),
    ("Which house is exempt from admitting dogs?", DOGS, "In the Fern House"),
    ("How tall is a day ticket?", "A day ticket costs nine crowns.", "nine crowns"),
    ("How long does the ticket last?", "A day ticket costs nine crowns.", "nine crowns"),
    ("How often is the glass cleaned?", "The glass of each bed is cleaned by two boys.", "two boys"),
    ("How are beds below 40 feet heated?", "A bed below 40 crowns is heated.", ""),
    ("How many visitors are let in?", "A group of visitors pays 60 crowns.", "60 crowns"),
    ("What is the minimum size of a pot?", "A pot may hold at most four litres.", "at most four litres"),
    ("What is the maximum weight of a tree?", "A tree is moved only if it weighs more than 30 kilos.", "30 kilos"),
    ("How long must I wait to bring a plant back?", "A plant is brought back within ten days.", "within ten days"),
    ("Which house is open to dogs?", "The palm house is not open to dogs.", "the palm house"),
    ("Which gate can I not use on Sundays?", "The north gate is used on Sundays.", "the north gate"),
    ("When was the palm house last painted?", "The palm house is painted in May.", "in May"),
    ("Which class is taught in the shed?", "Ida Moor teaches in the shed on Mondays.", "on Mondays"),
    ("What is the role of the council?", "The council has seven members.", "seven members"),
    ("The gardener is called Ida. Whom does she watch?", "The head gardener is Ida Moor.", "Ida Moor"),
    ("How old was Ida Moor when she came?", "Ida Moor came eleven years ago.", "eleven years"),
    ("On what days is it open on Mondays?", "It is open on Mondays and Fridays.", "on Mondays and Fridays"),
    ("How often is it open on Fridays?", "It is open from six on Fridays.", "from six"),
    ("What is the name of the company that insures pots?", "The Fern plan insures pots.", "The Fern plan"),
    ("Who opens on Sundays?", "The Fern gate opens on Sundays.", "The Fern gate"),
    ("Who is in charge of the head gardener?", "The head gardener is Ida Moor.", "Ida Moor"),
    ("What is the title of the head gardener?", "The head gardener is Ida Moor.", "Ida Moor"),
    ("Who told the tale?", "Last Friday, the tale was told three times.", "Last Friday"),
    ("What was the tale about?", "Last Friday, the tale was told three times.", "three times"),
    ("What tale was told?", "Last Friday, the tale was told three times.", "Last Friday"),
    ("When is the best day to plan a tour?", "The tour of the houses takes about 45 minutes.", ""),
    ("At what time is the palm house closed?", "The palm house is closed on Mondays.", ""),
    ("There are three houses. What are they?", "The garden has three houses and counts all its guests.", ""),
    ("On which floor is the office?", "The office is on Fern Row.", "on Fern Row"),
    ("Whom does Ida Moor thank?", "Rolf Moor thanks Ida Moor.", "Rolf Moor"),
    ("Who thanked Rolf Moor?", "Rolf Moor thanks Ida.", "Ida"),
    ("Whom did Ida thank?", "Rolf Moor thanked Ida for something.", "Rolf Moor"),
    ("When are the books archived?", "The books are kept for nine years.", ""),
    ("How long did it take to build it?", "It was built eleven years ago.", "eleven years ago"),
    ("When can I come on Mondays and Fridays?", "It is open on Mondays and Fridays.", ""),
]
ASKED = [
    ("In which house is a dog admitted in the rain?", DOGS, "In the Fern House"),
    ("When is the shop not open?", "The shop is open daily except on Mondays.", "On Mondays"),
    ("How many hives may stand in a garden?", HIVES, "No more than six hives"),
    ("How many rabbits are allowed?", "| Rabbits | yes | four |", "Four"),
    ("How much is a ticket?", "A ticket costs five crowns.", "Five crowns"),
    ("How much of it is lost?", "Some six percent of it is lost.", "Six percent"),
    ("How much is a day ticket?", "A day ticket costs nine crowns.", "nine crowns"),
    ("How high is the fee for a day ticket?", "A day ticket costs nine crowns.", "nine crowns"),
    ("How long is a pass valid?", "A pass is valid until the end of May.", "until the end of May"),
    ("How often is the glass cleaned?", "The glass is cleaned every second week.", "every second week"),
    ("How many crowns does a group pay?", "A group of visitors pays 60 crowns.", "60 crowns"),
    ("What is the maximum size of a pot?", "A pot may hold at most four litres.", "at most four litres"),
    ("What is the most that I may take?", "Nobody may take more than two bulbs.", "two bulbs"),
    ("From what weight on is a tree moved?", "A tree is moved only if it weighs more than 30 kilos.", "30 kilos"),
    ("How soon must a plant come back?", "A plant is brought back within ten days.", "within ten days"),
    ("Which house is closed to dogs?", "The palm house is not open to dogs.", "the palm house"),
    ("When was the palm house built?", "The palm house was built in 1871.", "in 1871"),
    ("Which day is the class in the shed?", "Ida Moor teaches in the shed on Mondays.", "on Mondays"),
    ("How many people sit on the council?", "The council has seven members.", "seven members"),
    ("Who is in charge of the gardens?", "The head gardener is Ida Moor.", "Ida Moor"),
    ("How old must a guide be?", "A guide must be older than 17 years.", "17 years"),
    ("When is it open on Fridays?", "On Fridays it is open from six.", "from six"),
    ("Is the palm house tall?", "The palm house is a low one.", ""),
    ("What is the title of the talk?", "The talk on Fridays is called Fern and Moss.", "Fern and Moss"),
    ("Who leads the tour?", "June Tillery leads the tour.", "June Tillery"),
    ("What is the punishment for theft?", "A thief is barred for two years.", "for two years"),
    ("When is the tour?", "The tour takes 45 minutes and begins at noon on Mondays.", ""),
    ("At what time does it open?", "It opens at nine.", "at nine"),
    ("What are the three houses?", "The three houses are the palm house, the fern house and the shed.", ""),
    ("On which floor is the office?", "The office is on the second floor.", "on the second floor"),
    ("Whom does Ida Moor thank?", "Ida Moor thanks Rolf.", "Rolf"),
    ("Who leads Rolf Moor?", "Rolf Moor is led by Ida Moor.", "Ida Moor"),
    ("When is the hut lost?", "A hut that is empty for more than nine weeks is lost.", "for more than nine weeks"),
    ("When is the hut let?", "The hut is let for nine weeks from May on.", ""),
    ("How long ago was it built?", "It was built eleven years ago.", "eleven years ago"),
    ("How long have they been there?", "They came eleven years ago.", "eleven years ago"),
    ("When can I come on Mondays?", "On Mondays it is open from noon on.", "from noon on"),
]


@pytest.mark.parametrize(("question", "statement", "detail"), BESIDE, ids=[b[0] for b in BESIDE])
def test_a_question_beside_its_fact_is_found(question, statement, detail):
    fault = fit_fault(question, statement, detail)
    assert fault is not None
    assert fault[0] == "fit"


@pytest.mark.parametrize(("question", "statement", "detail"), ASKED, ids=[a[0] for a in ASKED])
def test_a_question_for_what_the_fact_tells_passes(question, statement, detail):
    assert fit_fault(question, statement, detail) is None


# -- how near --------------------------------------------------------------------------------------------------------

MEANINGS = {"ticket": 0, "tickets": 0, "pass": 0, "costs": 1, "price": 1, "crowns": 1, "storm": 2, "bring": 3}
TOLD = "A ticket for the storm costs nine crowns."


def embed(texts):
    """Words with the same place in MEANINGS mean the same, all others nothing."""
    rows = np.full((len(texts), 5), 0.01, dtype=np.float32)
    for row, text in zip(rows, texts, strict=True):
        for word in text.casefold().rstrip("?.").split():
            row[MEANINGS.get(word, 4)] += 1
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_a_question_is_near_where_it_says_in_any_words_what_the_fact_says_beside_its_detail():
    near = closeness(embed, subjects=["Fernfield"])
    close = near("What is the price of a Fernfield pass in a storm?", TOLD, "nine crowns", 0.8)
    far = near("Which of these do I bring?", TOLD, "nine crowns", 0.8)
    assert far < close
    assert near("", TOLD, "nine crowns", 0.8) == pytest.approx(0.8)
    assert near("What is it?", "Nine.", "nine", 0.3) == pytest.approx(0.8)  # a fact that is all detail: half


def test_of_two_facts_of_one_form_a_question_has_to_say_which_it_means():
    storm, water = (
        Fact(id=str(n), leaf="l", chunk="c", statement=text, quote=text, start=n, end=90)
        for n, text in enumerate(
            ("Storm damage must be reported within three weeks.", "Water damage must be reported within five days.")
        )
    )
    meanings = {
        "storm": (0, 1),
        "gale": (0, 1),
        "house": (0, 0.1),
        "water": (1, 1),
        "damage": (2, 1),
        "reported": (3, 1),
    }

    def embedded(texts):
        rows = np.zeros((len(texts), 5), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.casefold().rstrip("?.").split():
                place, weight = meanings.get(word, (4, 0.1))
                row[place] += weight
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    whose = attributing([storm, water], subjects=(), embed=embedded)
    asked = [
        "When must damage to a house be reported?",
        "When must damage of a storm be reported?",
        "When is gale damage reported?",
    ]
    faults = [found.fault for found in whose([(question, storm) for question in asked])]
    assert faults == [("attribution", "fits a fact of the same form as well"), None, None]


def test_words_are_embedded_once():
    seen = []
    near = closeness(lambda texts: (seen.extend(texts), embed(texts))[1], subjects=[])
    for _ in range(3):
        near("What is the price of a pass?", TOLD, "nine crowns", 0.5)
    assert len(seen) == len(set(seen)) > 0


@pytest.mark.parametrize(
    ("value", "kept", "answer"),
    [
        (DROP - 0.01, False, ""),
        (DROP + 0.01, True, "The office is in Nettle Lane."),
        (CAREFUL + 0.01, True, "In Nettle Lane. The office is in Nettle Lane."),
    ],
)
def test_far_questions_are_dropped_and_half_far_ones_answered_with_the_fact_alone(value, kept, answer):
    text = "The office is in Nettle Lane."
    chunk = Chunk(id="c", document="d", leaf="l", title="Guide", heading="", text=text, start=0, end=len(text))
    fact = Fact(id="f", leaf="l", chunk="c", statement=text, quote=text, start=0, end=len(text))
    judge = QuestionChecks(
        facts={"f": fact},
        chunks={"c": chunk},
        subjects=(),
        wording=checks.decontamination([]),
        duplicate=duplicates(),
        whose=attributing([fact], subjects=(), embed=None),
        near=lambda question, statement, detail, likeness: value,
    )
    draft = question_sample("direct", "Where is the office?", f"In Nettle Lane. {text}", fact, "teacher")
    [(sample, fault)] = judge.sifted([draft])
    assert (fault is None) is kept
    if kept:
        assert sample.messages[-1].content == answer
        assert sample.teacher == "teacher"
