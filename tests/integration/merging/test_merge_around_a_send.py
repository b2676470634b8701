"""Who a person is changes around a send: what waits, what is queued, ad audiences; and guards taken out."""

from typing import Any
from uuid import UUID

import pytest

from activities.gate.send_gate import SendGate
from authoring.testing.calendar import DEFAULT_START
from policy.limits import Limits
from policy.verdict import Channel
from profiles.merging import reassign, rebuild
from profiles.messaging import claims
from profiles.messaging.snapshot import Snapshot, SnapshotQuery
from profiles.runs import outbox
from tests.support.builders.two_profiles import TwoPeople, word
from tests.support.environments.gate import GateHarness
from tests.support.faults.paused_send import CAPS_ONLY, LATER, Ringing, SendStep, sends_through, waits_for

NIGHT = DEFAULT_START.replace(hour=21)
"""23:00 in Berlin."""


@pytest.fixture
def two(gate_env: GateHarness) -> TwoPeople:
    """Two people, and a provider whose calls may hang."""
    gate_env.gate = SendGate(gate_env.database, CAPS_ONLY)
    gate_env.ledgers[Channel.EMAIL] = Ringing(Channel.EMAIL, gate_env.database)
    return TwoPeople(gate_env, 1)


async def to_the_profile_it_began_with(connection: Any, ask: SnapshotQuery) -> Snapshot | None:
    """The gate's reading without following a merge that it waited for."""
    return await claims.read_snapshot(connection, None, ask)


async def nothing(*given: Any) -> None:
    """Do nothing."""


@pytest.mark.parametrize("brings", ["a purchase", "a no"])
async def test_the_table_fails_where_the_gate_does_not_follow_a_merge_that_it_waited_for(
    two: TwoPeople, brings: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await two.the_other_comes(brings)
    run_id = await two.ada_leaves_a_lamp()
    ada_was = await two.who(email=two.ada["email"])
    monkeypatch.setattr("activities.gate.send_gate.read_locked_snapshot", to_the_profile_it_began_with)
    await sends_through(two.env, two.ask(run_id), SendStep.WAITING, lambda pool: two.joined(pool, brings))

    assert ada_was in await two.owners_of(run_id)
    assert len(await two.owners_of(run_id)) == 2


@pytest.mark.parametrize(
    ("module", "name", "spoilt", "brings"),
    [
        pytest.param(
            *(reassign, "MOVE_PROFILE_ROWS"),
            tuple(move for move in reassign.MOVE_PROFILE_ROWS if "message" not in move),
            "both mails of two",
            id="messages do not go along",
        ),
        pytest.param(
            rebuild,
            "sync_suppressions",
            nothing,
            "a purchase",
            id="a purchase does not reach who they both are",
        ),
    ],
)
async def test_the_table_fails_where_something_is_left_out_of_a_merge(
    two: TwoPeople, module: object, name: str, spoilt: object, brings: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, name, spoilt)
    run_id = await two.leave_a_lamp("ada", brings)
    sent = await sends_through(two.env, two.ask(run_id), SendStep.UNCLAIMED, two.joined)

    assert word(sent) == "sent"


@pytest.mark.parametrize("older", ["ada", "the other"], ids="{} is older".format)
@pytest.mark.parametrize(
    ("brings", "expected"), [("nothing", "sent"), ("a purchase", "purchased"), ("a no", "opted_out")]
)
async def test_a_message_that_was_put_off_passes_the_whole_gate_again_with_the_facts_of_both(
    two: TwoPeople, brings: str, expected: str, older: str
) -> None:
    two.env.gate = SendGate(two.env.database, Limits())
    run_id = await two.leave_a_lamp(older, brings)
    if brings == "a no":
        await two.env.takes("Identify", {}, traits={"consents": {"sms": False}}, **two.card)
    request = two.env.ask(run_id, "text", "lamp", channel=Channel.SMS, at=NIGHT)
    put_off = await two.env.sends(request, at=NIGHT)
    await two.joined(two.env.database)
    assert put_off.until is not None
    woken = await two.env.sends(request, at=put_off.until)

    assert (put_off.status.value, word(woken)) == ("deferred", expected)
    assert len(two.env.ledgers[Channel.SMS].accepted) == int(expected == "sent")


@pytest.mark.parametrize("older", ["ada", "the other"], ids="{} is older".format)
@pytest.mark.parametrize(("brings", "reason"), [("a purchase", "purchased"), ("a no", "opted_out")])
async def test_who_is_in_an_ad_audience_leaves_it_for_what_the_other_had_bought_or_refused(
    two: TwoPeople, brings: str, reason: str, older: str
) -> None:
    run_id = await two.leave_a_lamp(older, brings)
    if brings == "a no":
        await two.env.takes("Identify", {}, traits={"consents": {"ads": False}}, **two.card)
    joined = await two.env.allowed(two.ask(run_id, channel=Channel.ADS))
    await two.joined(two.env.database)
    again = await two.env.allowed(two.ask(run_id, "another", channel=Channel.ADS), at=LATER)

    assert (joined, again) == (("lamp",), ())
    [member] = await two.env.fetch_rows("SELECT member_id, state, reason, profile_id FROM audience_member")
    assert (member["state"], member["reason"]) == ("leaving", reason)
    assert member["profile_id"] == await two.who(**two.card)
    assert await queue(two.env, member["member_id"]) == ["add", "remove"]


async def test_an_ad_audience_is_not_entered_where_the_merge_was_waited_for(two: TwoPeople) -> None:
    await two.the_other_comes("a purchase")
    run_id = await two.ada_leaves_a_lamp()
    entering = two.env.allowed(two.ask(run_id, channel=Channel.ADS))

    assert await waits_for(two.env, two.joined, entering) == ()
    assert await two.env.fetch_rows("SELECT 1 FROM audience_member") == []


async def queue(gate_env: GateHarness, lane: UUID) -> list[str]:
    """What a lane's other side is told, in the order in which the relay hands it out."""
    told = []
    async with gate_env.database.transaction() as connection:
        while row := next(
            (row for row in await outbox.lock_batch(connection, 100) if row.lane == lane), None
        ):
            told.append(row.name)
            await outbox.mark_delivered(connection, [row.seq], {})
    return told


@pytest.mark.parametrize("older", ["ada", "the other"], ids="{} is older".format)
async def test_what_a_run_has_not_been_told_yet_is_told_in_order_and_so_is_what_comes_under_either_name(
    two: TwoPeople, older: str
) -> None:
    run_id = await two.leave_a_lamp(older)
    cart = {"cart_id": two.carts[0]}
    await two.env.takes("Checkout Started", cart, **two.ada)
    await two.joined(two.env.database)
    await two.env.takes("Product Removed", {"product_id": "lamp", **cart}, phone=two.ada["phone"])
    await two.env.takes("Product Added", {"product_id": "chair", **cart}, **two.card)
    await two.env.takes("Order Completed", two.env.order("chair", order_id="o-2"), **two.work)

    names = ["Product Added", "Checkout Started", "Product Removed", "Product Added", "Order Completed"]
    assert await queue(two.env, run_id) == names


async def test_a_call_back_about_a_message_of_the_younger_one_reaches_its_run(two: TwoPeople) -> None:
    await two.the_other_comes()
    run_id = await two.ada_leaves_a_lamp()
    sent = await two.env.sends(two.ask(run_id))
    await two.joined(two.env.database)
    await two.env.takes("Message Clicked", {"message_id": sent.message_id})

    assert (await queue(two.env, run_id))[-1] == "Message Clicked"
    assert (await two.env.message(run_id, "reminder"))["status"] == "clicked"
