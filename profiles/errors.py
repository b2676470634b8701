"""What an operator may ask of identities; refused here, in words, where there is nothing to do."""


class Unknown(Exception):
    """What was named is not there."""


class Needless(Exception):
    """It is there, and is as asked for already."""


class Senseless(Exception):
    """It can never be done."""
