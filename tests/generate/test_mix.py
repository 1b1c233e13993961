"""The mix: even over facts, replay in its share, the same seed the same bytes."""

from homeroom.core.config import Dataset
from homeroom.core.types import Message, Sample
from homeroom.generate.mix import card, mix


def qa(n: int, fact: int) -> Sample:
    turns = (Message(role="user", content=f"q{n}"), Message(role="assistant", content="a " * 5))
    return Sample(id=f"s{n}", kind="direct", messages=turns, facts=(f"f{fact}",), leaf="l")


SAMPLES = [qa(n, n % 7) for n in range(140)] + [
    Sample(id=f"t{n}", kind="rewrite", text="word " * 30, learn="all", leaf="l") for n in range(10)
]
REPLAY = [
    Sample(
        id=f"r{n}",
        kind="replay",
        messages=(Message(role="user", content="hi"), Message(role="assistant", content="yes")),
    )
    for n in range(500)
]


def count(sample: Sample) -> int:
    return 30 if sample.text else 10


def test_all_is_kept_where_the_budget_allows_and_all_replay_beside_it():
    mixed = mix(SAMPLES, REPLAY, count=count, tokens=10**6, config=Dataset())
    assert {s.id for s in mixed.samples} == {s.id for s in [*SAMPLES, *REPLAY]}


def test_a_short_budget_thins_every_fact_alike():
    mixed = mix(SAMPLES, [], count=count, tokens=1500, config=Dataset())
    per_fact = [sum(1 for s in mixed.samples if s.facts == (f"f{n}",)) for n in range(7)]
    assert max(per_fact) - min(per_fact) <= 1
    assert min(per_fact) >= 1
    assert sum(mixed.tokens.values()) <= 1500 / 2 + 30


def test_the_same_seed_gives_the_same_order():
    one, two = (mix(SAMPLES, REPLAY, count=count, tokens=9000, config=Dataset(seed=3)) for _ in range(2))
    other = mix(SAMPLES, REPLAY, count=count, tokens=9000, config=Dataset(seed=4))
    assert one == two != other


def test_the_card_names_kinds_leaves_and_models():
    mixed = mix(SAMPLES, REPLAY, count=count, tokens=10**6, config=Dataset())
    text = card(mixed, [], teacher="T", student="S", leaves=["l"])
    assert "Teacher: T" in text
    assert "| direct | 140 |" in text
    assert "(replay)" in text
