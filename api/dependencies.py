"""What every door shares: settings, database, ingest, journeys, keys. Built once, in ``api.app``."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, cast
from uuid import UUID

from fastapi import Depends, Path, Query, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field

from api.batching import Batcher, Overloaded
from api.http.keys import Key, Keys, Role, header_key
from api.http.metrics import Meters
from api.http.problems import ProblemDetails, not_found, overloaded, unprocessable
from api.settings import ApiSettings
from api.temporal import Engine
from journeys.vocabulary.definition import JourneyDefinition
from policy.limits import Limits
from profiles.db.database import Database
from profiles.db.pagination import Cursor
from profiles.db.sql import new_id
from profiles.identity import component
from profiles.identity.identifiers import IDENTIFIER_TYPES
from profiles.identity.tokens import IdentityTokens
from profiles.ingest.event_store import Ingested
from profiles.ingest.pipeline import Rules
from profiles.messaging.preference_tokens import PreferenceTokens
from profiles.state.event_records import IncomingEvent


@dataclass(slots=True)
class Doors:
    """The one set of open things of this process."""

    settings: ApiSettings
    database: Database
    batcher: Batcher
    journeys: Mapping[str, JourneyDefinition]
    keys: Keys
    tokens: PreferenceTokens
    identity_tokens: IdentityTokens
    engine: Engine
    meters: Meters
    rules: Rules
    limits: Limits

    async def take(self, *events: IncomingEvent) -> list[Ingested]:
        """Events of our own making (consents, opt-outs), by the same way in as everybody's.

        Raises ``Problem`` 429 when overloaded, ``Outage`` when Postgres is away.
        """
        try:
            answers = await self.batcher.submit(events)
        except Overloaded:
            raise overloaded() from None
        for answer in answers:
            self.meters.events.labels(answer.status.value).inc()
        return answers


def doors(request: Request) -> Doors:
    """The open things, for a route."""
    return cast(Doors, request.app.state.doors)


_shown_in_docs = HTTPBearer(
    auto_error=False, description="An admin key; for events in a write or server key will do"
)


def admin(
    request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Security(_shown_in_docs)] = None
) -> Key:
    """Let admin keys pass. Raises ``Problem`` 401 or 403."""
    return doors(request).keys.admit(header_key(request), Role.ADMIN)


def server(
    request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Security(_shown_in_docs)] = None
) -> Key:
    """Let server keys pass, and admin keys. Raises ``Problem`` 401 or 403."""
    return doors(request).keys.admit(header_key(request), Role.SERVER)


Open = Annotated[Doors, Depends(doors)]
"""A route's parameter for the doors."""


def fresh_event_id(prefix: str) -> str:
    """An id for an event that Waypost itself writes once."""
    return f"{prefix}-{new_id()}"


Limit = Annotated[int, Query(ge=1, le=200, description="Rows of a page")]


def _after(
    cursor: Annotated[str | None, Query(max_length=200, description="next_cursor of the page before")] = None,
) -> Cursor | None:
    """Where a page begins. Raises ``Problem`` 422 for what is no cursor."""
    try:
        return Cursor.read(cursor) if cursor else None
    except ValueError as error:
        raise unprocessable(f"cursor is {error}", ("cursor", str(error))) from None


After = Annotated[Cursor | None, Depends(_after)]

NOBODY: dict[int | str, dict[str, Any]] = {
    404: {"model": ProblemDetails, "description": "Nobody has this identifier"}
}

Kind = Annotated[str, Path(alias="type", description="One of " + ", ".join(IDENTIFIER_TYPES))]

Value = Annotated[str, Path(description="The identifier, in any spelling; of a merged person any of theirs")]


async def whom(connection: Any, open_doors: Doors, kind: str, value: str) -> UUID:
    """The canonical profile behind an identifier. Raises ``Problem`` 404."""
    try:
        found = await component.find(connection, kind, value, region=open_doors.settings.region)
    except ValueError as error:
        raise not_found(f"nobody can have this identifier: {error}") from None
    if found is None:
        raise not_found(f"nobody has this {kind}; check its spelling, or send an event that names it")
    return found


class Because(BaseModel):
    """Why an operator does something; kept in the log for good."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(min_length=1, max_length=500, pattern=r"^[^\x00]*[^\s\x00][^\x00]*$")
