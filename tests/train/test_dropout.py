"""What is missing of a question when it is read, and what never is."""

import pytest
from tiny_student import make_tiny_student

from homeroom.core.errors import UsageError
from homeroom.core.types import Message, Sample
from homeroom.models.student import load_student
from homeroom.train.dropout import Readings
from homeroom.train.soft import with_soft_targets
from homeroom.train.template import encode_all

QUESTION = "Which form is it that people use when they make a claim about water in the cellar of their house?"
ANSWER = "An orange form. Water claims are made on an orange form."


@pytest.fixture(scope="module")
def student(tmp_path_factory):
    return load_student(make_tiny_student(tmp_path_factory.mktemp("dropout") / "student"))


def encoded(student, *kinds):
    turns = Message(role="user", content=QUESTION), Message(role="assistant", content=ANSWER)
    samples = [Sample(id=kind, kind=kind, messages=turns) for kind in kinds]
    return encode_all(samples, student.tokenizer, eos_id=student.eos_ids[0], max_tokens=512)


def learned(sample):
    return [token for token, is_learned in zip(sample.ids, sample.learn, strict=True) if is_learned]


def test_what_may_be_missing_is_the_question_and_nothing_around_it(student):
    (sample,) = encoded(student, "direct")
    assert student.tokenizer.decode(sample.ids[: sample.question]) == QUESTION
    assert student.tokenizer.decode(sample.ids[sample.answer :]).startswith(ANSWER)
    assert 0 < sample.question < sample.answer


def test_other_words_are_missing_each_time_and_the_answer_never(student):
    samples = encoded(student, "direct")
    whole, readings = samples[0], Readings(samples=samples, share=0.15, seed=3)
    read = [readings.at(step, 0) for step in range(400)]
    assert len({one.ids for one in read}) > 300
    lost = [1 - (len(one.ids) - len(whole.ids) + whole.question) / whole.question for one in read]
    assert sum(lost) / len(lost) == pytest.approx(0.15, abs=0.02)
    for one in read:
        gap = len(whole.ids) - len(one.ids)
        assert one.ids[whole.question - gap :] == whole.ids[whole.question :]  # template and answer
        assert learned(one) == learned(whole)
        rest = iter(whole.ids)
        assert all(token in rest for token in one.ids)  # in their order
        assert one.prefix == whole.prefix
    assert read == [Readings(samples=samples, share=0.15, seed=3).at(step, 0) for step in range(400)]
    assert read != [Readings(samples=samples, share=0.15, seed=4).at(step, 0) for step in range(400)]


@pytest.mark.parametrize("kind", ["yes_no", "choice", "cloze", "skill", "edit", "seed"])
def test_questions_of_which_each_word_counts_are_read_whole(student, kind):
    samples = encoded(student, kind)
    readings = Readings(samples=samples, share=0.9, seed=0)
    assert all(readings.at(step, 0) == samples[0] for step in range(20))


def test_a_system_prompt_and_earlier_turns_stay(student):
    say = [Message(role=role, content=text) for role, text in (("user", "Hi."), ("assistant", "Hello."))]
    asked = [Message(role="user", content=QUESTION), Message(role="assistant", content=ANSWER)]
    long = Sample(id="1", kind="direct", messages=(*say, *asked))
    (sample,) = encode_all([long], student.tokenizer, eos_id=student.eos_ids[0], max_tokens=512)
    assert Readings(samples=[sample], share=0.9, seed=0).at(0, 0) == sample


def test_replay_has_gaps_every_other_time_and_then_only_its_answer_is_learned(student):
    (sample,) = with_soft_targets(student.model, encoded(student, "replay"))
    readings = Readings(samples=[sample], share=0.2, seed=0)
    read = [readings.at(step, 0) for step in range(200)]
    gaps = [one for one in read if one is not sample]
    assert 70 < len(gaps) < 130
    answer = len(sample.ids) - sample.answer
    for one in gaps:
        assert one.learn == (False,) * (len(one.ids) - answer) + (True,) * answer
        assert one.soft.ids_NK.shape[0] == answer
        assert one.soft.probs_NK.equal(sample.soft.probs_NK[-answer:])  # what the base expects after the whole prompt
        assert 0 < one.soft.entropy < sample.soft.entropy


def test_nothing_is_missing_where_nothing_is_asked_for(student):
    samples = encoded(student, "direct", "replay")
    readings = Readings(samples=samples, share=0.0, seed=0)
    assert [readings.at(7, n) for n in range(2)] == samples


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_that_leaves_nothing_is_refused(share):
    with pytest.raises(UsageError, match="word_dropout"):
        Readings(samples=[], share=share, seed=0)
