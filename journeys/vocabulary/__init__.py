"""The vocabulary of journeys: the base class, the decorator, and the words that a story may use."""

from journeys.vocabulary.decorator import journey
from journeys.vocabulary.definition import PERSON
from journeys.vocabulary.durations import Weekday, days, hours, minutes, weeks
from journeys.vocabulary.endings import cart_is_empty_or_bought, exit_on, goal
from journeys.vocabulary.fallback import if_not_delivered, if_not_seen
from journeys.vocabulary.holds import Hold, holding, return_is_open, ticket_is_open
from journeys.vocabulary.journey import EMAIL, PUSH, SMS, Journey
from journeys.vocabulary.message import Message, Sent, Unknown, Withheld
from journeys.vocabulary.profile import Profile
from journeys.vocabulary.segment import Segment
from policy.reentry import After, AtMost, Once, Unlimited

__all__ = [
    "EMAIL",
    "PERSON",
    "PUSH",
    "SMS",
    "After",
    "AtMost",
    "Hold",
    "Journey",
    "Message",
    "Once",
    "Profile",
    "Segment",
    "Sent",
    "Unknown",
    "Unlimited",
    "Weekday",
    "Withheld",
    "cart_is_empty_or_bought",
    "days",
    "exit_on",
    "goal",
    "holding",
    "hours",
    "if_not_delivered",
    "if_not_seen",
    "journey",
    "minutes",
    "return_is_open",
    "ticket_is_open",
    "weeks",
]
