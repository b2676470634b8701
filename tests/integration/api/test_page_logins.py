"""The usual Segment set-up: a browser with the public key, and a backend that sends the userId alone."""

from collections.abc import AsyncIterator
from itertools import permutations
from typing import Any

import pytest

from api.http.metrics import Metrics
from profiles.ingest.unconfirmed_links import UNCONFIRMED_DEVICE, UNCONFIRMED_IDENTIFIER
from profiles.views.backlog import count_unconfirmed_links
from tests.support.environments.api import ADMIN, SERVER, SERVER_KEYS, OpenApi, event, opened
from tests.support.environments.ingest import LAMP, IngestHarness
from tests.support.fakes.vendor import vendor_json
from tests.support.generators.browser_client import BROWSER_ANONYMOUS_ID, backend_call, browser_call
from tests.support.generators.forged_events import people

API_SETTINGS = SERVER_KEYS

ACCEPTED = {**SERVER_KEYS, "waypost_accept_page_devices": True}

CART = {"cart_id": "c-1", **LAMP}

BROWSER = {
    "cart": browser_call("track", "1", event="Product Added", properties=CART),
    "login": browser_call("identify", "2", userId="42", traits={"email": "ada@example.com"}),
    "view": browser_call("track", "3", userId="42", event="Product Viewed", properties=LAMP),
}

BACKEND = {"server": backend_call("track", "4", userId="42", event="Signed In", properties={})}

ORDERS = (("server", "cart", "login", "view"), ("cart", "login", "view", "server"))


async def sends(api: OpenApi, *names: str) -> dict[str, dict[str, Any]]:
    """Send calls by name; return the result of each, all of which are accepted."""
    results = {}
    for name in names:
        path, body = (BROWSER | BACKEND)[name]
        [results[name]] = await api.results(path, body, headers=SERVER if name in BACKEND else None)
        assert results[name]["status"] == "accepted"
    return results


def reported(result: dict[str, Any]) -> list[tuple[str, str]]:
    """(code, pointer) of the problems of a result."""
    return [(problem["code"], problem["pointer"]) for problem in result.get("problems", [])]


async def unconfirmed(api: OpenApi) -> tuple[int, int]:
    """(devices, others) that the doctor counts."""
    async with api.doors.database.transaction() as connection:
        counts = await count_unconfirmed_links(connection)
    return counts.devices, counts.others


def counted(metrics: Metrics) -> float:
    return metrics.registry.get_sample_value("waypost_links_unconfirmed_total") or 0.0


@pytest.mark.parametrize("order", ORDERS)
async def test_what_a_page_cannot_confirm_is_said_and_counted(api: OpenApi, order: tuple[str, ...]) -> None:
    results = await sends(api, *order)

    assert reported(results["cart"]) == reported(results["server"]) == []
    assert reported(results["login"]) == [
        (UNCONFIRMED_IDENTIFIER, "/traits/email"),
        (UNCONFIRMED_DEVICE, "/anonymousId"),
    ]
    assert reported(results["view"]) == [(UNCONFIRMED_DEVICE, "/anonymousId")]
    details = [problem["detail"] for problem in results["login"]["problems"]]
    assert all("/userId" in detail and "docs/how-to/confirm-logins.md" in detail for detail in details)
    assert sorted(map(len, await people(api))) == [1, 1, 1]


async def test_an_update_of_a_product_links_no_profiles_whatever_it_names(api: OpenApi) -> None:
    """The other event of the request joins two devices, for which the customer's links are read, but not the
    customer's profile."""
    await sends(api, "server", "login")
    other = {"anonymous_id": "another-device"}
    await api.results("/v1/events", event("Product Viewed", "v-1", identifiers=other, properties=LAMP))
    named = {"user_id": "42", "anonymous_id": BROWSER_ANONYMOUS_ID}
    devices = {"anonymous_id": [BROWSER_ANONYMOUS_ID, "another-device"]}
    events = [
        event("Product Updated", "u-1", identifiers=named, properties=LAMP),
        event("Product Viewed", "v-2", identifiers=devices, properties=LAMP),
    ]
    results = await api.results("/v1/events", {"events": events})

    assert [(result["status"], reported(result)) for result in results] == [("accepted", [])] * 2


