"""The workflow sandbox: all that a shipped journey imports is passed through on purpose, and nothing else."""

from dataclasses import replace

import pytest
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions
from temporalio.workflow import SandboxImportNotificationPolicy as Policy

from journeys.registry import SHIPPED
from journeys.vocabulary import Journey
from local.temporal_server import TemporalDevServer
from profiles.db.sql import new_id
from tests.unrehearsed import Careless
from workers.worker import create_workflow_runner


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
