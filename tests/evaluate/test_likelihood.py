"""How likely right answers are: the format control, choices by log-probability, and real weights."""

import math

import pytest
from tiny_student import make_tiny_student

from homeroom.core.types import Question
from homeroom.evaluate.likelihood import chosen, measure, others
from homeroom.models.torch_engine import TorchEngine


def short(n, answer, **more):
    return Question(id=str(n), question=f"What is number {n}?", answer=answer, source=f"s{n}", **more)


FINAL = [short(n, f"It is the thing called {name}.") for n, name in enumerate("ant bee cat dog eel fox".split())]  # noqa: SIM905


def model(*, style=0.0, facts=0.0):
    """A model that gives each character -2 bits, better by `style` for any answer, by `facts` for the right one."""
    right = {q.question: q.answer for q in FINAL}

    def logprob(conversations, continuations):
        return [
            -math.log(2) * len(text) * (2 - style - facts * (right.get(c[-1].content) == text))
            for c, text in zip(conversations, continuations, strict=True)
        ]

    return logprob


def test_what_every_answer_gained_is_not_counted_as_knowledge():
    found = measure(FINAL, model(), model(style=1.0))
    assert found["before"] == {"gold": 2.0, "other": 2.0}
    assert found["after"] == {"gold": 1.0, "other": 1.0}
    assert (found["specific"]["mean"], found["specific"]["ci95"]) == (0.0, [0.0, 0.0])


def test_what_the_right_answer_gained_beyond_that_is():
    found = measure(FINAL, model(), model(style=0.5, facts=0.75))
    assert found["specific"]["mean"] == 0.75
    assert found["n"] == 6


def test_the_other_answer_is_another_questions_and_says_something_else():
    asked = [*FINAL, short(9, "Yes.", kind="yes_no"), short(10, "yes", kind="yes_no"), short(11, "No.", kind="yes_no")]
    found = others(asked)
    assert all(other and other != q.answer for q, other in zip(asked, found, strict=True))
    assert sorted(found[:6]) == sorted(q.answer for q in FINAL)  # each is used once
    assert (found[6], found[7]) == ("No.", "No.")


def test_an_exam_with_nothing_to_measure_has_none():
    assert measure([short(1, "")], model(), model()) is None
    alone = measure([short(1, "An ant."), *FINAL[:1]], model(), model())
    assert alone["n"] == 2


def test_one_question_has_no_interval():
    final = [short(1, "Yes.", kind="yes_no"), short(2, "No.", kind="yes_no")]
    assert measure(final[:1], model(), model()) is None
    assert measure(final, model(), model())["n"] == 2


def test_the_likeliest_choice_a_character_is_taken_whatever_its_length():
    question = Question(
        id="c", kind="choice", question="Which?", choices=("a", "the very long one", "mid"), answer="mid"
    )

    def logprob(conversations, continuations):
        assert all(c[-1].content == "Which?" for c in conversations)  # without letters
        return [{"a": -3.0, "the very long one": -20.0, "mid": -2.0}[text] for text in continuations]

    assert chosen([question], logprob) == [2]
    found = measure([question], lambda c, t: [-float(len(x)) for x in t], logprob)
    assert (found["choice"]["before"]["correct"], found["choice"]["after"]["correct"]) == (0, 1)
    assert found["n"] == 0


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    return TorchEngine(make_tiny_student(tmp_path_factory.mktemp("tiny")))


def test_a_model_against_itself_gains_nothing_on_real_weights(engine):
    found = measure(FINAL, engine.logprob, engine.logprob)
    assert found["specific"]["mean"] == 0.0
    assert found["before"]["gold"] > 1.0
