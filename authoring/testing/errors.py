"""What can go wrong while a story is told, in words for the one who wrote it."""

from workers.process import Fault


class TellingFault(Fault, AssertionError):
    """The test asks for what cannot be: a click on a message nobody got, time that runs backwards."""


class StoryFailed(Fault, AssertionError):
    """A journey's own code raised, or asks for a message that does not exist."""


class NotAtRest(Fault, AssertionError):
    """A run did not come to its next wait within the time allowed."""
