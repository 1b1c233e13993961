"""The tasks of lm-eval on base and tuned: the real one where it is installed, on a task of our own, offline."""

import importlib.util
import json
import os

import pytest
from click.testing import CliRunner
from tiny_student import make_tiny_student

from homeroom.cli.evaluate import evaluate
from homeroom.core.errors import ContentError, MachineError, UsageError
from homeroom.evaluate import harness

HAS = importlib.util.find_spec("lm_eval") is not None
TASK = """
task: gates
dataset_path: json
dataset_kwargs: {data_files: {test: %s}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: "{{choices}}"
doc_to_target: "{{right}}"
target_delimiter: ""
metric_list: [{metric: acc}, {metric: acc_norm}]
"""


def test_a_task_that_does_not_grade_right_or_wrong_is_refused():
    assert harness._right("t", [{"doc_id": 0, "acc": 1.0, "acc_norm": 0.0}]) == {
        "metric": "acc_norm",
        "right": {"0": False},
    }
    for samples in ([{"doc_id": 0, "bleu": 3.5}], [{"doc_id": 0, "acc": 0.25}], []):
        with pytest.raises(ContentError, match="right or wrong"):
            harness._right("t", samples)


def test_of_several_readings_of_an_answer_the_first_counts_and_is_named():
    graded = [("strict-match", "wrw"), ("flexible-extract", "rrr")]
    samples = [
        {"doc_id": n, "filter": name, "exact_match": float(mark == "r")}
        for name, marks in graded
        for n, mark in enumerate(marks)
    ]
    right = {"0": False, "1": True, "2": False}
    assert harness._right("gsm8k", samples) == {"metric": "exact_match,strict-match", "right": right}


def test_base_and_tuned_are_compared_question_by_question(monkeypatch):
    right = {"a": "wwwwrr", "b": "rrrrrw"}

    def scores(path, tasks, **how):
        return {tasks[0]: {"metric": "acc", "right": {str(n): c == "r" for n, c in enumerate(right[path])}}}

    monkeypatch.setattr(harness, "scores_of", scores)
    found = harness.run_tasks({"base": "a", "tuned": "b"}, ["arc_easy"])
    (row,) = found["tasks"]
    assert (row["base"]["correct"], row["tuned"]["correct"]) == (2, 5)
    assert (row["difference"]["gained"], row["difference"]["lost"]) == (4, 1)
    table = harness.tasks_table(found)
    assert "arc_easy (acc)" in table
    assert "+50.0 points" in table
    alone = harness.tasks_table(harness.run_tasks({"model": "b"}, ["arc_easy"]))
    assert "83.3 %" in alone
    with pytest.raises(UsageError, match="0 tasks"):
        harness.run_tasks({"model": "b"}, [])


def test_an_endpoint_is_refused():
    found = CliRunner().invoke(evaluate, ["http://127.0.0.1:1/v1", "--tasks", "arc_easy"])
    assert isinstance(found.exception, UsageError)


@pytest.mark.skipif(HAS, reason="lm-eval is installed")
def test_without_lm_eval_it_is_said_how_to_install_it(tmp_path):
    with pytest.raises(MachineError, match=r"pip install 'lm-eval\[hf\]'"):
        harness.run_tasks({"model": tmp_path}, ["arc_easy"])


@pytest.mark.skipif(not HAS, reason="needs lm-eval: pip install 'lm-eval[hf]'")
@pytest.mark.filterwarnings("default")
def test_a_task_of_ones_own_is_asked_of_two_models(tmp_path, monkeypatch):
    monkeypatch.setenv("HOMEROOM_OFFLINE", "1")
    rows = [{"question": f"Gate {n}?", "choices": ["north", "the south gate"], "right": n % 2} for n in range(6)]
    (tmp_path / "gates.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "gates.yaml").write_text(TASK % (tmp_path / "gates.jsonl"))
    models = {name: make_tiny_student(tmp_path / name) for name in ("base", "tuned")}
    with pytest.raises(UsageError, match="knows no task 'gaits'"):
        harness.run_tasks(models, ["gaits"], include=tmp_path)
    found = harness.run_tasks(models, ["gates"], include=tmp_path)
    (row,) = found["tasks"]
    assert (row["metric"], row["base"]["n"], row["tuned"]["n"]) == ("acc_norm", 6, 6)
    assert (row["difference"]["gained"], row["difference"]["lost"]) == (0, 0)  # the same weights twice
    assert os.environ["HF_HUB_OFFLINE"] == "1"
