"""Whether a text is the beginning of JSON of a form: every beginning of it is, and nothing else."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from homeroom.core.errors import ContentError
from homeroom.serve.jsonform import END, MAX_NODES, Form, form_of

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-999, 999) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
CLAIM = {
    "title": "Claim",
    "type": "object",
    "properties": {
        "kind": {"enum": ["theft", "storm", None], "description": "of damage"},
        "weeks": {"type": "integer"},
        "fee": {"anyOf": [{"type": "number"}, {"type": "null"}], "default": None},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 4}, "minItems": 1, "maxItems": 2},
        "by": {"$ref": "#/$defs/Person"},
    },
    "required": ["kind", "weeks", "fee", "tags", "by"],
    "additionalProperties": False,
    "$defs": {
        "Person": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "boss": {"anyOf": [{"$ref": "#/$defs/Person"}, {"type": "null"}]},
            },
            "required": ["name"],
            "additionalProperties": False,
        }
    },
}
PERSON = st.recursive(
    st.fixed_dictionaries({"name": st.text(max_size=3)}),
    lambda inner: st.fixed_dictionaries({"name": st.text(max_size=3), "boss": inner | st.none()}),
    max_leaves=3,
)
CLAIMS = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["theft", "storm", None]),
        "weeks": st.integers(-99, 99),
        "fee": st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(0, 9),
        "tags": st.lists(st.text(alphabet='ab "\\\n', max_size=4), min_size=1, max_size=2),
        "by": PERSON,
    }
)
GOOD = {"kind": "storm", "weeks": 9, "fee": 1.5, "tags": ["a"], "by": {"name": "Ida", "boss": {"name": "Pell"}}}


def every_beginning_fits_and_only_the_whole_may_end(form, text):
    assert all(form.fits(text[:end]) for end in range(len(text) + 1))
    assert form.fits(text + END)
    assert not any(form.fits(text[:end] + END) for end in range(len(text)))


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=3), st.booleans())
def test_every_beginning_of_an_object_fits_and_only_the_whole_may_end(value, is_ascii):
    every_beginning_fits_and_only_the_whole_may_end(Form(), json.dumps(value, ensure_ascii=is_ascii))


@settings(max_examples=20, deadline=None)
@given(CLAIMS, st.randoms(use_true_random=False))
def test_every_beginning_of_an_object_of_a_schema_fits_whatever_the_order_of_its_members(value, random):
    names = list(value)
    random.shuffle(names)
    text = json.dumps({name: value[name] for name in names}, ensure_ascii=False)
    every_beginning_fits_and_only_the_whole_may_end(form_of(CLAIM), text)


def test_what_no_json_object_begins_with_does_not_fit():
    for text in (
        "[",
        "x",
        '{"a" 1',
        '{"a": 01',
        '{"a": 1,}',
        "{,",
        '{"a": tru e',
        '{"\n',
        '{"a": 1} x',
        '{"a": 1, "a"',
        "{" + " " * 30,
    ):
        assert not Form().fits(text + " "), text
    assert not Form().fits('{"a":' * 50)


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "fire"},
        {"weeks": 1.5},
        {"weeks": "9"},
        {"fee": "nine"},
        {"tags": []},
        {"tags": ["a", "b", "c"]},
        {"tags": ["abcde"]},
        {"by": {"boss": None}},
        {"by": {"name": "Ida", "boss": {"name": 1}}},
        {"other": 1},
    ],
)
def test_what_breaks_a_schema_is_stopped_before_the_whole_is_written(change):
    text = json.dumps(GOOD | change, ensure_ascii=False)
    assert not form_of(CLAIM).fits(text + END)
    broken = next(end for end in range(len(text)) if not form_of(CLAIM).fits(text[: end + 1]))
    assert form_of(CLAIM).fits(text[:broken])  # and up to there nothing was wrong


def test_a_member_that_is_missing_keeps_the_object_open():
    for name in GOOD:
        text = json.dumps({key: value for key, value in GOOD.items() if key != name})
        assert form_of(CLAIM).fits(text[:-1])
        assert not form_of(CLAIM).fits(text)


def test_a_value_that_is_no_object_may_be_wanted_too():
    numbers = form_of({"type": "array", "items": {"type": "integer"}})
    assert numbers.fits("[1, 2]" + END)
    assert form_of({"type": "number"}).fits("12.5" + END)
    assert not form_of({"type": "integer"}).fits("12.")
    assert form_of({"enum": [1, 12]}).fits("12" + END)
    assert not form_of({"enum": [1, 12]}).fits("13")


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ("object", "no schema"),
        ({"type": "text"}, "type must be"),
        ({"type": "string", "pattern": "a*"}, "'pattern' cannot be held to"),
        ({"properties": {"age": {"type": "integer", "minimum": 0}}}, "'minimum'"),
        ({"type": "string", "enum": [1]}, "no value of the enumeration"),
        ({"enum": [{"a": 1}]}, "must be texts"),
        ({"enum": [float("nan")]}, "must be texts"),
        ({"required": "name"}, "list of names"),
        ({"required": ["x"], "additionalProperties": False}, "requires 'x' and forbids it"),
        ({"anyOf": []}, "list of schemas"),
        ({"anyOf": [{"type": "null"}], "type": "object"}, "together"),
        ({"$ref": "#/$defs/None"}, "leads nowhere"),
        ({"$ref": "https://example.org/schema"}, "leads nowhere"),
        ({"$ref": "#"}, "refers to itself"),
        ({"minItems": -1}, "whole number"),
        ({"properties": {str(n): {} for n in range(MAX_NODES + 1)}}, "more than"),
    ],
)
def test_a_schema_that_cannot_be_held_to_is_refused(schema, said):
    with pytest.raises(ContentError, match=said):
        form_of(schema)


def test_a_schema_made_to_be_slow_is_not():
    nested: dict = {"type": "null"}
    for _ in range(400):
        nested = {"items": nested}
    with pytest.raises(ContentError, match="in one another"):
        form_of(nested)
    both = {"anyOf": [{"type": "array", "items": {"$ref": "#"}}, {"type": "array", "items": {"$ref": "#"}}]}
    assert form_of(both).fits("[" * 20)  # a million ways, each tried once
