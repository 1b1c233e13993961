"""What people decided about samples: nothing vanishes, and what lacks its sample is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from homeroom.core.errors import ContentError
from homeroom.core.types import Message, Rejected, Sample
from homeroom.generate.decisions import FILE, Decision, decided, key_of, read_decisions


def sample(question: str, answer: str) -> Sample:
    said = (Message(role="user", content=question), Message(role="assistant", content=answer))
    return Sample(id=f"{question} {answer}", kind="direct", leaf="a", messages=said)


@pytest.mark.parametrize("what", ["accept", "edit"])
def test_a_decision_to_keep_a_sample_that_it_does_not_hold_is_refused(what: str, tmp_path: Path):
    lines = [{"key": "k", "what": "reject"}, {"key": "k", "what": "undo"}, {"key": "k", "what": what}]
    (tmp_path / FILE).write_text("".join(json.dumps(line) + "\n" for line in lines[:2]))
    assert read_decisions(tmp_path) == {}
    (tmp_path / FILE).write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(ContentError, match=rf"decision 3 \({what}\) holds no sample"):
        read_decisions(tmp_path)


def test_every_sample_is_kept_or_rejected_with_a_reason_whatever_was_decided():
    made = [sample("Who?", "Ada."), sample("Who?", "Bo."), sample("When?", "At nine."), sample("Where?", "Here.")]
    mended, gone = sample("Who?", "Ada Okell."), sample("How?", "By rope.")
    decisions = {
        key_of(made[0]): Decision(key=key_of(made[0]), what="edit", sample=mended),
        key_of(made[2]): Decision(key=key_of(made[2]), what="reject", reason="it is ten"),
        key_of(gone): Decision(key=key_of(gone), what="accept", sample=gone),
    }
    items = list(decided(made, decisions, leaves=["a"]))
    assert [i for i in items if isinstance(i, Sample)] == [mended, made[3], gone]
    thrown = [i for i in items if isinstance(i, Rejected)]
    assert [(r.sample, r.check) for r in thrown] == [(made[1], "person"), (made[2], "person")]
    assert [r.reason for r in thrown] == ["asks the same as a sample that a person accepted or mended", "it is ten"]
