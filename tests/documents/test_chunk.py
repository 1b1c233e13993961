"""Passages are exact pieces of the text, lose nothing, and start where a reader would start."""

import random
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeroom.core.config import Documents
from homeroom.core.types import Document
from homeroom.documents.chunk import chunk, num_words
from homeroom.documents.text import normalised


def document(text):
    return Document(id="d", leaf="knowledge/a", name="a.md", title="A", text=normalised(text), sha256="")


def cut(text, **config):
    return chunk(document(text), config=Documents(**config))


def sentence(n, words=10):
    return " ".join([f"Word{n}", *["and"] * (words - 2), "end."])


def paragraph(first, num, words=10):
    return " ".join(sentence(n, words) for n in range(first, first + num))


def test_each_section_is_one_passage_with_its_heading_left_out_of_the_text():
    chunks = cut(f"# Book\n\n## One\n\n{paragraph(0, 5)}\n\n## Two\n\n{paragraph(5, 5)}\n")
    assert [(c.heading, c.text) for c in chunks] == [("One", paragraph(0, 5)), ("Two", paragraph(5, 5))]


def test_a_heading_below_level_two_is_named_with_the_ones_above_it():
    text = (
        "".join(f"{'#' * n} H{n}\n\n{paragraph(n * 9, 6)}\n\n" for n in (1, 2, 3, 4))
        + f"## Next\n\n{paragraph(90, 6)}\n"
    )
    assert [c.heading for c in cut(text)] == ["H1", "H2", "H2 > H3", "H2 > H3 > H4", "Next"]


def test_underlined_titles_are_headings_and_code_is_not():
    text = f"Title\n=====\n\n{paragraph(0, 4)}\n\n```\n# not a heading\n```\n\nPart\n----\n{paragraph(5, 4)}\n"
    chunks = cut(text)
    assert [c.heading for c in chunks] == ["Title", "Part"]
    assert "# not a heading" in chunks[0].text


def test_a_long_section_is_cut_evenly_between_sentences():
    chunks = cut(f"## Long\n\n{paragraph(0, 40)}\n", max_words=160)
    assert [num_words(c.text) for c in chunks] in ([130, 140, 130], [130, 130, 140], [140, 130, 130])
    assert all(c.text.startswith("Word") and c.text.endswith("end.") for c in chunks)


def test_a_cut_between_paragraphs_is_preferred():
    text = "\n\n".join(paragraph(n, 3) for n in range(0, 36, 3))
    assert all(num_words(c.text) % 30 == 0 for c in cut(text, max_words=100))


def test_short_sections_of_one_parent_are_joined_and_others_are_not():
    text = f"# T\n\n## A\n\nShort one.\n\n## B\n\nShort two.\n\n# U\n\n## C\n\n{paragraph(0, 12)}\n"
    chunks = cut(text)
    assert [c.heading for c in chunks] == ["A / B", "C"]
    assert chunks[0].text == "Short one.\n\n## B\n\nShort two."


def test_a_short_last_section_joins_the_one_before_only_where_both_fit():
    text = f"## A\n\n{paragraph(0, 12)}\n\n## B\n\nShort.\n"
    assert [c.heading for c in cut(text)] == ["A / B"]
    assert [c.heading for c in cut(text, max_words=120)] == ["A", "B"]


def test_tables_lists_and_code_stay_whole_when_they_fit():
    table = "| a | b |\n|---|---|\n" + "\n".join(f"| r{n} | It is {n}. |" for n in range(10))
    items = "\n".join(f"- Item {n} is here. It is good." for n in range(8))
    code = "```py\n" + "\n".join(f"x{n} = call(a, b). Then" for n in range(8)) + "\n\ny\n```"
    text = f"## S\n\n{paragraph(0, 9)}\n\n{table}\n\n{paragraph(9, 6)}\n\n{items}\n\n{paragraph(20, 7)}\n\n{code}\n"
    chunks = cut(text, max_words=120)
    assert len(chunks) > 2
    for block in (table, items, code):
        assert sum(block in c.text for c in chunks) == 1


def test_a_list_stays_with_the_line_that_announces_it():
    items = "\n".join(f"- Item {n} is one of those things." for n in range(6))
    chunks = cut(f"## S\n\n{paragraph(0, 10)}\n\nThere are these:\n\n{items}\n\n{paragraph(20, 10)}\n", max_words=120)
    assert [c for c in chunks if "There are these:\n\n- Item 0" in c.text]


def test_a_transcript_without_headings_or_ends_of_sentences_is_cut_evenly():
    turns = "\n".join(f"Anna: {sentence(n, 20)}\nBob: yes" for n in range(30))
    chunks = cut(turns, max_words=160)
    sizes = [num_words(c.text) for c in chunks]
    assert max(sizes) <= 160
    assert min(sizes) > 120
    assert all(c.text.startswith(("Anna:", "Bob:")) for c in chunks)
    run_on = cut("word " * 1000, max_words=160)
    assert [num_words(c.text) for c in run_on] == pytest.approx([1000 / len(run_on)] * len(run_on), rel=0.2)


