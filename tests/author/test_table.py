"""Examples as CSV and Word: what goes out comes back, whatever is in it, and what means harm is refused."""

import io
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeroom.author.form import Example, LeafForm, Pair
from homeroom.author.qna import tidy
from homeroom.author.table import MAX_BYTES, read_examples, write_examples
from homeroom.core.errors import ContentError

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=40).map(
    lambda text: " ".join(tidy(text).split())
)
SAID = WORDS.filter(lambda text: any(c.isalnum() for c in text) and "|" not in text)


def leaf(*examples, kind="knowledge"):
    place = "knowledge/clubs/otters" if kind == "knowledge" else "compositional_skills/otters"
    return LeafForm(kind=kind, place=place, examples=examples)


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(SAID, st.lists(st.tuples(SAID, SAID), min_size=1, max_size=3), min_size=1, max_size=4))
def test_what_goes_out_as_csv_comes_back_whatever_is_in_it(found):
    examples = tuple(
        Example(context=c, pairs=tuple(Pair(question=q, answer=a) for q, a in p)) for c, p in found.items()
    )
    assert read_examples("a.csv", write_examples(leaf(*examples), "csv"), kind="knowledge") == examples


def test_what_goes_out_as_word_comes_back_for_knowledge_and_for_a_skill():
    knowledge = (
        Example(
            context="The club | opens <early> & closes late.", pairs=(Pair(question="When?", answer="Early."),) * 2
        ),
        Example(context="=SUM(A1)", pairs=(Pair(question="What?", answer="'quoted'"),)),
    )
    content = write_examples(leaf(*knowledge), "docx")
    assert read_examples("a.docx", content, kind="knowledge") == knowledge
    skill = tuple(Example(context="", pairs=(Pair(question=f"Do {n}?", answer="Done."),)) for n in range(3))
    content = write_examples(leaf(*skill, kind="skill"), "docx")
    assert read_examples("a.docx", content, kind="skill") == skill


def test_a_cell_is_never_a_formula_for_a_spreadsheet():
    pairs = tuple(Pair(question=f"{c}cmd|' /C calc'!A0", answer="x") for c in "=+-@")
    content = write_examples(leaf(Example(context="c", pairs=pairs)), "csv")
    rows = content.decode("utf-8-sig").splitlines()[1:]
    assert [row[0] for row in rows] == ["'"] * 4
    assert read_examples("a.csv", content, kind="knowledge")[0].pairs == pairs


@pytest.mark.parametrize(
    "content",
    [
        "Frage;Antwort;Textstelle\nWann?;Früh.;Der Klub.\nWo?;Hier.;\n".encode(),
        "question\tcontext\tanswer\nWann?\tDer Klub.\tFrüh.\nWo?\t\tHier.\n".encode("utf-16"),
        "\ufeff Question , Answer,more, Context\nWann?,Früh.,,Der Klub.\nWo?,Hier.\n,,,\n".encode(),
    ],
)
def test_tables_are_read_as_people_save_them(content):
    pairs = (Pair(question="Wann?", answer="Früh."), Pair(question="Wo?", answer="Hier."))
    assert read_examples("x.CSV", content, kind="knowledge") == (Example(context="Der Klub.", pairs=pairs),)


def zipped(**parts):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in parts.items():
            file.writestr(name, content)
    return out.getvalue()


BOMB = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><w><body>&b;</body></w>'


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.xlsx", b"PK\x03\x04", "cannot|no table that can be read"),
        ("a.exe", b"MZ", "no table"),
        ("a.csv", b"", "no columns"),
        ("a.csv", b"\xff\xfe\x00", "UTF-8"),
        ("a.csv", b"question,answer\n\xe4,b\n", "UTF-8"),
        ("a.csv", b"question,answer\na\x00,b\n", "no text"),
        ("a.csv", b'question,answer\n"a,b\n', "no table"),
        ("a.csv", b"name,age\na,b\n", "no columns"),
        ("a.csv", b"question,answer\n,\n", "no question"),
        ("a.csv", b"question,answer\n" + b"a,b\n" * 3_000, "more than"),
        ("a.csv", b"question,answer\n" + b"a" * 30_000 + b",b\n", "more than"),
        ("a.csv", b"question,answer\n" + b"x" * MAX_BYTES, "MiB"),
        ("a.csv", b"question,answer,context\n" + b"".join(b"q,a,c%d\n" % n for n in range(99)), "more than"),
        ("a.docx", b"question,answer\na,b\n", "not what its name says"),
        ("a.docx", b"PK\x03\x04junk", "not a readable file"),
        ("a.docx", zipped(**{"../evil": "x"}), "leads out"),
        ("a.docx", zipped(**{"word/document.xml": BOMB}), "entities"),
        ("a.docx", zipped(**{"word/document.xml": b"<a>" * 9_000}), "nests|damaged"),
        ("a.docx", zipped(**{"word/document.xml": b"\x00" * 80_000_000}), "unpacks"),
    ],
)
def test_row_13_to_21_a_hostile_table_is_refused_with_a_reason(name, content, why):
    with pytest.raises(ContentError, match=why):
        read_examples(name, content, kind="knowledge")
