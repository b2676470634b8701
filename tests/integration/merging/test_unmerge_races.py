"""Two people are parted while something waits, or is on its way: it is about whose it is by then."""

from uuid import UUID

import pytest
import pytest_asyncio

from activities.gate.send_gate import SendClaim
from authoring.testing.calendar import DEFAULT_START
from profiles.messaging.preference_tokens import PreferenceClaim
from profiles.runs.lifecycle import close_run
from profiles.views.preferences import load_subscriber
from tests.support.builders.two_profiles import TwoPeople
from tests.support.environments.gate import GateHarness
from tests.support.faults.paused_send import LATER, waits_for


@pytest.fixture
def two(gate_env: GateHarness) -> TwoPeople:
    """Two people whom nobody has seen yet."""
    return TwoPeople(gate_env, 1)


@pytest_asyncio.fixture(params=["ada", "the other"], ids="{} is younger".format, loop_scope="session")
async def run_id(two: TwoPeople, request: pytest.FixtureRequest) -> UUID:
    """The two have been taken to be one, and Ada has left a cart: its run."""
    return await two.are_one(request.param)


async def test_what_a_closing_run_did_not_hear_is_routed_for_whose_run_it_is(
    gate_env: GateHarness, two: TwoPeople, run_id: UUID
) -> None:
    unheard = gate_env.build_event("Checkout Started", {"cart_id": two.carts[0]}, **two.ada)
    [taken] = await gate_env.ingest([unheard])
    closing = close_run(
        gate_env.database,
        gate_env.journeys.routes,
        run_id,
        outcome="nudged",
        seen_event_ids=[],
        at=LATER,
        local=True,
    )
    closed = await waits_for(gate_env, two.parted, closing)
    ada = await two.who(email=two.ada["email"])

    assert closed.rerouted == 1
    assert await gate_env.fetch_rows("SELECT profile_id FROM event WHERE event_id = $1", taken.event_id) == [
        {"profile_id": ada}
    ]
    assert await gate_env.fetch_rows("SELECT DISTINCT profile_id FROM run") == [{"profile_id": ada}]


async def test_a_call_back_about_a_message_reaches_the_run_that_sent_it(
    gate_env: GateHarness, two: TwoPeople, run_id: UUID
) -> None:
    sent = await gate_env.sends(two.ask(run_id), at=DEFAULT_START)
    clicked = gate_env.ingest(
        [gate_env.build_event("Message Clicked", {"message_id": sent.message_id}, event_id="click")]
    )
    await waits_for(gate_env, two.parted, clicked)

    told = await gate_env.fetch_rows(
        "SELECT name FROM outbox WHERE lane = $1 ORDER BY seq DESC LIMIT 1", run_id
    )
    assert told == [{"name": "Message Clicked"}]
    assert await gate_env.fetch_rows("SELECT profile_id FROM event WHERE id = 'click'") == [
        {"profile_id": await two.who(email=two.ada["email"])}
    ]


async def test_a_message_on_its_way_is_told_to_the_operator_who_parts_the_two(
    gate_env: GateHarness, two: TwoPeople, run_id: UUID
) -> None:
    """It may be in the wrong letter box as well as one that is recorded."""
    await gate_env.claims(two.ask(run_id))
    parted = await two.parted(gate_env.database)

    assert parted.sent_message_ids == ((await gate_env.message(run_id, "reminder"))["message_id"],)


async def test_the_preference_page_of_a_message_shows_whoever_reads_that_address(
    gate_env: GateHarness, two: TwoPeople, run_id: UUID
) -> None:
    claim = await gate_env.claims(two.ask(run_id))
    assert isinstance(claim, SendClaim)
    link = PreferenceClaim(str(claim.snapshot.profile_id), str(claim.message_id), "email", "marketing")
    await two.parted(gate_env.database)
    shown = await gate_env.database.run(lambda connection: load_subscriber(connection, link))

    mails = [one.value for one in shown.identifiers if one.type == "email"]
    assert mails == [claim.address]
