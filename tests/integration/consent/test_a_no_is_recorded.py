"""A withdrawal is on record by whichever path, whatever became of the address, and the gate refuses."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from activities.contracts import SendMessage
from activities.gate.send_gate import GateRequest, NotAllowed, SendClaim, SendGate
from policy.limits import Limits
from policy.verdict import Channel, MessageClass, Withhold
from profiles.consent import declarations
from profiles.db.sql import new_id
from profiles.ingest import event_batch
from profiles.state.unit_of_work import UnitOfWork
from tests.support.builders.profiles import message_row
from tests.support.environments.api import ADMIN, SERVER, SERVER_KEYS, WRITE, OpenApi, opened
from tests.support.environments.ingest import CARTS, LAMP, IngestHarness

UNLIMITED = Limits(caps=(), quiet_hours={})

NO = {"channel": "email", "state": "withdrawn"}

HALF_AN_HOUR_AGO = timedelta(minutes=30)

Row = dict[str, Any]


@dataclass
class Address:
    """An address, the API that is told of it, and a gate beside it."""

    api: OpenApi
    facts: IngestHarness
    email: str = field(default_factory=lambda: f"{new_id().hex[-12:]}@example.com")
    phone: str = field(default_factory=lambda: f"+491511{new_id().int % 10**7:07}")

    @property
    def mark(self) -> str:
        """What makes ids of this test its own."""
        return self.email.partition("@")[0]

    @property
    def loyalty_id(self) -> str:
        """The till's name for the person."""
        return f"L-{self.mark}"

    ids: list[str] = field(default_factory=list)

    def event(self, name: str, properties: Row | None = None, **more: Any) -> Row:
        given = {"id": new_id().hex, "type": name, "source": "test", "identifiers": {"email": self.email}}
        return given | {"properties": properties or {}} | more

    async def send(
        self, name: str, properties: Row | None = None, *, server: bool = False, **more: Any
    ) -> Row:
        """Send one event, with the public key unless a server's is asked for; returns its result."""
        [result] = await self.send_all([self.event(name, properties, **more)], server=server)
        return result

    async def send_all(self, events: list[Row], *, server: bool = False) -> list[Row]:
        """Send events in one request; returns their results."""
        return await self.api.results("/v1/events", events, headers=SERVER if server else WRITE)

    async def link(self) -> str:
        """The token of the links in a mail that was sent to the address."""
        profiles = await self.facts.values(
            "SELECT profile_id FROM identifier WHERE type = 'email' AND value = $1", self.email
        )
        if not profiles:
            await self.send("Product Viewed", identifiers={"anonymous_id": f"b-{self.mark}"})
            profiles = [await self.facts.who("anonymous_id", f"b-{self.mark}")]
        profile_id = profiles[0]
        async with self.api.doors.database.transaction() as connection:
            message_id = await message_row(connection, profile_id, address=self.email)
        return self.api.doors.preference_tokens.issue(str(profile_id), str(message_id), "email", "marketing")

    async def opted_out(self, channel: str = "email", address: str | None = None) -> list[str]:
        """Topics that the address is opted out of."""
        return await self.facts.values(
            "SELECT topic FROM opt_out WHERE channel = $1 AND address = $2 AND state = 'withdrawn'",
            channel,
            address or self.email,
        )

    async def decision(
        self,
        message_class: MessageClass = MessageClass.MARKETING,
        channel: Channel = Channel.EMAIL,
        **identifiers: str,
    ) -> str:
        """What the gate decides on a message to somebody whom the shop's till has named by now."""
        named = identifiers or {"email": self.email, "loyalty_id": self.loyalty_id}
        cart = new_id().hex
        await self.facts.happens("Product Added", LAMP | {"cart_id": cart}, **named)
        [run_id] = await self.facts.values("SELECT run_id FROM run WHERE key = $1", cart)
        now = datetime.now(UTC)
        topic = "marketing" if message_class is MessageClass.MARKETING else "transactional"
        request = SendMessage(
            run_id=str(run_id),
            step=new_id().hex,
            journey="carts",
            template="reminder",
            channel=channel,
            promoting=None,
            expires_at=now + timedelta(days=2),
        )
        gate = SendGate(self.api.doors.database, UNLIMITED)
        answer = await gate.decide(GateRequest(request, message_class, topic, now))
        if isinstance(answer, SendClaim):
            return "allow"
        assert isinstance(answer, NotAllowed)
        assert isinstance(answer.verdict, Withhold)
        return answer.verdict.reason.value

    async def granted_before(self) -> None:
        """The shop imports a consent that is older than the withdrawal."""
        await self.facts.happens(
            "Signed Up",
            traits={"consents": {"email": True, "sms": True}},
            ago=HALF_AN_HOUR_AGO,
            email=self.email,
            phone=self.phone,
            loyalty_id=self.loyalty_id,
        )


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared_api(module_database_url: str) -> AsyncIterator[OpenApi]:
    """One API for all tests of this module; each has addresses of its own."""
    async with opened(module_database_url, **SERVER_KEYS) as api:
        yield api