async def test_the_doctor_and_a_metric_count_what_is_not_linked(api: OpenApi) -> None:
    await sends(api, "cart", "login")
    before = await unconfirmed(api), counted(api.doors.metrics)
    await sends(api, "server", "view")

    assert before == ((0, 0), 0.0)
    assert await unconfirmed(api) == (1, 0)
    assert counted(api.doors.metrics) == 1.0


async def test_the_answer_does_not_tell_whether_a_customer_is_known(api: OpenApi) -> None:
    await sends(api, "server")
    answers = []
    for user in ("42", "no-such-customer"):
        path, body = browser_call(
            "identify", f"probe-{user}", userId=user, traits={"email": f"{user}@x.example"}
        )
        [result] = await api.results(path, body)
        answers.append({name: value for name, value in result.items() if name != "id"})

    assert answers[0] == answers[1]


CONFIRMATIONS: dict[str, dict[str, Any]] = {
    "its next event carries the anonymousId": {
        "kind": "track", "event": "Signed In", "anonymousId": BROWSER_ANONYMOUS_ID,
    },
    "it identifies at login": {
        "kind": "identify", "anonymousId": BROWSER_ANONYMOUS_ID, "traits": {"email": "ada@example.com"},
    },
}  # fmt: skip


@pytest.mark.parametrize("name", CONFIRMATIONS)
@pytest.mark.parametrize("order", ORDERS)
async def test_a_single_line_of_the_backend_confirms_it(
    api: OpenApi, name: str, order: tuple[str, ...]
) -> None:
    await sends(api, *order)
    path, body = backend_call(message_id="confirmed", userId="42", **CONFIRMATIONS[name])
    await api.results(path, body, headers=SERVER)
    path, body = browser_call("track", "after", userId="42", event="Product Viewed", properties=LAMP)
    [result] = await api.results(path, body)

    assert reported(result) == []
    assert {f"anonymous_id:{BROWSER_ANONYMOUS_ID}", "user_id:42"} <= {*max(await people(api), key=len)}


async def test_a_token_confirms_it(api: OpenApi) -> None:
    await sends(api, "server")
    claim = {"type": "user_id", "value": "42"}
    token = (await api.client.post("/v1/identity/tokens", json=claim, headers=SERVER)).json()["token"]
    path, body = browser_call("track", "with-token", userId="42", event="Product Added", properties=CART)
    body["context"]["waypost_token"] = token
    [result] = await api.results(path, body)

    assert reported(result) == []
    assert await people(api) == [[f"anonymous_id:{BROWSER_ANONYMOUS_ID}", "user_id:42"]]


DEVICE = f"anonymous_id:{BROWSER_ANONYMOUS_ID}"


@pytest.fixture
async def accepting(database_url: str) -> AsyncIterator[OpenApi]:
    """An API that accepts what a page says of a device."""
    async with opened(database_url, **ACCEPTED) as api:
        yield api


async def by_server(api: OpenApi, message_id: str, **fields: Any) -> None:
    """Send a verified call."""
    path, body = backend_call(message_id=message_id, **fields)
    [result] = await api.results(path, body, headers=SERVER)
    assert result["status"] == "accepted"


@pytest.mark.parametrize("order", list(permutations(("server", "cart", "login", "view"))))
async def test_accepted_a_device_tells_the_cart_and_no_address(
    accepting: OpenApi, order: tuple[str, ...]
) -> None:
    await sends(accepting, *order)
    facts = IngestHarness(accepting.doors.database)
    profile = await accepting.read("/v1/profiles/user_id/42")

    assert await people(accepting) == [[DEVICE, "user_id:42"], ["email:ada@example.com"]]
    assert [cart["cart_id"] for cart in profile["carts"]] == ["c-1"]
    bought = {"order_id": "o-1", "products": [LAMP]}
    await by_server(
        accepting, "bought", kind="track", userId="42", event="Order Completed", properties=bought
    )
    assert await facts.suppressed("anonymous_id", BROWSER_ANONYMOUS_ID) == ["lamp"]
    assert await facts.carts() == {"c-1": []}


async def test_the_answer_does_not_tell_whether_an_address_is_a_customers(api: OpenApi) -> None:
    await by_server(api, "known", kind="identify", userId="42", traits={"email": "ada@example.com"})
    answers = []
    for number, address in enumerate(("ada@example.com", "no-such-customer@example.com")):
        body = browser_call("identify", f"guess-{number}", userId="42", traits={"email": address})
        [result] = await api.results(*body)
        answers.append(result["problems"])

    assert answers[0] == answers[1]


