"""The workflow sandbox: all that a shipped journey imports is passed through on purpose, and nothing else."""

from dataclasses import replace

import pytest
from pydantic import SecretStr
from temporalio import activity
from temporalio.client import Client
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions
from temporalio.workflow import SandboxImportNotificationPolicy as Policy

from activities.channels.registry import ChannelRegistry
from activities.settings import ActivitySettings
from journeys.registry import BUILT_IN_ACTIVITIES, SHIPPED, JourneyRegistry
from journeys.vocabulary import Journey
from local.temporal_server import TemporalDevServer
from profiles.db.database import Database
from profiles.db.sql import new_id
from tests.support.journeys.bad_import import Careless
from workers.settings import WorkerSettings
from workers.worker import build_workers, create_workflow_runner


def worker_of(
    journeys: list[type[Journey]],
    temporal: TemporalDevServer,
    restrictions: SandboxRestrictions | None = None,
) -> Worker:
    """A worker whose sandbox refuses what the product's own would import anew for every run."""
    strict = (restrictions or create_workflow_runner().restrictions).with_import_notification_policy(
        Policy.WARN_ON_DYNAMIC_IMPORT | Policy.RAISE_ON_UNINTENTIONAL_PASSTHROUGH
    )
    return Worker(
        temporal.client,
        task_queue=f"never-polled-{new_id()}",
        workflows=journeys,
        workflow_runner=SandboxedWorkflowRunner(restrictions=strict),
    )


def reasons(error: BaseException) -> str:
    """What an error and its causes say."""
    return f"{error} {reasons(error.__cause__)}" if error.__cause__ else str(error)


@pytest.mark.parametrize("shipped", SHIPPED, ids=lambda cls: cls.definition.name)
async def test_every_import_of_a_shipped_journey_is_passed_through_on_purpose(
    shipped: type[Journey], temporal: TemporalDevServer
) -> None:
    assert worker_of([shipped], temporal).task_queue.startswith("never-polled")


async def test_a_journey_that_imports_the_database_is_refused(temporal: TemporalDevServer) -> None:
    with pytest.raises(RuntimeError) as refused:
        worker_of([Careless], temporal)

    assert "sqlmodel was not intentionally passed through" in reasons(refused.value)


async def test_without_its_list_of_modules_the_sandbox_would_import_the_vocabulary_for_every_run(
    temporal: TemporalDevServer,
) -> None:
    restrictions = create_workflow_runner().restrictions
    fewer = restrictions.passthrough_modules - {"journeys.vocabulary", "profiles"}
    with pytest.raises(RuntimeError) as refused:
        worker_of(list(SHIPPED), temporal, replace(restrictions, passthrough_modules=fewer))

    assert "journeys.vocabulary was not intentionally" in reasons(refused.value)


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