@pytest.fixture
def address(shared_api: OpenApi) -> Address:
    facts = IngestHarness(shared_api.doors.database, CARTS, source=f"till/{new_id().hex}")
    return Address(shared_api, facts)


async def _unknown(address: Address) -> None:
    pass


async def _known_to_the_shop(address: Address) -> None:
    await address.send(
        "Signed Up", server=True, identifiers={"email": address.email, "loyalty_id": address.loyalty_id}
    )


async def _named_by_pages(address: Address) -> None:
    await address.send(
        "Product Viewed",
        {"product_id": "x"},
        identifiers={"email": address.email, "anonymous_id": f"a-1-{address.mark}"},
    )


async def _quarantined_by_pages(address: Address) -> None:
    named = {"email": address.email, "phone": address.phone}
    devices = [
        named | {"user_id": f"m-{address.mark}-{number}", "anonymous_id": f"a-{address.mark}-{number}"}
        for number in range(12)
    ]
    await address.send_all([address.event("Product Viewed", identifiers=each) for each in devices])
    assert await _status(address) == "quarantined"


async def _quarantined_by_servers(address: Address) -> None:
    people = [{"email": address.email, "user_id": f"s-{address.mark}-{number}"} for number in range(25)]
    await address.send_all([address.event("Signed In", identifiers=each) for each in people], server=True)
    assert await _status(address) == "quarantined"


async def _beyond_the_limit_of_a_profile(address: Address) -> None:
    others = [
        {"email": f"{number}-{address.email}", "loyalty_id": address.loyalty_id} for number in range(12)
    ]
    await address.send_all([address.event("Signed In", identifiers=each) for each in others], server=True)
    await address.send(
        "Signed In", server=True, identifiers={"email": address.email, "loyalty_id": address.loyalty_id}
    )


async def _of_a_profile_that_others_contradict(address: Address) -> None:
    await _known_to_the_shop(address)
    await address.send(
        "Signed In",
        server=True,
        identifiers={"user_id": f"u-other-{address.mark}", "loyalty_id": f"L-2-{address.mark}"},
    )


async def _forgotten(address: Address) -> None:
    await _known_to_the_shop(address)
    await address.facts.rows("DELETE FROM identifier WHERE value = $1", address.email)


async def _status(address: Address) -> str:
    [status] = await address.facts.values(
        "SELECT status FROM identifier WHERE type = 'email' AND value = $1", address.email
    )
    return str(status)


STATES: dict[str, Callable[[Address], Awaitable[None]]] = {
    "of nobody yet": _unknown,
    "known to the shop": _known_to_the_shop,
    "named by pages only": _named_by_pages,
    "quarantined by pages": _quarantined_by_pages,
    "quarantined by servers": _quarantined_by_servers,
    "beyond the limit of its profile": _beyond_the_limit_of_a_profile,
    "contradicted": _of_a_profile_that_others_contradict,
    "forgotten": _forgotten,
}


async def _by_a_page(address: Address) -> None:
    await address.send("Consent Changed", NO)


async def _by_a_page_that_names_a_stranger_first(address: Address) -> None:
    await address.send(
        "Consent Changed", NO, identifiers={"email": address.email, "user_id": f"u-other-{address.mark}"}
    )


async def _by_traits(address: Address) -> None:
    await address.send("Account Updated", traits={"consents": {"email": False}})


async def _by_an_order(address: Address) -> None:
    await address.send(
        "Order Completed",
        {"order_id": f"o-1-{address.mark}", "products": [{"product_id": "chair"}]},
        traits={"consents": {"email": {"granted": False, "method": "checkbox"}}},
    )


