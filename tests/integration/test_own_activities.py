"""The names an author's activity may not take are those that the worker registers itself."""

from pydantic import SecretStr
from temporalio import activity
from temporalio.client import Client

from activities.channels.registry import ChannelRegistry
from activities.settings import ActivitySettings
from journeys.registry import BUILT_IN_ACTIVITIES, SHIPPED, JourneyRegistry
from local.temporal_server import TemporalDevServer
from profiles.db.database import Database
from workers.settings import WorkerSettings
from workers.worker import build_workers


async def test_the_names_that_are_taken_are_exactly_those_the_worker_registers(
    temporal: TemporalDevServer, database: Database
) -> None:
    # Workers that never run stay registered with their client: none of the other tests may use it.
    client = await Client.connect(temporal.address)
    workers = build_workers(
        client,
        database,
        JourneyRegistry(SHIPPED),
        ChannelRegistry({}, {}),
        ActivitySettings(secrets=(SecretStr("a secret of tests, which is long enough"),)),
        WorkerSettings(waypost_local=True, waypost_versioning=False),
    )
    functions = [function for worker in workers for function in worker.config()["activities"]]
    names = {activity._Definition.must_from_callable(function).name for function in functions}

    assert names == BUILT_IN_ACTIVITIES
