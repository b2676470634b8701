"""What a public write key can do to people whom the shop's server has vouched for, and to those of nobody."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr

from profiles.messaging.claims import record_address_problem
from tests.support.environments.api import ADMIN, SERVER, SERVER_KEYS, OpenApi, opened
from tests.support.environments.ingest import LAMP, IngestHarness
from tests.support.generators.forged_events import (
    Victim,
    VictimState,
    forgeries,
    lost,
    people,
    says,
    standing,
    told,
)
from tests.support.proof_size import size

API_SETTINGS = SERVER_KEYS


@pytest_asyncio.fixture(loop_scope="session", params=[False, True], ids=["refused", "accepted"])
async def either_api(database_url: str, request: pytest.FixtureRequest) -> AsyncIterator[OpenApi]:
    """The API with each value of the setting by which a page may link a device to a customer."""
    async with opened(database_url, **SERVER_KEYS, waypost_accept_page_devices=request.param) as running:
        yield running


VICTIMS = [Victim(number) for number in range(8)]

ADA = VICTIMS[0]


async def reached(api: OpenApi, before: dict[Victim, VictimState]) -> dict[int, set[str]]:
    """Victim → the aims that the forger has reached; those unharmed are left out."""
    harmed = {who.number: lost(was, await standing(api, who)) for who, was in before.items()}
    return {number: aims for number, aims in harmed.items() if aims}


async def attacked(api: OpenApi, most: int) -> tuple[dict[int, set[str]], list[str]]:
    """What a forger reaches after the victims were vouched for."""
    for victim in VICTIMS:
        await victim.speaks(api)
    before = {victim: await standing(api, victim) for victim in VICTIMS}
    answers = await told(api, forgeries(most, len(VICTIMS), seed=7))
    return await reached(api, before), answers


@pytest.mark.proof
@pytest.mark.timeout(900)
async def test_a_forger_with_a_write_key_reaches_nothing(either_api: OpenApi) -> None:
    harmed, answers = await attacked(either_api, size(100, 1_000))
    theirs = {key for victim in VICTIMS for key in victim.keys}
    mixed = [{*keys} - theirs for keys in await people(either_api) if theirs & {*keys} and {*keys} - theirs]
    accepted = either_api.doors.settings.waypost_accept_page_devices

    assert harmed == {}
    # Where the shop accepts it, a customer gets devices by which a page tells carts, and nothing else.
    assert bool(mixed) == accepted
    assert all(key.startswith("anonymous_id:browser-") for keys in mixed for key in keys)
    # All of it is taken in and kept, but for replays and what poses as Waypost itself.
    assert set(answers) == {"accepted", "conflict", "reserved_source"}
    assert answers.count("accepted") > len(answers) * 3 // 4


@pytest.mark.proof
@pytest.mark.timeout(900)
async def test_were_a_write_key_believed_the_same_forger_would_reach_every_aim(database_url: str) -> None:
    believed = SecretStr("till:server-key-of-tests,shop:write-key-of-tests")
    keys = {"waypost_server_keys": believed, "waypost_write_keys": SecretStr("another-key-of-tests")}
    async with opened(database_url, **keys) as api:
        harmed, _ = await attacked(api, size(60, 1_000))

    assert {victim.number for victim in VICTIMS} == set(harmed)
    assert {*VictimState.__dataclass_fields__} == set().union(*harmed.values())


@pytest.mark.parametrize("pair", [{}, {"user_id": "mallory"}, {"anonymous_id": "browser"}])
async def test_a_forged_no_counts_and_a_verified_yes_takes_it_back(
    either_api: OpenApi, pair: dict[str, str]
) -> None:
    api = either_api
    await says(
        api,
        "yes",
        server=True,
        identifiers=ADA.known,
        traits={"consents": {"email": True, "sms": True}},
    )
    await ADA.speaks(api)
    yes = (await standing(api, ADA)).consented
    await says(
        api,
        "no",
        identifiers={"email": ADA.known["email"]} | pair,
        traits={"consents": {"email": False}},
    )
    no = (await standing(api, ADA)).consented
    await says(api, "again", server=True, identifiers=ADA.known, traits={"consents": {"email": True}})

    assert yes == {"email": [], "sms": []}
    assert no == {"email": ["opted_out", "no_consent"], "sms": []}
    assert (await standing(api, ADA)).consented == yes


@pytest.mark.parametrize("pair", [{}, {"user_id": "mallory"}, {"anonymous_id": "browser"}])
async def test_a_forged_purchase_suppresses_and_empties_the_cart(
    either_api: OpenApi,
    pair: dict[str, str],
) -> None:
    api = either_api
    await ADA.speaks(api)
    before = await standing(api, ADA)
    order = {"order_id": "o-1", "products": [LAMP]}
    named = {"phone": ADA.known["phone"]} | pair
    await says(api, "bought", "Order Completed", identifiers=named, properties=order)
    facts = IngestHarness(api.doors.database)
    [run, *_] = await facts.runs()

    assert await facts.suppressed("user_id", "u-0") == ["lamp"]
    assert await facts.carts() == {"c-0": []}
    assert "Order Completed" in await facts.outbox(run["run_id"])
    assert lost(before, await standing(api, ADA)) == set()


@pytest.mark.parametrize(
    ("channel", "kind"),
    [("email", "email"), ("sms", "phone"), ("email", "user_id"), ("email", "anonymous_id")],
)
@pytest.mark.parametrize("server", [True, False])
async def test_a_yes_at_the_desk_lifts_a_no_under_whichever_identifier_each_was_said(
    either_api: OpenApi, channel: str, kind: str, server: bool
) -> None:
    api = either_api
    await ADA.speaks(api)
    named = ADA.known | {"anonymous_id": "device-of-0"}
    no: dict[str, Any] = {"identifiers": {kind: named[kind]}, "traits": {"consents": {channel: False}}}
    await says(api, "no", server=server, **no)
    refused = (await standing(api, ADA)).consented[channel]
    word = {"channel": channel, "state": "granted", "source": "desk"}
    answer = await api.client.put("/v1/profiles/loyalty_id/L-0/consents", json=word, headers=ADMIN)

    assert answer.status_code == 200
    assert "opted_out" in refused
    assert (await standing(api, ADA)).consented[channel] == []


async def test_a_providers_stop_is_lifted_by_a_yes_at_the_desk_on_all_topics_only(api: OpenApi) -> None:
    await ADA.speaks(api)
    async with api.doors.database.transaction() as connection:
        await record_address_problem(connection, "sms", ADA.known["phone"], "opted_out", datetime.now(UTC))
    found = []
    for topic in ("marketing", "all"):
        word = {"channel": "sms", "topic": topic, "state": "granted", "source": "desk"}
        await api.client.put("/v1/profiles/user_id/u-0/consents", json=word, headers=ADMIN)
        found.append((await standing(api, ADA)).consented["sms"])

    assert found == [["opted_out"], []]


async def test_where_nobody_is_vouched_for_a_login_on_a_second_device_joins_as_with_segment(
    api: OpenApi,
) -> None:
    one = {"type": "identify", "userId": "42", "traits": {"email": "ada@example.com"}}
    calls = [
        {"type": "track", "messageId": "1", "anonymousId": "laptop", "event": "Product Added",
         "properties": {"cart_id": "c-1", **LAMP}},
        {**one, "messageId": "2", "anonymousId": "laptop"},
        {"type": "page", "messageId": "3", "anonymousId": "handset", "name": "Lamps"},
        {**one, "messageId": "4", "anonymousId": "handset"},
    ]  # fmt: skip
    for call in calls:
        await told(api, [("/v1/batch", {"batch": [call]})])
    before = await people(api)
    sale = {"order_id": "o-1", "products": [LAMP]}
    await says(api, "5", "Order Completed", identifiers={"email": "ada@example.com"}, properties=sale)
    facts = IngestHarness(api.doors.database)

    assert before == [["anonymous_id:handset", "anonymous_id:laptop", "email:ada@example.com", "user_id:42"]]
    # The sale in the store ends the run of the cart on the laptop.
    assert await facts.carts() == {"c-1": []}
    assert await facts.outbox() == ["start: Product Added", "Order Completed", "start: Order Completed"]


async def test_a_login_with_a_token_joins_a_new_device_and_one_without_does_not(api: OpenApi) -> None:
    await ADA.speaks(api)
    claim = {"type": "user_id", "value": "u-0"}
    token = (await api.client.post("/v1/identity/tokens", json=claim, headers=SERVER)).json()["token"]
    for device, context in (("laptop", {"waypost_token": token}), ("tablet", {})):
        call = {"messageId": device, "userId": "u-0", "anonymousId": device, "context": context}
        assert await told(api, [("/v1/identify", call)]) == ["accepted"]
    whole, alone = await people(api)

    assert alone == ["anonymous_id:tablet"]
    assert {"anonymous_id:device-of-0", "anonymous_id:laptop", "user_id:u-0"} <= {*whole}


async def test_a_click_in_a_mail_joins_the_device_on_which_it_was_read(api: OpenApi) -> None:
    await ADA.speaks(api)
    facts = IngestHarness(api.doors.database)
    [run] = await facts.runs()
    message_id = str(await facts.sent(run["run_id"], ADA.known["email"]))
    click: dict[str, Any] = {
        "identifiers": {"anonymous_id": "handset"},
        "properties": {"message_id": message_id},
    }
    await says(api, "click", "Message Clicked", **click)
    [whole] = await people(api)

    assert {"anonymous_id:device-of-0", "anonymous_id:handset", "user_id:u-0"} <= {*whole}
