"""Fake providers with a ledger of what a person would really have received."""

from tests.support.fakes.ledger import Delivery, DeliveryLedger
from tests.support.fakes.mode import MODES, Mode
from tests.support.fakes.provider import FakeProvider, ReceivedRequest
from tests.support.fakes.sendgrid import FakeSendGrid
from tests.support.fakes.twilio import FakeTwilio

__all__ = [
    "MODES",
    "Delivery",
    "DeliveryLedger",
    "FakeProvider",
    "FakeSendGrid",
    "FakeTwilio",
    "Mode",
    "ReceivedRequest",
]
