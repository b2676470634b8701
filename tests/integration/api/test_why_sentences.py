"""Each reason of the gate made to happen, and the sentence that tells of it, word for word."""

from collections.abc import Awaitable, Callable
from datetime import datetime, time
from typing import Any

import pytest

from activities.channels.adapter import NotSent
from activities.contracts import HoldSpec
from policy.hours.windows import QuietHours
from policy.limits import Budget, Limits
from policy.verdict import Channel, Reason
from profiles.messaging.addresses import ReopenScope, reopen_address
from profiles.messaging.claims import record_address_problem
from tests.support.environments.explain import EVENING, HOUR, LAMP, SMS, YES, ExplainCase
from tests.support.environments.gate import GateHarness

Story = Callable[[ExplainCase], Awaitable[None]]

TOLD: dict[str, tuple[Reason | None, Story, str]] = {}
"""Story → the reason it ends with (None: sent), what happens, and the sentence."""


def told(reason: Reason | None, sentence: str) -> Callable[[Story], Story]:
    """A story and its sentence."""

    def keep(story: Story) -> Story:
        TOLD[story.__name__] = (reason, story, f"Ada {sentence}")
        return story

    return keep


NOT = "was not sent cart_reminder by email on Sat 21 Nov 2037 at 20:00 (Europe/Berlin)"

NOT_BY_SMS = NOT.replace("email", "sms")

NOT_YET = NOT.replace("not sent", "not yet sent")

LAMP_IN_IT = ", about p-1 (Aria lamp): "


@told(
    None,
    "was sent cart_reminder by email on Sat 21 Nov 2037 at 20:00 (Europe/Berlin), about p-1 (Aria lamp), "
    "because: cart-abandonment was started by Product Added of p-1 (Aria lamp) at 12:00 (event shop "
    "sent-1); all 16 checks passed; last said yes to marketing by email at 12:00 (Product Added, event "
    "shop sent-1); it was 1 of 2 emails in 1 day and 1 of 5 messages in 7 days.",
)
async def sent(desk: ExplainCase) -> None:
    await desk.sends("1")


@told(
    Reason.PURCHASED,
    f"{NOT}: p-1 (Aria lamp) had been bought at 14:03 in the store (Order Completed o-17, event "
    "pos/berlin-3 evt-9-bought).",
)
async def bought(desk: ExplainCase) -> None:
    await desk.buys()
    await desk.asks()


@told(
    Reason.OPTED_OUT,
    f"{NOT}{LAMP_IN_IT}marketing by email had been refused at 15:00 through preference page (Consent "
    "Changed, event shop consent-3).",
)
async def opted_out(desk: ExplainCase) -> None:
    word = {"channel": "email", "topic": "marketing", "state": "withdrawn", "source": "preference page"}
    await desk.hears("Consent Changed", word, hours=5, event_id="consent-3")
    await desk.asks()


@told(
    Reason.OPTED_OUT,
    f"{NOT_BY_SMS}{LAMP_IN_IT}everything by sms had been refused for +49…03 at 18:00 through provider.",
)
async def stopped(desk: ExplainCase) -> None:
    async with desk.env.database.transaction() as connection:
        await record_address_problem(
            connection, "sms", f"+49151123456{desk.number:02}", "opted_out", EVENING - 2 * HOUR
        )
    await desk.asks(channel=SMS)


@told(
    Reason.NO_CONSENT,
    f"{NOT_BY_SMS}{LAMP_IN_IT}nobody had said yes to marketing by sms: no grant of marketing on sms on file.",
)
async def never_said_yes(desk: ExplainCase) -> None:
    await desk.asks(channel=SMS)


@told(
    Reason.CAPPED,
    f"{NOT_BY_SMS}{LAMP_IN_IT}1 of 1 text message in 1 day had gone out (cart_reminder by sms at 13:00); "
    "the next is free on Sun 22 Nov 2037 at 13:00.",
)
async def capped(desk: ExplainCase) -> None:
    await desk.sends("1", hours=7, channel=SMS)
    await desk.asks("2", channel=SMS, limits=Limits())