async def _by_a_server(address: Address) -> None:
    await address.send("Consent Changed", NO, server=True)


async def _by_an_operator(address: Address) -> None:
    answer = await address.api.client.put(
        f"/v1/profiles/email/{address.email}/consents", json=NO, headers=ADMIN
    )
    assert answer.status_code == 200, answer.text


async def _by_one_click(address: Address) -> None:
    answer = await address.api.client.post(f"/unsubscribe/{await address.link()}")
    assert answer.status_code == 200, answer.text


async def _by_the_preferences_page(address: Address) -> None:
    form = {"form": "preferences", "nothing": "1"}
    answer = await address.api.client.post(f"/preferences/{await address.link()}", data=form)
    assert answer.status_code == 200, answer.text
    assert " checked" not in answer.text


async def _by_the_provider_of_a_message(address: Address) -> None:
    claim = address.api.doors.preference_tokens.verify(await address.link())
    assert claim is not None
    properties = {"message_id": claim.message_id}
    await address.send("Message Unsubscribed", properties, server=True, identifiers={})


async def _by_a_provider_that_names_the_address(address: Address) -> None:
    await address.send("Message Unsubscribed", {}, server=True)


async def _by_a_complaint_that_names_the_address(address: Address) -> None:
    await address.send("Message Complained", {"message_id": "theirs-1"}, server=True)


async def _by_an_event_whose_id_is_taken(address: Address) -> None:
    await address.send(
        "Product Viewed",
        {"product_id": "x"},
        id=f"taken-{address.mark}",
        identifiers={"user_id": f"m-1-{address.mark}"},
    )
    result = await address.send("Consent Changed", NO, id=f"taken-{address.mark}")
    assert result["status"] == "conflict"


async def _by_an_event_whose_id_a_server_has_taken(address: Address) -> None:
    named = {"user_id": f"s-1-{address.mark}"}
    await address.send(
        "Product Viewed", {"product_id": "x"}, id=f"taken-{address.mark}", server=True, identifiers=named
    )
    await address.send("Account Updated", id=f"taken-{address.mark}", traits={"consents": {"all": False}})


async def _by_the_second_of_one_id_in_a_batch(address: Address) -> None:
    first = {
        "id": f"twice-{address.mark}",
        "source": "test",
        "identifiers": {"user_id": f"m-1-{address.mark}"},
        "type": "Product Viewed",
    }
    second = {
        "id": f"twice-{address.mark}",
        "source": "test",
        "identifiers": {"email": address.email},
        "type": "Consent Changed",
    }
    batch = [first | {"properties": {"product_id": "x"}}, second | {"properties": NO}]
    await address.api.results("/v1/events", batch)


async def _by_an_event_that_another_supersedes(address: Address) -> None:
    await address.send("Consent Changed", NO, id=f"taken-{address.mark}")
    await address.send(
        "Signed In", server=True, id=f"taken-{address.mark}", identifiers={"user_id": f"s-1-{address.mark}"}
    )


async def _by_a_call_of_segments_client(address: Address) -> None:
    traits = {"email": address.email, "consents": {"email": False}}
    call = {
        "type": "identify",
        "messageId": new_id().hex,
        "anonymousId": f"a-7-{address.mark}",
        "traits": traits,
    }
    await address.api.results("/v1/batch", {"batch": [call]})


