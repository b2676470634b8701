"""What can go wrong while a story is told, in words for the one who wrote it."""

from workers.process import UserError


class TellingFault(UserError, AssertionError):
    """The test asks for what cannot be: a click on a message nobody got, time that runs backwards."""


class StoryFailed(UserError, AssertionError):
    """A journey's own code raised, or asks for a message that does not exist."""


class IdleTimeout(UserError, AssertionError):
    """A run did not come to its next wait within the time allowed."""
