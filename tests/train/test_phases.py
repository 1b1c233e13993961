"""Presets are phases written out, and each phase reads what it is for."""

from __future__ import annotations

import itertools
import json

import pytest

from homeroom.core.config import PRESETS, Phase, Train, read_recipe
from homeroom.core.errors import ContentError, UsageError
from homeroom.core.files import read_jsonl
from homeroom.core.types import Sample
from homeroom.train.phases import samples_for


def mixed() -> list[Sample]:
    leaves = ["knowledge/a"] * 40 + ["compositional_skills/b"] * 20 + [""] * 10
    kinds = ["direct"] * 40 + ["skill"] * 20 + ["replay"] * 10
    return [Sample(id=str(n), kind=k, leaf=leaf) for n, (leaf, k) in enumerate(zip(leaves, kinds, strict=True))]


def test_a_preset_is_its_phases_written_out(tmp_path):
    assert Train().phases == PRESETS["flat"] == (Phase(),)
    recipe = read_recipe(tmp_path, ("train.preset=lab-multiphase", "train.phases.1.lr=1e-5"))
    assert [(p.name, p.data) for p in recipe.train.phases] == [("knowledge", "knowledge"), ("skills", "skills")]
    assert recipe.train.phases[1].lr == 1e-5
    (tmp_path / "recipe.yaml").write_text("train: {preset: smoke}\n")
    smoke = read_recipe(tmp_path).train.phases
    assert [p.name for p in smoke] == ["smoke"]
    assert smoke[0].tokens < Phase().tokens / 5
    (tmp_path / "recipe.yaml").write_text("train: {preset: fast}\n")
    with pytest.raises(ContentError, match="smoke"):
        read_recipe(tmp_path)


def test_a_phase_reads_its_own_samples_replay_and_a_share_of_the_rest():
    def counts(**settings):
        kinds = [sample.kind for sample in samples_for(Phase(**settings), mixed())]
        return kinds.count("direct"), kinds.count("skill"), kinds.count("replay")

    assert counts() == (40, 20, 10)
    assert counts(data="knowledge") == (40, 0, 10)
    assert counts(data="skills") == (0, 20, 10)
    assert counts(data="skills", earlier_share=0.3) == (12, 20, 10)
    again = [int(s.id) for s in samples_for(Phase(data="skills", earlier_share=0.3), mixed()) if s.kind == "direct"]
    assert max(b - a for a, b in itertools.pairwise(again)) <= 4  # spread over all of it
    with pytest.raises(UsageError, match="earlier_share"):
        samples_for(Phase(earlier_share=2.0), mixed())


def test_broken_json_at_line_70000_is_named(tmp_path):
    line = json.dumps({"id": "a", "kind": "direct", "text": "x"}) + "\n"
    path = tmp_path / "train.jsonl"
    path.write_text(line * 69_999 + '{"id": "b", "kind": \n' + line)
    with pytest.raises(ContentError, match=r"train\.jsonl: line 70000: ") as caught:
        read_jsonl(path, Sample)
    assert caught.value.exit_code == 3
