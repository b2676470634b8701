"""People over HTTP: one profile behind every identifier, its lists page by page, its consents."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from profiles.db.sql import new_id
from tests.support.environments.api import ADMIN, SERVER, SERVER_KEYS, OpenApi, event

API_SETTINGS = {"default_region": "DE", **SERVER_KEYS}

START = datetime(2026, 11, 21, 10, tzinfo=UTC)

_MESSAGE = """
INSERT INTO message (message_id, profile_id, run_id, step, journey, channel, template, message_class, items,
  status, decided_at)
VALUES ($1, $2, $3, $4, 'cart-abandonment', 'email', 'cart_reminder', 'marketing', '{p-1}', 'sent', $5)
"""

_DECISION = """
INSERT INTO decision (decision_id, message_id, profile_id, run_id, step, journey, channel, template, verdict,
  reason, detail, checks, items, items_removed, at)
VALUES ($1, $2, $3, $4, $5, 'cart-abandonment', 'email', 'cart_reminder', 'withhold', 'purchased', '',
  '[{"name": "relevance", "passed": false}]', '{}', '{p-1}', $6)
"""


async def messages_for(api: OpenApi, profile_id: str, count: int) -> list[str]:
    """Messages on file, a minute apart but for the last two; ids from the newest to the oldest."""
    ids = [new_id() for _ in range(count)]
    for number, message_id in enumerate(ids):
        at = START + timedelta(minutes=min(number, count - 2))
        step, owner = f"s{number}", UUID(profile_id)
        await api.rows(_MESSAGE, message_id, owner, message_id, step, at)
        await api.rows(_DECISION, new_id(), message_id, owner, message_id, step, at)
    return [str(one) for one in reversed(ids)]


async def test_a_profile_shows_all_that_events_said_of_a_person(api: OpenApi) -> None:
    await api.results(
        "/v1/events",
        [
            event("Product Added", "1", properties={"cart_id": "c-1", "product_id": "p-1", "price": 39.0}),
            event("Product Added", "2", properties={"cart_id": "c-1", "product_id": "p-2"}),
            event(
                "Order Completed",
                "3",
                channel="store",
                identifiers={"user_id": "u-1", "email": "Ada@example.com"},
                properties={
                    "order_id": "o-1",
                    "products": [{"product_id": "p-1", "name": "Lamp", "quantity": 2}],
                },
                traits={"city": "Berlin", "consents": {"sms": True}},
            ),
        ],
        headers=SERVER,
    )
    profile = await api.read("/v1/profiles/email/ada@example.com")

    assert {("user_id", "u-1"), ("email", "ada@example.com")} == {
        (one["type"], one["value"]) for one in profile["identifiers"]
    }
    assert profile["traits"]["city"] == "Berlin"
    assert [(one["channel"], one["topic"], one["state"]) for one in profile["consents"]] == [
        ("sms", "marketing", "granted")
    ]
    assert [[line["product_id"] for line in cart["lines"]] for cart in profile["carts"]] == [["p-2"]]
    assert [
        (one["order_id"], one["item"], one["quantity"], one["channel"]) for one in profile["purchases"]
    ] == [("o-1", "p-1", 2, "store")]
    (suppression,) = profile["suppressions"]
    assert (suppression["item"], suppression["reason"]) == ("p-1", "purchased")
    assert suppression["until"].endswith(("Z", "+00:00"))
    assert UUID(suppression["event_id"])
    assert {"cart-abandonment", "post-purchase"} == {run["journey"] for run in profile["runs"]}
    listed = await api.read("/v1/profiles/email/ada@example.com/runs")
    assert profile["runs"] == listed["runs"]


async def test_every_identifier_of_a_merged_person_finds_the_same_profile(api: OpenApi) -> None:
    await api.results(
        "/v1/events",
        [
            event(event_id="1", identifiers={"anonymous_id": "a-1"}),
            event(event_id="2", identifiers={"loyalty_id": "L/7 ä"}),
            event(event_id="3", identifiers={"phone": "01511 2345678"}),
        ],
    )
    joined = {"anonymous_id": "a-1", "loyalty_id": "L/7 ä", "phone": "+4915112345678"}
    await api.results("/v1/events", event(event_id="4", identifiers=joined))
    paths = ("anonymous_id/a-1", "loyalty_id/L%2F7%20%C3%A4", "phone/+49 1511 2345678", "phone/015112345678")
    found = {path: (await api.read(f"/v1/profiles/{path}"))["profile_id"] for path in paths}

    assert len(set(found.values())) == 1, found
    assert len(await api.rows("SELECT FROM profile WHERE merged_into IS NULL")) == 1


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("email/nobody@example.com", "no profile has this email"),
        ("email/nonsense", "not an address"),
        ("passport/X", "no identifier type"),
        ("user_id/null", "placeholder"),
        ("user_id/a%00b", "do not print"),
    ],
)
async def test_nobody_is_a_404_that_says_why(shared_api: OpenApi, path: str, said: str) -> None:
    for more in ("", "/messages", "/decisions", "/runs", "/identity"):
        answer = await shared_api.client.get(f"/v1/profiles/{path}{more}", headers=ADMIN)

        assert answer.status_code == 404
        assert said in answer.json()["detail"]


@pytest.mark.parametrize("kind", ["messages", "decisions"])
async def test_lists_come_newest_first_page_by_page(api: OpenApi, kind: str) -> None:
    await api.results("/v1/events", event())
    profile = await api.read("/v1/profiles/user_id/u-1")
    expected = await messages_for(api, profile["profile_id"], 5)
    found = await api.read_all(f"/v1/profiles/user_id/u-1/{kind}", kind, limit=2)

    # Two rows share an instant, and no row comes twice or is left out.
    assert expected == [one["message_id"] for one in found]


async def test_messages_and_decisions_have_the_fields_of_the_contract(api: OpenApi) -> None:
    await api.results("/v1/events", event())
    profile = await api.read("/v1/profiles/user_id/u-1")
    await messages_for(api, profile["profile_id"], 2)
    message = (await api.read("/v1/profiles/user_id/u-1/messages"))["messages"][0]
    decision = (await api.read("/v1/profiles/user_id/u-1/decisions"))["decisions"][0]

    assert {"message_id", "journey", "run_id", "step", "channel", "template", "items", "status", "decided_at",
            "sent_at"} <= message.keys()  # fmt: skip
    assert (message["items"], message["status"], message["sent_at"]) == (["p-1"], "sent", None)
    assert {"verdict", "reason", "checks", "items_removed", "journey", "run_id", "step", "channel",
            "at"} <= decision.keys()  # fmt: skip
    assert (
        decision["verdict"],
        decision["reason"],
        decision["items_removed"],
    ) == ("withhold", "purchased", ["p-1"])
    assert decision["checks"] == [{"name": "relevance", "passed": False}]


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "cursor=nonsense", "cursor=AAAA"])
async def test_a_malformed_page_is_a_422_that_names_the_parameter(shared_api: OpenApi, query: str) -> None:
    await shared_api.results("/v1/events", event())
    answer = await shared_api.client.get(f"/v1/profiles/user_id/u-1/messages?{query}", headers=ADMIN)

    assert answer.status_code == 422
    assert [query.split("=")[0]] == [error["pointer"] for error in answer.json()["errors"]]


async def test_a_consent_is_an_event_and_counts_from_the_answer_on(api: OpenApi) -> None:
    await api.results("/v1/events", event(identifiers={"user_id": "u-1", "phone": "+4915112345678"}))
    path = "/v1/profiles/user_id/u-1/consents"
    change = {"channel": "sms", "topic": "marketing", "state": "withdrawn", "source": "call centre"}
    answer = await api.client.put(path, json=change, headers=ADMIN)
    profile = await api.read("/v1/profiles/phone/+4915112345678")

    assert answer.status_code == 200
    assert change == {name: answer.json()[name] for name in change}
    assert [change] == [{name: one[name] for name in change} for one in profile["consents"]]
    assert [(one["channel"], one["topic"]) for one in profile["opt_outs"]] == [("sms", "marketing")]
    (kept,) = await api.rows("SELECT type FROM event WHERE source = 'waypost/consents'")
    assert kept["type"] == "Consent Changed"

    await api.client.put(path, json={**change, "state": "granted"}, headers=ADMIN)
    later = await api.read("/v1/profiles/user_id/u-1")
    assert ([one["state"] for one in later["consents"]], later["opt_outs"]) == (["granted"], [])


async def test_a_consent_may_be_the_first_that_is_heard_of_a_person(api: OpenApi) -> None:
    change = {"channel": "email", "state": "granted"}
    answer = await api.client.put("/v1/profiles/email/new@example.com/consents", json=change, headers=ADMIN)

    assert answer.status_code == 200
    profile = await api.read("/v1/profiles/email/new@example.com")
    assert [(one["channel"], one["topic"], one["state"]) for one in profile["consents"]] == [
        ("email", "marketing", "granted")
    ]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b'{"channel":"pigeon","state":"granted"}', "/channel"),
        (b'{"channel":"sms","state":"perhaps"}', "/state"),
        (b'{"channel":"sms"}', "/state"),
        (b'{"channel":"sms","state":"granted","topic":"a\\u0000"}', "/topic"),
        (b'{"channel":"sms","state":"granted","source":"\\u0000"}', "/source"),
        (b'{"channel":"sms","state":"granted","source":"\\ud800"}', "/source"),
        (b'{"channel":"sms","state":"granted","until":"x"}', "/until"),
        (b"[]", ""),
        (b"[" * 10_000, None),
        (b"", ""),
    ],
)
async def test_a_malformed_consent_is_refused_with_a_pointer(
    shared_api: OpenApi, body: bytes, pointer: str | None
) -> None:
    headers = {**ADMIN, "Content-Type": "application/json"}
    answer = await shared_api.client.put("/v1/profiles/user_id/u-1/consents", content=body, headers=headers)

    assert answer.status_code in (400, 422)
    assert pointer is None or pointer in [error["pointer"] for error in answer.json()["errors"]]
    assert list(await shared_api.rows("SELECT FROM consent")) == []
