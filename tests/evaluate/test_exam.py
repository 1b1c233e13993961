import json

import pytest

from homeroom.core.errors import ContentError, StageError
from homeroom.core.types import Question
from homeroom.evaluate.exam import AT_ONCE, MAX_CHARACTERS, MAX_LINES, examine, read_exam

WEEKS = {"question": "How long?", "answer": "Nine weeks.", "must": [["9 weeks"]]}


def write(folder, *rows, name="exam.jsonl"):
    path = folder / name
    path.write_text(
        "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), encoding="utf-8"
    )
    return path


def fault(folder, *rows):
    with pytest.raises(ContentError) as caught:
        read_exam(write(folder, *rows))
    return str(caught.value)


def test_a_line_without_id_kind_and_split_gets_them(tmp_path):
    path = write(tmp_path, WEEKS, {**WEEKS, "question": "How long for fire?"})
    first, second = read_exam(path)
    assert (first.kind, first.split, len(first.id)) == ("short", "final", 12)
    assert first.id != second.id
    assert first.id == read_exam(path)[0].id


def test_a_folder_is_read_in_the_order_of_its_files_and_names_the_faulty_one(tmp_path):
    write(tmp_path, {**WEEKS, "id": "b"}, name="b.jsonl")
    write(tmp_path, {**WEEKS, "id": "a", "question": "When?"}, name="a.jsonl")
    assert [question.id for question in read_exam(tmp_path)] == ["a", "b"]
    write(tmp_path, "", {**WEEKS, "id": "b", "question": "Who?"}, name="c.jsonl")
    with pytest.raises(ContentError, match=r"c\.jsonl line 2: the id 'b' was used before, on b\.jsonl line 1"):
        read_exam(tmp_path)


def test_every_faulty_line_is_named_at_once_blank_lines_counted(tmp_path):
    text = fault(tmp_path, WEEKS, "", {"question": "?", "must": ["a"]}, {"question": "Which?", "kind": "essay"})
    assert "line 3" in text
    assert "line 4" in text
    assert "line 1" not in text


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({**WEEKS, "must": ["9 weeks", "63 days"]}, "list of groups"),
        ({**WEEKS, "must": "9 weeks"}, "list of groups"),
        ({**WEEKS, "must": [[]]}, "a group of must is empty"),
        ({**WEEKS, "must": [["!!"]]}, "no word that could be compared"),
        ({**WEEKS, "must_not": [""]}, "no word that could be compared"),
        ({**WEEKS, "answer": "Ten weeks."}, 'its own answer would be wrong: does not say "9 weeks"'),
        ({**WEEKS, "must_not": ["weeks"]}, 'its own answer would be wrong: says "weeks"'),
        ({**WEEKS, "question": " "}, "question is empty"),
        ({**WEEKS, "musst": []}, "did you mean must"),
        ({"question": "How long?"}, "neither must nor answer"),
        ({**WEEKS, "check": "spelling"}, "no check called 'spelling'"),
        ({**WEEKS, "check": "keeps_rest"}, "keeps_rest needs the context"),
        ({**WEEKS, "choices": ["a1", "b1"]}, 'the kind is not "choice"'),
        ({**WEEKS, "kind": "choice", "choices": ["9 weeks"]}, "a choice needs 2 to 10 choices"),
        ({**WEEKS, "kind": "choice", "choices": ["9 weeks", "Nine weeks"]}, "two choices are the same"),
        ({**WEEKS, "kind": "choice", "choices": ["red", "blue"]}, "names 0 of the 2 choices"),
        ({**WEEKS, "kind": "yes_no", "answer": "Yes.", "check": "csv"}, "no effect on a yes_no"),
        ({**WEEKS, "kind": "yes_no"}, "whether yes or no"),
        ({**WEEKS, "kind": "rewrite"}, "a rewrite needs the context"),
        ({**WEEKS, "kind": "rubric"}, "a rubric is judged"),
        ({**WEEKS, "question": "x" * (MAX_CHARACTERS + 1)}, "question is longer than"),
        ({**WEEKS, "must": [["9 weeks"] * 101]}, "more than 100 terms"),
        ({**WEEKS, "must": [["9 weeks", "x" * 501]]}, "longer than 500 characters"),
        ({**WEEKS, "question": "\ud800"}, "half a character"),
        ({**WEEKS, "split": "secret"}, "split is 'secret'"),
        ('["a list"]', "must be a mapping"),
        ("not json", "line 1"),
    ],
)
def test_a_line_that_cannot_be_graded_is_refused_with_the_reason(tmp_path, row, message):
    assert message in fault(tmp_path, row)


