"""The words a journey is written in."""

from journeys.vocabulary.decorator import journey
from journeys.vocabulary.definition import PERSON
from journeys.vocabulary.durations import days, hours, minutes, weeks
from journeys.vocabulary.endings import cart_is_empty_or_bought, exit_on, goal
from journeys.vocabulary.journey import EMAIL, PUSH, SMS, Journey
from journeys.vocabulary.message import Message, Sent, Unknown, Withheld
from policy.reentry import After, AtMost, Once, Unlimited

__all__ = [
    "EMAIL",
    "PERSON",
    "PUSH",
    "SMS",
    "After",
    "AtMost",
    "Journey",
    "Message",
    "Once",
    "Sent",
    "Unknown",
    "Unlimited",
    "Withheld",
    "cart_is_empty_or_bought",
    "days",
    "exit_on",
    "goal",
    "hours",
    "journey",
    "minutes",
    "weeks",
]
