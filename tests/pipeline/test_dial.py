"""The dial is turned on real weights; what "right" means is scripted by how far they went from the base."""

import dataclasses

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_student import make_tiny_student

from homeroom.core.config import Evaluate, Recipe, Train
from homeroom.core.errors import RefusedError, UsageError
from homeroom.core.types import Question
from homeroom.pipeline import dial as dials
from homeroom.pipeline.course import Course
from homeroom.pipeline.dial import turn_dial
from homeroom.train.blend import dial

NAME = "model.layers.0.mlp.up_proj.weight"


@pytest.fixture
def models(tmp_path):
    """A base, and a student whose weights all went 1.0 away from it."""
    base, tuned = make_tiny_student(tmp_path / "base"), make_tiny_student(tmp_path / "model")
    file = tuned / "model.safetensors"
    save_file({n: t + 1.0 for n, t in load_file(file).items()}, file, metadata={"format": "pt"})
    return base, tuned


def way(base, folder):
    difference = load_file(folder / "model.safetensors")[NAME] - load_file(base / "model.safetensors")[NAME]
    return round(float(difference.mean()), 3)


def scripted(monkeypatch, base, *, lost_per_way, learned=lambda share: 10):
    """Ten old questions and ten of the exam, whose answers depend on how far a model went from its base."""
    old = [Question(id=f"old-{n}", question="?") for n in range(20)]
    exam = [Question(id=f"exam-{n}", question="?", split="dev") for n in range(10)]
    asked = []

    def right(course, folder, questions):
        share = way(base, folder)
        asked.append(share)
        count = 10 - round(10 * lost_per_way * share) if questions[0].id.startswith("old") else learned(share)
        return [n < count for n in range(10)]

    monkeypatch.setattr(dials, "_right", right)
    monkeypatch.setattr("homeroom.evaluate.exam.shipped", lambda name: {"steering": old}[name])
    monkeypatch.setattr(dials, "exam_of", lambda course: exam)
    return asked


def course_of(base, **settings):
    recipe = dataclasses.replace(Recipe(), train=Train(keep=settings.pop("keep", 0.95)), evaluate=Evaluate(**settings))
    course = Course(folder=base.parent / "course", recipe=recipe)
    course._student, course.said = base, []
    course.say = course.said.append
    return course


def turned(course, models, tmp_path):
    done = turn_dial(course, models[1], tmp_path / "kept")
    assert way(*models) == 1.0  # what was trained stays
    return done.get("dial"), way(models[0], tmp_path / "kept")


def test_a_student_that_forgets_little_goes_the_farthest_and_is_asked_once(models, tmp_path, monkeypatch):
    asked = scripted(monkeypatch, models[0], lost_per_way=0.04)
    assert turned(course_of(models[0]), models, tmp_path) == (0.9, 0.9)
    assert asked == [0.0, 0.9, 0.9]  # old questions of the base, old ones and the exam of the student


def test_the_dial_stops_where_enough_of_the_old_is_kept(models, tmp_path, monkeypatch):
    scripted(monkeypatch, models[0], lost_per_way=0.2, learned=lambda share: 10 if share > 0.5 else 0)
    course = course_of(models[0], keep=0.9)
    assert turned(course, models, tmp_path) == (0.7, 0.7)
    assert course.said[0] == "dial: 90% of the way: 10 of 10 learned, 20% forgotten"
    from homeroom.models.torch_engine import TorchEngine

    assert TorchEngine(tmp_path / "kept").context_tokens == 512  # a whole model, with its tokenizer
    assert not (tmp_path / "kept.dial").exists()


def test_the_dial_stops_before_more_than_a_tenth_of_what_was_learned_is_gone(models, tmp_path, monkeypatch):
    scripted(monkeypatch, models[0], lost_per_way=0.5, learned=lambda share: 10 if share > 0.75 else 8)
    assert turned(course_of(models[0]), models, tmp_path) == (0.8, 0.8)


def test_the_gate_goes_on_whatever_is_unlearned_and_refuses_at_the_end(models, tmp_path, monkeypatch):
    scripted(monkeypatch, models[0], lost_per_way=0.5, learned=lambda share: round(10 * share))
    assert turned(course_of(models[0], max_forgetting=0.3), models, tmp_path) == (0.55, 0.55)
    scripted(monkeypatch, models[0], lost_per_way=1.0)
    with pytest.raises(RefusedError, match="forgot 40%") as caught:
        turned(course_of(models[0], max_forgetting=0.1), models, tmp_path)
    assert caught.value.exit_code == 5
    assert not (tmp_path / "kept").exists()
    assert not (tmp_path / "kept.dial").exists()
    assert turned(course_of(models[0], max_forgetting=0.5), models, tmp_path)[0] == 0.4  # a milder gate trains nothing


def test_without_questions_that_may_steer_or_a_wish_the_student_stays_as_it_is(models, tmp_path, monkeypatch):
    asked = scripted(monkeypatch, models[0], lost_per_way=1.0)
    assert turned(course_of(models[0], keep=0.0), models, tmp_path) == (None, 1.0)
    with monkeypatch.context() as patched:
        patched.setattr(dials, "exam_of", lambda course: [])
        assert turned(course_of(models[0]), models, tmp_path) == (None, 1.0)
    assert not asked


def test_a_gate_alone_leaves_the_student_as_training_left_it_where_that_is_below_it(models, tmp_path, monkeypatch):
    scripted(monkeypatch, models[0], lost_per_way=0.1)
    assert turned(course_of(models[0], keep=0.0, max_forgetting=0.2), models, tmp_path) == (1.0, 1.0)


def test_weights_of_another_shape_are_refused(models, tmp_path):
    base, tuned = models
    save_file({NAME: torch.zeros(3, 3)}, base / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UsageError, match="one shape"):
        dial(base, tuned, 0.5, tmp_path / "out")
