"""Bytes of every format into text in one normal form, and junk refused by name."""

import random
import time
import unicodedata

import pytest

from homeroom.core.errors import ContentError
from homeroom.core.sources import WEB_DOCUMENTS
from homeroom.documents.formats import FORMATS, read_text
from homeroom.documents.text import normalised


def test_markdown_is_normalised_and_named_after_its_first_heading():
    text = read_text(
        "a.md", b"\xef\xbb\xbf---\r\ntitle: Other\r\n---\r\n# The *Claims* [Desk](x)\r\n\r\n\r\n\r\nOpen \r\nnow."
    )
    assert (text.title, text.text, text.encoding) == (
        "The Claims Desk", "# The *Claims* [Desk](x)\n\nOpen\nnow.\n", "utf-8-sig",
    )  # fmt: skip


def test_a_title_comes_from_the_front_matter_or_the_file_name_where_there_is_no_heading():
    assert read_text("x/claims-hand_book.txt", b"Plain text.").title == "Claims hand book"
    assert read_text("a.md", b"---\ntitle: 'My Book'\n---\nText.").title == "My Book"


def test_every_format_that_is_read_is_known_as_a_document_of_the_web():
    assert sorted(WEB_DOCUMENTS) == sorted(FORMATS)


def test_a_rule_at_the_beginning_is_not_front_matter():
    assert normalised("---\n\nNot: front matter, no end\n") == "---\n\nNot: front matter, no end\n"


def test_normal_form_is_reached_in_one_step():
    assert normalised("e\u0301\u00a0x\u2028y\u200b\u00ad\x0b\x85z\t\n") == "é x\ny\n\nz\n"
    random_ = random.Random(1)
    parts = [
        "a",
        " ",
        "\t",
        "\n",
        "\r\n",
        "\r",
        "\u2028",
        "\u00a0",
        "e\u0301",
        "\ufeff",
        "---\n",
        "x: y\n",
        "\x0c",
        "가",
        "\x07",
    ]
    for _ in range(2000):
        once = normalised("".join(random_.choice(parts) for _ in range(random_.randrange(25))))
        assert once == unicodedata.normalize("NFC", once)
        assert once.splitlines() == once.split("\n")[:-1]  # no line end that only some tools see
        assert not any(line != line.rstrip() for line in once.split("\n"))
        if not once.startswith("---"):
            assert normalised(once) == once


@pytest.mark.parametrize(
    ("content", "encoding", "text"),
    [
        ("Größe".encode(), "utf-8", "Größe\n"),
        (
            "A long line about the Größe – it’s fine.".encode("cp1252"),
            "cp1252",
            "A long line about the Größe – it’s fine.\n",
        ),
        ("Größe".encode("utf-16"), "utf-16", "Größe\n"),
    ],
)
def test_encodings_are_told_apart_and_named(content, encoding, text):
    found = read_text("a.txt", content)
    assert (found.encoding, found.text) == (encoding, text)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.md", b"", "empty"),
        ("a.md", b"\n---\n** \n", "empty"),
        ("a.txt", b"\x89PNG\r\n\x1a\n\x00\x00\x00", "binary"),
        ("a.md", bytes(range(128, 256)) * 20, "neither UTF-8"),
        ("a.txt", "это не латиница".encode("koi8-r"), "neither UTF-8"),
        ("a.docx", b"PK\x03\x04", "not a readable file"),
        ("a.xlsx", b"PK\x03\x04", r"type \.xlsx cannot"),
        ("a", b"text", r"type \(none\) cannot"),
        ("a.html", b"<html><script>var text</script></html>", "empty"),
    ],
)
def test_what_is_no_document_is_refused_with_the_reason(name, content, says):
    with pytest.raises(ContentError, match=says):
        read_text(name, content)


PAGE = """<!doctype html><html><head><title>The  Shed</title><style>p {}</style></head><body>
<nav>Home | About</nav><h1>The Shed</h1><p>It is
  <b>open</b> on&nbsp;Fridays.<br>Bring tea &amp; cake.</p><div hidden>secret <div>inner</div> more</div>
<p style="display: none">gone</p><h3>Rules</h3><ul><li>One</li><li>Two</li></ul>
<table><tr><th>Day</th><th>Hour</th></tr><tr><td>Mon</td><td>9</td></tr></table>
<pre>x = 1
  y</pre><script>alert("x")</script><p>End.</p></body></html>"""


def test_a_page_becomes_its_visible_text_with_headings():
    text = read_text("a.html", PAGE.encode())
    assert text.title == "The Shed"
    assert text.text == (
        "# The Shed\n\nIt is open on Fridays.\nBring tea & cake.\n\n### Rules\n\n- One\n- Two\n\n"
        "| Day | Hour |\n| --- | --- |\n| Mon | 9 |\n\n```\nx = 1\n  y\n```\n\nEnd.\n"
    )


def test_a_page_in_a_declared_encoding_is_read_as_it_says():
    page = "<meta charset=koi8-r><p>это не латиница, это страница</p>".encode("koi8-r")
    assert read_text("a.htm", page).text == "это не латиница, это страница\n"
    with pytest.raises(ContentError):
        read_text("a.htm", b"<meta charset=no-such-thing><p>" + bytes(range(128, 256)) * 9)


@pytest.mark.parametrize(
    "content", [b"<" * 50_000, b"<div>" * 50_000 + b"x", b"<!--" * 20_000 + b"x", b"</p>x" * 30_000, b"&#" * 50_000]
)
def test_a_hostile_page_neither_hangs_nor_breaks_the_stack(content):
    begin = time.process_time()
    try:
        read_text("a.html", content)
    except ContentError:
        pass
    assert time.process_time() - begin < 10
