"""Bad identifiers over HTTP: each is taken in or named, kept with its fault, and never joins strangers."""

from typing import Any

import orjson
import pytest

from profiles.ingest.unconfirmed_links import UNCONFIRMED_IDENTIFIER
from tests.support.environments.api import ADMIN, OpenApi, event
from tests.support.generators.bad_bodies import IDENTIFIERS
from tests.support.proof_size import size

EVENTS = size(500, 10_000)

MALFORMED = [
    ("email", "ada@", "bad_identifier"),
    ("email", "@example.com", "bad_identifier"),
    ("email", "ada@example@example.com", "bad_identifier"),
    ("email", "ada example.com", "bad_identifier"),
    ("email", "\u0430d\u03b1@\u0445.org", "bad_identifier"),
    ("email", "noreply@example.com", "blocked_identifier"),
    ("email", "test@test.com", "blocked_identifier"),
    ("phone", "call me", "bad_identifier"),
    ("phone", "+49", "bad_identifier"),
    ("phone", "+4915112345678901234567", "bad_identifier"),
    ("phone", "0000000000", "blocked_identifier"),
    ("email_sha256", "xyz", "bad_identifier"),
    ("user_id", "null", "blocked_identifier"),
    ("user_id", "undefined", "blocked_identifier"),
    ("loyalty_id", "000000", "blocked_identifier"),
    ("anonymous_id", "[object Object]", "blocked_identifier"),
    ("push_token", "x" * 10_000, "bad_identifier"),
    *((kind, "x1" * 5_000, "bad_identifier") for kind in ("user_id", "loyalty_id", "email", "anonymous_id")),
]


async def people(api: OpenApi) -> set[frozenset[str]]:
    """The values of each person's identifiers, hashes left out."""
    rows = await api.rows(
        "SELECT array_agg(value) AS named FROM identifier WHERE type <> 'email_sha256' GROUP BY profile_id"
    )
    return {frozenset(row["named"]) for row in rows}


async def told(api: OpenApi, path: str, body: Any, *, admin: bool) -> list[dict[str, Any]]:
    """The results of a batch, told with an admin key or a write key."""
    answer = await api.send(path, body, headers=ADMIN if admin else {})
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


