"""A message and a person of whom the gate's checks are asked in unit tests."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from policy.facts import ConsentFact, Facts, Plan, PlannedItem
from policy.limits import Budget, Limits
from policy.verdict import Channel, MessageClass

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

LAMP, CHAIR = PlannedItem("lamp", "lamp-red"), PlannedItem("chair", None)

OFFER = Plan(Channel.SMS, MessageClass.MARKETING, "offers", (LAMP,), NOW + DAY, "win-back", template="hello")

RECEIPT = Plan(Channel.SMS, MessageClass.TRANSACTIONAL, "transactional", None, NOW + DAY)

MAIL = replace(OFFER, channel=Channel.EMAIL)

YES = Facts(consents=(ConsentFact("sms", "offers", granted=True), ConsentFact("all", "all", granted=True)))

TEN = Limits(budgets={Channel.SMS: Budget(10)})
