"""From an event over HTTP to a message at the provider, whatever the provider answers, in real processes."""

import asyncio
import json
from datetime import timedelta
from urllib.parse import urlsplit

from tests.support.environments.installation import LAMP, NOON, YES, Installation
from tests.support.fakes import FakeProvider, Mode
from tests.support.fakes.ledger import Delivery
from tests.support.fakes.provider import ReceivedRequest
from tests.support.fakes.twilio import fields

ADA = {"email": "ada@example.com", "phone": "+4915112345678"}
BOB = {"email": "bob@example.com", "phone": "+4915187654321"}
CLEO = {"email": "cleo@example.com", "user_id": "cleo-1"}
MESSAGE = {"message_id", "journey", "run_id", "step", "channel", "template", "items", "status", "decided_at",
           "sent_at"}  # fmt: skip
DECISION = {"verdict", "reason", "checks", "items_removed", "journey", "run_id", "step", "channel", "at"}
RUN = {
    "run_id",
    "temporal_run_id",
    "workflow_id",
    "journey",
    "key",
    "state",
    "outcome",
    "entered_at",
    "ended_at",
}
LOST = (
    "accept_then_error",
    "accept_then_reset",
    "accept_then_close",
    "accept_then_hang",
    "unavailable",
    "html",
)
"""Answers after which a person may have the message: taken and then lost, or from something in between."""


async def lapse(installation: Installation, **who: str) -> None:
    """Somebody has been away for long: a run starts, whose first act is a marketing mail."""
    await installation.happens("Product Viewed", LAMP, traits=YES, **who)
    await installation.happens("Customer Lapsed", {"days_since_order": 100}, **who)


async def fill_a_cart(installation: Installation, cart_id: str, **who: str) -> dict[str, object]:
    """Somebody leaves a cart; the run of it."""
    await installation.happens("Product Added", LAMP | {"cart_id": cart_id}, traits=YES, **who)
    return await installation.run(who["email"], "cart-abandonment")


def calls_for(provider: FakeProvider, address: str) -> list[ReceivedRequest]:
    """Calls whose body names the address, in any encoding."""
    said = address.replace("+", "%2B").encode()
    return [
        call for call in provider.calls if address.encode() in call.request.body or said in call.request.body
    ]


async def no_send_is_pending(installation: Installation, email: str, journey: str) -> None:
    """Until the run has gone on from its send, so that none is left to be tried again."""
    handle = await installation.handle(await installation.run(email, journey))

    async def goes_on() -> bool:
        return not (await handle.describe()).raw_description.pending_activities

    await installation.until(goes_on)


def to(provider: FakeProvider, address: str) -> list[Delivery]:
    return [one for one in provider.delivered if one.to == address]


async def test_a_cart_left_behind_reaches_a_person_by_mail_and_text(installation: Installation) -> None:
    cart = LAMP | {"cart_id": "cart-ada"}
    await installation.happens("Product Added", cart, traits=YES | {"first_name": "Ada"}, **ADA)
    run = await installation.run(ADA["email"], "cart-abandonment")
    await installation.passes(run, timedelta(days=4))
    ended = await installation.ended(ADA["email"], "cart-abandonment")

    assert (ended["outcome"], ended.keys() >= RUN) == ("nudged", True)
    [mail], [text] = to(installation.mail, ADA["email"]), to(installation.text, ADA["phone"])
    sent = {m["message_id"]: m for m in await installation.messages(ADA["email"]) if m["channel"] != "ads"}
    told = [(m["template"], m["channel"], m["items"], m["status"]) for m in sent.values()]
    assert told == [("cart_reminder", "email", ["lamp"], "sent"), ("cart_offer", "sms", ["lamp"], "sent")]
    assert (mail.message_id, text.message_id) == (next(iter(sent)), "")
    assert "Aria lamp" in mail.html
    assert all(message.keys() >= MESSAGE for message in sent.values())
    decisions = [d for d in await installation.decisions(ADA["email"]) if d["channel"] != "ads"]
    assert [(d["verdict"], d["reason"], d["run_id"]) for d in decisions] == [
        ("allow", None, run["run_id"])
    ] * 2
    assert all(decision.keys() >= DECISION and decision["checks"] for decision in decisions)


