"""Errors of an operator's identity requests: cut, mend and release."""


class NotFound(Exception):
    """The cut or the identifier that the request names does not exist."""


class NoChange(Exception):
    """The requested state is in force already."""


class InvalidRequest(Exception):
    """The request can never be carried out."""
