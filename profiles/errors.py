"""What an operator may ask of identities; refused here, in words, where there is nothing to do."""


class NotFound(Exception):
    """What was named is not there."""


class NoChange(Exception):
    """It is there, and is as asked for already."""


class InvalidRequest(Exception):
    """It can never be done."""
