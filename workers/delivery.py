"""Delivery of one outbox row to Temporal: signal-with-start of a run, or a signal. Idempotent."""

from datetime import timedelta
from enum import Enum
from typing import Any

from temporalio.client import Client
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from activities.contracts import JOURNEY_QUEUE, RunStart
from profiles.error_description import describe_error
from profiles.redaction import redact_text
from profiles.runs.outbox import OutboxRow
from workers.temporal_client import CUSTOMER_ID_ATTRIBUTE, JOURNEY_KEY_ATTRIBUTE

RPC_TIMEOUT = timedelta(seconds=10)

_PERMANENT_STATUS_CODES = frozenset(
    {RPCStatusCode.INVALID_ARGUMENT, RPCStatusCode.FAILED_PRECONDITION, RPCStatusCode.OUT_OF_RANGE}
)


class DeliveryStatus(Enum):
    """Result of a delivery."""

    DELIVERED = "done"
    NOT_FOUND = "gone"
    """The workflow has ended, or never existed."""


class PermanentDeliveryError(Exception):
    """Temporal refuses this row; a retry cannot succeed."""


class Delivery:
    """Deliveries through one Temporal client."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def start(self, row: OutboxRow) -> str | None:
        """Start the workflow with the entry event as its first signal. Return Temporal's run id.

        Idempotent: the workflow id contains our run id and may not be reused, so "already started" means
        redelivery, and the run id of the started workflow is returned.

        Raises:
            PermanentDeliveryError: Temporal refuses the row, or the row is malformed.
            RPCError: Temporal did not accept it now.
        """
        start = _parse_run_start(row)
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
                static_summary=_static_summary(row),
                static_details=_static_details(start, row.payload["event"]),
                rpc_timeout=RPC_TIMEOUT,
            )
        except WorkflowAlreadyStartedError as error:
            return error.run_id
        except RPCError as error:
            raise _classify_error(error) from error
        return handle.first_execution_run_id

    async def signal(self, row: OutboxRow) -> DeliveryStatus:
        """Send a signal that starts no workflow. Raises as ``start`` does."""
        try:
            handle = self._client.get_workflow_handle(row.workflow_id or "")
            await handle.signal(row.name, row.payload, rpc_timeout=RPC_TIMEOUT)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND and not _namespace_is_missing(error):
                return DeliveryStatus.NOT_FOUND
            raise _classify_error(error) from error
        return DeliveryStatus.DELIVERED


def _parse_run_start(row: OutboxRow) -> RunStart:
    try:
        if not isinstance(row.payload["event"], dict):
            raise TypeError("event is no object")
        return RunStart.model_validate(row.payload["start"])
    except (KeyError, TypeError, ValueError) as error:
        raise PermanentDeliveryError(
            f"the outbox row holds no start and event: {describe_error(error)}"
        ) from error


def _namespace_is_missing(error: RPCError) -> bool:
    """Whether the namespace is missing (misnamed, or not yet created). Its runs may still exist."""
    return any(detail.type_url.endswith("NamespaceNotFoundFailure") for detail in error.grpc_status.details)


def _classify_error(error: RPCError) -> Exception:
    if error.status in _PERMANENT_STATUS_CODES:
        return PermanentDeliveryError(
            redact_text(f"Temporal refuses it ({error.status.name}): {error.message}")
        )
    return error


def _static_summary(row: OutboxRow) -> str:
    start, event = row.payload["start"], row.payload["event"]
    items = len(event.get("cart") or event.get("products") or ())
    about = f" with {items} item{'' if items == 1 else 's'}" if items else ""
    return f"{start['key']}: entered by {row.name}{about}"[:200]


def _static_details(start: RunStart, event: dict[str, Any]) -> str:
    """Return the Markdown that stays the same during a run; the rest is in its current details."""
    lines = event.get("cart") or event.get("products") or ()
    lines_text = "\n".join(
        f"- {line.get('quantity', 1)} × {line.get('name') or line.get('product_id')}" for line in lines
    )
    header = (
        f"Run `{start.run_id}` of **{start.journey}** for customer `{start.customer_id}`.\n\n"
        f"Its messages and the gate's decisions: `GET /v1/runs/{start.run_id}`"
    )
    return (f"{header}\n\nAt entry:\n\n{lines_text}" if lines_text else header)[:4000]
