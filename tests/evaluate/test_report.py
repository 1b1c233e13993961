import json
import re

import pytest

from homeroom.core.types import Question, Score
from homeroom.evaluate.report import Outcome, make_report, table


def outcomes(pattern, *, name="q", leaf="", kind="short"):
    """One outcome a letter: l(earned), k(nown), f(orgotten), n(ever)."""
    found = []
    for i, letter in enumerate(pattern):
        question = Question(id=f"{name}{i}", question=f"Question {i}?", leaf=leaf, kind=kind)
        before, after = letter in "kf", letter in "kl"
        found.append(
            Outcome(
                question=question,
                before=Score(question=question.id, answer="x", correct=before),
                after=Score(question=question.id, answer="y", correct=after),
            )
        )
    return found


def report(final, **parts):
    return make_report(base={"name": "base"}, tuned={"name": "tuned"}, final=final, **parts)


def read(final, right):
    return [Score(question=o.question.id, answer="", correct=i < right) for i, o in enumerate(final)]


def test_a_report_has_the_shape_of_the_contract_and_is_json():
    final = outcomes("l" * 30 + "n" * 10)
    found = report(
        final, retention=outcomes("k" * 20, name="r"), control=outcomes("n" * 5, name="c"), open_book=read(final, 35)
    )
    names = {"version", "base", "tuned", "closed_book", "open_book", "control", "gap_closed", "retention", "forgetting"}
    assert names | {"leaves", "budget", "verdict"} <= set(found)
    assert found["closed_book"]["before"] == {"n": 40, "correct": 0, "accuracy": 0.0, "ci95": [0.0, 0.0876]}
    assert found["closed_book"]["after"]["accuracy"] == 0.75
    assert found["closed_book"]["difference"]["difference"] == 0.75
    assert found["open_book"]["correct"] == 35
    assert json.loads(json.dumps(found)) == found


def test_clear_gains_with_old_abilities_kept_are_better():
    found = report(outcomes("l" * 30 + "n" * 10), retention=outcomes("k" * 19 + "f", name="r"))
    assert found["verdict"] == "better"
    assert found["retention"]["ratio"] == found["retention"]["after"]["correct"] / 20 == 0.95


def test_gains_at_the_price_of_old_abilities_are_worse():
    found = report(outcomes("l" * 30 + "n" * 10), retention=outcomes("k" * 17 + "fff", name="r"))
    assert found["verdict"] == "worse"
    assert "85.0 %" in found["why"]


def test_retention_exactly_on_the_floor_is_enough():
    found = report(outcomes("l" * 30), retention=outcomes("k" * 18 + "ff", name="r"), retention_floor=0.9)
    assert found["verdict"] == "better"


def test_what_was_gained_in_old_abilities_makes_up_for_what_was_lost_but_is_still_listed():
    found = report(outcomes("l" * 30), retention=outcomes("kkkkkkkkffll", name="r"))
    assert found["retention"]["ratio"] == 1.0
    assert found["retention"]["lost"] == ["r8", "r9"]
    assert found["retention"]["gained"] == ["r10", "r11"]
    assert found["forgetting"] == 0.2
    assert found["verdict"] == "better"


def test_a_change_within_chance_is_no_evidence_and_a_clear_loss_is_worse():
    assert report(outcomes("lllllfff" + "n" * 30))["verdict"] == "no evidence"
    assert report(outcomes("k" * 40))["verdict"] == "no evidence"
    assert report(outcomes("f" * 20 + "k" * 20))["verdict"] == "worse"


def test_few_questions_are_no_evidence_however_well_they_went():
    assert report(outcomes("llll"))["verdict"] == "no evidence"
    assert report(outcomes("l"))["verdict"] == "no evidence"


def test_the_gap_closed_is_measured_on_what_was_asked_with_the_passage():
    final = outcomes("llllnnnn")
    assert report(final, open_book=read(final, 8))["gap_closed"] == 0.5
    assert report(final, open_book=read(final, 8)[:4])["gap_closed"] == 1.0
    assert report(final, open_book=read(final, 0))["gap_closed"] is None
    assert report(final)["gap_closed"] is None
    assert report(outcomes("kkkk"), open_book=read(outcomes("kkkk"), 4))["gap_closed"] is None


def test_a_base_that_knew_nothing_has_no_ratio_and_no_forgetting():
    found = report(outcomes("l" * 30), retention=outcomes("nnn", name="r"))
    assert found["retention"]["ratio"] is None
    assert found["forgetting"] is None
    assert found["verdict"] == "better"


def test_leaves_and_kinds_have_a_row_each():
    final = [*outcomes("lln", leaf="a"), *outcomes("kf", name="p", leaf="b", kind="choice")]
    found = report(final)
    assert [(row["leaf"], row["n"], row["after"]["correct"]) for row in found["leaves"]] == [("a", 3, 2), ("b", 2, 1)]
    assert [(row["kind"], row["difference"]["lost"]) for row in found["kinds"]] == [("short", 0), ("choice", 1)]


def test_the_table_says_what_moved_what_was_forgotten_and_the_verdict():
    final = [*outcomes("l" * 20, leaf="a"), *outcomes("n" * 20, name="p", leaf="b")]
    text = table(report(final, retention=outcomes("k" * 19 + "f", name="r"), open_book=read(final, 40)))
    line = r"^exam, closed-book +40 +0.0 % +50.0 % +\+50.0 points +\+34.3 to \+65.7 +< 0.001$"
    assert re.search(line, text, re.MULTILINE)
    assert "Forgotten: 1 (5.0 % of what was known); newly right: 0." in text
    assert "r19" in text
    assert "Gap to reading closed: 50.0 %" in text
    assert "\nVerdict: better. The student answers 50.0 points more" in text
    assert "seed" in text
    lines = text.splitlines()
    assert len({line.index("%") for line in lines if line.startswith(("exam, closed", "  a", "  b"))}) == 1


def test_a_name_cannot_move_the_cursor():
    text = table(report([*outcomes("l", leaf="a\x1b[2J\nb" * 50), *outcomes("n", name="p", leaf="c")]))
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) < 300


@pytest.mark.parametrize("parts", [{}, {"retention": outcomes("", name="r")}, {"control": outcomes("n", name="c")}])
def test_parts_that_were_not_asked_are_null_or_left_out(parts):
    found = report(outcomes("ln"), **parts)
    assert found["retention"] is None
    assert "not measured" in found["why"]
    assert ("control" in table(found)) is bool(parts.get("control"))