async def test_providers_and_histories_are_told_an_id_and_no_person(installation: Installation) -> None:
    [mail] = [call.request for call in installation.mail.calls if ADA["email"] in call.request.body.decode()]
    [text] = [call.request for call in installation.text.calls if fields(call.request)["To"] == ADA["phone"]]
    run = await installation.run(ADA["email"], "cart-abandonment")
    history = (await (await installation.handle(run)).fetch_history()).to_json()

    body = json.loads(mail.body)
    [person] = body["personalizations"]
    assert set(person["custom_args"]) == {"message_id"}
    assert {"categories", "custom_args"} & body.keys() == set()
    assert fields(text).keys() <= {"To", "From", "Body", "ValidityPeriod"}
    for secret in ("ada@example", "Ada", "15112345678"):
        assert secret not in history
        assert secret not in run["workflow_id"] + person["custom_args"]["message_id"]


async def test_one_click_in_the_mail_program_ends_marketing(installation: Installation) -> None:
    await lapse(installation, **CLEO)
    await installation.settled(CLEO["email"], "we_miss_you", "sent")
    [mail] = to(installation.mail, CLEO["email"])
    link = urlsplit(mail.headers["List-Unsubscribe"].partition("<")[2].partition(">")[0])
    clicked = await installation.ask("POST", link.path, key="", data={"List-Unsubscribe": "One-Click"})
    await installation.happens("Product Added", LAMP | {"cart_id": "cart-cleo"}, **CLEO)
    run = await installation.run(CLEO["email"], "cart-abandonment")
    await installation.passes(run, timedelta(hours=2))
    await installation.settled(CLEO["email"], "cart_reminder", "withheld")

    assert (link.scheme + "://" + link.netloc, clicked.status_code) == (installation.stack.api_url, 200)
    assert mail.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    [decision] = [d for d in await installation.decisions(CLEO["email"]) if d["step"] == "cart_reminder"]
    assert (decision["verdict"], decision["reason"]) == ("withhold", "opted_out")
    assert len(to(installation.mail, CLEO["email"])) == 1


async def test_invariant_1_a_purchase_in_the_store_ends_the_run_at_once(installation: Installation) -> None:
    await installation.happens("Product Added", LAMP | {"cart_id": "cart-bob"}, traits=YES, **BOB)
    run = await installation.run(BOB["email"], "cart-abandonment")
    await installation.passes(run, timedelta(hours=2))
    await installation.settled(BOB["email"], "cart_reminder", "sent")
    receipt = {"order_id": "receipt-7", "products": [{"product_id": "lamp", "sku": "lamp-red"}]}
    await installation.happens(
        "Order Completed", receipt, channel="store", source="pos/1", time=NOON + timedelta(hours=2), **BOB
    )
    ended = await installation.ended(BOB["email"], "cart-abandonment")
    await installation.settled(BOB["email"], "order_confirmation", "sent")
    gone_on = await installation.passes(ended, timedelta(days=3))

    assert (ended["outcome"], gone_on) == ("bought", False)
    mails = [(one.subject, "Aria lamp" in one.html) for one in to(installation.mail, BOB["email"])]
    assert mails == [
        ("Still thinking about Aria lamp?", True),
        ("Thank you for your purchase receipt-7", False),
    ]
    assert to(installation.text, BOB["phone"]) == []
    profile = await installation.read(f"/v1/profiles/phone/{BOB['phone']}")
    assert [(s["item"], s["reason"]) for s in profile["suppressions"]] == [("lamp", "purchased")]
    assert [(p["order_id"], p["channel"]) for p in profile["purchases"]] == [("receipt-7", "store")]


async def test_a_throttled_message_waits_for_the_reset_and_is_sent_once(installation: Installation) -> None:
    email = "throttled@example.com"
    installation.mail.script(Mode.named("throttle", reset_in_s=4.0))
    await lapse(installation, email=email)
    given_back = await installation.settled(email, "we_miss_you", "released")
    [claim] = await installation.rows(
        "SELECT claimed_at FROM message WHERE message_id = $1", given_back["message_id"]
    )
    await installation.settled(email, "we_miss_you", "sent")

    first, second = calls_for(installation.mail, email)
    assert claim["claimed_at"] is None
    assert second.at >= int(first.at + 4.0)
    assert len(to(installation.mail, email)) == 1
    assert [d["verdict"] for d in await installation.decisions(email)] == ["allow", "allow"]


