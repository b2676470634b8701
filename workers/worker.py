"""The journey worker: workflows and short activities on one task queue, sends on one queue per channel."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from typing import Any

import structlog
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.service import RPCError
from temporalio.worker import Worker, WorkerDeploymentConfig
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.audiences import AudienceActivities
from activities.channels.circuit_breaker import CircuitBreakers
from activities.channels.registry import ChannelRegistry
from activities.close_run import RunActivities
from activities.content.templates import TemplateRegistry
from activities.contracts import JOURNEY_QUEUE, send_queue
from activities.data_converter import RedactingInterceptor
from activities.gate.batching import GateBatcher
from activities.gate.send_gate import SendGate
from activities.message_renderer import MessageRenderer
from activities.profile import ProfileActivities
from activities.send_message import MessageActivities
from activities.settings import ActivitySettings
from activities.sweeps import (
    OptInSweepActivities,
    SegmentActivities,
    SweepActivities,
    TemplateSweepActivities,
)
from journeys.registry import JourneyRegistry
from journeys.vocabulary.segment import Segment
from policy.checks.suppression import rule_for
from policy.limits import Limits
from policy.verdict import Channel
from profiles.db.database import Database
from profiles.error_description import describe_error
from profiles.ingest.pipeline import Ingest, IngestConfig
from profiles.messaging.preference_tokens import PreferenceTokens
from workers.heartbeat import Heartbeat
from workers.polling import watch_polls
from workers.process import run_until_signal
from workers.sandbox import create_sandbox_store
from workers.schedules import (
    SegmentSweepWorkflow,
    SweepWorkflow,
    ensure_segment_schedules,
    ensure_sweep_schedules,
)
from workers.settings import WorkerSettings
from workers.startup import (
    declared_segments,
    load_checked_journeys,
    load_policy,
    store_policy_limits,
    validate_segments,
    wait_for_schema,
)
from workers.temporal_client import connect_temporal, try_search_attributes

log = structlog.get_logger("worker")

PASSTHROUGH_MODULES = (
    "journeys.vocabulary",
    "profiles",
    "policy",
    "activities",
    "temporalio",
)
"""Modules that the workflow sandbox does not import again for every run; none does I/O in a workflow.

