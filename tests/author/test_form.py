"""The form of a leaf: what is written is what was read; its verdict is that of `check`, at its field."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeroom.author.form import LeafForm, files_of, filled, form_of, new_form, verdict
from homeroom.author.qna import tidy
from homeroom.core.errors import UsageError
from homeroom.taxonomy.check import check

EXAMPLES = Path(__file__).resolve().parents[2] / "homeroom" / "data" / "examples"
LEAVES = [
    (EXAMPLES / "insurance", "knowledge/insurance/claims"),
    (EXAMPLES / "inclusive-language", "compositional_skills/writing/inclusive-language"),
]


@pytest.mark.parametrize(("course", "place"), LEAVES, ids=["knowledge", "skill"])
def test_a_leaf_that_is_opened_and_saved_says_what_it_said(course, place, tmp_path):
    form = form_of(course, place)
    assert not verdict(form, course)
    for name, text in files_of(form).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    for path in (course / place).glob("*.md"):
        (tmp_path / place / path.name).write_bytes(path.read_bytes())
    assert form_of(tmp_path, place) == form
    assert not check([tmp_path]).problems


def test_every_empty_field_is_named_once_and_nothing_else_is_wrong(tmp_path):
    found = verdict(new_form("knowledge", "knowledge/boats/otters", created_by="ann"), tmp_path)
    errors = [f.field for f in found if f.severity == "error"]
    assert len(errors) == len(set(errors)) == 2 + 5 * 7
    assert errors[:2] == ["document", "about"]
    assert "examples-4-pairs-2-answer" in errors
    assert [f.field for f in found if f.severity == "warning"] == ["source-title"]


def test_what_is_missing_is_counted(tmp_path):
    form = filled(new_form("skill", "compositional_skills/a/b", created_by="ann"), {"examples-0-pairs-0-question": "Q"})
    assert [f.values["n"] for f in verdict(form, tmp_path) if "examples are needed" in f.text] == [4]


def test_an_exams_question_is_refused_where_it_stands(tmp_path):
    form = filled(
        new_form("skill", "compositional_skills/a/b", created_by="ann"), {"examples-2-pairs-0-question": "Why?"}
    )
    found = verdict(form, tmp_path, is_exam_question=lambda text: "exam" if text == "Why?" else None)
    assert [f.field for f in found if "exam question" in f.text] == ["examples-0-pairs-0-question"]


@pytest.mark.parametrize(
    "place",
    [
        "knowledge",
        "knowledge/../x",
        "/knowledge/a",
        "knowledge/.git",
        "knowledge/A b",
        "other/a",
        "knowledge/" + "a" * 90,
    ],
)
def test_row_8_a_place_that_leads_elsewhere_is_refused(place):
    with pytest.raises(UsageError):
        new_form("knowledge", place, created_by="ann")


def test_too_much_is_refused():
    form = new_form("skill", "compositional_skills/a/b", created_by="ann")
    with pytest.raises(UsageError, match="characters"):
        filled(form, {"about": "x" * 30_000})
    with pytest.raises(UsageError, match="more than"):
        filled(form, {f"examples-{n}-context": "x" for n in range(100)})


texts = st.text(max_size=60)


@settings(max_examples=60, deadline=None)
@given(about=texts, question=texts, answer=texts, context=texts)
def test_whatever_is_typed_is_a_file_that_can_be_read_and_says_the_same(
    tmp_path_factory, about, question, answer, context
):
    """Colons, quotes, number signs, tabs, line ends, marks that turn a line around: none breaks out of its field."""
    folder = tmp_path_factory.mktemp("typed")
    form = new_form("skill", "compositional_skills/a/b", created_by="ann")
    sent = {"about": about}
    for n in range(5):
        sent |= {f"examples-{n}-pairs-0-question": f"q{n} {question}", f"examples-{n}-pairs-0-answer": f"a {answer}"}
        sent |= {f"examples-{n}-context": f"c {context}"}
    form = filled(form, sent)
    found = verdict(form, folder)
    assert {f.field for f in found if f.severity == "error"} <= {"about"} | {f.field for f in found if "see" in f.text}
    if any(f.severity == "error" for f in found):
        return
    for name, text in files_of(form).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    read = form_of(folder, form.place)
    assert isinstance(read, LeafForm)
    assert [tidy(e.pairs[0].question).split() for e in read.examples] == [
        tidy(e.pairs[0].question).split() for e in form.examples
    ]
