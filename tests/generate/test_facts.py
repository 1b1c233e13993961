"""Facts rest on the document's own bytes, and nothing examinable is lost."""

import pytest

from homeroom.core.types import Chunk, Leaf, Reply, Seed
from homeroom.generate.facts import clear_fact, clear_requests, read_facts, subject_of, topic_of, weigh, without_twins

TEXT = "The café opens at 7:30 a.m. and closes at 4 p.m. Readers may borrow nine books. They also get a blue card."
DOCUMENT = f"# Guide\n\n{TEXT}"
START = len(b"# Guide\n\n")
CHUNK = Chunk(
    id="c", document="d", leaf="knowledge/x", title="Guide", heading="2. Rules", text=TEXT, start=START,
    end=START + len(TEXT.encode()),
)  # fmt: skip


def reply(text: str) -> Reply:
    return Reply(text=text, finish_reason="stop", prompt_tokens=1, completion_tokens=1)


def test_every_quote_is_exactly_the_bytes_it_points_at():
    facts = read_facts(CHUNK, reply("[1] The café opens at 7:30 a.m.\n[2] A reader may borrow nine books."))
    assert facts
    for fact in facts:
        assert DOCUMENT.encode()[fact.start : fact.end].decode() == fact.quote


def test_a_teacher_that_drops_half_a_sentence_does_not_lose_the_other_half():
    facts = read_facts(CHUNK, reply("[1] The café opens at 7:30 a.m."))
    assert any("7:30" in f.statement and "4 p.m." in f.statement for f in facts)


def test_two_facts_of_one_sentence_are_kept_apart_when_together_they_say_it_all():
    facts = read_facts(CHUNK, reply("[1] The café opens at 7:30 a.m.\n[1] The café closes at 4 p.m."))
    assert [f.statement for f in facts[:2]] == ["The café opens at 7:30 a.m.", "The café closes at 4 p.m."]


def test_a_changed_number_or_an_invented_name_falls_back_to_the_sentence():
    facts = read_facts(CHUNK, reply("[2] A reader may borrow eleven books.\n[3] Zebulon gives them a blue card."))
    assert {"Readers may borrow nine books.", "They also get a blue card."} <= {f.statement for f in facts}


def test_an_unreadable_reply_or_none_gives_the_sentences():
    for text in ("", "I cannot.", "[9] Nonsense.", "[x]"):
        assert [f.origin for f in read_facts(CHUNK, reply(text))] == ["sentence"] * 3
    assert len(read_facts(CHUNK, None)) == 3


def test_a_leaning_sentence_is_made_clear_only_with_words_of_the_text():
    facts = read_facts(CHUNK, None)
    [(fact, request)] = clear_requests(facts, [CHUNK])
    assert fact.statement == "They also get a blue card."
    assert "nine books" in request.messages[-1].content
    assert clear_fact(fact, CHUNK, reply("Readers also get a blue card.")).statement == "Readers also get a blue card."
    for wrong in ("Readers also get a red card.", "They get a blue card.", "", "Zebulon also gets a blue card."):
        assert clear_fact(fact, CHUNK, reply(wrong)) == fact


@pytest.mark.parametrize("said", ["**", "—", "...", "* *", "\n", "「」"])
def test_an_answer_of_punctuation_leaves_the_facts_as_they_were(said):
    facts = read_facts(CHUNK, reply(f"[1] {said}\n[3] {said} {said} {said}"))
    assert [f.origin for f in facts] == ["sentence"] * 3
    [(fact, _)] = clear_requests(facts, [CHUNK])
    assert clear_fact(fact, CHUNK, reply(said)) == fact


def test_what_the_seeds_ask_about_comes_first():
    facts = read_facts(CHUNK, None)
    seeds = (Seed(question="What is the colour of the card?", answer="The card is blue."),)
    asked = weigh(facts, [Leaf(path="knowledge/x", kind="knowledge", seeds=seeds)])
    plain = weigh(facts, [Leaf(path="knowledge/x", kind="knowledge", seeds=())])
    place = [f.statement for f in asked].index("They also get a blue card.")
    assert asked[place].importance > next(f for f in plain if f.id == asked[place].id).importance
    assert {f.id for f in asked} == {f.id for f in facts}


def test_the_same_fact_twice_is_one():
    facts = read_facts(CHUNK, None)
    assert without_twins([*facts, *facts]) == facts


def test_subject_and_topic_are_what_a_question_would_say():
    assert subject_of(CHUNK, ["The Guide says. The Guide knows."]) == "Guide"
    assert topic_of(CHUNK) == "Rules"
