"""Journeys and runs over HTTP: listing, asking, signalling and ending by hand."""

from typing import Any
from urllib.parse import quote

import pytest

from authoring.testing.environment import Waypost
from local.temporal_server import TemporalDevServer
from tests.support.environments.api import ADMIN, OpenApi, event, opened

API_SETTINGS = {"temporal_ui_url": "https://temporal.example/"}

UNKNOWN = "01900000-0000-7000-8000-000000000000"


async def started(api: OpenApi, cart: str = "c-1", user: str = "u-1") -> dict[str, Any]:
    """A run that an event has started."""
    await api.results(
        "/v1/events",
        event(
            event_id=f"{user}-{cart}",
            identifiers={"user_id": user},
            properties={"cart_id": cart, "product_id": "p-1"},
        ),
    )
    listed = await api.read("/v1/journeys/cart-abandonment/runs", customer=f"user_id:{user}")
    (run,) = [one for one in listed["runs"] if one["key"] == cart]
    return dict(run)


async def test_journeys_say_what_starts_them(shared_api: OpenApi) -> None:
    journeys = {one["name"]: one for one in (await shared_api.read("/v1/journeys"))["journeys"]}

    cart = journeys["cart-abandonment"]
    assert "Product Added" in cart["starts_on"]
    assert cart["keyed_by"] == "cart_id"
    assert cart["summary"]


async def test_runs_are_listed_by_journey_state_and_person(api: OpenApi) -> None:
    one, _ = await started(api), await started(api, "c-2", "u-2")
    path = "/v1/journeys/cart-abandonment/runs"
    profile = await api.read("/v1/profiles/user_id/u-1")
    by = {
        "everybody": await api.read(path, state="running"),
        "ended": await api.read(path, state="ended"),
        "profile": await api.read(path, customer=profile["profile_id"]),
        "named": await api.read(path, customer="user_id:u-1"),
        "bare": await api.read(path, customer="u-1"),
    }

    assert [len(found["runs"]) for found in by.values()] == [2, 0, 1, 1, 1]
    assert one == by["bare"]["runs"][0]
    assert (one["state"], one["outcome"], one["key"]) == ("running", None, "c-1")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/journeys/nothing/runs", 404),
        ("/v1/journeys/cart-abandonment/runs?state=asleep", 422),
        ("/v1/journeys/cart-abandonment/runs?customer=user_id:nobody", 404),
        (f"/v1/journeys/cart-abandonment/runs?customer={UNKNOWN}", 404),
        ("/v1/journeys/a%00b/runs", 422),
        (f"/v1/runs/{UNKNOWN}", 404),
        ("/v1/runs/nonsense", 422),
    ],
)
async def test_what_is_not_there_is_said_to_be_missing(shared_api: OpenApi, path: str, status: int) -> None:
    answer = await shared_api.client.get(path, headers=ADMIN)

    assert status == answer.status_code
    assert answer.json()["detail"]


async def test_a_run_says_in_words_that_nobody_can_be_asked(api: OpenApi) -> None:
    run = await started(api)
    seen = await api.read(f"/v1/runs/{run['run_id']}")

    assert run == {name: seen[name] for name in run}
    assert seen["waiting"]["details"] is None
    assert seen["waiting"]["note"]
    expected = "https://temporal.example/namespaces/default/workflows/" + quote(run["workflow_id"], safe="")
    assert expected == seen["temporal_url"]


async def test_a_run_is_signalled_by_hand_once_per_idempotency_key(api: OpenApi) -> None:
    run = await started(api)
    path = "/v1/journeys/cart-abandonment/runs/c-1/signals/Order Completed"
    keyed = {**ADMIN, "Idempotency-Key": "key-1"}
    answers = [await api.client.post(path, json={"order_id": "o-1"}, headers=keyed) for _ in range(2)]
    answers.append(await api.client.post(path, headers=ADMIN))

    assert {202} == {answer.status_code for answer in answers}
    assert {run["run_id"]} == {answer.json()["run_id"] for answer in answers}
    rows = await api.rows(
        "SELECT payload->>'id' AS id, payload->>'order_id' AS o FROM outbox "
        "WHERE kind = 'signal' ORDER BY seq"
    )
    # A run sees each id once, so a second delivery under the same key changes nothing.
    assert rows[0]["o"] == "o-1"
    assert len({row["id"] for row in rows}) == 2
    assert len({row["id"] for row in rows if row["o"]}) == 1


