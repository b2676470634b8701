"""Which values identify a person, how strongly, and which texts give one away."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.identity.identifiers import (
    IDENTIFIER_TYPES,
    MAX_LENGTH_BY_TYPE,
    STRONG_TYPES,
    identifier_key,
    normalize_identifier,
    sort_identifiers,
    split_key,
)
from profiles.identity.normalization import BlockedIdentifier, InvalidIdentifier


def test_the_strong_types_come_first() -> None:
    assert IDENTIFIER_TYPES[: len(STRONG_TYPES)] == STRONG_TYPES


@pytest.mark.parametrize(
    ("kind", "value", "fault"),
    [
        pytest.param("email", "ada at example", r"write it as ada@example\.com", id="no address"),
        pytest.param("email", "\u0430da@x.org", "mixed scripts.*type it anew", id="a look-alike"),
        pytest.param("phone", "+49 1", "write it as", id="too few digits"),
        pytest.param("phone", "0151 12345678", r"write it as \+49151", id="no country"),
        pytest.param("user_id", True, "must be a string, got bool", id="true"),
        pytest.param("user_id", None, "must be a string, got NoneType", id="nothing"),
        pytest.param("user_id", "a\x00b", "do not print; send it without", id="NUL"),
        pytest.param("user_id", "a\ufffdb", "send it as UTF-8", id="not UTF-8"),
        pytest.param("user_id", "x1" * 5_000, "is 10000 characters long; at most 320", id="10 KB"),
        pytest.param("push_token", "x1" * 5_000, "at most 1024", id="10 KB of a token"),
        pytest.param("email_sha256", "abc", "64 hex digits.*send an address as email", id="no hash"),
        pytest.param("shoe_size", "44", "no identifier type 'shoe_size'; there are user_id", id="no type"),
    ],
)
def test_what_is_malformed_says_why_and_what_to_do(kind: str, value: object, fault: str) -> None:
    with pytest.raises(InvalidIdentifier, match=fault):
        normalize_identifier(kind, value)


@pytest.mark.parametrize("value", ["null", " undefined ", "000-000", "[object Object]", "guest@guest.com"])
def test_what_is_nobodys_is_shown_and_need_not_be_sent(value: str) -> None:
    with pytest.raises(BlockedIdentifier, match="send no email when there is none") as refused:
        normalize_identifier("email", value)

    assert value.strip() in str(refused.value)


# Letters that change under normalisation, fold oddly, are not seen, pose, or mean something to a parser.
NASTY = st.text(
    st.sampled_from(
        "aA1@.+-_ :;<>\"'()%=/0\u200b\u200d\u2060\ufeff\u202e\u00ad\u0301\u0308\u0345\u00a0\u3000\t\x00\ud800"
        "\u0130\u0131\u017f\u212a\u00df\u1e9e\u03a3\u03c2\u0430\u03b1\u0561\ufb03\uff21\uff20\uff0e\u3002\uff11\u0661"
        "\u2100\u00bd\u3164\uffa0\u115f\ufdfa\u1100\u1161\uac00\U0001d41a\U000e0041\ufffd\u2024"
    ),
    max_size=12,
)

PIECES = st.sampled_from(
    ["ada", "@", "x.org", "gmail.com", "mailto:", "Ada <", ">", "xn--", "xn--bcher-kva", "b\u00fccher", ".de",
     "+49", "tel:", "0151", "12345678", ";ext=", ";phone-context=+", "00", "+1", "555", "0123", "{{", "null",
     "ab12" * 16]
)  # fmt: skip

VALUES = st.one_of(
    st.text(),
    NASTY,
    st.lists(st.one_of(PIECES, NASTY), max_size=6).map("".join),
    st.tuples(NASTY, st.sampled_from(["@x.org", "@b\u00fccher.de", "@gmail.com", "@outlook.com"])).map(
        "".join
    ),
    st.from_regex(r"\+?(00|011)?[1-9][0-9]{0,2}[ ()/-]?[0-9]{4,12}", fullmatch=True),
    st.binary(min_size=32, max_size=32).map(bytes.hex),
)

REGIONS = st.sampled_from([None, "DE", "US", "GB", "IT", "AR", "BR", "MX", "AU", "JP", "XX"])


@pytest.mark.parametrize("kind", IDENTIFIER_TYPES)
@given(value=VALUES, region=REGIONS)
def test_normalising_twice_is_normalising_once_and_fails_by_value_errors_only(
    kind: str, value: str, region: str | None
) -> None:
    try:
        once = normalize_identifier(kind, value, region=region)
    except (BlockedIdentifier, InvalidIdentifier):
        return

    assert once == normalize_identifier(kind, once, region=region) == normalize_identifier(kind, once)
    assert once.isprintable()
    assert len(once) <= MAX_LENGTH_BY_TYPE[kind]


@given(st.sampled_from(IDENTIFIER_TYPES), st.text(min_size=1))
def test_a_key_can_be_split_again(kind: str, value: str) -> None:
    assert (kind, value) == split_key(identifier_key(kind, value))


@pytest.mark.parametrize("text", ["", "ada", "email:", ":ada", "shoe_size:44"])
def test_a_text_that_is_no_key_says_how_one_is_written(text: str) -> None:
    with pytest.raises(InvalidIdentifier, match="write type:value, with one of user_id, "):
        split_key(text)


def test_identifiers_are_ordered_by_strength_then_value() -> None:
    named = [
        ("email", "b@x.org"),
        ("anonymous_id", "a"),
        ("email", "a@x.org"),
        ("user_id", "7"),
        ("user_id", "7"),
    ]

    assert sort_identifiers(named) == (
        ("user_id", "7"),
        ("email", "a@x.org"),
        ("email", "b@x.org"),
        ("anonymous_id", "a"),
    )
