"""Addresses that bounce, complain and come back: what the gate decides, and what an operator may do."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from activities.contracts import SendMessage
from activities.gate.send_gate import GateRequest, NotAllowed, SendClaim, SendGate
from policy.limits import Limits
from policy.verdict import Channel, MessageClass
from profiles.db.sql import new_id
from profiles.messaging.addresses import delete_old_soft_bounces
from profiles.messaging.claims import record_address_problem
from tests.support.builders.profiles import message_row
from tests.support.environments.api import ADMIN, SERVER, SERVER_KEYS, WRITE, OpenApi, opened
from tests.support.environments.command import call_waypost
from tests.support.environments.ingest import CARTS, LAMP, IngestHarness

UNLIMITED = Limits(caps=(), quiet_hours={})

MARKETING, TRANSACTIONAL = MessageClass.MARKETING, MessageClass.TRANSACTIONAL

DAY = timedelta(days=1)

OPEN = ("allow", "allow")

CLOSED_FOR_MARKETING = ("bounced", "allow")

CLOSED = ("bounced", "bounced")

COMPLAINED = ("complained", "complained")

OPTED_OUT = ("opted_out", "allow")

Row = dict[str, Any]


@dataclass
class Mailbox:
    """A customer's address, the API that providers report to, and the gate."""

    api: OpenApi
    facts: IngestHarness
    email: str = field(default_factory=lambda: f"{new_id().hex[-12:]}@example.com")
    profile_id: UUID = field(default_factory=new_id)

    async def exists(self) -> "Mailbox":
        """The customer has said yes to marketing."""
        await self.facts.happens("Signed Up", traits={"consents": {"email": True}}, email=self.email)
        self.profile_id = await self.facts.who("email", self.email)
        return self

    async def message(self) -> str:
        """A message that was sent to the address; its id."""
        async with self.api.doors.database.transaction() as connection:
            return str(await message_row(connection, self.profile_id, address=self.email))

    async def report(
        self,
        name: str,
        properties: Row | None = None,
        *,
        ago: timedelta = timedelta(0),
        key: dict[str, str] = SERVER,
        **identifiers: str,
    ) -> None:
        """A provider reports; of no message unless ``properties`` name one."""
        event = {"id": new_id().hex, "type": name, "source": "provider", "properties": properties or {}}
        event["time"] = (datetime.now(UTC) - ago).isoformat()
        event["identifiers"] = identifiers
        [result] = await self.api.results("/v1/events", [event], headers=key)
        assert result["status"] == "accepted"

    async def bounces(self, properties: Row | None = None, *, ago: timedelta = timedelta(0)) -> str:
        """A message to the address bounces; its id."""
        message_id = await self.message()
        await self.report("Message Bounced", {"message_id": message_id, **(properties or {})}, ago=ago)
        return message_id

    async def bounces_softly(self, *ago: timedelta) -> None:
        """A message for each of these times bounces softly."""
        for each in ago:
            await self.bounces({"type": "blocked"}, ago=each)

    async def decisions(self, after: timedelta = timedelta(0)) -> tuple[str, str]:
        """What the gate decides on a marketing and on a transactional mail."""
        return await self._decision(MARKETING, after), await self._decision(TRANSACTIONAL, after)

    async def _decision(self, message_class: MessageClass, after: timedelta) -> str:
        cart, now = new_id().hex, datetime.now(UTC) + after
        await self.facts.happens("Product Added", LAMP | {"cart_id": cart}, email=self.email)
        [run_id] = await self.facts.values("SELECT run_id FROM run WHERE key = $1", cart)
        request = SendMessage(
            run_id=str(run_id),
            step=new_id().hex,
            journey="carts",
            template="reminder",
            channel=Channel.EMAIL,
            promoting=None,
            expires_at=now + 2 * DAY,
        )
        topic = "marketing" if message_class is MARKETING else "transactional"
        answer = await SendGate(self.api.doors.database, UNLIMITED).decide(
            GateRequest(request, message_class, topic, now)
        )
        if isinstance(answer, SendClaim):
            return "allow"
        assert isinstance(answer, NotAllowed)
        return answer.verdict.reason.value  # type: ignore[union-attr]

    async def show(self) -> Row:
        """What the API says about the address."""
        found: Row = await self.api.read(f"/v1/addresses/email/{self.email}")
        return found

    async def reopen(self, *, code: int = 200, key: dict[str, str] = ADMIN, **more: str) -> str:
        """An operator reopens the address; the text of the answer, which must have this code."""
        path, wish = f"/v1/addresses/email/{self.email}/reopen", {"reason": "the owner called", **more}
        answer = await self.api.client.post(path, json=wish, headers=key)
        assert answer.status_code == code, answer.text
        return answer.text

    async def problems(self) -> list[str]:
        """Problems of the reports that named the address."""
        rows = await self.facts.values(
            "SELECT problems FROM event WHERE profile_id = $1 AND source = 'provider'", self.profile_id
        )
        return [each["detail"] for row in rows for each in (json.loads(row) if isinstance(row, str) else row)]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared_api(module_database_url: str) -> AsyncIterator[OpenApi]:
    """One API for all tests of this module; each has an address of its own."""
    async with opened(module_database_url, **SERVER_KEYS) as api:
        yield api