async def test_of_two_runs_with_one_key_the_signal_names_one(api: OpenApi) -> None:
    runs = [await started(api, user=user) for user in ("u-1", "u-2")]
    path = "/v1/journeys/cart-abandonment/runs/c-1/signals/Order Completed"
    refused = await api.client.post(path, headers=ADMIN)
    named = await api.client.post(f"{path}?run_id={runs[1]['run_id']}", headers=ADMIN)

    assert [run["key"] for run in runs] == ["c-1", "c-1"]
    assert refused.status_code == 422
    assert all(run["run_id"] in refused.json()["detail"] for run in runs)
    assert (named.status_code, named.json()["run_id"]) == (202, runs[1]["run_id"])


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/journeys/cart-abandonment/runs/other/signals/Order Completed", b"{}", 404),
        ("/v1/journeys/nothing/runs/c-1/signals/Order Completed", b"{}", 404),
        ("/v1/journeys/cart-abandonment/runs/c-1/signals/Nothing Happened", b"{}", 404),
        ("/v1/journeys/cart-abandonment/runs/c-1/signals/Order Completed", b'{"products":5}', 422),
        (
            "/v1/journeys/cart-abandonment/runs/c-1/signals/Order Completed",
            b'{"a":' * 99 + b"1" + b"}" * 99,
            422,
        ),
        ("/v1/journeys/cart-abandonment/runs/c-1/signals/Order Completed", b"[1]", 422),
        (
            "/v1/journeys/cart-abandonment/runs/c-1/signals/Order Completed",
            b'{"order_id":"\\u0000\\ud800"}',
            202,
        ),
        ("/v1/journeys/cart-abandonment/runs/c-1/signals/Order Completed", b'{"total":1e400,"a":NaN}', 202),
        ("/v1/journeys/cart-abandonment/runs/a%00b/signals/Order Completed", b"{}", 422),
    ],
)
async def test_a_signal_that_fits_nothing_is_refused(
    shared_api: OpenApi, path: str, body: bytes, status: int
) -> None:
    await started(shared_api)
    answer = await shared_api.client.post(
        path, content=body, headers={**ADMIN, "Content-Type": "application/json"}
    )

    assert status == answer.status_code, answer.text


async def test_a_run_is_asked_to_end_and_an_ended_one_is_a_409(api: OpenApi) -> None:
    run = await started(api)
    path = f"/v1/runs/{run['run_id']}/cancel"
    asked = await api.client.post(path, json={"reason": "wrong template"}, headers=ADMIN)
    (row,) = await api.rows("SELECT payload::text AS payload FROM outbox WHERE name = 'End Run'")
    await api.rows("UPDATE run SET state = 'ended', outcome = 'cancelled', ended_at = now()")
    again = await api.client.post(path, json={"reason": "once more"}, headers=ADMIN)
    nobody = await api.client.post(f"/v1/runs/{UNKNOWN}/cancel", json={"reason": "x"}, headers=ADMIN)
    without = await api.client.post(path, json={}, headers=ADMIN)

    assert [one.status_code for one in (asked, again, nobody, without)] == [202, 409, 404, 422]
    assert "wrong template" in row["payload"]


