"""The grader against 200 answers that were labelled by hand, before it had seen them: at least 98 % agreement.

`labelled.jsonl`: a question as in an exam, with the answers that a person calls right and those called wrong.
"""

import json
from pathlib import Path

from homeroom.core.files import from_json
from homeroom.core.types import Question
from homeroom.evaluate.grade import grade

ROWS = [json.loads(line) for line in (Path(__file__).parent / "labelled.jsonl").read_text().splitlines()]


def pairs():
    for number, row in enumerate(ROWS):
        fields = {name: value for name, value in row.items() if name not in ("right", "wrong")}
        question = from_json(Question, {"id": str(number), **fields})
        for label in ("right", "wrong"):
            for said in row[label]:
                yield question, said, label == "right"


def test_the_grader_agrees_with_a_person_on_98_of_100_answers():
    found = [(q.question, said, right) for q, said, right in pairs() if grade(q, said).correct != right]
    total = len(list(pairs()))
    assert total >= 200
    assert len(found) <= 0.02 * total, found


def test_the_table_has_right_and_wrong_answers_of_every_kind():
    kinds = {q.kind for q, _, _ in pairs()} | {q.check for q, _, _ in pairs() if q.check}
    assert kinds == {
        "short",
        "yes_no",
        "choice",
        "rewrite",
        "valid_json",
        "markdown_table",
        "csv",
        "soap",
        "keeps_rest",
    }
    assert all(row["right"] and row["wrong"] for row in ROWS)
