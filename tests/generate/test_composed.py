"""Two questions in one rest on two sentences that follow one another, and are answered with both."""

from homeroom.core.types import Chunk, Fact
from homeroom.generate.drills import composed

TEXT = "The dôme opens at nine. It is closed in May. Tickets cost four crowns. The guide is Ida Moor."
PARTS = ["The dôme opens at nine.", "It is closed in May.", "Tickets cost four crowns.", "The guide is Ida Moor."]
CHUNK = Chunk(id="c", document="d", leaf="l", title="T", heading="", text=TEXT, start=100, end=100 + len(TEXT) + 1)


def fact(name: str, quote: str) -> Fact:
    start = 100 + len(TEXT[: TEXT.index(quote)].encode())
    return Fact(
        id=name, leaf="l", chunk="c", statement=quote, quote=quote, start=start, end=start + len(quote.encode())
    )


FACTS = [fact(str(n), part) for n, part in enumerate(PARTS)]
ASKED = {"0": "When does the dôme open?", "1": "In which month is it closed?", "3": "Ida Moor is what here?"}


def test_neighbours_are_asked_about_together_and_the_quote_is_what_the_document_says():
    [both] = composed(ASKED, FACTS, {"c": CHUNK})
    assert both.messages[0].content == "When does the dôme open? And in which month is it closed?"
    assert both.messages[1].content == "The dôme opens at nine. It is closed in May."
    assert both.facts == ("0", "1")
    assert (
        TEXT.encode()[both.start - 100 : both.end - 100].decode()
        == both.quote
        == "The dôme opens at nine. It is closed in May."
    )


def test_a_name_keeps_its_capital_and_facts_apart_or_of_two_sentences_are_not_put_together():
    asked = {"2": "What is the price?", "3": "Ida Moor is what here?"}
    [both] = composed(asked, FACTS, {"c": CHUNK})
    assert both.messages[0].content == "What is the price? And Ida Moor is what here?"
    assert not list(composed({"0": ASKED["0"], "3": ASKED["3"]}, FACTS, {"c": CHUNK}))
    assert not list(composed({"0": "It is late. When does it open?", "1": ASKED["1"]}, FACTS, {"c": CHUNK}))
