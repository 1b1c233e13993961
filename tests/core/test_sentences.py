"""Cuts that cost facts, and the promise that spans are exact and nothing is lost."""

import random
import re
import time

import pytest

from homeroom.core.sentences import sentences


def texts(text):
    return [span.text for span in sentences(text)]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Dr. Ito pays 3.5 % by 5 p.m. on Friday. Who checks?",
         ["Dr. Ito pays 3.5 % by 5 p.m. on Friday.", "Who checks?"]),
        ("It takes its last call at 4 p.m. The desk is closed.",
         ["It takes its last call at 4 p.m.", "The desk is closed."]),
        ("Come at 5 p.m. Monday. Go.", ["Come at 5 p.m. Monday.", "Go."]),
        ("See No. 7. No. We do not.", ["See No. 7.", "No.", "We do not."]),
        ("Use tools, e.g. Hammer A. It helps.", ["Use tools, e.g. Hammer A.", "It helps."]),
        ("J. R. R. Tolkien met J. Smith. So did I. Peter left.",
         ["J. R. R. Tolkien met J. Smith.", "So did I.", "Peter left."]),
        ("“Stop!” he said. “Go.” Then she left.", ["“Stop!” he said.", "“Go.”", "Then she left."]),
        ("Then she left... She ran. And… nothing.", ["Then she left...", "She ran.", "And… nothing."]),
        ("The U.S. Army came. He is in the U.S. The end.", ["The U.S. Army came.", "He is in the U.S.", "The end."]),
        ("It costs 3.5. Anna pays 1,400. 3 more.", ["It costs 3.5.", "Anna pays 1,400.", "3 more."]),
        ("The boat is 11 m. The hull is red.", ["The boat is 11 m.", "The hull is red."]),
        ("He left (see p. 4.) Then he came.", ["He left (see p. 4.)", "Then he came."]),
        ("A fact.[2] More. Visit example.com. Done [1].", ["A fact.[2]", "More.", "Visit example.com.", "Done [1]."]),
        ("Am 3. Mai kam er. Im 19. Jahrhundert auch, z. B. Otto. Es kostet 19. Dann ging er.",
         ["Am 3. Mai kam er.", "Im 19. Jahrhundert auch, z. B. Otto.", "Es kostet 19.", "Dann ging er."]),
        ("Il dit « Bonjour. » Il part. ¿Qué pasa? ¡Nada!", ["Il dit « Bonjour. »", "Il part.", "¿Qué pasa?", "¡Nada!"]),
        ("これは文です。次の文！「はい。」終わり？", ["これは文です。", "次の文！", "「はい。」", "終わり？"]),
        ("यह एक है। वह दो है।", ["यह एक है।", "वह दो है।"]),
    ],
)  # fmt: skip
def test_sentences_end_where_a_reader_says_they_end(text, wanted):
    assert texts(text) == wanted


def test_list_items_rows_and_headings_are_sentences_without_their_markers():
    text = "# Fees\n- one item\n- two. Three\n  goes on\n1. First\n2. Second\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
    assert texts(text) == ["Fees", "one item", "two.", "Three\n  goes on", "First", "Second", "| a | b |", "| 1 | 2 |"]


def test_a_number_at_the_start_of_a_wrapped_line_is_not_a_list():
    assert texts("The fee is\n19. Then he left.") == ["The fee is\n19.", "Then he left."]


def test_a_speaker_begins_a_sentence_and_stays_with_it():
    text = (
        "Anna Ito: Hello there. How are you?\nBob: fine\n**Anna:** ok then\n[00:12:09] and then we\n[00:12:11] left\n"
    )
    assert texts(text) == [
        "Anna Ito: Hello there.", "How are you?", "Bob: fine", "**Anna:** ok then", "[00:12:09] and then we",
        "[00:12:11] left",
    ]  # fmt: skip


def test_text_without_words_has_no_sentences():
    assert [sentences(t) for t in ("", " \n\t", "---\n***\n", "...!?", "|---|---|")] == [[]] * 5


PARTS = (
    "Dr. ", "e.g. ", "Word ", "word ", "No. 7", "3.5", ". ", "! ", "? ", "\n", "\n\n", "- ", "12. ", "# ", "é ", "文。",
    "| a |", "```\n", "“", "”", "Anna: ", "> ", "\u00a0", "🙂", "...", "(", ")", "\t", "|---|", "U.S. ", "[1]", "«",
)  # fmt: skip


def test_spans_are_exact_in_order_and_lose_no_word():
    random_ = random.Random(7)
    for _ in range(1500):
        text = "".join(random_.choice(PARTS) for _ in range(random_.randrange(60)))
        raw, last, kept = text.encode(), 0, ""
        for span in sentences(text):
            assert raw[span.start : span.end].decode() == span.text == span.text.strip() != ""
            between = raw[last : span.start].decode()
            assert not re.search(r"[^\W\d]", between), (text, between)  # only markers such as "12." lie between
            last, kept = span.end, kept + span.text
        assert not re.search(r"[^\W\d]", raw[last:].decode()), text
        assert len(re.findall(r"[^\W\d_]", kept)) == len(re.findall(r"[^\W\d_]", text))


@pytest.mark.parametrize(
    "text",
    [" " * 200_000 + "x", "." * 200_000 + "x", "| " * 100_000, "> " * 100_000, "a." * 100_000, '."' * 100_000 + "x",
     "00:12" + " " * 100_000 + "x", "- " * 100_000, "[1]" * 60_000, "*" * 200_000 + "x", "``` " * 50_000, "\n" *
    200_000],
    ids=lambda text: repr(text[:4]),
)  # fmt: skip
def test_hostile_text_takes_time_in_proportion_to_its_length(text):
    begin = time.process_time()
    sentences(text)
    assert time.process_time() - begin < 5  # quadratic time would be minutes