def test_scripts_without_spaces_are_cut_too():
    chunks = cut("これは長い文章の一つです。" * 100, max_words=100)
    assert len(chunks) > 4
    assert all(c.text.endswith("。") and num_words(c.text) <= 100 for c in chunks)


def test_text_without_words_has_no_passages():
    assert cut("") == cut("# Only\n\n## Headings\n") == cut("---\n***\n") == []


PIECES = (
    "Word ", "word. ", "Dr. No ", "e.g. ", "é", "文。文", "🙂 ", "\n", "\n\n", "\n- ", "\n1. ", "\n# H\n",
    "\n## Two\n", "\n### T\n",
    "\n| a | b |\n", "\n```\n", "x" * 90 + " ", "Title\n---\n", "\n> ", "Anna: ", "! ", "? ", "\n    ",
    "\t", "---\n",
)  # fmt: skip


def test_passages_are_exact_in_order_apart_and_lose_no_word():
    random_ = random.Random(3)
    for number in range(200):
        d = document("".join(random_.choice(PIECES) for _ in range(random_.randrange(120))))
        max_words = random_.choice([8, 20, 60])
        chunks = chunk(d, config=Documents(max_words=max_words, min_words=random_.choice([1, 5, 8])))
        raw, last, left_out = d.text.encode(), 0, []
        for c in chunks:
            assert raw[c.start : c.end].decode() == c.text == c.text.strip() != ""
            assert c.start >= last, number
            assert num_words(c.text) <= max_words, (number, c.text)
            left_out.append(raw[last : c.start].decode())
            last = c.end
        left_out.append(raw[last:].decode())
        for text in left_out:  # only headings and rules
            lines = [line.strip() for line in text.split("\n") if re.search(r"[^\W_]", line)]
            assert all(line.startswith("#") or _underlined(d.text, line) for line in lines), (number, lines)
        assert len({c.id for c in chunks}) == len(chunks)


def _underlined(text, line):
    return re.search(re.escape(line) + r" *\n *(?:-{2,}|={2,}) *\n", text) is not None


@pytest.mark.parametrize(
    "text",
    ["a. " * 30_000, "# a\n" * 20_000, "- x\n" * 15_000, "| a |\n" * 15_000, "a\n\n" * 10_000,
     "x" * 200_000, "a\n---\n" * 10_000,
     "```\n" * 40_000, " " * 300_000, "[" * 100_000 + "\n---\n"],
    ids=lambda text: repr(text[:5]),
)  # fmt: skip
def test_hostile_text_takes_time_in_proportion_to_its_length(text):
    begin = time.process_time()
    chunks = cut(text)
    assert time.process_time() - begin < 10  # quadratic time would be minutes
    assert all(num_words(c.text) <= 160 for c in chunks)


WORDS = st.lists(st.sampled_from(["tree", "no", "é", "Nr. 5", "e.g. two", "a|b", "(x)", "3.5"]), min_size=1, max_size=9)
SENTENCES = st.lists(WORDS.map(lambda words: f"The {' '.join(words)} is here."), min_size=1, max_size=12)
ROWS = st.lists(st.lists(WORDS.map(" ".join), min_size=2, max_size=3), min_size=2, max_size=12)


@st.composite
def documents_with_units(draw):
    """Draw a document, and its sentences and table rows, none of them longer than a passage may be."""
    blocks, units = [], []
    for kind in draw(st.lists(st.sampled_from(["text", "table", "list", "head"]), min_size=1, max_size=8)):
        if kind == "head":
            blocks.append(f"## Head {len(blocks)}")
        elif kind == "table":
            rows = ["| " + " | ".join(cell.replace("|", "/") for cell in row) + " |" for row in draw(ROWS)]
            blocks.append("\n".join(rows))
            units += rows
        else:
            sentences = draw(SENTENCES)
            units += sentences
            blocks.append(" ".join(sentences) if kind == "text" else "\n".join(f"- {s}" for s in sentences))
    return "\n\n".join(blocks), units


@given(documents_with_units(), st.sampled_from([40, 60, 120]))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_no_character_is_lost_and_no_sentence_or_table_row_is_cut(drawn, max_words):
    text, units = drawn
    d = document(text)
    raw, last, rebuilt = d.text.encode(), 0, b""
    chunks = chunk(d, config=Documents(max_words=max_words, min_words=5))
    for c in chunks:
        assert last <= c.start < c.end
        between = raw[last : c.start].decode()
        assert not between.strip() or all(line.startswith("#") for line in between.strip().split("\n") if line)
        rebuilt += raw[last : c.start] + c.text.encode()
        last = c.end
    assert rebuilt + raw[last:] == raw
    borders = {c.start for c in chunks} | {c.end for c in chunks}
    for unit in {u for u in units if num_words(u) <= max_words}:
        for found in re.finditer(re.escape(unit.encode()), raw):
            cut_inside = [b for b in borders if found.start() < b < found.end()]
            assert not cut_inside, (unit, raw[cut_inside[0] - 20 : cut_inside[0] + 20])
