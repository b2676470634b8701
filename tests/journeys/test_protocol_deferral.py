"""A deferred message waits in the journey, and passes the whole gate again when it wakes."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from authoring.testing.calendar import DEFAULT_START
from authoring.testing.environment import Row, Waypost

LAMP = {"product_id": "lamp", "name": "Aria lamp", "price": 39.0, "cart_id": "c-1"}
ADA: Row = {"email": "ada@example.com", "phone": "+4915112345678"}
YES = {"consents": {"email": True, "sms": True, "ads": True}, "timezone": "Europe/Berlin"}
BERLIN = ZoneInfo("Europe/Berlin")


def evening_of_the_day_before(change: timedelta) -> datetime:
    """20:30 in Berlin, two evenings before the next day on which the clocks move by ``change``."""
    day = DEFAULT_START.astimezone(BERLIN).replace(hour=20, minute=30)
    while (day + timedelta(days=2)).replace(hour=12).utcoffset() != _offset(day, 1) + change:
        day += timedelta(days=1)
    return day.astimezone(UTC)


def _offset(day: datetime, later: int) -> timedelta:
    return (day + timedelta(days=later)).replace(hour=12).utcoffset() or timedelta(0)


async def deferred(waypost: Waypost, start: datetime) -> Row:
    """A cart whose offer by SMS is due at 21:30: the run, with the message deferred."""
    waypost.clock = start
    await waypost.ingest_event("Product Added", LAMP, traits=YES, **ADA)
    run = await waypost.run("cart-abandonment")
    await waypost.advance_run(run, timedelta(hours=25, minutes=5))
    await waypost.wait_for_rows("SELECT 1 FROM message WHERE template = 'cart_offer' AND status = 'deferred'")
    return run


async def decisions_on_the_offer(waypost: Waypost) -> list[tuple[str, str | None]]:
    return [(d["verdict"], d["reason"]) for d in await waypost.decisions() if d["template"] == "cart_offer"]


async def test_an_sms_due_at_night_is_sent_at_eight_by_the_recipients_clock_when_clocks_go_forward(
    waypost: Waypost,
) -> None:
    start = evening_of_the_day_before(timedelta(hours=1))
    run = await deferred(waypost, start)
    await waypost.advance_run(run, timedelta(hours=12))

    [offer] = [m for m in await waypost.messages() if m["template"] == "cart_offer"]
    assert offer["status"] == "sent"
    local = offer["sent_at"].astimezone(BERLIN)
    assert local.hour == 8
    assert local.minute < 15
    assert offer["sent_at"].hour == 6
    assert await decisions_on_the_offer(waypost) == [("defer", "quiet_hours"), ("allow", None)]


async def test_an_sms_due_at_night_is_sent_at_eight_by_the_recipients_clock_when_clocks_go_back(
    waypost: Waypost,
) -> None:
    run = await deferred(waypost, evening_of_the_day_before(-timedelta(hours=1)))
    await waypost.advance_run(run, timedelta(hours=13))

    [offer] = [m for m in await waypost.messages() if m["template"] == "cart_offer"]
    assert offer["sent_at"].astimezone(BERLIN).hour == 8
    assert offer["sent_at"].hour == 7


async def test_what_was_bought_while_a_message_waited_is_withheld_although_the_run_was_not_told(
    waypost: Waypost,
) -> None:
    run = await deferred(
        waypost, DEFAULT_START.astimezone(BERLIN).replace(hour=20, minute=30).astimezone(UTC)
    )
    # Taken in, and not delivered: the relay is away.
    order = {"order_id": "o-1", "products": [{"product_id": "lamp"}]}
    await waypost.ingest([waypost.build_event("Order Completed", order, **ADA)])
    await waypost.skipper.fast_forward(waypost.handle(run), timedelta(days=3))

    assert (await waypost.run_result(run)).outcome == "nudged"
    assert await decisions_on_the_offer(waypost) == [("defer", "quiet_hours"), ("withhold", "purchased")]
    assert [m["channel"] for m in await waypost.sandbox_messages()] == ["email"]


async def test_a_purchase_ends_a_deferral_at_once(waypost: Waypost) -> None:
    run = await deferred(
        waypost, DEFAULT_START.astimezone(BERLIN).replace(hour=20, minute=30).astimezone(UTC)
    )
    await waypost.ingest_event(
        "Order Completed", {"order_id": "o-1", "products": [{"product_id": "lamp"}]}, **ADA
    )

    assert (await waypost.run_result(run)).outcome == "bought"
    # What it promotes is on record as its worth, in case somebody else wants the same slot.
    assert [m["value"] for m in await waypost.messages() if m["template"] == "cart_offer"] == [39.0]
    assert await decisions_on_the_offer(waypost) == [("defer", "quiet_hours")]
