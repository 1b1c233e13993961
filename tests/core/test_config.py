"""The recipe and the options of a command: whatever they say, they are read or refused in words."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import homeroom
from homeroom.core.config import PRESETS, Recipe, Train, read_recipe
from homeroom.core.errors import ContentError, UsageError

EXAMPLES = Path(homeroom.__file__).parent / "data" / "examples"


@pytest.mark.parametrize("course", sorted(p.name for p in EXAMPLES.iterdir() if p.is_dir()))
def test_the_examples_and_presets_are_in_range(course: str, tmp_path: Path):
    read_recipe(EXAMPLES / course)
    for preset in PRESETS:
        assert read_recipe(tmp_path, (f"train.preset={preset}",)).train == Train(preset=preset)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("train.phases.lr=1e-4", "no setting called train.phases.lr"),
        ("train.phases.5.lr=1", "no setting called train.phases.5.lr"),
        ("train.phases." + "9" * 5000 + ".lr=1", "no setting called train.phases.999"),
        ("train.phases.flat.lr=1", "no setting called train.phases.flat.lr"),
        ("train.phases.0=1", "no setting called train.phases.0"),
        ("train.seed.deep=1", "no setting called train.seed.deep"),
        ("train..seed=1", "no setting called train..seed"),
        ("network.allow=[a", "not valid YAML"),
        ("train.seed=2024-99-99", "not valid YAML"),
        ("train.seed=" + "9" * 5000, "not valid YAML"),
        ("train.keep=nan", "train.keep is nan, not from 0 to 1"),
        ("train.keep=1.5", "train.keep is 1.5, not from 0 to 1"),
        ("train.phases.0.replay_share=1.0", "replay_share is 1.0, not from 0 to below 1"),
        ("train.phases.0.word_dropout=1", "word_dropout is 1.0, not from 0 to below 1"),
        ("train.phases.0.lr=0", "train.phases.0.lr is 0.0, not above 0"),
        ("train.phases.0.lr=.inf", "train.phases.0.lr is inf"),
        ("train.phases.0.lr=1" + "0" * 400, "lr must be float"),
        ("train.phases.0.tokens=1" + "0" * 400, "tokens is"),
        ("documents.max_words=0", "documents.max_words is 0, not from 1"),
        ("samples.rounds=-1", "samples.rounds is -1, not from 1"),
        ("network=3", "must be a mapping"),
    ],
)
def test_an_option_that_cannot_be_is_refused_in_words(option: str, said: str, tmp_path: Path):
    with pytest.raises(UsageError) as caught:
        read_recipe(tmp_path, (option,))
    assert said in caught.value.message
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "text",
    ["seed: 2024-99-99", "[" * 2_000, "train: {keep: .nan}", "train: {phases: [{replay_share: 1.0}]}", "\udcff"],
)
def test_a_recipe_that_cannot_be_is_refused_in_words(text: str, tmp_path: Path):
    (tmp_path / "recipe.yaml").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ContentError) as caught:
        read_recipe(tmp_path)
    assert "recipe.yaml" in caught.value.where
    assert len(str(caught.value)) < 1000


def _numbers(settings: object, path: str = "") -> list[str]:
    found = []
    for field in dataclasses.fields(settings):  # type: ignore[arg-type]
        value = getattr(settings, field.name)
        if dataclasses.is_dataclass(value):
            found += _numbers(value, f"{path}{field.name}.")
        elif isinstance(value, float | int) and not isinstance(value, bool):
            found.append(path + field.name)
    return found


NAMES = [*_numbers(Recipe()), *_numbers(PRESETS["flat"][0], "train.phases.0.")]
YAML = st.text("0123456789.,:-_[]{}&*!|>'\"%@ e", max_size=9)


@given(st.sampled_from(NAMES), st.one_of(st.floats(), st.integers(), YAML))
def test_every_number_is_taken_or_refused_and_none_is_nan_or_endless(name: str, value: object):
    try:
        recipe = read_recipe(Path("no-such-course"), (f"{name}={value}",))
    except UsageError:
        return
    found: object = recipe
    for part in name.split("."):
        found = found[int(part)] if part.isdigit() else getattr(found, part)  # type: ignore[index]
    assert -1e12 <= found <= 1e12  # type: ignore[operator]
