"""What authors' queries see of everybody."""

import re
from datetime import timedelta

from profiles.runs.routing import KEY_PERSON
from tests.support.docs import ROOT
from tests.support.environments.ingest import CHAIR, LAMP, IngestHarness, RoutedJourney, order

ADA, PHONE = "ada@example.com", "+4915112345678"

COLUMNS = [
    *("profile_id", "traits", "orders", "spent", "first_order_at", "last_order_at", "days_since_order"),
    *("median_gap_days", "created_at", "last_event_at", "open_cart_items", "reachable_email"),
    *("reachable_sms", "timezone", "locale", "preferred_channel", "preferred_hour", "opens", "clicks"),
    "last_seen",
]
"""Authors' queries name them: a column may be added, and none may go."""

READER = RoutedJourney(name="reader", starts=("Product Viewed",), listens=(), key_property=KEY_PERSON)

JOURNEYS = (READER,)


async def test_the_view_of_people_has_the_columns_it_promises(facts: IngestHarness) -> None:
    assert (
        await facts.values(
            "SELECT column_name::text FROM information_schema.columns WHERE table_name = 'person' "
            "ORDER BY ordinal_position"
        )
        == COLUMNS
    )


def test_the_page_about_segments_lists_every_column_of_the_view() -> None:
    page = (ROOT / "docs" / "reference" / "person-view.md").read_text("utf-8")

    assert re.findall(r"(?m)^\| `(\w+)` \|", page) == COLUMNS


async def test_authors_queries_see_a_row_a_person(facts: IngestHarness) -> None:
    for days in (5, 15, 45):
        receipt = order(LAMP, order_id=f"o-{days}")
        await facts.happens("Order Completed", receipt, ago=timedelta(days=days), email=ADA)
    await facts.happens("Order Refunded", {"order_id": "o-15"}, email=ADA)
    await facts.happens("Product Added", CHAIR | {"cart_id": "c"}, email=ADA)
    await facts.happens("Identified", traits={"plan": "gold"}, phone=PHONE)
    await facts.happens("Identified", user_id="erased")
    erased = await facts.who("user_id", "erased")
    await facts.rows("UPDATE profile SET erased_at = now() WHERE profile_id = $1", erased)
    query = (
        "SELECT orders, spent::float8, first_order_at < last_order_at AS ordered, days_since_order, "
        "median_gap_days, open_cart_items, reachable_email, reachable_sms FROM person ORDER BY orders"
    )

    assert [tuple(row.values()) for row in await facts.rows(query)] == [
        (0, 0.0, None, None, None, 0, False, True),
        (3, 78.0, True, 5, 20.0, 1, True, False),
    ]
    assert await facts.values("SELECT count(*) FROM person WHERE traits ->> 'plan' = 'gold'") == [1]
    await facts.happens("Signed In", email=ADA, phone=PHONE)
    assert await facts.values("SELECT orders FROM person WHERE last_event_at >= created_at") == [3]


async def test_authors_queries_see_zone_language_and_habits(facts: IngestHarness) -> None:
    await facts.happens(
        "Product Viewed",
        LAMP,
        traits={"timezone": "nowhere", "language": "de"},
        context={"timezone": "Asia/Tokyo", "locale": "ja"},
        email=ADA,
    )
    [run] = await facts.runs()
    for step, name in (("a", "Message Opened"), ("b", "Message Clicked")):
        message = await facts.sent(run["run_id"], step=step)
        await facts.happens(name, {"message_id": str(message)}, channel="email")
    [row] = await facts.rows(
        "SELECT timezone, locale, preferred_channel, opens, clicks, "
        "preferred_hour = (SELECT EXTRACT(hour FROM min(engaged_at) AT TIME ZONE timezone) FROM message) "
        "AS by_their_clock, last_seen = (SELECT max(time) FROM event) AS seen FROM person"
    )

    assert row == {
        "timezone": "Asia/Tokyo",
        "locale": "de",
        "preferred_channel": "email",
        "opens": 2,
        "clicks": 1,
        "by_their_clock": True,
        "seen": True,
    }