async def told_in_batches(api: OpenApi, calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The results of calls of a server, 500 at once."""
    batches = [{"batch": calls[start : start + 500]} for start in range(0, len(calls), 500)]
    return [result for batch in batches for result in await told(api, "/v1/batch", batch, admin=True)]


@pytest.mark.parametrize("admin", [True, False], ids=["by a server", "by a browser"])
async def test_aliases_in_a_circle_of_oneself_and_of_strangers_join_no_two_accounts(
    api: OpenApi, admin: bool
) -> None:
    circle = [("ana", "ben"), ("ben", "cleo"), ("cleo", "ana")]
    pairs = [*circle, ("dan", "dan"), ("eve", "never seen"), ("null", "ana"), ("ana", "")]
    calls = [
        {"type": "alias", "messageId": f"m-{n}", "userId": user, "previousId": previous}
        for n, (user, previous) in enumerate(pairs)
    ]
    results = await told(api, "/v1/batch", {"batch": calls}, admin=admin)
    again = await told(api, "/v1/batch", {"batch": calls[::-1]}, admin=admin)

    assert ["accepted"] * len(pairs) == [result["status"] for result in results]
    assert ["duplicate"] * len(pairs) == [result["status"] for result in again]
    owners = await api.rows(
        "SELECT profile_id, array_agg(value) AS named FROM identifier WHERE type = 'user_id' GROUP BY 1"
    )
    assert all(len(row["named"]) == 1 for row in owners)
    assert list(await api.rows("SELECT FROM event WHERE profile_id IS NULL")) == []


@pytest.mark.parametrize("admin", [True, False], ids=["by servers", "by browsers"])
async def test_200_accounts_on_one_device_stay_200_and_the_device_is_nobodys(
    api: OpenApi, admin: bool
) -> None:
    calls = [
        {"type": "identify", "messageId": f"m-{n}", "userId": f"u-{n}", "anonymousId": "kiosk",
         "traits": {"email": f"u{n}@example.com"}}
        for n in range(200)
    ]  # fmt: skip
    results = await told(api, "/v1/batch", {"batch": calls}, admin=admin)
    bought = {"type": "track", "event": "Order Completed", "messageId": "late", "anonymousId": "kiosk"}
    (late,) = await told(api, "/v1/batch", {"batch": [bought]}, admin=admin)

    assert {"accepted"} == {result["status"] for result in (*results, late)}
    expected = {frozenset((f"u-{n}", f"u{n}@example.com")) for n in range(200)}
    assert expected | {frozenset(["kiosk"])} == await people(api)
    (kept,) = await api.rows("SELECT profile_id, problems::text AS why FROM event WHERE id = 'late'")
    assert kept["profile_id"] is None
    assert "shared by so many that it is nobody's" in kept["why"]
    (status,) = await api.rows("SELECT status FROM identifier WHERE value = 'kiosk'")
    assert status["status"] == "quarantined"


async def test_a_thousand_events_with_one_bad_identifier_are_a_thousand_people(api: OpenApi) -> None:
    """A shop's client that sends "undefined" for the user, on every page, for everybody."""
    calls = [
        {"type": "track", "event": "Product Viewed", "messageId": f"m-{n}", "userId": "undefined",
         "anonymousId": f"browser-{n}", "properties": {"product_id": "p"}}
        for n in range(EVENTS)
    ]  # fmt: skip
    results = await told_in_batches(api, calls)

    assert {"accepted"} == {result["status"] for result in results}
    assert {"blocked_identifier"} == {result["problems"][0]["code"] for result in results}
    (row,) = await api.rows("SELECT count(DISTINCT profile_id) AS people, count(*) AS events FROM event")
    assert (row["people"], row["events"]) == (EVENTS, EVENTS)
    assert list(await api.rows("SELECT FROM identifier WHERE value = 'undefined'")) == []


async def test_a_thousand_events_of_one_account_that_everybody_is_sent_as_harm_nobody_else(
    api: OpenApi,
) -> None:
    """A client with a hard-coded user: its real customers are not one person, nor is it theirs."""
    calls = [
        {"type": "track", "event": "Product Viewed", "messageId": f"m-{n}", "userId": "service-account",
         "anonymousId": f"browser-{n}", "context": {"traits": {"email": f"u{n}@example.com"}}}
        for n in range(EVENTS)
    ]  # fmt: skip
    results = await told_in_batches(api, calls)

    assert {"accepted"} == {result["status"] for result in results}
    found = [{value for value in one if value.endswith("example.com")} for one in await people(api)]
    assert max(map(len, found)) == 1
    (row,) = await api.rows("SELECT status FROM identifier WHERE value = 'service-account'")
    assert row["status"] == "quarantined"


@pytest.mark.parametrize(
    ("kind", "value", "code"), MALFORMED, ids=[f"{kind} {value[:24]!r}" for kind, value, _ in MALFORMED]
)
async def test_what_identifies_nobody_is_left_out_named_and_joins_nobody(
    api: OpenApi, kind: str, value: str, code: str
) -> None:
    good = "loyalty_id" if kind != "loyalty_id" else "user_id"
    events = [
        event("Order Completed", f"e-{n}", identifiers={good: f"ok-{n}", kind: value},
              properties={"product_id": f"p-{n}"})
        for n in (1, 2)
    ]  # fmt: skip
    alone = event("Order Completed", "alone", identifiers={kind: value}, properties={"product_id": "p-3"})
    results = await api.results("/v1/events", {"events": [*events, alone]})

    assert [result["status"] for result in results] == ["accepted"] * 3
    assert [(code, f"/identifiers/{kind}")] * 3 == [
        (result["problems"][0]["code"], result["problems"][0]["pointer"]) for result in results
    ]
    assert {frozenset(["ok-1"]), frozenset(["ok-2"])} == await people(api)
    kept = await api.rows(
        "SELECT id, profile_id IS NULL AS nobodys, problems::text AS why FROM event ORDER BY id"
    )
    assert [(row["id"], row["nobodys"], code in row["why"]) for row in kept] == [
        ("alone", True, True),
        ("e-1", False, True),
        ("e-2", False, True),
    ]
    assert [row["item"] for row in await api.rows("SELECT item FROM purchase ORDER BY item")] == [
        "p-1",
        "p-2",
    ]


async def test_no_poisoned_identifier_joins_two_people_who_send_it(api: OpenApi) -> None:
    faults: dict[str, set[str]] = {}
    for number, raw in enumerate(IDENTIFIERS.values()):
        for card in (f"ok-{number}-1", f"ok-{number}-2"):
            named = b'"loyalty_id":"%s","email":%s,"phone":%s' % (card.encode(), raw, raw)
            frame = b'{"id":"%s","source":"s","type":"Seen","identifiers":{%s}}'
            answer = await api.send("/v1/events", frame % (card.encode(), named))
            assert answer.status_code in (200, 422), answer.text
            problems = answer.json()["results"][0].get("problems", []) if answer.status_code == 200 else []
            faults[card] = {
                problem["pointer"] for problem in problems if problem["code"] != UNCONFIRMED_IDENTIFIER
            }
    people_of = {
        card: frozenset(person) for person in await people(api) for card in person if card.startswith("ok-")
    }

    # A few are addresses after all: in capitals, with blanks around.
    bad = [card for card, found in faults.items() if {"/identifiers/email", "/identifiers/phone"} <= found]
    assert len(bad) >= len(faults) // 2
    assert {card: frozenset([card]) for card in bad} == {card: people_of[card] for card in bad}


async def test_one_look_alike_address_is_not_the_others(api: OpenApi) -> None:
    """Cyrillic letters that look Latin: left out, so that nobody reads somebody else's mail."""
    real = event("Signed Up", "real", identifiers={"email": "ada@example.com", "user_id": "u-1"})
    posing = event("Signed Up", "posing", identifiers={"email": "\u0430da@example.com", "user_id": "u-2"})
    results = await api.results("/v1/events", orjson.dumps({"events": [real, posing]}))

    codes = [[problem["code"] for problem in result["problems"]] for result in results]
    assert codes == [[UNCONFIRMED_IDENTIFIER], ["bad_identifier"]]
    assert {frozenset(["u-1", "ada@example.com"]), frozenset(["u-2"])} == await people(api)