async def test_accepted_the_answer_does_not_tell_whether_a_customer_is_known(accepting: OpenApi) -> None:
    await sends(accepting, "server")
    answers = []
    for user in ("42", "no-such-customer"):
        for message_id in ("first", "again"):
            path, body = browser_call("track", f"{message_id}-{user}", userId=user, event="Product Viewed")
            body["anonymousId"] = f"device-for-{user}"
            [result] = await accepting.results(path, body)
            answers.append({name: value for name, value in result.items() if name != "id"})

    assert answers == answers[:1] * 4
    assert "for more than carts and purchases" in answers[0]["problems"][0]["detail"]


UNDOING: dict[str, list[tuple[tuple[str, dict[str, Any]], bool]]] = {
    "a server names the device alone": [
        (backend_call("track", "u1", anonymousId=BROWSER_ANONYMOUS_ID, event="Seen"), True)
    ],
    "a server names the device with another customer": [
        (backend_call("identify", "u2", anonymousId=BROWSER_ANONYMOUS_ID, userId="43"), True)
    ],
    "a page names the device with another customer": [
        (backend_call("track", "u3", userId="43", event="Signed In"), True),
        (browser_call("identify", "u4", userId="43"), False),
    ],
    "a page names the device with an address": [
        (browser_call("identify", "u5", traits={"email": "grace@example.com"}), False)
    ],
    "a page names the device with a push token": [
        (browser_call("identify", "u6", context={"device": {"token": "push-token-of-a-stranger"}}), False)
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", UNDOING)
@pytest.mark.parametrize("before", [False, True])
async def test_a_contradiction_undoes_the_link_of_a_page(accepting: OpenApi, name: str, before: bool) -> None:
    if not before:
        await sends(accepting, "server", "cart", "login")
        assert [DEVICE, "user_id:42"] in await people(accepting)
    for (path, body), verified in UNDOING[name]:
        [result] = await accepting.results(path, body, headers=SERVER if verified else None)
        assert result["status"] == "accepted"
    if before:
        await sends(accepting, "server", "cart", "login")
    profile = await accepting.read("/v1/profiles/user_id/42")

    assert ["user_id:42"] in await people(accepting)
    assert profile["carts"] == []


async def test_an_operator_undoes_the_link_of_a_page(accepting: OpenApi) -> None:
    await sends(accepting, "server", "cart", "login")
    cut = {"from": {"type": "anonymous_id", "value": BROWSER_ANONYMOUS_ID}, "reason": "a shared tablet"}
    answer = await accepting.client.post("/v1/profiles/user_id/42/unmerge", json=cut, headers=ADMIN)
    assert answer.status_code == 200, answer.text
    await sends(accepting, "view")

    assert ["user_id:42"] in await people(accepting)
    assert (await accepting.read("/v1/profiles/user_id/42"))["carts"] == []


async def test_a_verified_link_takes_the_place_of_the_pages(accepting: OpenApi) -> None:
    await sends(accepting, "server", "cart", "login")
    await by_server(accepting, "v", kind="identify", anonymousId=BROWSER_ANONYMOUS_ID, userId="42", traits={})
    path, body = browser_call("track", "after", userId="42", event="Product Viewed", properties=LAMP)
    [result] = await accepting.results(path, body)

    assert reported(result) == []
    assert [DEVICE, "user_id:42"] in await people(accepting)


async def test_what_a_server_said_of_a_device_never_reaches_a_customer_by_a_page(accepting: OpenApi) -> None:
    """A grant, a name and an order of a guest stay with the guest's device."""
    await by_server(
        accepting, "guest", kind="identify", anonymousId=BROWSER_ANONYMOUS_ID,
        traits={"firstName": "Mallory", "consents": {"email": True, "sms": True}},
    )  # fmt: skip
    await sends(accepting, "server", "cart", "login", "view")
    profile = await accepting.read("/v1/profiles/user_id/42")

    assert profile["consents"] == []
    assert profile["traits"] == {}
    assert [DEVICE] in await people(accepting)


async def test_pages_link_a_bounded_number_of_devices_whatever_their_events_say_of_time(
    accepting: OpenApi,
) -> None:
    await sends(accepting, "server")
    for number in range(14):
        path, body = browser_call("identify", f"d-{number}", userId="42")
        body |= {"anonymousId": f"device-{number}", "timestamp": f"20{10 + number}-01-01T00:00:00Z"}
        await accepting.results(path, body)

    assert max(map(len, await people(accepting))) == 1 + 10


async def test_the_log_says_that_a_page_linked_the_device(accepting: OpenApi) -> None:
    await sends(accepting, "server", "cart", "login")
    identity = await accepting.read("/v1/profiles/user_id/42/identity")
    edges = [edge for edge in identity["edges"] if DEVICE in (edge["one"], edge["other"])]

    assert [edge["joined"] for edge in edges] == [True]
    assert "without proof" in str(identity)


async def test_a_link_from_before_the_setting_counts_with_the_next_event(database_url: str) -> None:
    async with opened(database_url, **SERVER_KEYS) as api:
        await sends(api, "server", "cart", "login", "view")
        apart = await people(api)
    async with opened(database_url, **ACCEPTED) as api:
        path, body = browser_call("track", "later", userId="42", event="Product Viewed", properties=LAMP)
        await api.results(path, body)
        joined = await people(api)
        carts = [cart["cart_id"] for cart in (await api.read("/v1/profiles/user_id/42"))["carts"]]

    assert [DEVICE] in apart
    assert [DEVICE, "user_id:42"] in joined
    assert carts == ["c-1"]


@pytest.mark.parametrize("accepted", [False, True])
@pytest.mark.parametrize("server_first", [False, True])
async def test_published_bodies_of_browser_clients(
    database_url: str, accepted: bool, server_first: bool
) -> None:
    """Calls that the specification of the Segment API shows, of one customer and one browser."""
    pages = vendor_json("segment_spec_payloads.json")["pages"]
    identify = next(one["payload"] for one in pages["identify.md"] if "anonymousId" in one.get("payload", {}))
    track = next(one["payload"] for one in pages["track.md"] if "anonymousId" in one.get("payload", {}))
    track = {**track, "userId": identify["userId"], "anonymousId": identify["anonymousId"]}
    backend = backend_call("track", "s", userId=identify["userId"], event="Signed In", properties={})
    async with opened(database_url, **SERVER_KEYS, waypost_accept_page_devices=accepted) as api:
        if server_first:
            await api.results(*backend, headers=SERVER)
        [identified] = await api.results("/v1/i", identify)
        if not server_first:
            await api.results(*backend, headers=SERVER)
        [tracked] = await api.results("/v1/t", track)
        device, user = f"anonymous_id:{identify['anonymousId']}", f"user_id:{identify['userId']}"
        found = await people(api)

    assert {(UNCONFIRMED_DEVICE, "/anonymousId"), (UNCONFIRMED_IDENTIFIER, "/traits/email")} <= {
        *reported(identified)
    }
    assert (UNCONFIRMED_DEVICE, "/anonymousId") in reported(tracked)
    assert ([device, user] in found) == accepted
    assert ["email:peter@example.com"] in found


@pytest.mark.parametrize("late", [False, True])
async def test_accepted_events_that_also_name_an_address_are_the_customers(
    accepting: OpenApi, late: bool
) -> None:
    """Some clients add the traits of the last identify to every event."""
    path, body = browser_call("track", "checkout", userId="42", event="Product Added", properties=CART)
    body["context"]["traits"] = {"email": "ada@example.com"}
    if late:
        await accepting.results(path, body)
    await sends(accepting, "server", "login")
    if not late:
        await accepting.results(path, body)

    assert [cart["cart_id"] for cart in (await accepting.read("/v1/profiles/user_id/42"))["carts"]] == ["c-1"]


async def test_an_accepted_device_changes_no_id_and_no_time_of_the_customer(accepting: OpenApi) -> None:
    """Although it is older, and its event states an early time."""
    await sends(accepting, "cart", "server")
    traits = {"email": "ada@example.org"}
    await by_server(accepting, "address", kind="identify", userId="42", traits=traits)
    query = "SELECT profile_id, origin, linked_at FROM identifier WHERE vouched ORDER BY type"
    before = await accepting.rows(query)
    path, body = browser_call("identify", "early", userId="42", timestamp="2020-01-01T00:00:00Z")
    await accepting.results(path, body)

    assert [DEVICE, "email:ada@example.org", "user_id:42"] in await people(accepting)
    after = [tuple(row) for row in await accepting.rows(query)]
    assert after == [tuple(row) for row in before]
