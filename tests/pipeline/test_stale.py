"""What makes which stage stale: every input and setting that a stage uses, and no other."""

import json
from collections.abc import Callable
from pathlib import Path

import otter_course
import pytest

from homeroom.author.correct import correct
from homeroom.core.contributions import accept
from homeroom.pipeline.course import open_course
from homeroom.pipeline.run import STAGES, made_from


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return otter_course.make(tmp_path / "course")


def stale_after(folder: Path, *options: str, change: Callable[[], object] = lambda: None) -> list[str]:
    """Return the stages whose own inputs or settings are others after a change."""
    before = [made_from(open_course(folder), stage) for stage in STAGES]
    change()
    after = [made_from(open_course(folder, options), stage) for stage in STAGES]
    return [stage for stage, was, now in zip(STAGES, before, after, strict=True) if was != now]


@pytest.mark.parametrize(
    ("option", "stages"),
    [
        ("student.model=qwen3-0.6b", ["samples", "dataset", "train"]),  # its quiz steers, its answers are the replay
        ("teacher.model=another", ["facts", "exam", "samples"]),
        ("teacher.url=http://127.0.0.1:9/v1", ["facts", "exam", "samples"]),
        ("teacher.in_flight=2", []),
        ("judge.model=another", ["report"]),
        ("evaluate.max_tokens=80", ["report"]),
        ("train.phases.0.replay_share=0", ["samples", "dataset", "train"]),
    ],
)
def test_a_setting_makes_the_stages_stale_that_use_it(folder: Path, option: str, stages: list[str]):
    assert stale_after(folder, option) == stages


def test_a_change_of_the_taxonomy_reaches_the_exam_which_no_seed_may_have(folder: Path):
    qna = folder / "knowledge" / "club" / "qna.yaml"
    text = qna.read_text(encoding="utf-8").replace("Part 0, point 1?", "Who repairs them?")
    assert stale_after(folder, change=lambda: qna.write_text(text, encoding="utf-8")) == [
        "documents",
        "facts",
        "exam",
        "samples",
    ]


@pytest.mark.parametrize(("name", "stages"), [("attribution.txt", ["dataset", "report"]), ("rubric.md", ["report"])])
def test_a_file_beside_a_leaf_makes_stale_what_tells_of_it(folder: Path, name: str, stages: list[str]):
    path = folder / "knowledge" / "club" / name
    assert stale_after(folder, change=lambda: path.write_text("License of the work: MIT\n")) == stages
    assert stale_after(folder, change=lambda: path.write_text("License of the work: CC0-1.0\n")) == stages
    assert stale_after(folder) == []


def test_a_correction_is_in_the_report_once_it_is_accepted(folder: Path):
    given = correct(folder, "How much does a lost paddle cost me?", "35 crowns.", wrong="Nothing.").contribution
    assert stale_after(folder, change=lambda: accept(folder, given.id)) == [
        "documents",
        "facts",
        "exam",
        "samples",
        "report",
    ]


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("documents/chunks", ["facts", "samples", "report"]),  # the last says what a search in them finds
        ("exam/dev", ["samples", "dataset", "train", "report"]),  # the dial asks it
        ("exam/final", ["samples", "dataset", "report"]),  # no replay may have its wording
    ],
)
def test_what_a_stage_wrote_reaches_all_that_read_it(folder: Path, name: str, stages: list[str]):
    path = folder / "out" / f"{name}.jsonl"
    path.parent.mkdir(parents=True)
    assert stale_after(folder, change=lambda: path.write_text(json.dumps({"id": "1"}) + "\n")) == stages


@pytest.mark.parametrize(
    ("who", "name", "stages"),
    [
        ("student", "base/config.json", ["samples", "dataset", "train"]),
        ("teacher", "teacher.gguf", ["facts", "exam", "samples"]),
    ],
)
def test_other_weights_in_the_place_of_a_model_make_stale_what_it_made(
    folder: Path, who: str, name: str, stages: list[str]
):
    file = folder.parent / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("{}")
    model = file if file.suffix == ".gguf" else file.parent
    (folder / "recipe.yaml").write_text(f"{who}:\n  model: {model}\n")
    assert stale_after(folder) == []
    assert stale_after(folder, change=lambda: file.write_text('{"another": 1}')) == stages