PATHS: dict[str, Callable[[Address], Awaitable[None]]] = {
    "a page": _by_a_page,
    "a page that names a stranger too": _by_a_page_that_names_a_stranger_first,
    "traits": _by_traits,
    "an order": _by_an_order,
    "a server": _by_a_server,
    "an operator": _by_an_operator,
    "one click": _by_one_click,
    "the preferences page": _by_the_preferences_page,
    "the provider, by message": _by_the_provider_of_a_message,
    "the provider, by address": _by_a_provider_that_names_the_address,
    "a complaint, by address": _by_a_complaint_that_names_the_address,
    "an event whose id is taken": _by_an_event_whose_id_is_taken,
    "an event whose id a server has taken": _by_an_event_whose_id_a_server_has_taken,
    "the second of one id in a batch": _by_the_second_of_one_id_in_a_batch,
    "an event that is superseded": _by_an_event_that_another_supersedes,
    "Segment's client": _by_a_call_of_segments_client,
}
"""Path of a withdrawal of marketing by email → how it is taken."""


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
@pytest.mark.parametrize("state", STATES.values(), ids=STATES)
async def test_after_a_no_the_gate_refuses_marketing_whatever_became_of_the_address(
    address: Address,
    state: Callable[[Address], Awaitable[None]],
    path: Callable[[Address], Awaitable[None]],
) -> None:
    await state(address)
    await path(address)
    recorded = await address.opted_out()
    await address.granted_before()

    assert recorded == ["marketing"]
    assert await address.opted_out() == ["marketing"]
    # A complaint that a server reports closes the address as well.
    refusal = "complained" if path is _by_a_complaint_that_names_the_address else "opted_out"
    # An address that servers have quarantined is nobody's, until an operator releases it.
    assert await address.decision() == ("no_address" if state is _quarantined_by_servers else refusal)


@pytest.mark.parametrize(
    "state",
    [_unknown, _known_to_the_shop, _named_by_pages, _quarantined_by_pages, _quarantined_by_servers],
    ids=["of nobody yet", "known to the shop", "named by pages", "quarantined by pages", "by servers"],
)
async def test_after_a_stop_the_gate_refuses_marketing_to_the_number(
    address: Address, state: Callable[[Address], Awaitable[None]]
) -> None:
    await state(address)
    reply = {"from": address.phone, "text": "STOP"}
    await address.send("Message Replied", reply, channel="sms", identifiers={}, server=True)
    await address.granted_before()
    named = {"phone": address.phone, "loyalty_id": address.loyalty_id}

    assert await address.opted_out("sms", address.phone) == ["all"]
    assert await address.decision(channel=Channel.SMS, **named) == "opted_out"


async def test_without_a_no_the_gate_of_these_tests_allows(address: Address) -> None:
    await _quarantined_by_pages(address)
    await address.granted_before()

    assert await address.decision() == "allow"


@pytest.mark.parametrize("path", [_by_a_page, _by_traits, _by_an_event_whose_id_is_taken])
async def test_a_later_yes_of_a_server_lifts_a_no_of_a_page(
    address: Address, path: Callable[[Address], Awaitable[None]]
) -> None:
    await _quarantined_by_pages(address)
    await path(address)
    yes = {"consents": {"email": True}}
    named = {"email": address.email, "loyalty_id": address.loyalty_id}
    await address.send("Signed In", server=True, identifiers=named)
    await address.send("Signed Up", server=True, identifiers=named, traits=yes)

    assert await address.opted_out() == []
    assert await address.decision() == "allow"


STRANGERS_WORDS: dict[str, Row] = {
    "marketing": {"channel": "all", "state": "withdrawn"},
    "all": {"channel": "all", "state": "withdrawn", "topic": "all"},
    "transactional": {"channel": "all", "state": "withdrawn", "topic": "transactional"},
    "transactional by email": {"channel": "email", "state": "withdrawn", "topic": "transactional"},
    "all by SMS": {"channel": "sms", "state": "withdrawn", "topic": "all"},
}


@pytest.mark.parametrize("words", STRANGERS_WORDS.values(), ids=STRANGERS_WORDS)
async def test_a_strangers_no_stops_marketing_and_no_order_confirmation(address: Address, words: Row) -> None:
    await address.granted_before()
    victim = {"email": address.email, "phone": address.phone}
    await address.send("Consent Changed", words, identifiers=victim)
    channel = Channel.SMS if words["channel"] == "sms" else Channel.EMAIL
    named = victim | {"loyalty_id": address.loyalty_id}

    assert await address.decision(channel=channel, **named) == "opted_out"
    assert await address.decision(MessageClass.TRANSACTIONAL, channel, **named) == "allow"


async def test_a_strangers_stop_stops_marketing_and_no_order_confirmation(address: Address) -> None:
    await address.granted_before()
    await address.send(
        "Message Replied", {"from": address.phone, "text": "STOP"}, channel="sms", identifiers={}
    )
    named = {"phone": address.phone, "loyalty_id": address.loyalty_id}

    assert await address.decision(channel=Channel.SMS, **named) == "opted_out"
    assert await address.decision(MessageClass.TRANSACTIONAL, Channel.SMS, **named) == "allow"


