"""Ids, tokens and hashes: their spelling, and the placeholders that are nobody's under every type."""

import base64
import hashlib
from typing import Any

import pytest

from profiles.identity.identifiers import IDENTIFIER_TYPES, implied_identifiers, normalize_identifier
from profiles.identity.normalization import (
    PLACEHOLDER_EMAILS,
    PLACEHOLDER_WORDS,
    BlockedIdentifier,
    InvalidIdentifier,
)

BLOCKED, INVALID = BlockedIdentifier, InvalidIdentifier

OPAQUE = ("user_id", "loyalty_id", "push_token", "anonymous_id")

HASH = hashlib.sha256(b"ada@x.org").hexdigest()

BASE64 = base64.b64encode(bytes.fromhex(HASH)).decode()

OF_NOTHING = hashlib.sha256(b"").digest()

# What the row stands for, the value, and its one spelling or the error, of every opaque type.
IDS: list[tuple[str, object, str | type[ValueError]]] = [
    ("plain", "u-42", "u-42"),
    ("a number", 42, "42"),
    ("a long number", 12345678901234567890, "12345678901234567890"),
    ("a number below zero", -5, "-5"),
    ("case stays", "Case Stays", "Case Stays"),
    ("margins", " u-42\n", "u-42"),
    ("zero width", "u\u200b-4\ufeff2", "u-42"),
    ("bidi", "\u202eu-42\u202c", "u-42"),
    ("a letter in two characters", "jose\u0301", "josé"),
    ("a letter in two characters, parted", "jose\u200b\u0301", "josé"),
    ("compatibility stays", "ｕ４２", "ｕ４２"),
    ("a look-alike stays another", "\u0430da", "\u0430da"),
    ("mixed scripts are an id's own business", "идent", "идent"),
    ("an address as an id", "Ada@x.org", "Ada@x.org"),
    ("a UUID", "5f0c6c1e-4b7a-4b1e-9a51-0d5f7ad8d7e1", "5f0c6c1e-4b7a-4b1e-9a51-0d5f7ad8d7e1"),
    ("one letter", "u", "u"),
    ("one digit", "7", "7"),
    ("the same digit a few times", "1111", "1111"),
    ("a word within", "testuser-7", "testuser-7"),
    ("a dollar within", "$device:17a", "$device:17a"),
    ("a token of Expo", "ExponentPushToken[xyz]", "ExponentPushToken[xyz]"),
    ("as long as may be", "x1" * 160, "x1" * 160),
    ("10 KB", "x1" * 5_000, INVALID),
    ("NUL", "u\x0042", INVALID),
    ("a tab within", "u\t42", INVALID),
    ("an escape", "u\x1b[0m42", INVALID),
    ("half a surrogate pair", "u\ud80042", INVALID),
    ("what was not UTF-8", "u\ufffd42", INVALID),
    ("true", True, INVALID),
    ("nothing at all", None, INVALID),
    ("a fraction", 1.5, INVALID),
    ("a list", ["u"], INVALID),
    ("an object", {}, INVALID),
    ("bytes", b"u-42", INVALID),
    ("blanks", " \t ", BLOCKED),
    ("zero", 0, BLOCKED),
    ("minus one", -1, BLOCKED),
    ("a zero UUID", "00000000-0000-0000-0000-000000000000", BLOCKED),
    ("a full UUID", "FFFFFFFF-ffff-ffff-ffff-ffffffffffff", BLOCKED),
    ("dashes", "---", BLOCKED),
    ("a question mark", "?", BLOCKED),
    ("one letter, often", "xxxxxxxxxx", BLOCKED),
    ("a variable of a shell", "$user_id", BLOCKED),
    ("a variable in braces", "${user.id}", BLOCKED),
    ("Handlebars", "{{user.id}}", BLOCKED),
    ("Handlebars within", "id-{{ user.id }}", BLOCKED),
    ("Liquid", "{% user %}", BLOCKED),
    ("ERB", "<%= user.id %>", BLOCKED),
    ("Ruby", "#{user.id}", BLOCKED),
    ("percents", "%%email%%", BLOCKED),
    ("one percent each", "%USER_ID%", BLOCKED),
    ("Mailchimp", "*|UNIQID|*", BLOCKED),
    ("TikTok", "__USER_ID__", BLOCKED),
    ("one brace", "{user id}", BLOCKED),
    ("square brackets", "[USER_ID]", BLOCKED),
    ("angle brackets", "<user id>", BLOCKED),
    ("of a route", ":user_id", BLOCKED),
    ("in a URL", "%7B%7Buser.id%7D%7D", BLOCKED),
    ("SHA-256 of nothing", OF_NOTHING.hex(), BLOCKED),
    ("SHA-256 of nothing, in capitals", OF_NOTHING.hex().upper(), BLOCKED),
    ("SHA-256 of null", hashlib.sha256(b"null").hexdigest(), BLOCKED),
    ("SHA-256 of NULL", hashlib.sha256(b"NULL").hexdigest(), BLOCKED),
    ("SHA-256 of a blank", hashlib.sha256(b" ").hexdigest(), BLOCKED),
    ("SHA-256 of test@test.com", hashlib.sha256(b"test@test.com").hexdigest(), BLOCKED),
    ("SHA-1 of undefined", hashlib.sha1(b"undefined").hexdigest(), BLOCKED),
    ("MD5 of nothing", hashlib.md5(b"").hexdigest(), BLOCKED),
    ("MD5 of none", hashlib.md5(b"none").hexdigest(), BLOCKED),
]  # fmt: skip

