"""Double opt-in: who is asked, how often, and what the link does and does not do."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx2
import pytest
import pytest_asyncio

from profiles.ingest.pipeline import Ingest
from profiles.messaging.preference_tokens import PreferenceTokens
from profiles.sweeps.opt_in_requests import OptInRules, sweep_opt_in_requests
from tests.support.builders.profiles import message_row
from tests.support.environments.api import SECRET, SERVER, SERVER_KEYS, OpenApi, event, opened

BOTH = OptInRules(("email", "sms"))

ADA = "ada@example.com"

CALL = "+4915112345678"

WHO = {"email": ADA, "phone": CALL, "anonymous_id": "a-1"}

NEWS = {"channel": "email", "state": "granted", "topic": "news"}

Row = dict[str, Any]


@dataclass
class OptIn:
    """An API to which pages and servers send events, and the sweep beside it."""

    api: OpenApi
    numbers: int = 0

    async def told(self, name: str, *, by: Row | None = None, who: Row | None = None, **more: Any) -> Row:
        """Send one event, with the public key unless ``by`` is another's; returns its result."""
        self.numbers += 1
        sent = event(name, f"e-{self.numbers}", identifiers=who or WHO, **more)
        [result] = await self.api.results("/v1/events", sent, headers=by)
        return result

    async def grants(self, *channels: str, **more: Any) -> None:
        await self.told("Signed Up", traits={"consents": dict.fromkeys(channels, True)}, **more)

    async def sweep(self, rules: OptInRules = BOTH) -> int:
        database = self.api.doors.database
        routes = tuple(self.api.doors.journeys.values())
        return await sweep_opt_in_requests(database, Ingest(database, routes), rules=rules)

    async def asked(self) -> list[tuple[str, str]]:
        """(channel, identifier) of each run of the journey that asks."""
        rows = await self.api.rows(
            "SELECT e.properties ->> 'asks_by' AS channel, e.identifiers::text AS named FROM run r "
            "JOIN event e ON e.event_id = r.entry_event WHERE r.journey = 'double-opt-in' ORDER BY 1, 2"
        )
        return [(row["channel"], row["named"]) for row in rows]

    async def link(self, address: str = ADA, channel: str = "email", **columns: Any) -> str:
        """The path of the link in a message to an address."""
        kind = "email" if channel == "email" else "phone"
        [owner] = await self.api.rows(
            "SELECT profile_id FROM identifier WHERE type = $1 AND value = $2", kind, address
        )
        async with self.api.doors.database.transaction() as connection:
            message_id = await message_row(
                connection, owner["profile_id"], address=address, channel=channel, **columns
            )
        tokens = self.api.doors.opt_in_tokens
        return f"/opt-in/{tokens.issue(str(owner['profile_id']), str(message_id), channel, 'marketing')}"

    async def post(self, path: str) -> httpx2.Response:
        return await self.api.client.post(path)

    async def consents(self) -> dict[str, tuple[str, str]]:
        """Channel → (state, source), of the profile of the browser."""
        profile = await self.api.read("/v1/profiles/anonymous_id/a-1")
        return {one["channel"]: (one["state"], one["source"]) for one in profile["consents"]}


@pytest_asyncio.fixture(loop_scope="session")
async def opt_in(database_url: str) -> AsyncIterator[OptIn]:
    async with opened(database_url, **SERVER_KEYS) as api:
        yield OptIn(api)


EMAIL_ASKED = ("email", f'{{"email": ["{ADA}"]}}')

SMS_ASKED = ("sms", f'{{"phone": ["{CALL}"]}}')


@pytest.mark.parametrize(
    ("name", "more", "expected"),
    [
        pytest.param("A", {"traits": {"consents": {"email": True}}}, [EMAIL_ASKED], id="a grant of email"),
        pytest.param("A", {"traits": {"consents": {"sms": True}}}, [SMS_ASKED], id="of SMS"),
        pytest.param("A", {"traits": {"consents": {"all": True}}}, [EMAIL_ASKED, SMS_ASKED], id="of all"),
        pytest.param("A", {"traits": {"consents": {"ads": True, "push": True}}}, [], id="of another channel"),
        pytest.param("A", {"traits": {"consents": {"email": False}}}, [], id="a refusal"),
        pytest.param("Consent Changed", {"properties": {"channel": "email", "state": "granted"}},
                     [EMAIL_ASKED], id="a grant as an event"),
        pytest.param("Consent Changed", {"properties": NEWS},
                     [], id="a grant of another topic, which the link would not confirm"),
        pytest.param("Checkout Started", {"properties": {"cart_id": "c"}}, [EMAIL_ASKED], id="a checkout"),
        pytest.param("Order Completed", {"properties": {"order_id": "o"}}, [EMAIL_ASKED], id="an order"),
        pytest.param("Product Added", {"properties": {"product_id": "lamp"}}, [], id="a cart"),
    ],
)  # fmt: skip
async def test_a_page_has_the_owners_of_its_addresses_asked(
    opt_in: OptIn, name: str, more: Row, expected: list[tuple[str, str]]
) -> None:
    await opt_in.told(name, **more)

    assert await opt_in.sweep() == len(expected)
    assert await opt_in.asked() == expected