@pytest_asyncio.fixture(loop_scope="session")
async def mailbox(shared_api: OpenApi) -> Mailbox:
    facts = IngestHarness(shared_api.doors.database, CARTS, source=f"till/{new_id().hex}")
    return await Mailbox(shared_api, facts).exists()


@pytest.mark.parametrize(
    ("properties", "decisions"),
    [
        pytest.param({}, CLOSED, id="says nothing: hard, as ever"),
        pytest.param({"event": "bounce", "status": "5.1.1"}, CLOSED, id="hard"),
        pytest.param({"event": "bounce", "type": "blocked"}, OPEN, id="blocked"),
        pytest.param({"event": "deferred"}, OPEN, id="deferred"),
        pytest.param({"event": "dropped", "reason": "Bounced Address"}, CLOSED, id="dropped: bounced"),
        pytest.param({"event": "dropped", "reason": "Spam Content"}, OPEN, id="dropped: content"),
        pytest.param({"event": "dropped", "reason": "Unsubscribed Address"}, OPTED_OUT, id="dropped: no"),
        pytest.param(
            {"event": "dropped", "reason": "Spam Reporting Address"}, COMPLAINED, id="dropped: complaint"
        ),
        pytest.param({"bounceType": "Transient"}, OPEN, id="transient"),
        pytest.param({"bounce_type": "squishy"}, OPEN, id="unknown word"),
    ],
)
@pytest.mark.parametrize("by", ["message", "address"])
async def test_a_bounce_closes_what_its_words_say(
    mailbox: Mailbox, properties: Row, decisions: tuple[str, str], by: str
) -> None:
    if by == "message":
        await mailbox.bounces(properties)
    else:
        await mailbox.report("Message Bounced", properties, email=mailbox.email)

    assert await mailbox.decisions() == decisions


@pytest.mark.parametrize(
    ("ago", "after", "decisions"),
    [
        pytest.param([0, 0], 0, OPEN, id="two"),
        pytest.param([0, 0, 0], 0, CLOSED_FOR_MARKETING, id="three at once"),
        pytest.param([2.9, 1.9, 0.9], 0, CLOSED_FOR_MARKETING, id="three in seven days"),
        pytest.param([2.9, 1.9, 0.9], 13, CLOSED_FOR_MARKETING, id="still within the pause"),
        pytest.param([2.9, 1.9, 0.9], 14, OPEN, id="over by time"),
        pytest.param([20, 10, 0], 0, OPEN, id="not within one window"),
        pytest.param([40, 39, 38], 0, OPEN, id="long ago"),
    ],
)
async def test_soft_bounces_close_marketing_by_number_and_window_and_never_order_mail(
    mailbox: Mailbox, ago: list[float], after: float, decisions: tuple[str, str]
) -> None:
    await mailbox.bounces_softly(*(each * DAY for each in ago))

    assert await mailbox.decisions(after * DAY) == decisions


async def test_of_one_message_many_reports_count_once(mailbox: Mailbox) -> None:
    message = await mailbox.message()
    for attempt in range(5):
        await mailbox.report(
            "Message Bounced", {"message_id": message, "event": "deferred", "attempt": attempt}
        )

    assert await mailbox.decisions() == OPEN
    assert len((await mailbox.show())["soft_bounces"]) == 1
    # The provider still tries: the message is not lost yet.
    assert await mailbox.facts.values("SELECT status FROM message WHERE message_id = $1", UUID(message)) == [
        "sent"
    ]


@pytest.mark.parametrize("name", ["Message Delivered", "Message Opened", "Message Clicked"])
async def test_a_delivery_an_open_or_a_click_opens_what_soft_bounces_closed(
    mailbox: Mailbox, name: str
) -> None:
    await mailbox.bounces_softly(2 * DAY, DAY, DAY)
    closed = await mailbox.decisions()
    # Of before the last bounces: it proves nothing.
    await mailbox.report(name, {"message_id": await mailbox.message()}, ago=1.5 * DAY)
    early = await mailbox.decisions()
    await mailbox.bounces_softly(DAY)
    again = await mailbox.decisions()
    await mailbox.report(name, {"message_id": await mailbox.message()})

    assert (closed, early, again) == (CLOSED_FOR_MARKETING, OPEN, CLOSED_FOR_MARKETING)
    assert await mailbox.decisions() == OPEN
    assert {each["lifted_by"] for each in (await mailbox.show())["soft_bounces"]} == {name}


