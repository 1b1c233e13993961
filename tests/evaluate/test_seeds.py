"""Runs with several seeds together: means, and intervals that cover another exam and another seed."""

import numpy
import pytest
from click.testing import CliRunner

from homeroom.cli.report import report as command
from homeroom.core.errors import ContentError, UsageError
from homeroom.core.files import write_json, write_jsonl
from homeroom.evaluate.seeds import seeds_page, seeds_report, seeds_table

REPORT = {"verdict": "better", "base": {"digest": "b"}}


def run(before, after, *, with_sources="", group="final"):
    rows = []
    for n, (was, now) in enumerate(zip(before, after, strict=True)):
        row = {"set": group, "question": f"{group} {n}?", "correct_before": was == "r", "correct_after": now == "r"}
        if with_sources:
            row |= {"correct_with_sources": with_sources[n] == "r", "correct_with_sources_before": n % 2 == 0}
        rows.append(row)
    return rows


def together(*runs):
    return seeds_report([REPORT] * len(runs), runs, names=[f"seed {n}" for n in range(len(runs))])


def test_the_four_ways_stand_in_one_table_with_means_and_ranges():
    found = together(
        [*run("wwww", "rrww", with_sources="rrrw"), *run("rr", "rw", group="retention")],
        [*run("wwww", "rrrw", with_sources="rrrr"), *run("rr", "rr", group="retention")],
    )
    ways = {row["title"]: row for row in found["ways"]}
    assert [row["mean"] for row in found["ways"]] == [0.0, 0.5, 0.625, 0.875]
    assert (ways["tuned alone"]["lowest"], ways["tuned alone"]["highest"]) == (0.5, 0.75)
    assert ways["tuned with retrieval"]["gain"] == 0.875
    assert ways["base alone (closed-book)"]["gain_ci95"] is None
    (old,) = found["old"]
    assert (old["before"], old["mean"], old["gain"]) == (1.0, 0.75, -0.25)
    text = seeds_table(found)
    assert "tuned with retrieval" in text
    assert "+87.5 points" in text
    assert "other seeds" in text


def test_one_run_says_that_it_knows_nothing_of_other_seeds():
    assert "one run says nothing of another seed" in seeds_table(together(run("ww", "rw")))


def test_questions_that_a_run_was_not_asked_are_left_out_and_other_bases_refused():
    assert together(run("wwww", "rrww"), run("ww", "rr"))["ways"][0]["n"] == 2
    old = [[*run("w", "w"), *run(before, before, group="retention")] for before in ("rrww", "rr")]
    (row,) = together(*old)["old"]
    assert (row["n"], row["before"], row["mean"], row["gain"]) == (2, 1.0, 1.0, 0.0), "the base on the same questions"
    with pytest.raises(ContentError, match="no final question in common"):
        together(run("w", "r"), run("w", "r", group="control"))
    with pytest.raises(ContentError, match="same base"):
        seeds_report([REPORT, {"base": {"digest": "other"}}], [run("w", "r")] * 2, names=["a", "b"])
    with pytest.raises(ContentError, match="0 runs"):
        together()


def test_a_question_with_other_choices_is_another_question():
    asked = [{"set": "final", "question": "Which?", "correct_before": False} for _ in range(3)]
    rows = [row | {"choices": [str(n), "x"], "correct_after": n == 1} for n, row in enumerate(asked)]
    found = next(row for row in together(rows, rows[:2])["ways"] if row["title"] == "tuned alone")
    assert (found["n"], found["mean"]) == (2, 0.5)


def test_the_interval_covers_the_truth_under_other_questions_and_other_seeds():
    random = numpy.random.default_rng(5)
    covered = exams = 0
    for _ in range(50):
        hardness = random.normal(0.3, 1.2, size=80)
        seeds = random.normal(0, 0.35, size=3)
        right = random.random((3, 80)) < 1 / (1 + numpy.exp(-(hardness[None] + seeds[:, None])))
        runs = [run("w" * 80, "".join("r" if hit else "w" for hit in row)) for row in right]
        low, high = next(row["ci95"] for row in together(*runs)["ways"] if row["title"] == "tuned alone")
        covered, exams = covered + (low <= 0.5574 <= high), exams + 1  # the mean over questions and seeds, integrated
    assert covered / exams >= 0.9


def test_names_that_are_markup_are_escaped_and_nothing_is_loaded():
    evil = "<script>alert(1)</script>"
    page = seeds_page(seeds_report([REPORT], [run("ww", "rw", with_sources="rr")], names=[evil]))
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert "http" not in page.replace("http-equiv", "")


def test_the_command_puts_runs_together_and_writes_the_page(tmp_path):
    for seed, after in enumerate(("rrww", "rrrw")):
        folder = tmp_path / f"seed{seed}"
        write_json(folder / "report.json", REPORT)
        write_jsonl(folder / "items.jsonl", run("wwww", after))
    folders = [str(tmp_path / "seed0"), str(tmp_path / "seed1")]
    done = CliRunner().invoke(command, ["--seeds", *folders, "--html", str(tmp_path / "page.html")])
    assert done.exit_code == 0, done.output
    assert "62.5 %" in done.output
    assert "62.5" in (tmp_path / "page.html").read_text()
    for wrong in (["--seeds", "--compare", *folders], folders, [folders[0], "--html", "x.html"]):
        assert isinstance(CliRunner().invoke(command, wrong).exception, UsageError)