@told(
    Reason.QUIET_HOURS,
    "was not yet sent cart_reminder by sms on Sat 21 Nov 2037 at 22:30 (Europe/Berlin), about p-1 (Aria "
    "lamp): it was 22:30 in Europe/Berlin (as their profile says), and sms is open from 08:00 to 21:00; "
    "put off until Sun 22 Nov 2037 at 08:00.",
)
async def at_night(desk: ExplainCase) -> None:
    hours = {SMS: QuietHours(time(8), time(21))}
    await desk.asks(channel=SMS, limits=Limits(quiet_hours=hours, spread={}), at=EVENING + 2.5 * HOUR)


@told(
    Reason.NO_ADDRESS,
    f"{NOT.replace('email', 'push')}{LAMP_IN_IT}no push address was on file.",
)
async def without_an_address(desk: ExplainCase) -> None:
    await desk.asks(channel=Channel.PUSH)


@told(
    Reason.BOUNCED,
    f"{NOT}{LAMP_IN_IT}a…@example.com had bounced at 18:00 (Message Bounced, event sendgrid sg-7, about "
    "cart_reminder).",
)
async def bounced(desk: ExplainCase) -> None:
    message = {"message_id": str(await desk.sends("1", hours=3))}
    given: dict[str, Any] = {"source": "sendgrid", "channel": "email", "hours": 2}
    await desk.hears("Message Bounced", message, event_id="sg-7", **given)
    await desk.asks("2")


@told(
    Reason.BOUNCED,
    f"{NOT}{LAMP_IN_IT}a…@example.com had bounced at 18:00 (Message Bounced, event sendgrid sg-8), and it "
    "was reopened for transactional messages only.",
)
async def reopened(desk: ExplainCase) -> None:
    await desk.hears("Message Bounced", {"channel": "email"}, event_id="sg-8", source="sendgrid", hours=2)
    async with desk.env.database.transaction() as connection:
        await reopen_address(
            connection, "email", desk.email, ReopenScope.TRANSACTIONAL, reason="called", actor="a test"
        )
    await desk.asks()


@told(
    Reason.BOUNCED,
    f"{NOT}{LAMP_IN_IT}3 messages to the address bounced softly in 7d; it is open again at "
    "Sat 5 Dec 2037 at 18:00.",
)
async def bounced_softly(desk: ExplainCase) -> None:
    for number in (1, 2, 3):
        soft = {"channel": "email", "type": "blocked"}
        await desk.hears("Message Bounced", soft, event_id=f"sg-soft-{number}", source="sendgrid", hours=2)
    await desk.asks()


@told(
    Reason.COMPLAINED,
    f"{NOT}{LAMP_IN_IT}a…@example.com had reported a message as spam at 18:00, as the provider said.",
)
async def complained(desk: ExplainCase) -> None:
    async with desk.env.database.transaction() as connection:
        await record_address_problem(connection, "email", desk.email, "complained", EVENING - 2 * HOUR)
    await desk.asks()


@told(
    Reason.EXPIRED,
    f"{NOT_BY_SMS}{LAMP_IN_IT}its time was up at 19:00, after it had been put off at 07:00 (quiet hours).",
)
async def too_late(desk: ExplainCase) -> None:
    hours = Limits(caps=(), quiet_hours={SMS: QuietHours(time(8), time(21))})
    morning = EVENING - 13 * HOUR
    await desk.asks(channel=SMS, limits=hours, at=morning, expires_at=EVENING - HOUR)
    await desk.asks(channel=SMS, limits=hours, expires_at=EVENING - HOUR)


