"""What is asked of identities over HTTP, and the answers."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from profiles.identity_messages import SentMessage
from profiles.identity_quarantine import QuarantinedIdentifier
from profiles.identity_view import HeldIdentifier


class NamedIdentifier(BaseModel):
    """One identifier, in any spelling."""

    model_config = ConfigDict(extra="forbid")

    type: str = Field(max_length=50)
    value: str = Field(min_length=1, max_length=400)


class Because(BaseModel):
    """Why an operator does something; kept in the log for good."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(min_length=1, max_length=500, pattern=r"^[^\x00]*[^\s\x00][^\x00]*$")


class Unmerge(Because):
    """Which identifier is not this person's, and how that is known."""

    other: NamedIdentifier = Field(alias="from", description="The identifier to cut this one apart from")


class Release(Because, NamedIdentifier):
    """Which identifier is somebody's after all."""


class Person(BaseModel):
    """A profile with all that points at it."""

    profile_id: UUID
    identifiers: list[HeldIdentifier]


class People(BaseModel):
    """The people there are now."""

    profiles: list[Person]


class Unmerged(People):
    """What came apart."""

    cut_id: int = Field(description="For POST /v1/identity/cuts/{cut_id}/mend, which undoes it")
    at: datetime
    messages_while_merged: list[SentMessage] = Field(
        description="Sent while the people were wrongly one; they cannot be called back"
    )


class Quarantine(BaseModel):
    """Identifiers that are nobody's, ordered by type and value."""

    quarantined: list[QuarantinedIdentifier]
    next_cursor: str | None = Field(description="For ?cursor= of the next page; null on the last")
