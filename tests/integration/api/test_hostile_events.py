"""What the API answers to events that are out of bounds, or that take the id of another sender."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from tests.support.environments.api import SERVER, SERVER_KEYS, WRITE, OpenApi, event, opened

API_SETTINGS = SERVER_KEYS


def at(minutes_ago: float) -> str:
    return (datetime.now(UTC) - timedelta(minutes=minutes_ago)).isoformat()


async def test_values_out_of_bounds_are_problems_of_an_accepted_event(api: OpenApi) -> None:
    hostile = event(
        "Order Completed",
        properties={"order_id": "o" * 3_000, "products": [{"sku": "lamp", "quantity": 2**62, "price": 1e27}]},
        traits={"note": "n" * 3_000},
    )
    [result] = await api.results("/v1/events", hostile)
    [row] = await api.rows("SELECT properties::text AS sent, problems::text AS problems FROM event")
    [bought] = await api.rows("SELECT order_id, quantity, price FROM purchase")
    pointers = {each["pointer"]: each["code"] for each in result["problems"]}

    assert result["status"] == "accepted"
    assert pointers == {
        "/properties/order_id": "too_long",
        "/properties/products/0/quantity": "out_of_range",
        "/properties/products/0/price": "out_of_range",
        "/traits/note": "too_long",
    }
    assert (len(bought["order_id"]), bought["quantity"], bought["price"]) == (255, 1_000_000, None)
    assert orjson.loads(row["sent"])["products"][0]["quantity"] == 2**62, "stored as sent"
    assert len([each for each in orjson.loads(row["problems"]) if "code" in each]) == 4, "each once"


async def test_a_segment_call_has_the_same_bounds(api: OpenApi) -> None:
    call: dict[str, Any] = {"messageId": "m-1", "anonymousId": "a-1", "event": "Product Added"}
    [result] = await api.results("/v1/track", call | {"properties": {"product_id": "lamp", "quantity": 1e30}})

    assert [each["pointer"] for each in result["problems"]] == ["/properties/quantity"]


async def test_an_unverified_order_keeps_fewer_lines_than_a_verified_one(api: OpenApi) -> None:
    lines = [{"sku": f"s-{number}"} for number in range(800)]
    for headers, event_id, kept in ((WRITE, "e-1", 50), (SERVER, "e-2", 800)):
        order = event("Order Completed", event_id, properties={"products": lines})
        await api.send("/v1/events", order, headers=headers)
        count = "SELECT count(*) AS n FROM purchase p JOIN event e USING (event_id) WHERE e.id = $1"
        assert [row["n"] for row in await api.rows(count, event_id)] == [kept]


async def test_a_server_key_gets_its_id_where_a_page_took_it(api: OpenApi) -> None:
    forged = event("Product Viewed", "till-1", source="pos/1")
    order = event("Order Completed", "till-1", source="pos/1", properties={"products": [{"sku": "lamp"}]})
    answers = [
        (await api.send("/v1/events", body, headers=headers)).json()["results"][0]["status"]
        for body, headers in ((forged, WRITE), (order, SERVER), (order, SERVER), (forged, WRITE))
    ]

    assert answers == ["accepted", "accepted", "duplicate", "conflict"]


async def test_a_page_pays_for_what_its_late_events_cost(database_url: str) -> None:
    """A late event has the past events of its profile applied again, which the sender's budget pays for."""
    past = [
        event("Product Added", f"past-{number}", properties={"product_id": "lamp"}, time=at(500 - number))
        for number in range(300)
    ]
    late = [
        event("Product Added", f"late-{number}", properties={"product_id": "rug"}, time=at(490))
        for number in range(4)
    ]
    async with opened(database_url, **SERVER_KEYS, waypost_address_events_per_s=2) as api:
        await api.results("/v1/events", past, headers=SERVER)
        await api.rows("UPDATE event SET at = time")
        pages = [(await api.send("/v1/events", each)).status_code for each in late]
        [tills] = await api.results("/v1/events", event("Order Completed", time=at(495)), headers=SERVER)

    # 40 events, of which each of these costs 30.
    assert pages == [200, 200, 429, 429]
    assert tills["status"] == "accepted"
