"""kill -9 and SIGSTOP of the worker at every point of a send: nobody gets the same message twice.

One scenario holds all points, because a send whose worker died is tried again only after its
start-to-close timeout, 30 seconds of real time.
"""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.environments.installation import installed
from tests.support.faults.kill_worker import (
    AFTER_ACCEPT,
    AFTER_RECORD,
    BEFORE_ACCEPT,
    BEFORE_CLAIM,
    FROZEN,
    PER_POINT,
    POINTS,
    Aftermath,
    message,
    one_round,
)
from tests.support.proof_size import FULL, size

pytestmark = [pytest.mark.proof, pytest.mark.timeout(1200 if FULL else 180)]

ROUNDS = size(ci=1, full=7)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def aftermath(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Aftermath]:
    async with installed(tmp_path_factory.mktemp("waypost"), processes=("api", "relay")) as installation:
        left = Aftermath(installation)
        for number in range(ROUNDS):
            await one_round(left, number)
        yield left


async def test_invariant_3_no_kill_at_any_point_of_a_send_sends_it_twice(aftermath: Aftermath) -> None:
    assert all(len(aftermath.killed[point]) == ROUNDS * PER_POINT for point in POINTS)
    assert max(aftermath.times().values()) == 1
    assert len(aftermath.hidden) == ROUNDS * PER_POINT


async def test_a_send_killed_before_its_claim_is_sent_by_the_next_attempt(aftermath: Aftermath) -> None:
    killed = aftermath.killed[BEFORE_CLAIM]

    assert await aftermath.statuses(killed) == {"sent": len(killed)}
    assert all(aftermath.times()[address] == 1 for address in killed)


async def test_a_send_killed_between_claim_and_record_is_unknown(aftermath: Aftermath) -> None:
    killed = aftermath.killed[BEFORE_ACCEPT] + aftermath.killed[AFTER_ACCEPT]

    assert await aftermath.statuses(killed) == {"unknown": len(killed)}


async def test_a_send_killed_after_its_record_is_known_to_be_sent(aftermath: Aftermath) -> None:
    killed = aftermath.killed[AFTER_RECORD]

    assert await aftermath.statuses(killed) == {"sent": len(killed)}
    assert all(aftermath.times()[address] == 1 for address in killed)


async def test_a_frozen_worker_does_not_send_what_another_one_gave_up(aftermath: Aftermath) -> None:
    [calling, recording, claiming] = (aftermath.frozen[point][-1] for point in FROZEN)
    times = aftermath.times()

    assert [aftermath.before_thaw[one] for one in (calling, recording, claiming)] == ["unknown"] * 3
    assert [times[one] for one in (calling, recording, claiming)] == [0, 1, 0]


async def test_the_holders_own_late_record_replaces_unknown(aftermath: Aftermath) -> None:
    frozen = aftermath.frozen["frozen before its record"]

    assert await aftermath.statuses(frozen) == {"sent": len(frozen)}


async def test_a_claim_that_its_holder_learns_of_too_late_is_given_back_and_made_anew(
    aftermath: Aftermath,
) -> None:
    installation = aftermath.installation

    for address in aftermath.hesitant:
        verdicts = [decision["verdict"] for decision in await installation.decisions(address)]
        assert (verdicts, aftermath.times()[address]) == (["allow", "allow"], 1)
    assert await aftermath.statuses(aftermath.hesitant) == {"sent": ROUNDS}


async def test_a_delivery_reported_later_settles_an_unknown(aftermath: Aftermath) -> None:
    installation = aftermath.installation
    address = sorted(aftermath.hidden)[0]
    unknown = await message(installation, address)
    await installation.happens("Message Delivered", {"message_id": unknown["message_id"]})

    assert unknown["status"] == "unknown"
    assert (await message(installation, address))["status"] == "delivered"