async def test_a_server_has_nobody_asked(opt_in: OptIn) -> None:
    await opt_in.grants("email", by=SERVER)
    await opt_in.told("Checkout Started", by=SERVER, properties={"cart_id": "c"})

    assert await opt_in.sweep() == 0
    assert await opt_in.api.rows("SELECT * FROM opt_in_request") == []


async def test_it_is_off_unless_the_shop_names_channels(opt_in: OptIn) -> None:
    await opt_in.grants("email", "sms")

    assert await opt_in.sweep(OptInRules()) == 0
    assert await opt_in.sweep(OptInRules(("sms",))) == 1
    assert await opt_in.asked() == [SMS_ASKED]


async def test_an_address_is_asked_once_in_thirty_days_whoever_asks_for_it(opt_in: OptIn) -> None:
    for n in range(3):
        await opt_in.grants("email", who=WHO | {"anonymous_id": f"a-{n}"})
        await opt_in.sweep()
    assert await opt_in.asked() == [EMAIL_ASKED]

    for days, asked in ((29, 1), (31, 2)):
        past = datetime.now(UTC) - timedelta(days=days)
        await opt_in.api.rows("UPDATE opt_in_request SET settled_at = $1", past)
        await opt_in.grants("email")
        await opt_in.sweep()
        assert len(await opt_in.asked()) == asked


@pytest.mark.parametrize("state", ["asked", "dropped"])
async def test_a_settled_request_is_deleted_once_its_address_may_be_asked_again(
    opt_in: OptIn, state: str
) -> None:
    for address, age in (("old@example.com", 31), ("new@example.com", 29)):
        await opt_in.api.rows(
            "INSERT INTO opt_in_request (channel, address, at, state, settled_at) "
            "VALUES ('email', $1, now(), $2, now() - $3::interval)",
            address,
            state,
            timedelta(days=age),
        )
    await opt_in.sweep()

    left = await opt_in.api.rows("SELECT address FROM opt_in_request")
    assert [row["address"] for row in left] == ["new@example.com"]


async def test_a_profile_is_asked_once_though_a_page_puts_many_addresses_into_it(opt_in: OptIn) -> None:
    await opt_in.grants("email", who={"user_id": "u-1", "email": ADA})
    await opt_in.sweep()
    await opt_in.link(template="confirm_opt_in")
    await opt_in.grants("email", who={"user_id": "u-1", "email": "other@example.com"})

    assert await opt_in.sweep() == 0


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("INSERT INTO opt_out (channel, address, topic, source, time, at) "
                     f"VALUES ('email', '{ADA}', 'all', 'provider', now(), now())", id="has opted out"),
        pytest.param("INSERT INTO address_problem (channel, address, problem, at) "
                     f"VALUES ('email', '{ADA}', 'bounced', now())", id="has bounced"),
        pytest.param("UPDATE identifier SET status = 'quarantined'", id="is shared by too many"),
        pytest.param("UPDATE profile SET erased_at = now()", id="is of an erased profile"),
        pytest.param("UPDATE opt_in_request SET at = now() - interval '25 hours'", id="waits for a day"),
    ],
)  # fmt: skip
async def test_not_asked_is_an_address_that(opt_in: OptIn, statement: str) -> None:
    await opt_in.grants("email")
    await opt_in.api.rows(statement)

    assert await opt_in.sweep() == 0
    assert [row["state"] for row in await opt_in.api.rows("SELECT state FROM opt_in_request")] == ["dropped"]


async def test_not_asked_is_who_refused_or_is_known_to_agree(opt_in: OptIn) -> None:
    await opt_in.grants("email")
    await opt_in.told("A", traits={"consents": {"email": False}})
    assert await opt_in.sweep() == 0

    agreed = {"email": "grace@example.com"}
    await opt_in.grants("email", by=SERVER, who=agreed)
    await opt_in.grants("email", who=agreed)
    assert await opt_in.sweep() == 0