def test_the_same_question_twice_is_refused_even_in_other_dress(tmp_path):
    assert "the same question was used before, on line 1" in fault(tmp_path, WEEKS, {**WEEKS, "question": "HOW long"})


def test_the_same_instruction_about_another_text_is_another_question(tmp_path):
    row = {"kind": "rewrite", "question": "Rewrite.", "context": "The fireman ran.", "must": [["firefighter"]]}
    assert len(read_exam(write(tmp_path, row, {**row, "context": "A fireman sat."}))) == 2


def test_missing_empty_binary_and_oversized_exams_are_content_errors(tmp_path):
    for path in (tmp_path / "none.jsonl", tmp_path, write(tmp_path, "", name="empty.jsonl")):
        with pytest.raises(ContentError):
            read_exam(path)
    binary = tmp_path / "binary.jsonl"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ContentError, match="UTF-8"):
        read_exam(binary)
    with pytest.raises(ContentError, match="more than"):
        read_exam(write(tmp_path, *["{}"] * (MAX_LINES + 1), name="long.jsonl"))
    with pytest.raises(ContentError, match="nested"):
        read_exam(write(tmp_path, "[" * 100_000, name="deep.jsonl"))
    with (tmp_path / "large.jsonl").open("wb") as file:
        file.truncate(21 * 2**20)
    with pytest.raises(ContentError, match="larger than 20 MiB"):
        read_exam(tmp_path / "large.jsonl")


def test_a_line_separator_inside_a_string_does_not_end_the_line(tmp_path):
    row = json.dumps({**WEEKS, "question": "How\u2028long?"}, ensure_ascii=False)
    assert read_exam(write(tmp_path, row))[0].question == "How\u2028long?"


# -- asking --------------------------------------------------------------------------------------------------------


class Parrot:
    """Answers with what is asked, and remembers how it was asked."""

    def __init__(self):
        self.calls = []

    def __call__(self, conversations, *, max_tokens):
        self.calls.append((len(conversations), max_tokens))
        return [conversation[-1].content for conversation in conversations]


def short(number):
    return Question(id=f"q{number}", question=f"Say word{number}.", must=((f"word{number}",),))


def test_scores_come_in_the_order_of_the_questions_in_batches():
    model, told = Parrot(), []
    questions = [short(n) for n in range(2 * AT_ONCE + 1)]
    scores = examine(questions, model, max_tokens=64, progress=lambda *args: told.append(args))
    assert [score.question for score in scores] == [question.id for question in questions]
    assert all(score.correct for score in scores)
    assert model.calls == [(AT_ONCE, 64), (AT_ONCE, 64), (1, 64)]
    assert told[-1][:3] == ("evaluate", 2 * AT_ONCE + 1, 2 * AT_ONCE + 1)


def test_a_rewrite_gets_tokens_for_its_context_and_keeps_its_place():
    long = Question(id="r", kind="rewrite", question="Rewrite.", context="word " * 200, must=(("word",),))
    model = Parrot()
    scores = examine([short(1), long, short(2)], model, max_tokens=64)
    assert model.calls == [(2, 64), (1, 512)]
    assert [score.question for score in scores] == ["q1", "r", "q2"]
    assert scores[1].answer.endswith("word ")


def test_open_book_puts_the_passage_first_where_there_is_one():
    scores = examine([short(1), short(2)], Parrot(), max_tokens=8, passages={"q1": "A passage."})
    assert [score.answer for score in scores] == ["A passage.\n\nSay word1.", "Say word2."]


def test_nothing_is_asked_when_one_question_cannot_be_graded():
    model = Parrot()
    with pytest.raises(ContentError):
        examine([short(1), Question(id="x", question="?", kind="rubric")], model, max_tokens=8)
    assert not model.calls


def test_a_model_that_swallows_a_question_is_an_error():
    with pytest.raises(StageError, match="0 answers to 1"):
        examine([short(1)], lambda conversations, *, max_tokens: [], max_tokens=8)


def test_an_exam_of_nothing_is_nothing():
    assert examine([], Parrot(), max_tokens=8) == []