@told(
    Reason.OUT_OF_STOCK,
    f"{NOT}: p-7 (Rare lamp) had been sold out since Sat 21 Nov 2037 at 13:00 (Product Updated, by the "
    "product feed).",
)
async def sold_out(desk: ExplainCase) -> None:
    for hours, in_stock in ((9, True), (7, False)):
        said = {"product_id": "p-7", "name": "Rare lamp", "in_stock": in_stock}
        feed = desk.env.build_event("Product Updated", said, source="feed", time=EVENING - hours * HOUR)
        await desk.env.ingest([feed])
    rare = desk.env.ask(desk.run_id, "1", "p-7", at=EVENING)
    await desk.asks(promoting=rare.promoting)


@told(
    Reason.LOWER_PRIORITY,
    f"{NOT_YET}{LAMP_IN_IT}held while a support ticket 17 is open, opened at 19:00 (Ticket Opened 17, "
    "event desk t-17); put off until Sun 22 Nov 2037 at 20:00.",
)
async def ticket_is_open(desk: ExplainCase) -> None:
    ticket = {"ticket_id": "17"}
    await desk.hears("Ticket Opened", ticket, event_id="t-17", source="desk", channel="support")
    hold = HoldSpec(
        opened="Ticket Opened", closed=("Ticket Solved",), by="ticket_id", says="a support ticket"
    )
    await desk.asks(hold_while=(hold,))


@told(
    Reason.HOLDOUT,
    f"{NOT}{LAMP_IN_IT}kept out, to measure against: among the 100 % held out of the shop.",
)
async def held_out(desk: ExplainCase) -> None:
    await desk.asks(limits=Limits(holdout=100.0))


@told(
    Reason.RUN_ENDED,
    f"{NOT}{LAMP_IN_IT}cart-abandonment had ended as bought at 19:00 (by Order Completed o-17, event "
    "pos/berlin-3 evt-9-run_has_ended).",
)
async def run_has_ended(desk: ExplainCase) -> None:
    await desk.buys()
    await desk.env.fetch_rows(
        "UPDATE run SET state = 'ended', outcome = 'bought', ended_at = $2 WHERE run_id = $1",
        desk.run_id,
        EVENING - HOUR,
    )
    await desk.asks()


@told(
    Reason.RUN_ENDED,
    f"{NOT}: p-1 (Aria lamp) had been taken out of the cart at 19:00 (Product Removed, event shop evt-3).",
)
async def taken_out(desk: ExplainCase) -> None:
    await desk.hears("Product Removed", LAMP | {"cart_id": "taken_out"}, event_id="evt-3")
    await desk.asks(cart_id="taken_out")


@told(Reason.ERASED, f"{NOT}{LAMP_IN_IT}the profile had been erased at 19:00.")
async def erased(desk: ExplainCase) -> None:
    whose = "SELECT profile_id FROM run WHERE run_id = $2"
    await desk.env.fetch_rows(
        f"UPDATE profile SET erased_at = $1 WHERE profile_id = ({whose})",
        EVENING - HOUR,
        desk.run_id,
    )
    await desk.asks()


@told(
    Reason.KILL_SWITCH,
    f"{NOT}{LAMP_IN_IT}sending was switched off by an operator: kill switch on for email.",
)
async def switched_off(desk: ExplainCase) -> None:
    await desk.asks(limits=Limits(kill_switches=("email",)))


@told(
    Reason.CONTENT,
    f'{NOT}{LAMP_IN_IT}its content may not go out so: marketing under the topic "transactional": '
    "give the template its own topic.",
)
async def of_the_wrong_class(desk: ExplainCase) -> None:
    await desk.asks(topic="transactional")


@told(
    Reason.ERROR,
    f"{NOT}{LAMP_IN_IT}it was allowed, and then given back, as the provider did not take it (the run's "
    "details have the fault).",
)
async def refused_by_the_provider(desk: ExplainCase) -> None:
    desk.env.ledgers[Channel.EMAIL].answers.append(NotSent("400 bad request", permanent=True))
    await desk.sends("1")


@told(
    Reason.ERROR,
    f"{NOT}{LAMP_IN_IT}it could not be decided: not computable (ValueError): expected instants with an "
    "offset and an IANA zone.",
)
async def undecidable(desk: ExplainCase) -> None:
    await desk.asks(expires_at=datetime(2037, 11, 22))  # noqa: DTZ001 - what the gate cannot compute with


