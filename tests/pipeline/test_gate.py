"""The gate on forgetting: the dial is turned on real weights; what "right" means is scripted by how far they went."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_student import make_tiny_student

from homeroom.core.errors import RefusedError, UsageError
from homeroom.pipeline.gate import take_back, turn
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


def forgetful(base, *, per_way):
    """Ten questions, of which a model forgets the more the farther it went."""

    def right(folder):
        lost = round(10 * per_way * way(base, folder))
        return [False] * lost + [True] * (10 - lost)

    return right


def test_a_student_that_forgets_little_is_left_as_it_is(models, tmp_path):
    base, tuned = models
    found = turn(base, tuned, refused=tmp_path / "no", most=0.2, right=forgetful(base, per_way=0.2), say=lambda _: None)
    assert found == {"dial": 1.0, "forgetting": 0.2}
    assert way(base, tuned) == 1.0


def test_the_dial_is_turned_to_the_farthest_share_that_is_allowed(models, tmp_path):
    base, tuned = models
    said = []
    found = turn(base, tuned, refused=tmp_path / "no", most=0.4, right=forgetful(base, per_way=0.6), say=said.append)
    assert found == {"dial": 0.7, "forgetting": 0.4}
    assert way(base, tuned) == 0.7
    assert len(said) == 3
    from homeroom.models.torch_engine import TorchEngine

    assert TorchEngine(tuned).context_tokens == 512  # a whole model, with its tokenizer


def test_a_student_that_forgets_too_much_however_near_is_refused_and_the_base_stays(models, tmp_path):
    base, tuned = models
    with pytest.raises(RefusedError, match="forgot 100") as caught:
        turn(base, tuned, refused=tmp_path / "no", most=0.1, right=forgetful(base, per_way=1.0), say=lambda _: None)
    assert caught.value.exit_code == 5
    assert not tuned.exists()
    assert way(base, tmp_path / "no") == 1.0
    assert not (tmp_path / "model.dial").exists()


def test_a_refused_student_is_taken_back_for_a_milder_gate(models, tmp_path):
    base, tuned = models
    right = forgetful(base, per_way=1.0)
    with pytest.raises(RefusedError):
        turn(base, tuned, refused=tmp_path / "no", most=0.1, right=right, say=lambda _: None)
    take_back(tmp_path / "no", tuned)
    assert turn(base, tuned, refused=tmp_path / "no", most=0.7, right=right, say=lambda _: None)["dial"] == 0.7
    assert not (tmp_path / "no").exists()
    take_back(tmp_path / "no", tuned)  # nothing to take back
    assert way(base, tuned) == 0.7


def test_weights_of_another_shape_are_refused(models, tmp_path):
    base, tuned = models
    save_file({NAME: torch.zeros(3, 3)}, base / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UsageError, match="one shape"):
        dial(base, tuned, 0.5, tmp_path / "out")
