"""Errors of Temporal: what a retry can mend, and what parks the run."""

import pytest
from google.protobuf.any_pb2 import Any
from temporalio.api.common.v1 import GrpcStatus
from temporalio.api.errordetails.v1 import NamespaceNotFoundFailure
from temporalio.service import RPCError, RPCStatusCode

from workers.temporal_errors import (
    PermanentDeliveryError,
    TemporalUnavailable,
    classify_rpc_error,
    is_missing_namespace,
)

# Messages as a server of Temporal gives them.
PARKED = [
    ("INVALID_ARGUMENT", "WorkflowId exceeds maximum allowed length (1200/1000)"),
    ("INVALID_ARGUMENT", "WorkflowId is not set on request."),
    ("INVALID_ARGUMENT", "signal name exceeds maximum allowed length (1200/1000)"),
    ("INVALID_ARGUMENT", "workflow type name exceeds maximum allowed length (1200/1000)"),
    ("INVALID_ARGUMENT", "Blob data size exceeds limit."),
    ("INVALID_ARGUMENT", "search attribute JourneyKey value size 3002 exceeds size limit 2048"),
    ("INVALID_ARGUMENT", "exceeded workflow execution limit for signal events"),
    ("INVALID_ARGUMENT", "Workflow history size exceeds limit."),
    ("OUT_OF_RANGE", "out of range"),
    ("RESOURCE_EXHAUSTED", "grpc: received message after decompression larger than max 4194304"),
    ("RESOURCE_EXHAUSTED", "grpc: received message larger than max (5000333 vs. 4194304)"),
]

RETRIED = [
    ("INVALID_ARGUMENT", "Namespace default has no mapping defined for search attribute JourneyKey"),
    ("INVALID_ARGUMENT", "search attribute CustomerId is not defined"),
    ("INVALID_ARGUMENT", "invalid value for search attribute JourneyKey of type Int: x"),
    ("NOT_FOUND", "Namespace nowhere is not found."),
    ("PERMISSION_DENIED", "Request unauthorized."),
    ("UNAUTHENTICATED", "token has expired"),
    ("RESOURCE_EXHAUSTED", "namespace rate limit exceeded"),
    ("FAILED_PRECONDITION", "Namespace has invalid state: Deleted. Must be one of [Registered Deprecated]"),
    ("FAILED_PRECONDITION", "client version is not supported"),
    ("UNIMPLEMENTED", "unknown method SignalWithStartWorkflowExecution"),
    ("UNAVAILABLE", "tcp connect error"),
    ("UNAVAILABLE", "Namespace replication in handover state"),
    ("DEADLINE_EXCEEDED", "context deadline exceeded"),
    ("CANCELLED", "Timeout expired"),
    ("ABORTED", "shard status unknown"),
    ("ALREADY_EXISTS", "schedule exists"),
    ("INTERNAL", "internal error"),
    ("UNKNOWN", "unable to complete request"),
    ("DATA_LOSS", "history is corrupted"),
]


def error(status: str, message: str) -> RPCError:
    """An error as the SDK raises it."""
    return RPCError(message, RPCStatusCode[status], b"")


@pytest.mark.parametrize(("status", "message"), PARKED)
def test_what_is_wrong_with_the_row_parks_its_run(status: str, message: str) -> None:
    refusal = classify_rpc_error(error(status, message))

    assert isinstance(refusal, PermanentDeliveryError)
    assert status in str(refusal)
    assert message in str(refusal)


@pytest.mark.parametrize(("status", "message"), RETRIED)
def test_what_is_wrong_with_the_server_or_its_setup_is_retried(status: str, message: str) -> None:
    refusal = classify_rpc_error(error(status, message))

    assert isinstance(refusal, TemporalUnavailable)
    assert message in str(refusal)
    assert refusal.overloaded == (status == "RESOURCE_EXHAUSTED")
    assert refusal.unregistered == ("search attribute" in message)


def test_every_status_is_in_the_table() -> None:
    assert {status for status, _ in (*PARKED, *RETRIED)} == {code.name for code in RPCStatusCode} - {"OK"}


def test_a_missing_namespace_is_told_from_a_missing_run() -> None:
    detail = Any()
    detail.Pack(NamespaceNotFoundFailure(namespace="nowhere"))
    status = GrpcStatus(code=RPCStatusCode.NOT_FOUND, message="not found", details=[detail])
    missing = RPCError("not found", RPCStatusCode.NOT_FOUND, status.SerializeToString())

    assert is_missing_namespace(missing)
    assert not is_missing_namespace(error("NOT_FOUND", "workflow not found for ID: x"))
