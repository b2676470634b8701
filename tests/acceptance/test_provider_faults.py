"""Providers that refuse, stall or break off: what was not sent is sent later, what may have been is not."""

import asyncio
from datetime import timedelta

from tests.support.environments.installation import LAMP, NOON, YES, Installation
from tests.support.fakes import FakeProvider, Mode
from tests.support.fakes.provider import ReceivedRequest
from tests.support.fakes.twilio import fields

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


def taken(provider: FakeProvider, address: str) -> int:
    return sum(one.to == address for one in provider.delivered)


async def no_send_is_pending(installation: Installation, email: str, journey: str) -> None:
    """Until the run has gone on from its send, so that none is left to be tried again."""
    handle = await installation.handle(await installation.run(email, journey))

    async def goes_on() -> bool:
        return not (await handle.describe()).raw_description.pending_activities

    await installation.until(goes_on)


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
    assert taken(installation.mail, email) == 1
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

    assert taken(installation.mail, email) == 1


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
    received = [mode for mode, email in people.items() if taken(installation.mail, email)]
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
    assert taken(installation.mail, who["email"]) == 1


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
