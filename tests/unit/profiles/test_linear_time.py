"""What reads a stranger's text is linear: the worst texts at the size limit of an event, in under 0.3 s."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from profiles.consent.replies import classify_reply
from profiles.events import Item
from profiles.identity.identifiers import normalize_identifier
from profiles.redaction import contains_email_or_phone, redact_value
from profiles.runs.payload_bounds import bounded_cart, bounded_fields
from profiles.runs.routing import key_fault
from profiles.state.bounds import bound_properties, bound_traits
from profiles.state.event_records import parse_event
from profiles.state.traits import merge_traits, parse_context
from tests.support.deadlines import SCALE

SIZE = 65_536
"""Bytes of an event."""

TEXTS = {
    "an encoded @ again and again": "%40",
    "an encoded @ and a full stop": "%40.",
    "an encoded image's name": "a%402x.",
    "an @ again and again": "a@",
    "@ and full stops": ".@a",
    "an image's name": "a@2x.",
    "plus signs": "+1",
    "digits and blanks": "+1 2 3 4 5 6 7 8 ",
    "brackets": "<",
    "open templates": "{{",
    "zeros": "0",
    "one letter": "x",
    "full stops": "a.",
    "blanks": " \t",
    "quotes": '"\\"',
    "a letter that becomes eighteen": "\ufdfa",
    "combining marks": "a\u0301",
    "invisible signs": "\u200b",
    "negations": "no ",
}


def normalized(kind: str) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            return normalize_identifier(kind, text)
        except ValueError:
            return None

    return read


READERS: dict[str, Callable[[str], Any]] = {
    "contains_email_or_phone": contains_email_or_phone,
    "redact_value": redact_value,
    "key_fault": key_fault,
    "normalize email": normalized("email"),
    "normalize phone": normalized("phone"),
    "normalize email, as long as one may be": lambda text: normalized("email")(f"a@{text}"[:320]),
    "normalize phone, as long as one may be": lambda text: normalized("phone")(text[:320]),
    "normalize push_token, as long as one may be": lambda text: normalized("push_token")(text[:1024]),
    "normalize email_sha256": normalized("email_sha256"),
    "classify_reply": classify_reply,
    "parse_context": lambda text: parse_context({"timezone": text, "locale": text}),
    "bound_properties": lambda text: bound_properties(
        {"name": text, "price": text}, [], verified=False, event_type="Order Completed"
    ),
    "bound_traits": lambda text: bound_traits({"a": text, "b": [text], text: 1}, []),
    "merge_traits": lambda text: merge_traits({}, {}, {text: text}, {}),  # type: ignore[typeddict-item]
    "parse_event": lambda text: parse_event(
        "Order Completed", {"order_id": text, "total": text}, verified=False
    ),
    "bounded_fields": lambda text: bounded_fields({"text": text, "list": [text]}),
    "bounded_cart": lambda text: bounded_cart([Item(product_id="a", name=text, url=text)]),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("text", TEXTS)
def test_the_worst_text_of_an_event_is_read_in_time(reader: str, text: str) -> None:
    worst = TEXTS[text] * (SIZE // len(TEXTS[text].encode()))
    started = time.process_time()
    READERS[reader](worst)

    assert time.process_time() - started < 0.3 * SCALE


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("ada%40example.com", True, id="an address in a URL"),
        pytest.param("q?to=ada%40example.com&x=1", True, id="within a text"),
        pytest.param("ada%40example", False, id="no full stop"),
        pytest.param("ada%40example.", False, id="nothing after the full stop"),
        pytest.param("%40example.com", False, id="nothing before it"),
        pytest.param("lamp%402x.png", False, id="an image's name"),
        pytest.param("lamp%402x.png ada%40x.org", True, id="after an image's name"),
        pytest.param("a%40b%40example.com", True, id="two of them"),
        pytest.param("ada%40/example.com", False, id="a path"),
        pytest.param("a@%40x.org", True, id="in the domain"),
    ],
)
def test_an_encoded_address_is_found(text: str, found: bool) -> None:
    assert contains_email_or_phone(text) is found
