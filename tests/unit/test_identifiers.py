"""Which values identify a person, and which texts give one away."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.identifiers import IDENTIFIER_TYPES, MAX_LENGTH, names_a_person, normalise


@pytest.mark.parametrize(
    ("kind", "value", "spelled"),
    [
        ("email", " Ada@Example.COM ", "ada@example.com"),
        ("phone", "+49 151 1234-5678", "+4915112345678"),
        ("user_id", 42, "42"),
        ("user_id", " Case Stays ", "Case Stays"),
        ("loyalty_id", "L7", "L7"),
    ],
)
def test_one_spelling_an_identifier(kind: str, value: object, spelled: str) -> None:
    assert normalise(kind, value) == spelled
    assert normalise(kind, spelled) == spelled


def test_a_phone_without_a_country_code_is_read_by_region() -> None:
    assert normalise("phone", "0151 12345678", region="DE") == "+4915112345678"
    with pytest.raises(ValueError, match=r"write it as \+49151"):
        normalise("phone", "0151 12345678")


@pytest.mark.parametrize(
    "value", ["null", "NULL", " undefined ", "", "0", "000-000", "[object Object]", "guest", "-1"]
)
@pytest.mark.parametrize("kind", IDENTIFIER_TYPES)
def test_a_placeholder_identifies_nobody(kind: str, value: str) -> None:
    with pytest.raises(ValueError, match="placeholder"):
        normalise(kind, value)


@pytest.mark.parametrize(
    ("kind", "value", "fault"),
    [
        ("email", "ada at example", "not an address"),
        ("phone", "+49 1", "digits|not a number"),
        ("user_id", True, "must be a string"),
        ("user_id", None, "must be a string"),
        ("user_id", "a\x00b", "do not print"),
        ("user_id", "x" * (MAX_LENGTH + 1), "at most 320"),
        ("shoe_size", "44", "no identifier type"),
    ],
)
def test_what_identifies_nobody_says_why(kind: str, value: object, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        normalise(kind, value)


@given(st.sampled_from(("user_id", "loyalty_id", "anonymous_id")), st.text())
def test_normalising_twice_is_normalising_once(kind: str, text: str) -> None:
    try:
        once = normalise(kind, text)
    except ValueError:
        return
    assert normalise(kind, once) == once


@pytest.mark.parametrize(
    ("text", "personal"),
    [
        ("ada@example.com", True),
        ("550 no mailbox <ada@example.com>", True),
        ("https://x.org/?mail=ada%40example.com", True),
        ("+49 151 12345678", True),
        ("The number +4915112345678 is not valid", True),
        ("https://cdn.x.org/lamp@2x.png", False),
        ("lamp", False),
        ("c-1+12345678", False),
        ("+10 to 20", False),
        ("order 4915112345678", False),
        ("a @ b . c", False),
    ],
)
def test_texts_that_give_a_person_away(text: str, personal: bool) -> None:
    assert names_a_person(text) is personal


@pytest.mark.parametrize(
    "text", ["a" * 60_000, "@" * 60_000, "a@" * 30_000, "+1" * 30_000, "+" + "1 " * 30_000, "a@a." * 9_000]
)
def test_a_long_text_costs_linear_time(text: str) -> None:
    before = time.process_time()
    names_a_person(text)

    assert time.process_time() - before < 1
