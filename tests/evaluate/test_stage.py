import json

import pytest

from homeroom.core.config import Evaluate
from homeroom.core.errors import ContentError, StageError
from homeroom.core.files import read_json, read_jsonl
from homeroom.core.types import Question
from homeroom.evaluate.stage import Pupil as Model
from homeroom.evaluate.stage import Suites, evaluate_models, evaluate_one, keep_answers

FACTS = {"models": {"base": {"name": "base", "digest": "aa"}, "tuned": {"name": "tuned", "digest": "bb"}}}


def questions(name, count, **fields):
    return [
        Question(
            id=f"{name}{i}", question=f"What is {name}{i}?", answer=f"It is word{i}.", must=((f"word{i}",),), **fields
        )
        for i in range(count)
    ]


EXAM = [*questions("exam", 20, source="A sentence."), *questions("quiz", 3, split="quiz")]
RETENTION = questions("old", 10)
CONTROL = questions("other", 5)
SUITES = Suites(exam=EXAM, retention=RETENTION, control=CONTROL, passages={"exam1": "Passage one."})


class Pupil:
    """Knows the questions whose names it was taught; reads a passage where there is one."""

    def __init__(self, *names, stop_after=10**9):
        self.names, self.asked, self.stop_after = names, [], stop_after

    def __call__(self, conversations, *, max_tokens):
        if len(self.asked) + len(conversations) > self.stop_after:
            raise KeyboardInterrupt
        self.asked += [conversation[-1].content for conversation in conversations]
        return [self.reply(text) for text in self.asked[-len(conversations) :]]

    def reply(self, text):
        name = text.rpartition("is ")[2].rstrip("?")
        known = name.rstrip("0123456789") in self.names or text.startswith("Passage")
        return f"word{name.lstrip('abcdefghijklmnopqrstuvwxyz')}" if known else "No idea."


def evaluate(out, base, tuned, **fields):
    options = {"config": Evaluate(), "facts_about": FACTS} | fields
    suites = options.pop("suites", SUITES)
    models = {"base": Model(answer=base), "tuned": Model(answer=tuned)}
    return evaluate_models(suites, out=out, **models, **options)


def test_both_models_are_asked_everything_once_and_the_folder_holds_the_report(tmp_path):
    base, tuned, told = Pupil("old"), Pupil("old", "exam"), []
    found = evaluate(tmp_path, base, tuned, progress=lambda *args: told.append(args))
    assert found["verdict"] == "better"
    assert found["closed_book"]["after"]["correct"] == 20
    assert found["open_book"] == {"n": 1, "correct": 1, "accuracy": 1.0, "ci95": [0.2065, 1.0]}
    assert found["control"]["after"]["correct"] == 0
    assert (len(base.asked), len(tuned.asked)) == (20 + 1 + 5 + 10, 20 + 5 + 10)
    assert not any("quiz" in text for text in base.asked + tuned.asked)
    assert read_json(tmp_path / "report.json") == found
    assert "Better" in (tmp_path / "report.html").read_text()
    done = [args[1] for args in told]
    assert done == sorted(done)
    assert told[-1][:3] == ("evaluate", 71, 71)
    assert told[-1][3] == "tuned: retention"


def test_every_question_is_an_item_with_both_answers(tmp_path):
    evaluate(tmp_path, Pupil("old"), Pupil("exam"))
    items = {item["id"]: item for item in read_jsonl(tmp_path / "items.jsonl")}
    assert len(items) == 35
    first = items["exam1"]
    assert (first["before"], first["after"], first["correct_before"], first["correct_after"]) == (
        "No idea.",
        "word1",
        False,
        True,
    )
    assert (first["set"], first["split"], first["gold"], first["open_book"]) == (
        "final",
        "final",
        "It is word1.",
        "word1",
    )
    assert items["old0"]["reason"] == 'does not say "word0"'
    assert "open_book" not in items["exam2"]


def test_a_stopped_evaluation_goes_on_where_it_was(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        evaluate(tmp_path, Pupil("old", stop_after=25), Pupil("exam"))
    assert not (tmp_path / "report.json").exists()
    base, tuned = Pupil("old"), Pupil("exam")
    evaluate(tmp_path, base, tuned)
    assert len(base.asked) == 36 - 21  # the 16 and 4 of the exam and the one open-book were kept
    assert len(tuned.asked) == 35


def test_the_base_is_not_asked_again_for_another_student(tmp_path):
    evaluate(tmp_path, Pupil("old"), Pupil("exam"))
    base, tuned = Pupil("old"), Pupil("exam")
    other = {"models": {"base": {"digest": "aa"}, "tuned": {"digest": "cc"}}}
    evaluate(tmp_path, base, tuned, facts_about=other)
    assert (len(base.asked), len(tuned.asked)) == (0, 35)


def test_without_a_digest_nothing_is_kept(tmp_path):
    evaluate(tmp_path, Pupil(), Pupil(), facts_about={})
    assert not (tmp_path / "answers").exists()


def test_a_damaged_or_foreign_answer_is_asked_again(tmp_path):
    evaluate(tmp_path, Pupil("old"), Pupil("exam"))
    files = sorted((tmp_path / "answers").glob("*.json"))
    files[0].write_text("{half")
    files[1].write_text(json.dumps(read_json(files[1]) | {"model": "another"}))
    files[2].write_text("[]")
    files[3].write_text(json.dumps(read_json(files[3]) | {"answer": 7}))
    base, tuned = Pupil("old"), Pupil("exam")
    evaluate(tmp_path, base, tuned)
    assert len(base.asked) + len(tuned.asked) == 4


def test_an_answer_that_utf8_cannot_hold_is_kept_all_the_same(tmp_path):
    ask = keep_answers(
        lambda conversations, *, max_tokens: ["\ud800" + "x" * 200_000] * len(conversations), tmp_path, digest="d"
    )
    found = evaluate_one(questions("q", 1), ask, model={})
    assert found["items"][0]["answer"].startswith("?x")
    assert len(found["items"][0]["answer"]) == 100_000


def test_a_model_that_swallows_answers_is_an_error_with_keeping_too(tmp_path):
    with pytest.raises(StageError):
        evaluate(tmp_path, lambda conversations, *, max_tokens: ["only one"], Pupil())


def test_an_exam_without_final_questions_is_an_error(tmp_path):
    with pytest.raises(ContentError, match="no question of the split final"):
        evaluate(tmp_path, Pupil(), Pupil(), suites=Suites(exam=[]))


def test_the_retention_floor_of_the_recipe_decides(tmp_path):
    assert evaluate(tmp_path, Pupil("old"), Pupil("exam"))["verdict"] == "worse"
    floor = evaluate(tmp_path, Pupil("old"), Pupil("exam"), config=Evaluate(retention_floor=0.0))
    assert floor["verdict"] == "better"


def test_one_model_on_one_exam_is_json_with_every_split_and_kind(tmp_path):
    exam = [*EXAM, Question(id="y", kind="yes_no", question="What is y?", answer="Yes.")]
    found = evaluate_one(exam, Pupil("exam", "quiz"), model={"name": "m", "digest": "d"}, keep=tmp_path)
    assert (found["version"], found["n"], found["correct"], found["model"]["name"]) == (1, 24, 23, "m")
    assert found["by_kind"]["yes_no"]["correct"] == 0
    assert found["by_kind"]["short"]["n"] == 23
    assert found["items"][0]["correct"] is True
    assert json.loads(json.dumps(found)) == found
    again = Pupil()
    assert evaluate_one(exam, again, model={"name": "m", "digest": "d"}, keep=tmp_path) == found
    assert not again.asked