@pytest.mark.parametrize("is_later", [True, False], ids=["delivered after", "delivered before"])
async def test_a_delivery_in_the_same_request_lifts_only_what_was_before_it(
    mailbox: Mailbox, is_later: bool
) -> None:
    messages = [await mailbox.message() for _ in range(4)]
    now = datetime.now(UTC)
    bounced_at, delivered_at = now - timedelta(hours=2), now - timedelta(hours=1 if is_later else 3)
    events = [
        {"id": new_id().hex, "type": name, "source": "provider", "time": at.isoformat(),
         "properties": {"message_id": message, "type": "blocked"}}
        for message, name, at in [
            (messages[0], "Message Bounced", bounced_at), (messages[3], "Message Delivered", delivered_at),
            (messages[1], "Message Bounced", bounced_at), (messages[2], "Message Bounced", bounced_at),
        ]
    ]  # fmt: skip
    await mailbox.api.results("/v1/events", events, headers=SERVER)

    assert await mailbox.decisions() == (OPEN if is_later else CLOSED_FOR_MARKETING)


async def test_a_hard_bounce_is_retried_once_by_hand_and_stays_closed_for_marketing(mailbox: Mailbox) -> None:
    await mailbox.bounces(ago=DAY)
    closed = await mailbox.decisions()
    await mailbox.reopen()
    reopened = await mailbox.decisions()
    late = await mailbox.message()
    await mailbox.report("Message Bounced", {"message_id": late}, ago=2 * DAY)
    of_before = await mailbox.decisions()
    await mailbox.report("Message Delivered", {"message_id": await mailbox.message()})
    delivered = await mailbox.decisions()
    await mailbox.reopen(code=409)
    await mailbox.bounces()
    again = await mailbox.decisions()
    refusal = await mailbox.reopen(code=422)

    assert (closed, reopened) == (CLOSED, CLOSED_FOR_MARKETING)
    assert of_before == CLOSED_FOR_MARKETING  # the report of before the reopening came late
    assert delivered == CLOSED_FOR_MARKETING
    assert again == CLOSED
    assert "bounced again" in refusal
    assert "ask its owner for another address" in refusal


async def test_an_operator_may_reopen_for_marketing_where_the_report_was_wrong(mailbox: Mailbox) -> None:
    await mailbox.bounces()
    await mailbox.reopen(scope="all")
    reopened = await mailbox.decisions()
    await mailbox.bounces()

    assert reopened == OPEN
    assert await mailbox.decisions() == CLOSED
    await mailbox.reopen(code=422, scope="all")


async def test_what_a_provider_refuses_at_once_closes_a_reopened_address_again(mailbox: Mailbox) -> None:
    await mailbox.bounces()
    await mailbox.reopen()
    async with mailbox.api.doors.database.transaction() as connection:
        await record_address_problem(connection, "email", mailbox.email, "bounced", datetime.now(UTC))

    assert await mailbox.decisions() == CLOSED


async def test_a_reopening_lifts_soft_bounces_but_no_opt_out_and_no_complaint(mailbox: Mailbox) -> None:
    await mailbox.bounces_softly(DAY, DAY, DAY)
    await mailbox.report("Message Unsubscribed", email=mailbox.email)
    await mailbox.reopen()
    opted_out = await mailbox.decisions()
    await mailbox.report("Message Complained", email=mailbox.email)
    refusal = await mailbox.reopen(code=422, scope="all")

    assert opted_out == OPTED_OUT
    assert "a complaint is never lifted" in refusal
    assert await mailbox.decisions() == COMPLAINED


async def test_an_open_address_is_not_reopened(mailbox: Mailbox) -> None:
    assert "no bounce on record" in await mailbox.reopen(code=409)
    assert await mailbox.facts.rows("SELECT 1 FROM address_log WHERE address = $1", mailbox.email) == []


@pytest.mark.parametrize("key", [WRITE, SERVER], ids=["a page's key", "a server's key"])
async def test_only_an_admin_key_reads_and_reopens(mailbox: Mailbox, key: dict[str, str]) -> None:
    await mailbox.bounces()
    answer = await mailbox.api.client.get(f"/v1/addresses/email/{mailbox.email}", headers=key)
    await mailbox.reopen(code=403, key=key)

    assert answer.status_code == 403
    assert await mailbox.decisions() == CLOSED


