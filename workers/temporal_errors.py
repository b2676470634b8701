"""Errors of Temporal in a delivery: those that a retry can mend, and those that no retry can."""

import re
from dataclasses import dataclass

from temporalio.service import RPCError, RPCStatusCode

from profiles.redaction import redact_text


class TemporalUnavailable(Exception):
    """Temporal does not take the row now; a retry may succeed. Nothing is wrong with the row."""

    def __init__(self, message: str, *, overloaded: bool = False, unregistered: bool = False) -> None:
        super().__init__(message)
        self.overloaded = overloaded
        """Temporal limits the rate: every delivery has to slow down, not only this row's."""
        self.unregistered = unregistered
        """A search attribute of runs is not registered."""


class PermanentDeliveryError(Exception):
    """Temporal refuses this row; a retry cannot succeed."""


@dataclass(frozen=True, slots=True)
class _Refusal:
    """A refusal of the row itself: status, and where the status has several meanings, the message."""

    status: RPCStatusCode
    message: re.Pattern[str]


_UNREGISTERED = re.compile(r"search attribute", re.IGNORECASE)

_TOO_LONG_VALUE = re.compile(r"exceeds size limit", re.IGNORECASE)

# Every other status says something about the server, the namespace or our rights: UNAVAILABLE,
# DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED (a rate), PERMISSION_DENIED, UNAUTHENTICATED, UNIMPLEMENTED, INTERNAL,
# UNKNOWN, ABORTED, CANCELLED, DATA_LOSS, FAILED_PRECONDITION (a namespace that is being moved or deleted) and
# NOT_FOUND of a namespace. A run must not be parked for it.
_REFUSALS = (
    _Refusal(RPCStatusCode.INVALID_ARGUMENT, re.compile("")),
    _Refusal(RPCStatusCode.OUT_OF_RANGE, re.compile("")),
    # gRPC's own limit of a message, which has the status of an exceeded rate.
    _Refusal(RPCStatusCode.RESOURCE_EXHAUSTED, re.compile(r"larger than max", re.IGNORECASE)),
)


def classify_rpc_error(error: RPCError) -> TemporalUnavailable | PermanentDeliveryError:
    """Return the error to raise for a refused delivery: to be retried, or final for this row."""
    said = f"{error.status.name}: {error.message}"
    if _is_unregistered_attribute(error):
        return TemporalUnavailable(
            f"Temporal has no such search attribute yet ({said}); the relay registers it, and on Temporal "
            "Cloud you create it as Keyword",
            unregistered=True,
        )
    if any(rule.status is error.status and rule.message.search(error.message) for rule in _REFUSALS):
        return PermanentDeliveryError(
            redact_text(f"Temporal refuses it ({error.status.name}): {error.message}")
        )
    overloaded = error.status is RPCStatusCode.RESOURCE_EXHAUSTED
    return TemporalUnavailable(f"Temporal does not take it now ({said})", overloaded=overloaded)


def is_missing_namespace(error: RPCError) -> bool:
    """Whether the namespace is missing (misnamed, or not yet created). Its runs may still exist."""
    return any(detail.type_url.endswith("NamespaceNotFoundFailure") for detail in error.grpc_status.details)


def _is_unregistered_attribute(error: RPCError) -> bool:
    # Also one of another type than Keyword: an operator mends it, and the run is not to blame.
    return (
        error.status is RPCStatusCode.INVALID_ARGUMENT
        and _UNREGISTERED.search(error.message) is not None
        and _TOO_LONG_VALUE.search(error.message) is None
    )
