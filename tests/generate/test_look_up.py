"""A question that the teacher does not find in its passage is thrown out: by log-probabilities, or by its word."""

import math

import pytest

from homeroom.core.config import Samples
from homeroom.core.types import Chunk, Fact, Reply
from homeroom.generate.judge import Numbered, is_found, lookup_request, numbered
from homeroom.generate.knowledge import knowledge_samples
from homeroom.generate.sifted import sifted

PARTS = [f"Room {n} is cleaned by {name} on Mondays." for n, name in enumerate(["Ada", "Bo", "Cy"] * 4, 20)]
TEXT = " ".join(PARTS)
CHUNK = Chunk(id="c", document="d", leaf="l", title="House", heading="Rooms", text=TEXT, start=50, end=50 + len(TEXT))


def fact(n: int) -> Fact:
    start = 50 + TEXT.index(PARTS[n])
    return Fact(
        id=f"f{n}", leaf="l", chunk="c", statement=PARTS[n], quote=PARTS[n], start=start, end=start + len(PARTS[n])
    )


def reply(text: str = "", **top: float) -> Reply:
    shares = {token.strip("n"): math.log(share) for token, share in top.items()}
    return Reply(text=text, finish_reason="stop", prompt_tokens=1, completion_tokens=1, top=shares)


def test_a_passage_is_numbered_in_stretches_of_nine_that_all_its_facts_share():
    first, second, last = (numbered(CHUNK, fact(n)) for n in (0, 8, 9))
    assert first.text == second.text != last.text
    assert first.own == {"1"}
    assert second.own == {"9"}
    assert last == Numbered(text=" ".join(f"[{n}] {p}" for n, p in enumerate(PARTS[9:], 1)), own=frozenset("1"))
    elsewhere = Fact(id="x", leaf="l", chunk="c", statement="No.", quote="No.", start=0, end=3)
    assert numbered(CHUNK, elsewhere) is None


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (reply("2", n2=0.9, n0=0.05), True),
        (reply("2", n2=0.5, n0=0.4), False),  # in doubt
        (reply("0", n0=0.6, n2=0.3), False),
        (reply("3", n3=0.8, n2=0.15, n0=0.01), True),  # another sentence, but not none: other checks see to that
        (reply("0"), False),  # a server without log-probabilities
        (reply("2"), True),
        (reply("Nothing"), True),  # a teacher that does not do as it is told decides nothing
    ],
)
def test_what_counts_is_its_own_sentence_against_none(said, found):
    assert is_found(said, Numbered(text="", own=frozenset("2"))) is found


@pytest.mark.parametrize("look_up", [True, False])
def test_a_question_that_is_found_nowhere_is_rejected_and_said_so(look_up):
    asked = []

    def ask(requests, share=1.0):
        asked.extend(requests)
        return [answer(r) for r in requests]

    def answer(request):
        text = request.messages[-1].content
        if text.startswith("Fact:"):
            return reply("1. Who cleans room 20 on Mondays?\n2. Who is it that on Mondays cleans room 20 with soap?")
        return reply("0" if "soap" in text else "1")

    config = Samples(manners=1, rewrites=0, look_up=look_up)
    made = sifted(knowledge_samples([fact(0)], [CHUNK], ask, config=config, all_facts=[fact(0)], exam=(), teacher="t"))
    kept = [s.messages[0].content for s in made.samples if s.kind == "direct"]
    assert (
        kept == ["Who cleans room 20 on Mondays?", "Who is it that on Mondays cleans room 20 with soap?"][: 2 - look_up]
    )
    assert [r.check for r in made.rejected if r.sample.kind == "direct"] == ["look-up"] * look_up
    assert {"look-up" in s.checks for s in made.samples if s.kind == "direct"} == {look_up}
    looked = [r for r in asked if r.max_tokens == 1]
    assert len(looked) == 2 * look_up
    assert all(r.messages[-1].content.startswith("New text, House, Rooms: [1] Room 20 is cleaned") for r in looked)


def test_requests_about_one_passage_begin_alike():
    one, other = (lookup_request(numbered(CHUNK, fact(0)), CHUNK, q) for q in ("Who?", "When?"))
    assert one.messages[:-1] == other.messages[:-1]
    beginning = one.messages[-1].content.removesuffix("Question: Who?")
    assert other.messages[-1].content.removesuffix("Question: When?").strip() == beginning.strip()
    assert one.top_logprobs > 0
