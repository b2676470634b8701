"""What Temporal stores of errors and of results of activities: no address, and no variables."""

import dataclasses
import json
from typing import Any

import temporalio.worker
from pydantic_core import PydanticSerializationError, to_jsonable_python
from temporalio.api.common.v1 import Payloads
from temporalio.api.failure.v1 import Failure
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DefaultFailureConverter, PayloadConverter
from temporalio.exceptions import FailureError

from profiles.error_description import describe_error, describe_traceback
from profiles.redaction import contains_email_or_phone, redact_text

_MAX_MESSAGE_LENGTH = 1000

_JSON_ENCODINGS = (b"json/plain", b"json/protobuf")


class RedactingFailureConverter(DefaultFailureConverter):
    """Stores an error's type, the places in the code, and of its text what holds no customer's data.

    Texts of ``ApplicationError`` are written for operators and are kept, without addresses. The text of any
    other exception may quote what was being handled, so ``describe_error`` decides what is kept of it.
    """

    def to_failure(
        self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure
    ) -> None:
        """Convert an error; called by the SDK for each of its causes too."""
        super().to_failure(exception, payload_converter, failure)
        if isinstance(exception, FailureError):
            if exception.failure is None:
                failure.message = redact_text(failure.message, _MAX_MESSAGE_LENGTH)
        else:
            failure.message = describe_error(exception)
        if exception.__traceback__ is not None:
            failure.stack_trace = describe_traceback(exception)
        if failure.HasField("application_failure_info"):
            _redact_payloads(failure.application_failure_info.details)
        if failure.HasField("canceled_failure_info"):
            _redact_payloads(failure.canceled_failure_info.details)


class RedactingInterceptor(temporalio.worker.Interceptor):
    """Replaces addresses in the results of activities, Waypost's and those of journey authors.

    What a run knows comes in by signals, which ingest redacts, by results, and by errors. So nothing that a
    workflow passes on holds an address, unless its own code wrote one.
    """

    def intercept_activity(
        self, next: temporalio.worker.ActivityInboundInterceptor
    ) -> temporalio.worker.ActivityInboundInterceptor:
        """Return the interceptor of one activity's calls."""
        return _RedactingActivityInterceptor(super().intercept_activity(next))


class _RedactingActivityInterceptor(temporalio.worker.ActivityInboundInterceptor):
    async def execute_activity(self, input: temporalio.worker.ExecuteActivityInput) -> Any:
        return redact_result(await super().execute_activity(input))


def redact_result(result: Any) -> Any:
    """Return an activity's result; one with an address as plain JSON values, with placeholders.

    The workflow decodes both alike.
    """
    if result is None or isinstance(result, bool | int | float | bytes):
        return result
    try:
        plain = to_jsonable_python(result)
    except (PydanticSerializationError, ValueError):
        # The SDK's converter decides whether it can be stored.
        return result
    redacted = _redact_json(plain)
    return result if redacted == plain else redacted


def _redact_json(value: Any) -> Any:
    match value:
        case str():
            return redact_text(value, len(value)) if contains_email_or_phone(value) else value
        case dict():
            return {_redact_json(name): _redact_json(each) for name, each in value.items()}
        case list():
            return [_redact_json(each) for each in value]
        case _:
            return value


def _redact_payloads(payloads: Payloads) -> None:
    for payload in payloads.payloads:
        if payload.metadata.get("encoding") in _JSON_ENCODINGS:
            payload.data = json.dumps(_redact_json(json.loads(payload.data))).encode()


DATA_CONVERTER = dataclasses.replace(
    pydantic_data_converter, failure_converter_class=RedactingFailureConverter
)
"""The converter of every client of Waypost."""
