"""A right word does not hide a wrong answer."""

import pytest

from homeroom.core.types import Question
from homeroom.evaluate.grade import grade


@pytest.mark.parametrize(
    ("answer", "is_right"),
    [
        ("For 14 years. An appeal must be made within two months.", False),
        ("No more than six beehives. It is two months.", False),
        ("Within two months. An appeal must be made within two months.", True),
        ("Two months. It costs 25 crowns.", True),
        ("It has 3 plans. The time is two months.", True),
        ("I see. It is two months.", True),
    ],
)
def test_a_wrong_measure_in_front_makes_an_answer_wrong(answer, is_right):
    question = Question(id="q", question="How long do I have to object?", must=(("two months",),))
    assert grade(question, answer).correct is is_right
