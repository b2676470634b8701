"""Invariant 6: caps of journeys, topics and calendar periods hold, and the last slot goes to who is first."""

from datetime import timedelta
from uuid import UUID

import pytest

from activities.gate.send_gate import SendClaim, SendGate
from policy.limits import CapReachedAction, Limits
from policy.verdict import Defer, Reason, Withhold
from tests.integration.invariants.test_invariant_6_caps_and_quiet_hours import DAY
from tests.support.builders.priority_slot import SLOT, asked, one_waits
from tests.support.environments.gate import GateHarness, shopper


@pytest.mark.parametrize("ends", ["expires", "sent", "withheld", "run ended", "lets its turn pass"])
async def test_a_slot_is_kept_no_longer_than_somebody_waits_for_it(gate_env: GateHarness, ends: str) -> None:
    important, until, other_run = await one_waits(gate_env)
    at = until
    match ends:
        case "expires":
            await gate_env.fetch_rows("UPDATE message SET expires_at = $1 WHERE step = 'important'", at)
        case "sent":
            assert isinstance(await asked(gate_env, gate_env.gate, important, "marketing", until), SendClaim)
            at = until + DAY
        case "withheld":
            await gate_env.takes("Order Completed", gate_env.order("lamp", order_id="o-1"), **shopper(1))
            assert isinstance(await asked(gate_env, gate_env.gate, important, "marketing", until), Withhold)
        case "run ended":
            await gate_env.fetch_rows(
                "UPDATE run SET state = 'ended' WHERE run_id = $1", UUID(important.run_id)
            )
        case _:
            at = until + timedelta(hours=1)
    before = await asked(
        gate_env, gate_env.gate, gate_env.ask(other_run, "a", "chair", at=at), "marketing", at
    )

    assert isinstance(before, SendClaim)


async def test_one_that_yields_and_waits_gets_the_next_slot(gate_env: GateHarness) -> None:
    important, until, other_run = await one_waits(gate_env)
    gate_env.gate = SendGate(
        gate_env.database, Limits(SLOT.caps, {}, priorities=SLOT.priorities, when_capped=WAITING)
    )
    lower = gate_env.ask(other_run, "patient", "chair", at=until).model_copy(
        update={"expires_at": until + 2 * DAY}
    )
    first = await asked(gate_env, gate_env.gate, lower, "marketing", until)
    assert isinstance(await asked(gate_env, gate_env.gate, important, "marketing", until), SendClaim)
    assert isinstance(first, Defer)
    second = await asked(gate_env, gate_env.gate, lower, "marketing", first.until)

    assert (first.reason, first.until) == (Reason.LOWER_PRIORITY, until + timedelta(minutes=5))
    assert isinstance(second, Defer)
    assert (second.reason, second.until) == (Reason.CAPPED, until + DAY)
    assert isinstance(await asked(gate_env, gate_env.gate, lower, "marketing", second.until), SendClaim)


WAITING = {"cart-abandonment": CapReachedAction.WAIT}


async def test_what_waits_for_one_of_two_keeps_its_place_when_they_become_one(gate_env: GateHarness) -> None:
    _, at, _ = await one_waits(gate_env)
    stranger = await gate_env.leaves_cart(
        ["desk"], cart_id="c-3", email="ada@work.example", loyalty_id="card-1"
    )
    await gate_env.takes("Identify", {}, **shopper(1), loyalty_id="card-1")
    verdict = await asked(
        gate_env, gate_env.gate, gate_env.ask(stranger, "mail", "desk", at=at), "marketing", at
    )

    assert isinstance(verdict, Withhold)
    assert verdict.reason is Reason.LOWER_PRIORITY
    assert verdict.detail.startswith("the slot left of 1 on email in 1 day: 1 of win-back waiting go first")


async def test_who_asks_again_while_waiting_keeps_its_place(gate_env: GateHarness) -> None:
    important, until, run_id = await one_waits(gate_env)
    equal = gate_env.ask(run_id, "equal", "chair", at=until).model_copy(
        update={"journey": "win-back", "when_capped": "wait"}
    )
    assert isinstance(
        await asked(gate_env, gate_env.gate, equal, "marketing", until - timedelta(hours=2)), Defer
    )
    assert isinstance(
        await asked(gate_env, gate_env.gate, important, "marketing", until - timedelta(hours=1)), Defer
    )
    second = await asked(gate_env, gate_env.gate, equal, "marketing", until)

    assert isinstance(second, Defer)
    assert second.reason is Reason.LOWER_PRIORITY
    assert isinstance(await asked(gate_env, gate_env.gate, important, "marketing", until), SendClaim)
