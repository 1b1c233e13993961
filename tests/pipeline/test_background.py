"""What the report says of how to repeat a run does repeat it."""

import dataclasses
import shlex
from pathlib import Path

import pytest

from homeroom.core.config import Evaluate, Network, Phase, Recipe, Samples, Student, Teacher, Train, read_recipe
from homeroom.pipeline.background import options_of

TWO = (Phase(name="first", tokens=3000, lr=1e-5), Phase(name="second", method="lora", lora_stable=True))


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(),
        Recipe(network=Network(private=True, allow=("gpu.example.org", "10.1.0.0/16"))),
        Recipe(taxonomy=dataclasses.replace(Recipe().taxonomy, licences=())),
        Recipe(train=Train(preset="lab-multiphase", seed=3, keep=0.0)),
        Recipe(train=Train(phases=TWO)),
        Recipe(teacher=Teacher(model="1.5", url="http://127.0.0.1:8000/v1", stream=True)),
        Recipe(teacher=Teacher(model="yes"), student=Student(model="it's a: b")),
        Recipe(teacher=Teacher(model="~"), student=Student(model="Ä [😀]"), evaluate=Evaluate(max_forgetting=1e-5)),
        Recipe(samples=Samples(judge=True, temperature=0.25)),
    ],
)
def test_the_options_of_a_report_make_the_same_recipe(recipe: Recipe, tmp_path: Path):
    command = " ".join(shlex.quote(option) for option in options_of(recipe))
    assert read_recipe(tmp_path, tuple(shlex.split(command))) == recipe


def test_only_what_differs_is_said_and_no_password():
    assert options_of(Recipe()) == []
    recipe = Recipe(train=Train(phases=TWO[:1]), teacher=Teacher(url="http://me:secret@a.org/v1"))
    assert options_of(recipe) == [
        "teacher.url=http://a.org/v1",
        'train.phases=[{"name": "first", "tokens": 3000, "lr": 1e-05}]',
    ]