async def test_a_live_run_says_itself_what_it_waits_for(
    waypost: Waypost, temporal: TemporalDevServer, database_url: str
) -> None:
    await waypost.ingest_event("Product Added", {"cart_id": "c-1", "product_id": "p-1"}, user_id="u-1")
    run = await waypost.run("cart-abandonment")
    target = waypost.client.service_client.config.target_host
    async with opened(database_url, waypost_local=True, temporal_address=target) as api:
        seen = await api.read(f"/v1/runs/{run['run_id']}")
        ready = await api.read("/readyz")

    assert seen["waiting"]["details"], seen["waiting"]["note"]
    assert ready["temporal"]["state"] == "ok"


async def test_a_stuck_run_is_found_and_retried_with_a_reason_once(api: OpenApi) -> None:
    run = await started(api)
    await api.rows("UPDATE run SET state = 'stuck', detail = 'refused', stuck_at = now()")
    listed = await api.read("/v1/journeys/cart-abandonment/runs", state="stuck")
    shown = await api.read(f"/v1/runs/{run['run_id']}")
    path = f"/v1/runs/{run['run_id']}/retry"
    answers = [
        await api.client.post(path, json={"reason": "attributes registered"}, headers=ADMIN) for _ in range(2)
    ]
    after = await api.read(f"/v1/runs/{run['run_id']}")
    log = await api.rows("SELECT done, reason, actor FROM run_log")

    assert [one["run_id"] for one in listed["runs"]] == [run["run_id"]]
    assert listed["runs"][0]["stuck_at"] == shown["stuck_at"] is not None
    assert [answer.status_code for answer in answers] == [200, 200]
    assert [answer.json()["retried"] for answer in answers] == [True, False]
    assert (after["state"], after["stuck_at"], after["detail"]) == ("running", None, None)
    assert [(row["done"], row["reason"]) for row in log] == [("retried", "attributes registered")]
    assert log[0]["actor"].startswith("api/")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{}", 422),
        (b'{"reason": ""}', 422),
        (b'{"reason": "a\\u0000b"}', 422),
        (b'{"reason": "a\\ud800b"}', 422),
        (b'{"reason": 7}', 422),
        (b"[" * 500, 422),
    ],
)
@pytest.mark.parametrize("action", ["retry", "cancel"])
async def test_a_reason_that_cannot_be_kept_is_refused(
    shared_api: OpenApi, action: str, body: bytes, status: int
) -> None:
    answer = await shared_api.client.post(
        f"/v1/runs/{UNKNOWN}/{action}", content=body, headers={**ADMIN, "Content-Type": "application/json"}
    )

    assert answer.status_code == status, answer.text


async def test_a_retry_needs_an_admin_key_and_a_run_that_has_not_ended(api: OpenApi) -> None:
    run = await started(api)
    path, body = f"/v1/runs/{run['run_id']}/retry", {"reason": "x"}
    writer = {"Authorization": "Bearer write-key"}
    keyless = await api.client.post(path, json=body)
    wrong = await api.client.post(path, json=body, headers=writer)
    nobody = await api.client.post(f"/v1/runs/{UNKNOWN}/retry", json=body, headers=ADMIN)
    await api.rows("UPDATE run SET state = 'ended', outcome = 'bought', ended_at = now()")
    ended = await api.client.post(path, json=body, headers=ADMIN)

    assert keyless.status_code == 401
    assert wrong.status_code in (401, 403)
    assert [nobody.status_code, ended.status_code] == [404, 409]
    assert await api.rows("SELECT 1 FROM run_log") == []


@pytest.mark.parametrize("reroute", [True, False])
async def test_giving_a_stuck_run_up_routes_its_events_again_unless_they_are_given_up_too(
    api: OpenApi, reroute: bool
) -> None:
    run = await started(api)
    await api.rows("UPDATE run SET state = 'stuck', detail = 'refused'")
    body = {"reason": "by hand"} | ({} if reroute else {"reroute": False})
    answer = await api.client.post(f"/v1/runs/{run['run_id']}/cancel", json=body, headers=ADMIN)
    live = await api.rows("SELECT key FROM run WHERE state = 'running'")

    assert answer.status_code == 202
    assert [row["key"] for row in live] == (["c-1"] if reroute else [])
