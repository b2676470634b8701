"""Errors of the test kit, with messages for authors of tests."""

from workers.errors import UserError


class TellingFault(UserError, AssertionError):
    """The test asks for something impossible, such as a click on a message that was not received."""


class StoryFailed(UserError, AssertionError):
    """A journey's code raised an error, or sends a message that does not exist."""


class IdleTimeout(UserError, AssertionError):
    """A run did not reach its next wait within the time limit."""
