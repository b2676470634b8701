"""Which arm of an experiment a run was given: the first word stands, and it follows the person."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from profiles.db.sql import new_id
from profiles.runs.exposures import list_exposures, record_exposures
from tests.support.environments.ingest import CARTS, LAMP, IngestHarness

JOURNEYS = (CARTS,)

ADA = "ada@example.com"

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


async def started(facts: IngestHarness) -> UUID:
    """A run of the journey "carts"."""
    await facts.happens("Product Added", LAMP | {"cart_id": "c"}, email=ADA)
    [run] = await facts.runs()
    assert isinstance(run["run_id"], UUID)
    return run["run_id"]


async def test_the_first_arm_of_an_experiment_stands_however_often_it_is_told(facts: IngestHarness) -> None:
    run_id = await started(facts)
    later = NOON + timedelta(hours=1)
    async with facts.database.transaction() as connection:
        await record_exposures(connection, run_id, [("offer", "ten", NOON), ("offer", "none", NOON)])
        await record_exposures(connection, run_id, [("offer", "none", later), ("tone", "dry", later)])
        await record_exposures(connection, run_id, [])
        found = await list_exposures(connection, run_id)

    assert [(one.experiment, one.arm, one.at) for one in found] == [
        ("offer", "ten", NOON),
        ("tone", "dry", later),
    ]
    assert await facts.rows("SELECT DISTINCT journey, profile_id FROM exposure") == [
        {"journey": "carts", "profile_id": await facts.who("email", ADA)}
    ]


async def test_no_run_no_exposure(facts: IngestHarness) -> None:
    async with facts.database.transaction() as connection:
        await record_exposures(connection, new_id(), [("offer", "ten", NOON)])

    assert await facts.values("SELECT count(*) FROM exposure") == [0]