Journey modules stay in the sandbox, so that a clock or random number in them is detected.
"""

MAX_CONCURRENT_SENDS = 16
"""Per channel and worker; as many as the threads of the mail adapter."""

_MAX_CONNECT_AGE_S = 120.0
"""Seconds that one attempt to connect may take, with its schedules."""

SENDING_CHANNELS = (Channel.EMAIL, Channel.SMS, Channel.PUSH)


def create_workflow_runner() -> SandboxedWorkflowRunner:
    """Return the sandboxed runner of journey workflows."""
    return SandboxedWorkflowRunner(
        restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSTHROUGH_MODULES)
    )


def build_workers(
    client: Client,
    database: Database,
    journeys: JourneyRegistry,
    channels: ChannelRegistry,
    settings: ActivitySettings,
    worker_settings: WorkerSettings,
    *,
    limits: Limits | None = None,
    templates: TemplateRegistry | None = None,
) -> list[Worker]:
    """Build the workers: one for journeys with the short activities, and one per sending channel.

    ``templates``: the messages of these journeys, if they are loaded already.
    """
    limits = limits or settings.policy.limits
    if templates is None:
        templates = TemplateRegistry.load([definition.folder for definition in journeys.values()])
    tokens = PreferenceTokens([secret.get_secret_value() for secret in settings.secrets])
    gate = GateBatcher(
        SendGate(
            database,
            limits,
            default_zone=settings.default_timezone,
            first_contacts=settings.first_contact_limits,
        )
    )
    breakers, renderer = CircuitBreakers(limits.breaker), MessageRenderer(settings, tokens)
    messages = MessageActivities(database, gate, channels, templates, renderer, breakers)
    grace = timedelta(seconds=worker_settings.worker_grace_s)
    journey_worker = Worker(
        client,
        task_queue=JOURNEY_QUEUE,
        workflows=[*journeys.classes, SweepWorkflow, SegmentSweepWorkflow],
        activities=_journey_activities(
            database, journeys, limits, settings, local=worker_settings.waypost_local
        ),
        workflow_runner=create_workflow_runner(),
        deployment_config=_deployment_config(worker_settings),
        graceful_shutdown_timeout=grace,
        max_cached_workflows=2000,
        interceptors=[RedactingInterceptor()],
    )
    send_workers = [
        Worker(
            client,
            task_queue=send_queue(channel),
            activities=[messages.send_message],
            graceful_shutdown_timeout=grace,
            max_concurrent_activities=MAX_CONCURRENT_SENDS,
            interceptors=[RedactingInterceptor()],
        )
        for channel in SENDING_CHANNELS
    ]
    return [journey_worker, *send_workers]


def _journey_activities(
    database: Database, journeys: JourneyRegistry, limits: Limits, settings: ActivitySettings, *, local: bool
) -> list[Callable[..., Any]]:
    """Return the short activities, which use only Postgres, and the activities of journey authors."""
    zone = settings.default_timezone
    rules = IngestConfig(local=local, suppression_rule_for=partial(rule_for, limits))
    ingest = Ingest(database, journeys.routes, rules)
    runs = RunActivities(database, journeys.routes, local=local)
    audiences = AudienceActivities(database, limits, default_zone=zone)
    profile = ProfileActivities(database, ingest, default_zone=zone)
    sweeps = SweepActivities(database, ingest)
    segments = SegmentActivities(database, ingest, declared_segments(journeys))
    return [
        runs.close_run,
        audiences.join_audience,
        profile.suggest_items,
        profile.read_holds,
        profile.read_delivery_reports,
        profile.read_profile,
        profile.withdraw_consent,
        sweeps.sweep_lapsed,
        sweeps.sweep_products,
        segments.sweep_segment,
        TemplateSweepActivities(database, limits.thresholds).sweep_templates,
        OptInSweepActivities(database, ingest, settings.opt_in_rules).sweep_opt_in_requests,
        *journeys.activities,
    ]


def _deployment_config(settings: WorkerSettings) -> WorkerDeploymentConfig | None:
    if not settings.waypost_versioning:
        return None
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion("waypost", settings.waypost_build_id),
        use_worker_versioning=True,
        default_versioning_behavior=VersioningBehavior.AUTO_UPGRADE,
    )


async def run_workers(workers: Sequence[Worker]) -> None:
    """Run until cancelled. Running activities then have the grace period to finish."""
    async with AsyncExitStack() as stack:
        for worker in workers:
            await stack.enter_async_context(worker)
        log.info("ready")
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()


async def run_worker_process(settings: WorkerSettings) -> None:
    """Run the worker until SIGTERM or SIGINT.

    Raises ``UserError`` for unusable settings, policy or schema, or all faults of all journeys and messages.
    """
    activity_settings = ActivitySettings()
    limits = load_policy(activity_settings).limits
    loaded = load_checked_journeys(settings.journey_modules)
    heartbeat = Heartbeat("worker", settings.waypost_heartbeat_file)
    async with heartbeat.beating():
        await wait_for_schema(settings.database_url)
        database = Database(settings.database_url, pool_size=20)
        await validate_segments(database, loaded.journeys)
        await store_policy_limits(database, limits)
        client = await _connect_when_available(settings, declared_segments(loaded.journeys), heartbeat)
        channels = ChannelRegistry.from_settings(
            activity_settings, create_sandbox_store(database), copies=settings.waypost_local
        )
        workers = build_workers(
            client,
            database,
            loaded.journeys,
            channels,
            activity_settings,
            settings,
            limits=limits,
            templates=loaded.templates,
        )
        watching = asyncio.create_task(watch_polls(client, workers, heartbeat))
        try:
            await run_until_signal(asyncio.create_task(run_workers(workers)))
        finally:
            watching.cancel()
            await channels.aclose()
            await database.close()


async def _connect_when_available(
    settings: WorkerSettings, segments: Mapping[str, Segment], heartbeat: Heartbeat
) -> Client:
    """Connect, and create search attributes and schedules. Log and retry while Temporal is away."""
    pulse = heartbeat.pulse("connecting", _MAX_CONNECT_AGE_S)
    while True:
        try:
            client = await connect_temporal(settings)
            await try_search_attributes(client)
            await ensure_sweep_schedules(client)
            await ensure_segment_schedules(
                client, {name: segment.every for name, segment in segments.items()}
            )
        except (RPCError, RuntimeError) as error:
            pulse.fail(error)
            log.warning("Temporal is not there yet", error=describe_error(error))
            await asyncio.sleep(1)
        else:
            heartbeat.drop("connecting")
            return client