async def test_no_more_are_asked_in_an_hour_than_the_limits_say(opt_in: OptIn) -> None:
    for n in range(5):
        await opt_in.grants("email", who={"email": f"p-{n}@example.com"})

    assert await opt_in.sweep(OptInRules(("email",), per_hour=2)) == 2
    assert await opt_in.sweep(OptInRules(("email",), per_hour=3)) == 1
    assert await opt_in.sweep(OptInRules(("email",), per_hour=9, per_sender_hour=3)) == 0
    newest_first = [f'{{"email": ["p-{n}@example.com"]}}' for n in (2, 3, 4)]
    assert [named for _, named in await opt_in.asked()] == newest_first
    await opt_in.api.rows("UPDATE opt_in_request SET settled_at = settled_at - interval '1 hour'")
    assert await opt_in.sweep(OptInRules(("email",), per_hour=9, per_sender_hour=3)) == 2


async def test_nobody_sends_the_event_that_asks(opt_in: OptIn) -> None:
    named = {"properties": {"request_id": "r-1", "asks_by": "email"}}
    for headers in (None, SERVER):
        answer = await opt_in.api.send("/v1/events", event("Opt In Requested", **named), headers=headers)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/type")
    track = {"event": "Opt In Requested", "messageId": "m-1", "userId": "u-1", **named}
    answer = await opt_in.api.send("/v1/track", track)

    assert answer.status_code == 422
    assert await opt_in.api.rows("SELECT * FROM event") == []


async def test_looking_at_the_link_confirms_nothing_and_the_button_does(opt_in: OptIn) -> None:
    await opt_in.grants("email", "sms")
    path = await opt_in.link()
    for method in ("GET", "HEAD"):
        await opt_in.api.client.request(method, path)
    assert await opt_in.consents() == {}

    assert "May we write to you by email?" in (await opt_in.api.client.get(path)).text
    assert (await opt_in.post(path)).status_code == 200
    assert await opt_in.consents() == {"email": ("granted", "double_opt_in")}
    [entry] = await opt_in.api.rows("SELECT verified, voice, named, method FROM consent WHERE verified")
    assert (entry["voice"], entry["method"]) == (f"email:{ADA}", "double_opt_in")
    assert f"phone:{CALL}" not in entry["named"]


async def test_a_confirmation_leaves_the_address_with_the_browser_and_its_cart(opt_in: OptIn) -> None:
    """It confirms a consent. It is no link to a backend, which would part the address from the page's."""
    await opt_in.told("Product Added", properties={"product_id": "lamp", "cart_id": "c-1"})
    await opt_in.grants("email")
    await opt_in.post(await opt_in.link())
    profile = await opt_in.api.read(f"/v1/profiles/email/{ADA}")

    assert {one["value"] for one in profile["identifiers"]} == {*WHO.values()}
    assert [cart["cart_id"] for cart in profile["carts"]] == ["c-1"]


async def test_a_link_confirms_once_and_undoes_no_later_refusal(opt_in: OptIn) -> None:
    await opt_in.grants("email")
    path = await opt_in.link()
    await opt_in.post(path)
    await opt_in.told("A", traits={"consents": {"email": False}})
    again = await opt_in.post(path)

    assert "was used before" in again.text
    assert (await opt_in.consents())["email"][0] == "withdrawn"


async def test_a_link_ends_after_a_week(opt_in: OptIn) -> None:
    await opt_in.grants("email")
    for days, status in ((8, 410), (6, 200)):
        path = await opt_in.link(decided_at=datetime.now(UTC) - timedelta(days=days))
        assert (await opt_in.api.client.get(path)).status_code == status
        assert (await opt_in.post(path)).status_code == status


async def test_no_other_token_confirms(opt_in: OptIn) -> None:
    await opt_in.grants("email")
    good = await opt_in.link()
    token = good.rpartition("/")[2]
    claim = opt_in.api.doors.opt_in_tokens.verify(token)
    assert claim is not None
    same = (claim.profile_id, claim.message_id, claim.channel, claim.topic)
    forged = {
        "of the preferences": PreferenceTokens([SECRET]).issue(*same),
        "of another secret": PreferenceTokens(["x" * 40], context=b"waypost opt-in token").issue(*same),
        "of an unknown message": opt_in.api.doors.opt_in_tokens.issue(same[0], str(UUID(int=7)), *same[2:]),
        "of another channel": opt_in.api.doors.opt_in_tokens.issue(*same[:2], "sms", same[3]),
        "changed": token[:-2] + ("AA" if token[-2:] != "AA" else "BB"),
        "of nothing": "x",
    }
    for what, each in forged.items():
        assert (await opt_in.post(f"/opt-in/{each}")).status_code == 404, what
    assert (await opt_in.api.client.get(f"/preferences/{token}")).status_code == 404
    assert await opt_in.consents() == {}


async def test_what_the_page_shows_tells_nothing_of_the_person(opt_in: OptIn) -> None:
    await opt_in.told("A", traits={"first_name": "Quillon", "consents": {"email": True}})
    path = await opt_in.link()
    for text in ((await opt_in.api.client.get(path)).text, (await opt_in.post(path)).text):
        assert not [word for word in ("Quillon", ADA, CALL) if word in text]
