"""Whether a text is the beginning of a JSON object: every beginning of one is, and what json refuses is not."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from homeroom.serve.jsonform import END, fits

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-999, 999) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=80, deadline=None)
@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=3), st.booleans())
def test_every_beginning_of_an_object_fits_and_only_the_whole_may_end(value, is_ascii):
    text = json.dumps(value, ensure_ascii=is_ascii)
    assert all(fits(text[:end]) for end in range(len(text) + 1))
    assert fits(text + END)
    assert not any(fits(text[:end] + END) for end in range(len(text)))


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
        "{" + " " * 30,
    ):
        assert not fits(text), text
    assert not fits('{"a":' * 50)
