"""The golden record over HTTP: fields with their origin, guesses with their source, computed traits."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.environments.api import OpenApi, event

API_SETTINGS = {"default_region": "DE"}


async def test_every_field_says_who_said_it_and_when(api: OpenApi) -> None:
    ada = {"user_id": "u-1"}
    await api.results(
        "/v1/events",
        [
            event("Identified", "1", source="crm", time="2026-01-01T10:00:00+01:00", identifiers=ada,
                  traits={"plan": "gold", "city": "Ulm", "locale": "de-AT"}),
            event("Product Viewed", "2", source="web", time="2026-01-02T09:00:00Z", identifiers=ada,
                  context={"timezone": "Europe/Vienna", "locale": "en"}),
            event("Identified", "3", source="pos", time="2026-01-01T08:00:00Z", identifiers=ada,
                  traits={"plan": "tin"}),
        ],
    )  # fmt: skip
    profile = await api.read("/v1/profiles/user_id/u-1")

    assert profile["traits"] == {"plan": "gold", "city": "Ulm", "locale": "de-AT"}
    said = {name: (origin["source"], origin["event_id"]) for name, origin in profile["origins"].items()}
    assert said == {
        **dict.fromkeys(("plan", "city", "locale"), ("crm", "1")),
        **dict.fromkeys(("context.timezone", "context.locale"), ("web", "2")),
    }
    assert datetime.fromisoformat(profile["origins"]["plan"]["time"]) == datetime(2026, 1, 1, 9, tzinfo=UTC)
    assert isinstance(profile["origins"]["plan"]["verified"], bool)
    assert {name: profile["timezone"][name] for name in ("value", "source")} == {
        "value": "Europe/Vienna",
        "source": "context",
    }
    assert profile["timezone"]["at"] == profile["origins"]["context.timezone"]["time"]
    assert (profile["locale"]["value"], profile["locale"]["source"]) == ("de-AT", "traits")


@pytest.mark.parametrize(
    ("more", "timezone", "locale"),
    [
        pytest.param({}, ("UTC", "default", True), None, id="nothing is known"),
        pytest.param(
            {"context": {"locale": "fr"}}, ("UTC", "default", True), ("fr", "context"), id="a browser"
        ),
        pytest.param(
            {"identifiers": {"user_id": "u-1", "phone": "+4915112345678"}},
            ("Europe/Berlin", "phone", False),
            None,
            id="a phone",
        ),
        pytest.param(
            {"traits": {"timezone": "asia/tokyo", "language": "ja"}},
            ("Asia/Tokyo", "traits", False),
            ("ja", "traits"),
            id="traits",
        ),
        pytest.param(
            {"traits": {"timezone": "Mars"}, "context": {"timezone": "Asia/Tokyo"}},
            ("Asia/Tokyo", "context", False),
            None,
            id="a trait that is no zone",
        ),
    ],
)
async def test_zone_and_locale_say_what_they_were_taken_from(
    api: OpenApi, more: dict[str, Any], timezone: tuple[str, str, bool], locale: tuple[str, str] | None
) -> None:
    await api.results("/v1/events", event(**more))
    profile = await api.read("/v1/profiles/user_id/u-1")
    guess = profile["timezone"]

    assert (guess["value"], guess["source"], guess["at"] is None) == timezone
    assert (locale is None) is (profile["locale"] is None)
    assert locale is None or (profile["locale"]["value"], profile["locale"]["source"]) == locale


async def test_what_is_worked_out_is_shown_as_of_now(api: OpenApi) -> None:
    await api.results("/v1/events", event("Product Viewed", "1", channel="web"))
    before = (await api.read("/v1/profiles/user_id/u-1"))["computed"]
    placed = datetime.now(UTC) - timedelta(days=50, minutes=1)
    bought = {"order_id": "o-1", "products": [{"product_id": "p-1", "price": 19.5, "quantity": 2}]}
    await api.results(
        "/v1/events",
        event("Order Completed", "2", channel="store", time=placed.isoformat(), properties=bought),
    )
    after = (await api.read("/v1/profiles/user_id/u-1"))["computed"]

    nothing = {"orders": 0, "spent": 0.0, "opens": 0, "clicks": 0, "lapse_state": "never_bought"}
    unknown = ("preferred_channel", "preferred_hour", "first_order_at", "last_order_at", "median_gap_days",
               "days_since_order")  # fmt: skip
    assert before == {**nothing, **dict.fromkeys(unknown), "last_seen": before["last_seen"]}
    assert (after["orders"], after["spent"], after["days_since_order"]) == (1, 39.0, 50)
    assert (after["lapse_state"], after["preferred_hour"]) == ("at_risk", placed.hour)
    assert after["first_order_at"] == after["last_order_at"]
    assert {channel: datetime.fromisoformat(time) for channel, time in after["last_seen"].items()} == {
        "web": datetime.fromisoformat(before["last_seen"]["web"]),
        "store": placed,
    }
