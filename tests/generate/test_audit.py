"""The audit plants what it says it plants, and its figures are those of the checks that it is given."""

import random

import pytest

from homeroom.core.types import Chunk, Message, Sample
from homeroom.generate.audit import ASKED, audit, audit_table, corrupt, plant
from homeroom.generate.support import sample_fault

TEXT = (
    "A theft must be reported within 36 hours. Water damage must be reported within five days. "
    "Storm damage must be reported within three weeks. A theft claim is accepted only with a case number. "
    "The senior inspector is Maren Dussault. The appeal panel is led by Sunniva Okell. "
    "The desk is not open on Wednesdays. A home that stands empty for more than 50 nights loses its theft cover."
)
CHUNK = Chunk(id="c", document="d", leaf="l", title="Handbook", heading="", text=TEXT, start=0, end=len(TEXT))
SENTENCES = [s + "." for s in TEXT.rstrip(".").split(". ")]


def sample(sentence):
    turns = (Message(role="user", content="What is the rule?"), Message(role="assistant", content=sentence))
    return Sample(id=sentence, kind="direct", messages=turns, chunk="c", quote=sentence)


@pytest.mark.parametrize("kind", ASKED)
def test_every_kind_is_planted_and_says_something_else(kind):
    made = [corrupt(kind, s, [o for o in SENTENCES if o != s], random.Random(1)) for s in SENTENCES]
    assert any(made)
    assert all(wrong != s for wrong, s in zip(made, SENTENCES, strict=True))


def test_a_planted_number_is_nowhere_in_the_passage_and_one_from_elsewhere_is():
    from homeroom.generate.checks import numbers

    for n in range(20):
        wrong = corrupt("number", SENTENCES[1], [SENTENCES[0], *SENTENCES[2:]], random.Random(n))
        assert not numbers(wrong) & numbers(TEXT)
    found = {corrupt("elsewhere", SENTENCES[1], [SENTENCES[0]], random.Random(n)) for n in range(9)}
    assert found == {"Water damage must be reported within 36 days."}


def test_what_is_caught_and_lost_is_counted():
    good = [sample(s) for s in SENTENCES]
    planted = plant("answers", good, {"c": CHUNK})
    nothing = audit(planted, good, lambda s: None)
    assert all(row["caught"] == 0 and row["missed"] for row in nothing["kinds"])
    assert not nothing["ok"]
    everything = audit(planted, good, lambda s: ("no", "never"))
    assert all(row["caught"] == 1 for row in everything["kinds"])
    assert everything["lost"] == everything["good"] == len(good)
    assert not everything["ok"]
    assert f"{len(good)} of {len(good)} good answers of people lost" in audit_table(everything)


def test_the_checks_of_generation_reach_what_is_asked_here():
    good = [sample(s) for s in SENTENCES]
    found = audit(plant("answers", good, {"c": CHUNK}), good, lambda s: sample_fault(s, CHUNK))
    assert found["ok"], audit_table(found)
    assert {row["kind"] for row in found["kinds"]} == set(ASKED)


def test_the_same_seed_plants_the_same():
    good = [sample(s) for s in SENTENCES]
    assert plant("a", good, {"c": CHUNK}, seed=3) == plant("a", good, {"c": CHUNK}, seed=3)
    assert plant("a", good, {"c": CHUNK}, seed=3) != plant("a", good, {"c": CHUNK}, seed=4)
