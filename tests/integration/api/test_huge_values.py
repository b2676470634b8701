"""What JSON allows and Postgres, Temporal or a journey does not is stored, in whatever field it comes."""

import pytest

from tests.support.environments.api import SERVER, SERVER_KEYS, OpenApi, event

API_SETTINGS = SERVER_KEYS

HUGE = "1" + "0" * 40

VALUES = {
    "an integer of 41 digits": HUGE,
    "a negative one": f"-{HUGE}",
    "2^64": str(2**64),
    "2^63": str(2**63),
    "an exponent": "1e40",
    "beyond a double": "1e400",
    "5,000 digits": "9" * 5000,
    "digits as text": f'"{HUGE}"',
    "400 digits as text": '"' + "9" * 400 + '"',
    "no number": "NaN",
    "minus infinity": "-Infinity",
    "half a surrogate pair": '"\\ud800"',
    "NUL": '"a\\u0000b"',
    "in a list": f"[{HUGE}]",
    "nested": '{"a": [{"b": ' + HUGE + "}]}",
}
"""What it is → JSON as a sender writes it."""

PLACES = {
    "a count that the event declares": '"properties": {"days_since_order": %s, "orders": %s}',
    "an amount": '"properties": {"total": %s, "products": [{"product_id": "x", "price": %s}]}',
    "a quantity": '"properties": {"products": [{"product_id": "x", "quantity": %s, "sku": %s}]}',
    "an id": '"properties": {"order_id": %s, "cart_id": %s, "products": [{"product_id": "x"}]}',
    "a property of the sender's own": '"properties": {"mine": %s, "deep": {"er": [%s]}}',
    "traits": '"traits": {"points": %s, "deep": {"er": [%s]}}',
    "the context": '"context": {"points": %s, "deep": {"er": [%s]}}',
}

TYPES = ("Customer Lapsed", "Order Completed", "Product Added", "Something Else")


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
async def test_an_event_with_a_value_that_nothing_can_hold_is_stored(api: OpenApi, place: str) -> None:
    lost = []
    for number, (name, value) in enumerate(VALUES.items()):
        batch = ", ".join(
            f'{{"id": "{number}-{kind}", "type": "{kind}", "source": "till", '
            f'"identifiers": {{"email": "a{number}@example.com"}}, {place.replace("%s", value)}}}'
            for kind in TYPES
        )
        results = await api.results("/v1/events", f"[{batch}]".encode(), headers=SERVER)
        lost += [(name, result) for result in results if result["status"] != "accepted"]

    assert lost == []


async def test_a_count_beyond_64_bits_is_left_out_and_said(api: OpenApi) -> None:
    lapsed = event("Customer Lapsed", "1", properties={"days_since_order": HUGE, "orders": 3})
    await api.results("/v1/events", lapsed, headers=SERVER)
    [row] = await api.rows("SELECT problems::text AS problems FROM event WHERE id = '1'")

    assert "days_since_order: an integer beyond 64 bits" in row["problems"]