async def test_a_provider_that_takes_no_connection_gets_the_message_later_and_once(
    installation: Installation,
) -> None:
    email = "refused@example.com"
    await installation.mail.refuse()
    try:
        await lapse(installation, email=email)
        await installation.settled(email, "we_miss_you", "released")
    finally:
        await installation.mail.listen()
    await installation.settled(email, "we_miss_you", "sent", within_s=40)

    assert len(to(installation.mail, email)) == 1


async def test_invariant_3_a_message_whose_answer_was_lost_is_never_sent_again(
    installation: Installation,
) -> None:
    people = {mode: f"{mode.replace('_', '-')}@example.com" for mode in LOST}
    before = len(installation.mail.calls)
    for count, (mode, email) in enumerate(people.items(), 1):
        installation.mail.script(mode)
        await lapse(installation, email=email)
        await installation.mail.arrived(before + count)
    unknown = [installation.settled(email, "we_miss_you", "unknown") for email in people.values()]
    await asyncio.gather(*unknown)
    await asyncio.gather(*(no_send_is_pending(installation, email, "win-back") for email in people.values()))

    assert [call.mode for call in installation.mail.calls[before:]] == list(LOST)
    received = [mode for mode, email in people.items() if to(installation.mail, email)]
    assert received == [mode for mode in LOST if mode.startswith("accept")]


async def test_a_text_whose_answer_was_lost_is_not_followed_by_a_mail(installation: Installation) -> None:
    who = {"email": "lost-text@example.com", "phone": "+4915111111111"}
    run = await fill_a_cart(installation, "cart-lost-text", **who)
    await installation.passes(run, timedelta(hours=2))
    await installation.settled(who["email"], "cart_reminder", "sent")
    installation.text.script("accept_then_reset")
    await installation.passes(run, timedelta(days=4))
    await installation.settled(who["email"], "cart_offer", "unknown")
    ended = await installation.ended(who["email"], "cart-abandonment")

    assert ended["outcome"] == "nudged"
    assert len(calls_for(installation.text, who["phone"])) == 1
    assert len(to(installation.mail, who["email"])) == 1


async def test_a_number_that_is_no_mobile_gets_a_mail_instead_and_no_text_again(
    installation: Installation,
) -> None:
    who = {"email": "landline@example.com", "phone": "+4930222222222"}
    run = await fill_a_cart(installation, "cart-landline", **who)
    installation.text.script(Mode.named("reject", code=21614))
    await installation.passes(run, timedelta(days=2))
    await installation.settled(who["email"], "cart_offer", "sent")
    another = LAMP | {"cart_id": "cart-landline-2"}
    await installation.happens("Product Added", another, time=NOON + timedelta(days=9), **who)

    async def begun() -> dict[str, object] | None:
        newest = await installation.run(who["email"], "cart-abandonment")
        return newest if newest["key"] == "cart-landline-2" else None

    await installation.passes(await installation.until(begun), timedelta(days=4))
    await installation.ended(who["email"], "cart-abandonment")

    assert [fields(call.request)["To"] for call in calls_for(installation.text, who["phone"])] == [
        who["phone"]
    ]
    reasons = [d["reason"] for d in await installation.decisions(who["email"]) if d["channel"] == "sms"]
    assert reasons == [None, "bounced"]


async def test_an_address_that_the_provider_refuses_is_not_written_to_again(
    installation: Installation,
) -> None:
    email = "no-such-box@example.com"
    installation.mail.script("reject")
    await lapse(installation, email=email)
    refused = await installation.settled(email, "we_miss_you", "released", "withheld")
    await no_send_is_pending(installation, email, "win-back")
    run = await fill_a_cart(installation, "cart-no-such-box", email=email)
    await installation.passes(run, timedelta(hours=2))
    withheld = await installation.settled(email, "cart_reminder", "withheld")

    assert (refused["reason"], withheld["reason"]) == ("bounced", "bounced")
    assert len(calls_for(installation.mail, email)) == 1
