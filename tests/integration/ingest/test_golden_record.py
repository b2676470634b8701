"""The golden record as ingest keeps it: fields with their origins, and what is worked out."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from profiles.projection.computed import load_last_seen, with_event_seen
from tests.support.builders.profiles import START, message_row
from tests.support.environments.ingest import CHAIR, LAMP, IngestHarness, order

ADA, PHONE = "ada@example.com", "+4915112345678"


async def test_orders_refunds_and_clicks_are_worked_in_with_their_own_event(facts: IngestHarness) -> None:
    seen = []

    async def look() -> None:
        seen.extend(await facts.rows("SELECT orders, spent, opens, clicks, preferred_channel FROM profile"))

    await facts.happens("Order Completed", order(LAMP, CHAIR), email=ADA, ago=timedelta(days=2))
    await look()
    await facts.happens("Order Refunded", {"order_id": "o-1", "products": [CHAIR]}, email=ADA)
    await look()
    [who] = await facts.values("SELECT profile_id FROM profile")
    message = await facts.database.run(lambda connection: message_row(connection, who, channel="sms"))
    for name in ("Message Opened", "Message Clicked"):
        await facts.happens(name, {"message_id": str(message)})
        await look()

    assert [tuple(row.values()) for row in seen] == [
        (1, 138.0, 0, 0, None),
        (1, 39.0, 0, 0, None),
        (1, 39.0, 1, 0, "sms"),
        (1, 39.0, 1, 1, "sms"),
    ]


async def test_a_merged_person_is_worked_out_as_a_whole(facts: IngestHarness) -> None:
    for number, who in enumerate(({"email": ADA}, {"phone": PHONE}, {"phone": PHONE})):
        bought = order(LAMP, order_id=f"o-{number}")
        await facts.happens("Order Completed", bought, ago=timedelta(days=40 - 10 * number), **who)
    await facts.happens("Signed In", email=ADA, phone=PHONE)

    assert [
        tuple(row.values()) for row in await facts.rows("SELECT orders, spent, median_gap_days FROM person")
    ] == [(3, 117.0, 10.0)]


async def test_who_moves_has_their_hours_told_anew(facts: IngestHarness) -> None:
    hours = []
    told: tuple[tuple[str, dict[str, Any]], ...] = (
        ("Order Completed", {"properties": order(LAMP)}),
        ("Product Viewed", {"context": {"timezone": "Asia/Tokyo"}}),
        ("Identified", {"traits": {"timezone": "Asia/Kathmandu"}}),
    )
    for name, more in told:
        await facts.happens(name, email=ADA, **more)
        hours += await facts.values("SELECT preferred_hour FROM profile")
    [at] = await facts.values("SELECT time FROM purchase")

    zones = (UTC, ZoneInfo("Asia/Tokyo"), ZoneInfo("Asia/Kathmandu"))
    assert [at.astimezone(zone).hour for zone in zones] == hours


async def test_fields_and_their_origins_do_not_depend_on_the_order_of_arrival(facts: IngestHarness) -> None:
    events: list[tuple[dict[str, Any], dict[str, Any], int, str]] = [
        ({"plan": "tin", "city": "Ulm"}, {"timezone": "Europe/Berlin", "locale": "de-DE"}, 30, "pos"),
        ({"plan": "gold"}, {}, 10, "pos"),
        ({"plan": "silver", "size": {"shoe": 39}}, {"timezone": "Asia/Tokyo"}, 20, "web"),
        ({"size": {"hat": 57}}, {"locale": "ja"}, 5, "web"),
    ]
    rows = []
    for number, arrival in enumerate((events, events[::-1], [events[2], events[0], events[3], events[1]])):
        for traits, context, days, source in arrival:
            facts.source = source
            said = facts.event(
                "Identified",
                traits=traits,
                context=context,
                event_id=f"{number}/{days}",
                user_id=f"u-{number}",
            )
            when = START + timedelta(days=-days)
            await facts.ingest([replace(said, time=when)])
        [row] = await facts.rows(
            "SELECT traits::text, context_timezone, context_locale, seen::text, "
            "replace(origins::text, $2, '') AS origins FROM profile p JOIN identifier i USING (profile_id) "
            "WHERE i.value = $1",
            f"u-{number}",
            f"{number}/",
        )
        rows.append(row)

    assert rows[0] == rows[1] == rows[2]
    assert orjson.loads(rows[0]["traits"]) == {"plan": "gold", "city": "Ulm", "size": {"hat": 57}}
    assert (rows[0]["context_timezone"], rows[0]["context_locale"]) == ("Asia/Tokyo", "ja")
    origins = orjson.loads(rows[0]["origins"])
    assert {
        name: (origin["source"], origin["event_id"]) for name, origin in origins.items()
    } == {"plan": ("pos", "10"), "city": ("pos", "30"), "size": ("web", "5"),
            "context.timezone": ("web", "20"), "context.locale": ("web", "5")}  # fmt: skip


async def test_the_word_of_somebody_unknown_changes_no_field_that_a_known_sender_filled(
    facts: IngestHarness,
) -> None:
    for traits, verified in (({"plan": "gold"}, True), ({"plan": "free", "city": "Ulm"}, False)):
        said = facts.event("Identified", traits=traits, user_id="42")
        await facts.ingest([replace(said, verified=verified)])

    [traits] = await facts.values("SELECT traits::text FROM profile")
    assert orjson.loads(traits) == {"plan": "gold", "city": "Ulm"}


async def test_when_somebody_was_seen_is_the_same_event_by_event_and_over_all_of_them(
    facts: IngestHarness,
) -> None:
    incoming = []
    for name, source, channel, hours in (
        ("Product Viewed", "web", "web", 5),
        ("Order Completed", "pos", "store", 3),
        ("Product Viewed", "web", "web", -3),
        ("Message Delivered", "sendgrid", "email", 1),
        ("Customer Lapsed", "waypost/sweep", "server", 1),
        ("Consent Changed", "waypost/preferences", "server", 4),
    ):
        facts.source = source
        said = facts.event(name, ago=timedelta(hours=hours), channel=channel, user_id="42")
        incoming.append(said)
        await facts.ingest([said])
    who = await facts.who("user_id", "42")
    at = {row["id"]: row["at"] for row in await facts.rows("SELECT id, at FROM event")}
    expected: dict[str, str] = {}
    for said in incoming:
        expected = with_event_seen(expected, said, at[said.id])
    [kept] = await facts.values("SELECT seen::text FROM profile")
    anew = await facts.database.run(lambda connection: load_last_seen(connection, [who]))

    assert {"web", "store", "server"} == set(expected)
    assert expected == orjson.loads(kept) == anew[who]
    [latest] = await facts.values("SELECT last_seen FROM person")
    assert max(datetime.fromisoformat(time) for time in expected.values()) == latest
