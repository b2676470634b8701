"""Ids of things: one normal form, whatever the system that exported them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.reading.ids import MAX_ID_LENGTH, normal_id

SPELLINGS: tuple[tuple[Any, str | None, str], ...] = (
    ("7", "7", "a shop's own id"),
    (7, "7", "a database's key, as JSON number"),
    (7.0, "7", "a column with gaps, exported by a data frame"),
    ("7.0", "7", "the same column in a CSV file"),
    ("7.00", "7", "a spreadsheet's number format"),
    (" 7 ", "7", "a fixed-width export of a till"),
    ("7\u200b", "7", "copied from a web page with a zero-width space"),
    ("\ufeff7", "7", "the first cell of a file with a byte order mark"),
    ("７", "7", "full-width digits of a Japanese keyboard"),
    ("ＡＢ－７", "AB-7", "full-width letters and signs"),
    ("7\u00a0", "7", "a no-break space of a word processor"),
    ("007", "007", "leading zeros are part of an id"),
    ("07.0", "07", "leading zeros stay in a column of numbers too"),
    ("7.5", "7.5", "a version, no whole number"),
    ("1.10", "1.10", "a version with a final zero"),
    ("café", "café", "composed"),
    ("cafe\u0301", "café", "decomposed, by a file name of macOS"),
    (2**70, str(2**70), "an integer beyond 64 bits"),
    (-3, "-3", "a negative key"),
    (1e22, "10000000000000000000000", "a float with an exponent"),
    ({"$oid": "65a"}, "65a", "an object id of a document database"),
    ({"id": 7}, "7", "a nested reference"),
    (["7"], "7", "an array of one, by a form library"),
    ("null", None, "a template without a value"),
    ("undefined", None, "a page's script without a value"),
    ("NaN", None, "a gap in a data frame"),
    ("[object Object]", None, "an object in a text"),
    ("", None, "an empty field"),
    ("   ", None, "blanks"),
    (None, None, "null"),
    (True, None, "a checkbox"),
    (float("nan"), None, "not a number"),
    (["7", "8"], None, "two ids are none"),
)


@pytest.mark.parametrize(("sent", "normal"), [pytest.param(a, b, id=where) for a, b, where in SPELLINGS])
def test_an_id_has_one_normal_form(sent: Any, normal: str | None) -> None:
    assert normal_id(sent) == normal


def test_two_long_ids_stay_two_and_fit_into_an_index() -> None:
    one, other = normal_id("x" * 3_000), normal_id("x" * 3_000 + "y")

    assert one is not None
    assert other is not None
    assert one != other
    assert len(one) == len(other) == MAX_ID_LENGTH
    assert normal_id("é" * 3_000) == normal_id("e\u0301" * 3_000)


@given(st.one_of(st.text(max_size=300), st.integers(), st.floats(), st.booleans()))
def test_normal_forms_are_stable(value: Any) -> None:
    normal = normal_id(value)

    assert normal is None or normal_id(normal) == normal
