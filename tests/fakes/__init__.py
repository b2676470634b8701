"""Fake providers with a ledger of what a person would really have received."""

from tests.fakes.ledger import Delivery, Ledger
from tests.fakes.mode import MODES, Mode
from tests.fakes.provider import FakeProvider, Received
from tests.fakes.sendgrid import FakeSendGrid
from tests.fakes.twilio import FakeTwilio

__all__ = ["MODES", "Delivery", "FakeProvider", "FakeSendGrid", "FakeTwilio", "Ledger", "Mode", "Received"]
