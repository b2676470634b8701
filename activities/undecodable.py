"""Decodes the request of a message or an audience; what cannot be decoded becomes a recorded failure.

Temporal would retry an input that it cannot decode until the message expires, and nothing would be on record.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel, ValidationError
from temporalio import activity
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from activities.contracts import JoinAudience, SendMessage
from policy.verdict import Channel, CheckRecord, Reason, Withhold

Request = TypeVar("Request", SendMessage, JoinAudience)

_MAX_DETAIL_LENGTH = 300


@dataclass(frozen=True, slots=True)
class Undecodable(Generic[Request]):
    """What is left of a request that could not be decoded."""

    request: Request
    """With the default, or the fallback, of each value that does not fit."""
    detail: str
    """Which values do not fit, without the values."""

    @property
    def verdict(self) -> Withhold:
        """The verdict to be recorded."""
        checks = (CheckRecord("input", passed=False, detail=self.detail),)
        return Withhold(Reason.ERROR, self.detail, checks=checks)


def decode_request(raw: RawValue, kind: type[Request], *, at: datetime) -> Request | Undecodable[Request]:
    """Decode a request. ``at``: the end of a request whose own cannot be read.

    Raises a permanent ApplicationError where not even the run and the step can be read.
    """
    converter = activity.payload_converter()
    try:
        request: Request = converter.from_payload(raw.payload, kind)
        return request
    except Exception as error:
        detail = _describe(kind, error)
    try:
        stated = converter.from_payload(raw.payload, dict)
        UUID(stated["run_id"])
        return Undecodable(_without_faults(stated, kind, at), detail)
    except Exception as error:
        raise ApplicationError(
            f"{detail}; nor can its run and step be read", type="UndecodableInput", non_retryable=True
        ) from error


def _without_faults(stated: dict[str, Any], kind: type[Request], at: datetime) -> Request:
    """Return the request without the values that do not fit. Raises where a run or a step is missing."""
    fallback: dict[str, Any] = {"journey": "", "expires_at": at, "promoting": None, "items": ()}
    if kind is SendMessage:
        fallback |= {"template": "", "channel": Channel.EMAIL}
    else:
        fallback |= {"audience": ""}
    try:
        return kind.model_validate(stated)
    except ValidationError as error:
        faulty = {fault["loc"][0] for fault in error.errors(include_url=False, include_input=False)}
    fitting = {name: value for name, value in stated.items() if name not in faulty}
    return kind.model_validate(fallback | fitting)


def _describe(kind: type[BaseModel], error: Exception) -> str:
    """Describe why a request does not decode. Contains no value, as details are stored in histories."""
    cause = error if isinstance(error, ValidationError) else error.__cause__
    if not isinstance(cause, ValidationError):
        return f"the input is no {kind.__name__} ({type(error).__name__})"
    faults = cause.errors(include_url=False, include_input=False, include_context=False)
    listed = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults)
    return f"the input is no {kind.__name__}: {listed}"[:_MAX_DETAIL_LENGTH]