@pytest.mark.parametrize(
    ("name", "decisions"),
    [
        ("Message Bounced", CLOSED),
        ("Email Soft Bounced", OPEN),
        ("Message Complained", COMPLAINED),
        ("Message Unsubscribed", OPTED_OUT),
    ],
)
async def test_a_report_that_names_the_address_but_no_message_counts(
    mailbox: Mailbox, name: str, decisions: tuple[str, str]
) -> None:
    await mailbox.report(name, {"message_id": "of-another-system"}, email=mailbox.email)

    assert await mailbox.decisions() == decisions


@pytest.mark.parametrize(
    ("name", "decisions"),
    [("Message Bounced", OPEN), ("Message Complained", OPTED_OUT), ("Message Unsubscribed", OPTED_OUT)],
)
async def test_whoever_knows_an_address_and_the_public_key_cannot_stop_its_order_mail(
    mailbox: Mailbox, name: str, decisions: tuple[str, str]
) -> None:
    for _ in range(4):
        await mailbox.report(name, key=WRITE, email=mailbox.email)
        await mailbox.report(name, {"type": "blocked"}, key=WRITE, email=mailbox.email)

    assert await mailbox.decisions() == decisions
    said = [each for each in await mailbox.problems() if "send it with a server key" in each]
    assert bool(said) == (name != "Message Unsubscribed")


async def test_an_address_without_message_is_that_of_the_channel(mailbox: Mailbox) -> None:
    await mailbox.report("Message Bounced", {"channel": "sms"}, email=mailbox.email, phone="+4915112345670")

    assert await mailbox.decisions() == OPEN


async def test_an_unknown_word_is_said(mailbox: Mailbox) -> None:
    await mailbox.report("Message Bounced", {"bounce_type": "squishy"}, email=mailbox.email)

    assert [each for each in await mailbox.problems() if "'squishy' is no known kind of bounce" in each]


async def test_reports_are_counted_by_channel_and_kind(mailbox: Mailbox) -> None:
    def counted() -> dict[str, float]:
        registry = mailbox.api.doors.metrics.registry
        kinds = ("bounced", "bounced_softly", "complained", "not_of_address")
        name = "waypost_address_reports_total"
        return {
            kind: registry.get_sample_value(name, {"channel": "email", "kind": kind}) or 0.0 for kind in kinds
        }

    before = counted()
    await mailbox.bounces({"type": "blocked"})
    await mailbox.bounces({"reason": "Spam Content"})
    await mailbox.bounces()
    await mailbox.report("Message Complained", {"message_id": await mailbox.message()})

    assert {kind: number - before[kind] for kind, number in counted().items()} == {
        "bounced": 1,
        "bounced_softly": 1,
        "complained": 1,
        "not_of_address": 1,
    }


async def test_rows_of_before_are_hard(mailbox: Mailbox) -> None:
    await mailbox.facts.rows(
        "INSERT INTO address_problem (channel, address, problem, at) VALUES ('email', $1, 'bounced', now())",
        mailbox.email,
    )

    assert await mailbox.decisions() == CLOSED
    assert (await mailbox.show())["status"] == "closed"


async def test_soft_bounces_of_half_a_year_ago_are_deleted(mailbox: Mailbox) -> None:
    await mailbox.bounces_softly(181 * DAY, DAY)
    async with mailbox.api.doors.database.transaction() as connection:
        await delete_old_soft_bounces(connection)

    assert len((await mailbox.show())["soft_bounces"]) == 1


async def test_the_command_shows_and_reopens_an_address(mailbox: Mailbox, module_database_url: str) -> None:
    def waypost(*words: str, code: int = 0) -> str:
        done = call_waypost("address", *words, DATABASE_URL=module_database_url)
        assert done.exit_code == code, done.stderr
        return done.stdout + done.stderr

    await mailbox.report("Message Unsubscribed", email=mailbox.email)
    bounced = await mailbox.bounces()
    await mailbox.bounces({"type": "blocked"})
    shown = waypost("show", mailbox.email.upper())
    listed = json.loads(waypost("show", mailbox.email, "--json"))
    reopened = waypost("reopen", mailbox.email, "--reason", "the owner called")
    twice = waypost("reopen", mailbox.email, "--reason", "again", code=1)

    assert "closed for all messages since" in shown
    assert "it bounced for good" in shown
    assert "Opted out of: marketing (provider" in shown
    assert "blocked" in shown
    assert bounced[:8] in shown
    assert mailbox.email not in shown
    assert mailbox.email in waypost("show", mailbox.email, "--full")
    assert set(listed) == set(await mailbox.show())
    assert (listed["status"], listed["messages"][0]["status"]) == ("closed", "bounced")
    assert "closed for marketing" in reopened
    assert "the owner called" in reopened
    assert "reopened for transactional messages already; nothing was changed" in twice
    assert "this is no valid identifier" in waypost("show", "nobody@", code=1)
