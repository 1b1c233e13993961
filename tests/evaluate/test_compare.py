"""Two runs side by side: the same questions alone, with intervals, and nothing of an answer that could run."""

import pytest

from homeroom.core.errors import ContentError
from homeroom.evaluate.compare import compare_page, compare_runs, compare_table


def items(pattern, *, set="final", said="answer", sources=""):
    rows = []
    for n, letter in enumerate(pattern):
        row = {
            "set": set,
            "question": f"{set} {n}?",
            "after": f"{said} {n}",
            "correct_after": letter == "r",
            "gold": "g",
        }
        if sources:
            row |= {"with_sources": said, "correct_with_sources": sources[n] == "r"}
        rows.append(row)
    return rows


def compared(a, b, **more):
    return compare_runs({"verdict": "better"}, a, {"verdict": "worse"}, b, names=("one", "two"), **more)


def test_what_both_were_asked_is_compared_question_by_question():
    found = compared(items("rrwwwwwwww"), items("wrrrrrrrrr"))
    (row,) = found["rows"]
    assert (row["n"], row["first"]["correct"], row["second"]["correct"], row["difference"]) == (10, 2, 9, 0.7)
    assert row["ci95"][0] > 0
    assert len(found["changed"]) == 9
    assert "exam, closed-book: 8 right in two alone, 1 in one alone." in compare_table(found)


def test_sets_have_rows_of_their_own_with_sources_too():
    old = [*items("rw", sources="ww"), *items("rr", set="retention")]
    new = [*items("rw", sources="rr"), *items("rw", set="retention")]
    found = compared(old, new)
    assert [(r["set"], r["difference"]) for r in found["rows"]] == [
        ("final", 0.0),
        ("with_sources", 1.0),
        ("retention", -0.5),
    ]


def test_a_question_with_other_choices_is_another_question():
    rows = [row | {"question": "Which?", "choices": ["x", str(n)]} for n, row in enumerate(items("rw"))]
    (row,) = compared(rows, rows)["rows"]
    assert (row["n"], row["difference"]) == (2, 0.0)


def test_questions_of_one_run_alone_are_counted_and_left_out():
    found = compared(items("rrrr"), items("rr"))
    assert (found["rows"][0]["n"], found["left_out"]) == (2, 2)
    with pytest.raises(ContentError, match="no question in common"):
        compared(items("r"), items("r", set="other"))


def test_markup_and_script_in_answers_and_names_are_escaped():
    evil = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    a, b = items("r", said=evil), items("w", said=evil)
    page = compare_page(compare_runs({}, a, {}, b, names=(evil, "two")))
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;" in page
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page
    assert "http" not in page.replace("http-equiv", "")