@told(
    Reason.PROVIDER_BUDGET,
    f"{NOT_YET.replace('20:00', '20:30')}{LAMP_IN_IT}the provider could take no more: 1 of 1 on email in "
    "the last minute; put off until Sat 21 Nov 2037 at 20:31.",
)
async def over_budget(desk: ExplainCase) -> None:
    await desk.sends("0", hours=-0.49)
    limits = Limits(caps=(), budgets={Channel.EMAIL: Budget(1)})
    await desk.asks(at=EVENING + HOUR / 2, limits=limits)


@told(
    Reason.DUPLICATE,
    f"{NOT}{LAMP_IN_IT}it would only have said the same again: cart_reminder about the same items went "
    "by email from another run of cart-abandonment, on Sat 21 Nov 2037 at 18:00.",
)
async def said_by_another_run(desk: ExplainCase) -> None:
    first = desk.run_id
    await desk.opens({"email": True}, cart="said_by_another_run-2")
    await desk.sends("0", hours=2)
    desk.run_id = first
    await desk.asks()


@told(
    None,
    "was sent cart_reminder by email on Sat 21 Nov 2037 at 20:00 (Europe/Berlin), about p-2 (Oslo chair), "
    "because: cart-abandonment was started by Product Added of p-1 (Aria lamp) at 12:00 (event shop "
    "bought_in_part-1); all 16 checks passed; without p-1 (Aria lamp), which had been bought at 14:03 in the "
    "store (Order Completed o-17, event pos/berlin-3 evt-9-bought_in_part); last said yes to marketing by "
    "email at 12:00 (Product Added, event shop bought_in_part-1); it was 1 of 2 emails in 1 day and 1 of 5 "
    "messages in 7 days.",
)
async def bought_in_part(desk: ExplainCase) -> None:
    chair = {"product_id": "p-2", "name": "Oslo chair", "cart_id": desk.story}
    await desk.hears("Product Added", chair, event_id="chair-1", hours=7)
    await desk.buys()
    both = desk.env.ask(desk.run_id, "1", "p-1", "p-2", at=EVENING)
    await desk.sends("1", promoting=both.promoting)


async def test_every_reason_that_happens_is_told_by_event_time_and_item(gate_env: GateHarness) -> None:
    said, reasons = {}, {}
    for number, (name, (_, story, _)) in enumerate(TOLD.items()):
        desk = ExplainCase(gate_env, name, number)
        await desk.opens({"email": True} if story is never_said_yes else YES)
        await story(desk)
        answer = await desk.answer()
        assert answer.decision is not None
        said[name] = answer.sentence
        message = await gate_env.message(desk.run_id, answer.decision.step)
        reasons[name] = answer.decision.reason or message["reason"]

    assert {name: sentence for name, (_, _, sentence) in TOLD.items()} == said
    assert {name: reason for name, (reason, _, _) in TOLD.items()} == reasons


@pytest.mark.parametrize("reason", Reason)
def test_no_reason_is_without_a_sentence_that_names_person_time_and_item(reason: Reason) -> None:
    sentences = [sentence for of, _, sentence in TOLD.values() if of is reason]

    assert sentences
    for sentence in sentences:
        assert sentence.startswith("Ada was not ")
        assert "on Sat 21 Nov 2037 at 2" in sentence
        assert "(Aria lamp)" in sentence or "(Rare lamp)" in sentence


@pytest.mark.parametrize(
    "reason",
    [
        *(Reason.PURCHASED, Reason.OPTED_OUT, Reason.BOUNCED, Reason.LOWER_PRIORITY, Reason.RUN_ENDED),
        Reason.OUT_OF_STOCK,
    ],
)
def test_a_reason_that_an_event_brought_about_names_it(reason: Reason) -> None:
    sentences = [sentence for of, _, sentence in TOLD.values() if of is reason]

    assert any("(Product Updated" in one or ", event " in one for one in sentences)
