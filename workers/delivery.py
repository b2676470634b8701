"""Delivery of one outbox row to Temporal: signal-with-start of a run, or a signal. Idempotent."""

import asyncio
from datetime import timedelta
from enum import Enum

from pydantic import ValidationError
from temporalio.api.workflowservice.v1 import GetSystemInfoRequest
from temporalio.client import Client
from temporalio.common import (
    Priority,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from activities.contracts import JOURNEY_QUEUE, RunStart
from profiles.error_description import describe_error
from profiles.runs.outbox import OutboxRow
from workers.delivery_notes import static_details, static_summary
from workers.temporal_client import CUSTOMER_ID_ATTRIBUTE, JOURNEY_KEY_ATTRIBUTE, try_search_attributes
from workers.temporal_errors import (
    PermanentDeliveryError,
    TemporalUnavailable,
    classify_rpc_error,
    is_missing_namespace,
)

RPC_TIMEOUT = timedelta(seconds=10)

UNVERIFIED_PRIORITY = Priority(priority_key=4)
"""Priority of the tasks of a run that an unverified event started. All others have Temporal's default, 3."""


class DeliveryStatus(Enum):
    """Result of a delivery."""

    DELIVERED = "done"
    NOT_FOUND = "gone"
    """The workflow has ended, or never existed."""


class Delivery:
    """Deliveries through one Temporal client."""

    _connected = False
    _registered = False

    def __init__(self, client: Client) -> None:
        self._client = client
        self._preparing = asyncio.Lock()

    async def start(self, row: OutboxRow) -> str | None:
        """Start the workflow with the entry event as its first signal. Return Temporal's run id.

        Idempotent: the workflow id contains our run id and may not be reused, so "already started" means
        redelivery, and the run id of the started workflow is returned.

        The tasks of the run, its activities included, come after those of runs that a verified event started,
        wherever tasks wait for a worker. A server without priorities ignores that.

        Registers the search attributes of runs before the first start, because a worker may not have started
        yet.

        Raises:
            PermanentDeliveryError: Temporal refuses the row, or the row is malformed.
            TemporalUnavailable: Temporal did not accept it now.
        """
        start = _parse_run_start(row)
        await self._prepare(registered=True)
        try:
            handle = await self._client.start_workflow(
                start.journey,
                start,
                id=row.workflow_id or "",
                task_queue=JOURNEY_QUEUE,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                start_signal=row.name,
                start_signal_args=[row.payload["event"]],
                search_attributes=TypedSearchAttributes(
                    [
                        SearchAttributePair(CUSTOMER_ID_ATTRIBUTE, str(row.profile_id)),
                        SearchAttributePair(JOURNEY_KEY_ATTRIBUTE, start.key),
                    ]
                ),
                priority=Priority.default if row.verified else UNVERIFIED_PRIORITY,
                static_summary=static_summary(start, row.name, row.payload["event"]),
                static_details=static_details(start, row.payload["event"]),
                rpc_timeout=RPC_TIMEOUT,
            )
        except WorkflowAlreadyStartedError as error:
            return error.run_id
        except RPCError as error:
            refusal = classify_rpc_error(error)
            if isinstance(refusal, TemporalUnavailable) and refusal.unregistered:
                self._registered = False
            raise refusal from error
        return handle.first_execution_run_id

    async def signal(self, row: OutboxRow) -> DeliveryStatus:
        """Send a signal that starts no workflow. Raises as ``start`` does."""
        await self._prepare(registered=False)
        try:
            handle = self._client.get_workflow_handle(row.workflow_id or "")
            await handle.signal(row.name, row.payload, rpc_timeout=RPC_TIMEOUT)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND and not is_missing_namespace(error):
                return DeliveryStatus.NOT_FOUND
            raise classify_rpc_error(error) from error
        return DeliveryStatus.DELIVERED

    async def _prepare(self, *, registered: bool) -> None:
        """Connect, and register the search attributes if ``registered``. Raises ``TemporalUnavailable``.

        Once per process. Done apart from the calls for a row, so that no error of a connection (a wrong
        address, TLS) counts as an error of the row.
        """
        if self._connected and (self._registered or not registered):
            return
        async with self._preparing:
            try:
                if not self._connected:
                    await self._client.workflow_service.get_system_info(
                        GetSystemInfoRequest(), timeout=RPC_TIMEOUT
                    )
                    self._connected = True
                if registered and not self._registered:
                    await try_search_attributes(self._client)
                    self._registered = True
            except RPCError as error:
                raise TemporalUnavailable(
                    f"Temporal is not ready ({error.status.name}): {error.message}"
                ) from error
            except Exception as error:
                # The SDK raises RuntimeError, ValueError and others if it cannot connect.
                raise TemporalUnavailable(f"cannot connect to Temporal: {error}") from error


def _parse_run_start(row: OutboxRow) -> RunStart:
    try:
        if not isinstance(row.payload["event"], dict):
            raise TypeError("event is no object")
        return RunStart.model_validate(row.payload["start"])
    except ValidationError as error:
        # Without the values, which may be a customer's.
        faults = ", ".join(
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"
            for fault in error.errors(include_input=False, include_url=False)
        )
        raise PermanentDeliveryError(f"the outbox row holds no start and event: {faults}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise PermanentDeliveryError(
            f"the outbox row holds no start and event: {describe_error(error)}"
        ) from error
