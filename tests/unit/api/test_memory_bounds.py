"""What a process keeps in memory of its senders is bounded, whatever they send."""

from collections.abc import Callable
from typing import Any

import pytest

from profiles.events import Item
from profiles.identity.identifiers import MAX_CACHED_LENGTH, _normalize_stripped, normalize_identifier
from profiles.identity.quarantine import _MAX_CACHED_KEYS, QuarantineCache
from profiles.redaction import _MAX_CACHED_LENGTH as MAX_REDACTED_LENGTH
from profiles.redaction import _is_personal_cached, contains_email_or_phone
from profiles.runs.payload_bounds import MAX_CACHED_TEXT, _encoded_line, bounded_cart

MEMORY_PER_CACHE = 32 * 2**20
"""Bytes that the longest values may take in one cache, at four bytes a character, twice each."""


def cart(length: int) -> None:
    text = "\u4e2d" * length
    bounded_cart([Item(product_id=f"p-{length}", name=text, brand="b")])


@pytest.mark.parametrize(
    ("cache", "use", "longest"),
    [
        (
            _normalize_stripped,
            lambda n: normalize_identifier("push_token", ("token7" * n)[:n]),
            MAX_CACHED_LENGTH,
        ),
        (_encoded_line, cart, MAX_CACHED_TEXT),
        (_is_personal_cached, lambda n: contains_email_or_phone("\u4e2d" * n), MAX_REDACTED_LENGTH),
    ],
    ids=["identifiers", "lines of carts", "texts"],
)
def test_long_values_of_a_sender_are_not_kept_in_memory(
    cache: Any, use: Callable[[int], object], longest: int
) -> None:
    cache.cache_clear()
    use(longest + 1)
    long = cache.cache_info()
    use(min(longest, 7))
    short = cache.cache_info()

    assert (long.currsize, short.currsize) == (0, 1)
    assert long.maxsize * longest * 4 * 2 < MEMORY_PER_CACHE


def test_any_number_of_quarantined_identifiers_takes_bounded_memory() -> None:
    cache = QuarantineCache()
    cache.add(f"email:{number}@x.org" for number in range(_MAX_CACHED_KEYS + 500))

    assert len(cache) == _MAX_CACHED_KEYS
