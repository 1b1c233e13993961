"""A judge: both orders, one-token log-probabilities, its agreement beside it, and no say in the verdict."""

import json

import pytest
from scripted_endpoint import scripted_server

from homeroom.core.config import Evaluate, Recipe
from homeroom.core.config import Judge as JudgeConfig
from homeroom.core.types import Question
from homeroom.evaluate.exam import read_exam
from homeroom.evaluate.judge import Judge, agreement, judge_report, prefer
from homeroom.evaluate.stage import Pupil, Suites, evaluate_models
from homeroom.pipeline.course import open_judge

ASKED = [Question(id=str(n), kind="rubric", question=f"Explain {n}.", leaf="a") for n in range(3)]
KNOWN = [Question(id=f"k{n}", question=f"What is {n}?", answer=f"It is {word}.") for n, word in enumerate("abcdef")]


def letters(text):
    """The two answers as the judge was shown them."""
    first, _, rest = text.partition("Answer A:\n")[2].partition("\n\nAnswer B:\n")
    return first, rest.partition("\n\nWhich")[0]


def lover_of(word):
    """A judge that prefers the answer with a word in it, in whatever place it stands."""

    def answer(asked, *, max_tokens):
        return [f"Answer {'A' if word in letters(c[-1].content)[0] else 'B'}." for c in asked]

    return Judge(name="lover", answer=answer)


def test_the_better_answer_is_preferred_in_both_orders():
    found = prefer(ASKED, ["plain", "a good one", "plain"], ["a good one", "plain", "plain"], lover_of("good"))
    assert found == [1, -1, 0]


def test_a_judge_that_always_likes_the_first_answer_prefers_nothing():
    always = Judge(name="first", answer=lambda asked, *, max_tokens: ["A"] * len(asked))
    assert prefer(ASKED, ["x"] * 3, ["y"] * 3, always) == [0, 0, 0]
    assert agreement(always, KNOWN)["correct"] == 0


def test_a_judge_that_says_nothing_usable_prefers_nothing():
    mute = Judge(name="mute", answer=lambda asked, *, max_tokens: ["Both are fine, a bit of each."] * len(asked))
    assert prefer(ASKED, ["x"] * 3, ["y"] * 3, mute) == [0, 0, 0]


def test_one_token_decides_where_there_are_log_probabilities():
    def logprob(asked, texts):
        return [
            (0.0 if "good" in letters(c[-1].content)[t == "B"] else -5.0) for c, t in zip(asked, texts, strict=True)
        ]

    def never(asked, *, max_tokens):
        raise AssertionError("asked in words")

    judge = Judge(name="local", answer=never, logprob=logprob)
    assert prefer(ASKED, ["good", "x", "x"], ["x", "good", "x"], judge) == [-1, 1, 0]


def test_the_rubric_of_the_leaf_is_shown_and_a_good_answer_too():
    seen = []

    def answer(asked, *, max_tokens):
        seen.extend(c[-1].content for c in asked)
        return ["A"] * len(asked)

    asked = [Question(id="1", kind="rubric", question="Explain.", leaf="a", answer="Like this.")]
    prefer(asked, ["x"], ["y"], Judge(name="j", answer=answer), rubrics={"a": "Kind to children."})
    assert all("Kind to children." in text and "known to be good: Like this." in text for text in seen)


def test_a_report_says_how_far_the_judge_can_be_trusted():
    found = judge_report(ASKED, ["x"] * 3, ["good"] * 3, lover_of("good"), rubrics={}, labelled=KNOWN)
    assert (found["wins"], found["losses"], found["ties"]) == (3, 0, 0)
    assert (found["agreement"]["n"], found["agreement"]["correct"]) == (6, 0)  # knows only one word

    def knows(asked, *, max_tokens):
        right = [f"It is {'abcdef'[int(c[-1].content.partition('What is ')[2][0])]}." for c in asked]
        return ["A" if r in letters(c[-1].content)[0] else "B" for r, c in zip(right, asked, strict=True)]

    knowing = Judge(name="knowing", answer=knows)
    assert agreement(knowing, KNOWN)["accuracy"] == 1.0


def pupil(word):
    return Pupil(answer=lambda asked, *, max_tokens: [word] * len(asked))


@pytest.mark.parametrize("judge", [None, lover_of("good")])
def test_rubric_questions_never_decide_the_verdict(tmp_path, judge):
    exam = [*ASKED, *(Question(id=f"f{n}", question=f"F{n}?", must=(("never said",),)) for n in range(4))]
    found = evaluate_models(
        Suites(exam=exam, retention=KNOWN),
        base=pupil("x"),
        tuned=pupil("good"),
        config=Evaluate(),
        out=tmp_path,
        facts_about={},
        judge=judge,
    )
    assert found["verdict"] == "no evidence"
    assert found["closed_book"]["after"]["n"] == 4
    assert found["judge"]["n"] == 3
    assert found["judge"].get("wins") == (3 if judge else None)
    page = (tmp_path / "report.html").read_text()
    assert ("lover" in page) is bool(judge)
    assert ("were not judged" in page) is not bool(judge)


def test_any_endpoint_can_judge(tmp_path):
    with scripted_server(lambda messages: "A" if "good" in letters(messages[-1]["content"])[0] else "B") as url:
        judge = open_judge(Recipe(judge=JudgeConfig(url=url, model="scripted")))
        assert prefer(ASKED, ["x"] * 3, ["good"] * 3, judge) == [1, 1, 1]
    assert open_judge(Recipe()) is None


def test_a_rubric_line_is_read_without_an_answer(tmp_path):
    path = tmp_path / "exam.jsonl"
    path.write_text(json.dumps({"kind": "rubric", "question": "Explain it."}) + "\n")
    assert read_exam(path)[0].kind == "rubric"