HASHES: list[tuple[str, object, str | type[ValueError]]] = [
    ("small hex digits", HASH, HASH),
    ("capital hex digits", HASH.upper(), HASH),
    ("margins", f" {HASH}\n", HASH),
    ("zero width", f"\u200b{HASH}", HASH),
    ("base64", BASE64, HASH),
    ("base64 without its end", BASE64.rstrip("="), HASH),
    ("base64 for URLs", BASE64.replace("+", "-").replace("/", "_"), HASH),
    ("MD5 of an address", hashlib.md5(b"ada@x.org").hexdigest(), INVALID),
    ("an address", "ada@x.org", INVALID),
    ("a digit too few", HASH[1:], INVALID),
    ("no hex digit", "g" + HASH[1:], INVALID),
    ("a number", 42, INVALID),
    ("10 KB", "a1" * 5_000, INVALID),
    ("zeros", "0" * 64, BLOCKED),
    ("base64 of nothing's hash", base64.b64encode(OF_NOTHING).decode(), BLOCKED),
    ("base64 of zeros", base64.b64encode(bytes(32)).decode(), BLOCKED),
]  # fmt: skip


def meets(kind: str, value: Any, expected: str | type[ValueError]) -> None:
    """Assert that a value is spelled as expected, or refused with exactly this class."""
    if isinstance(expected, str):
        assert expected == normalize_identifier(kind, value)
        assert expected == normalize_identifier(kind, expected)
        return
    with pytest.raises(ValueError) as refused:
        normalize_identifier(kind, value)

    assert expected is type(refused.value)
    assert kind in str(refused.value)


# A push token may be longer than an id.
@pytest.mark.parametrize("kind", OPAQUE)
@pytest.mark.parametrize(("value", "expected"), [pytest.param(*row[1:], id=row[0]) for row in IDS])
def test_an_id_has_one_spelling_or_is_nobodys(
    kind: str, value: object, expected: str | type[ValueError]
) -> None:
    meets(kind, value, expected)


@pytest.mark.parametrize(("value", "expected"), [pytest.param(*row[1:], id=row[0]) for row in HASHES])
def test_a_hash_has_one_spelling_or_is_nobodys(value: object, expected: str | type[ValueError]) -> None:
    meets("email_sha256", value, expected)


def test_there_are_more_than_eighty_placeholders() -> None:
    assert len(PLACEHOLDER_WORDS) >= 80


@pytest.mark.parametrize("kind", IDENTIFIER_TYPES)
@pytest.mark.parametrize("word", sorted(PLACEHOLDER_WORDS))
def test_a_placeholder_is_nobodys_under_every_type_however_it_is_dressed(kind: str, word: str) -> None:
    dressed = (word, word.upper(), f" {word} ", f"({word})", f'"{word}"', f"<{word}>", f"[{word}]",
               f"{word}\u200b", "\u2060" + word)  # fmt: skip
    for value in dressed:
        with pytest.raises(BlockedIdentifier, match="placeholder"):
            normalize_identifier(kind, value)


@pytest.mark.parametrize("kind", ["user_id", "anonymous_id", "email_sha256"])
@pytest.mark.parametrize("value", sorted(PLACEHOLDER_WORDS | PLACEHOLDER_EMAILS))
def test_the_hash_of_a_placeholder_is_nobodys(kind: str, value: str) -> None:
    with pytest.raises(BlockedIdentifier):
        normalize_identifier(kind, hashlib.sha256(value.encode()).hexdigest())


@pytest.mark.parametrize("value", sorted(PLACEHOLDER_EMAILS))
def test_a_well_known_address_of_nobody_is_nobodys(value: str) -> None:
    with pytest.raises(BlockedIdentifier):
        normalize_identifier("email", value)


def test_every_address_implies_its_hash_and_nothing_else_does() -> None:
    named = (("user_id", "42"), ("email", "ben@x.org"), ("email", "ada@x.org"), ("phone", "+4915112345678"))

    assert (
        ("email_sha256", HASH),
        ("email_sha256", hashlib.sha256(b"ben@x.org").hexdigest()),
    ) == implied_identifiers(named)
    assert normalize_identifier("email_sha256", implied_identifiers([("email", "ada@x.org")])[0][1]) == HASH
