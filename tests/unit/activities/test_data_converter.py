"""What Temporal stores of an error and of a result: type, place and words, and no address."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel
from temporalio.api.failure.v1 import Failure
from temporalio.exceptions import ApplicationError, CancelledError

from activities.contracts import ProfileSnapshot, SendResult, SendStatus
from activities.data_converter import DATA_CONVERTER, redact_result
from policy.verdict import Channel

EMAIL, NAME = "zephyrine@canary.example", "Zephyrine"


class Order(BaseModel):
    quantity: int


def stored(error: BaseException) -> Failure:
    """What is stored of an error that was raised."""
    failure = Failure()
    try:
        raise error
    except BaseException as raised:
        DATA_CONVERTER.failure_converter.to_failure(raised, DATA_CONVERTER.payload_converter, failure)
    return failure


def caused_by(cause: Exception) -> ApplicationError:
    try:
        raise ApplicationError(f"no mail to {EMAIL} today", {"who": EMAIL}, 7, type="Refused") from cause
    except ApplicationError as error:
        return error


def invalid() -> Exception:
    try:
        Order.model_validate({"quantity": NAME})
    except ValueError as error:
        return error
    raise AssertionError


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError(f"{NAME} lives here"), "ValueError"),
        (KeyError(EMAIL), "KeyError"),
        (invalid(), "ValidationError: 1 fault of Order: int_parsing"),
        (ConnectionRefusedError(111, "no call"), "ConnectionRefusedError: [ECONNREFUSED] no call"),
        (ApplicationError("not sent, and given back"), "not sent, and given back"),
        (ApplicationError(f"no mail to {EMAIL} today"), "no mail to [address] today"),
        (CancelledError(f"asked by {EMAIL}"), "asked by [address]"),
    ],
)
def test_the_text_of_an_error_is_kept_where_it_holds_no_customer(error: BaseException, message: str) -> None:
    assert stored(error).message == message


def test_causes_details_and_stack_traces_hold_no_customer() -> None:
    failure = stored(caused_by(KeyError(NAME)))
    info = failure.application_failure_info

    details: list[Any] = DATA_CONVERTER.payload_converter.from_payloads(info.details.payloads)
    assert (failure.message, info.type, details) == (
        "no mail to [address] today",
        "Refused",
        [{"who": "[address]"}, 7],
    )
    assert (failure.cause.message, failure.cause.application_failure_info.type) == ("KeyError", "KeyError")
    assert failure.stack_trace.splitlines()[0].startswith("tests/unit/activities/test_data_converter.py:")
    assert "canary" not in str(failure)
    assert NAME not in str(failure)


def test_what_decides_about_a_retry_is_kept() -> None:
    delay = timedelta(seconds=7)
    failure = stored(ApplicationError(EMAIL, type="NotSent", non_retryable=True, next_retry_delay=delay))

    info = failure.application_failure_info
    assert (info.type, info.non_retryable, info.next_retry_delay.ToTimedelta()) == ("NotSent", True, delay)


def test_a_result_without_an_address_is_passed_on_as_it_is() -> None:
    result = SendResult(status=SendStatus.SENT, channel=Channel.EMAIL, items=("lamp",), zone="Europe/Berlin")

    assert redact_result(result) is result


def test_a_result_with_an_address_is_decoded_like_any_other() -> None:
    at = "2026-11-30T10:00:00Z"
    given = ProfileSnapshot.model_validate(
        {"at": at, "language": EMAIL, "traits": {"note": f"ask {EMAIL} now"}}
    )
    payload = DATA_CONVERTER.payload_converter.to_payload(redact_result(given))
    decoded = DATA_CONVERTER.payload_converter.from_payload(payload, ProfileSnapshot)

    assert decoded == given.model_copy(
        update={"language": "[address]", "traits": {"note": "ask [address] now"}}
    )
    assert redact_result([EMAIL, {EMAIL: 1}]) == ["[address]", {"[address]": 1}]
