"""Replay: the base's own answers, cut to whole sentences, and never an exam's wording."""

from homeroom.core.types import Question
from homeroom.generate.replay import replay_samples, without_exam

ANSWERS = {"Name a colour of the sky.": "Blue. It is also", "Say hello to the world.": "Hello!", "Say nothing.": " "}


def student(conversations, *, max_tokens):
    return [ANSWERS[c[0].content] for c in conversations]


def test_each_prompt_is_asked_once_and_an_answer_ends_with_a_sentence():
    made = replay_samples(student, [*ANSWERS, "Say nothing."], model="base")
    assert [(s.messages[0].content, s.messages[1].content) for s in made] == [
        ("Name a colour of the sky.", "Blue."),
        ("Say hello to the world.", "Hello!"),
    ]


def test_a_prompt_with_an_exams_wording_is_left_out_when_the_exam_is_known():
    made = replay_samples(student, list(ANSWERS), model="base")
    left = without_exam(made, [Question(id="q", question="Name a colour of the sky!")])
    assert [s.messages[0].content for s in left] == ["Say hello to the world."]