async def test_a_servers_no_to_transactional_messages_stops_them(address: Address) -> None:
    await address.granted_before()
    await address.send("Consent Changed", STRANGERS_WORDS["transactional"], server=True)

    assert await address.decision(MessageClass.TRANSACTIONAL) == "opted_out"


async def test_stop_everything_also_counts_for_the_profile_that_the_mail_was_for(address: Address) -> None:
    await address.granted_before()
    link = await address.link()
    await _quarantined_by_pages_of(address)
    await address.api.client.post(f"/preferences/{link}", data={"form": "preferences", "nothing": "1"})
    named = {"phone": address.phone, "loyalty_id": address.loyalty_id}

    assert await address.decision(channel=Channel.SMS, **named) == "opted_out"


async def _quarantined_by_pages_of(address: Address) -> None:
    """The address is taken from the profile of the mail, as by a split."""
    await address.facts.rows(
        "UPDATE identifier SET status = 'quarantined', profile_id = $2 WHERE value = $1",
        address.email,
        await address.facts.who("anonymous_id", await _browser(address)),
    )


async def _browser(address: Address) -> str:
    await address.send("Product Viewed", identifiers={"anonymous_id": f"q-{address.mark}"})
    return f"q-{address.mark}"


async def test_the_same_conflicting_no_is_stored_once(address: Address) -> None:
    await _by_an_event_whose_id_is_taken(address)
    taken = address.event("Consent Changed", NO, id=f"taken-{address.mark}")
    for _ in range(3):
        await address.send_all([taken])
    ids = await address.facts.values(
        "SELECT problems ->> -1 FROM event WHERE id LIKE $1", f"taken-{address.mark}/withdrawal/%"
    )

    assert len(ids) == 1
    assert "only its withdrawal counts" in ids[0]


@pytest.mark.parametrize("path", [_by_a_page, _by_traits, _by_an_order])
async def test_without_the_register_a_no_of_a_quarantined_address_is_lost(
    address: Address, path: Callable[[Address], Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Teeth: the no is kept with a profile alone, and with none where the address is nobody's."""
    monkeypatch.setattr(UnitOfWork, "opt_out", lambda *_: None)
    monkeypatch.setattr(declarations, "may_withdraw", lambda _: False)
    await _quarantined_by_pages(address)
    await path(address)
    await address.granted_before()

    assert await address.opted_out() == []


@pytest.mark.parametrize(
    ("state", "status", "recorded"),
    [
        (_named_by_pages, 200, True),
        (_quarantined_by_pages, 200, True),
        (_quarantined_by_servers, 409, False),
    ],
    ids=["named by pages", "quarantined by pages", "quarantined by servers"],
)
async def test_a_confirmation_of_a_quarantined_address_is_recorded_or_not_promised(
    address: Address, state: Callable[[Address], Awaitable[None]], status: int, recorded: bool
) -> None:
    await state(address)
    claim = address.api.doors.preference_tokens.verify(await address.link())
    assert claim is not None
    fields = (claim.profile_id, claim.message_id, claim.channel, claim.topic)
    answer = await address.api.client.post(f"/opt-in/{address.api.doors.opt_in_tokens.issue(*fields)}")
    grants = await address.facts.values(
        "SELECT verified FROM consent WHERE state = 'granted' AND named @> ARRAY[$1]",
        f"email:{address.email}",
    )

    assert answer.status_code == status
    assert grants == [True] * recorded
    if recorded:
        assert await address.decision(email=address.email) == "allow"


@pytest.mark.parametrize("channel", ["email", "sms"])
async def test_a_switch_of_the_preferences_page_acts_on_a_quarantined_address(
    address: Address, channel: str
) -> None:
    await _quarantined_by_pages(address)
    form = {"form": "preferences", channel: "on"}
    await address.api.client.post(f"/preferences/{await address.link()}", data=form)
    page = await address.api.client.get(f"/preferences/{await address.link()}")

    assert page.text.count(" checked") == 1
    assert await _status(address) == "good"


async def test_a_no_is_on_record_though_the_rest_of_its_event_cannot_be_applied(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> Any:
        raise ValueError("a bug")

    monkeypatch.setattr(event_batch, "apply_event", fails)
    await address.send("Consent Changed", NO)

    assert await address.opted_out() == ["marketing"]
