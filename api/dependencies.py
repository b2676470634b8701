"""What every door shares: settings, database, ingest, journeys, keys. Built once, in ``api.app``."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, cast
from uuid import UUID

from fastapi import Depends, Path, Query, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field

from api.batching import Batcher, Overloaded
from api.http.keys import ApiKey, ApiKeys, Role, key_from_header
from api.http.metrics import Metrics
from api.http.problems import ProblemDetails, not_found, overloaded, unprocessable
from api.settings import ApiSettings
from api.temporal import TemporalGateway
from journeys.vocabulary.definition import JourneyDefinition
from policy.limits import Limits
from profiles.db.database import Database
from profiles.db.pagination import Cursor
from profiles.db.sql import new_id
from profiles.identity import component
from profiles.identity.identifiers import IDENTIFIER_TYPES
from profiles.identity.tokens import IdentityTokens
from profiles.ingest.event_store import IngestResult
from profiles.ingest.pipeline import IngestConfig
from profiles.messaging.preference_tokens import PreferenceTokens
from profiles.state.event_records import IncomingEvent


@dataclass(slots=True)
class AppState:
    """The one set of open things of this process."""

    settings: ApiSettings
    database: Database
    batcher: Batcher
    journeys: Mapping[str, JourneyDefinition]
    keys: ApiKeys
    preference_tokens: PreferenceTokens
    identity_tokens: IdentityTokens
    temporal: TemporalGateway
    metrics: Metrics
    ingest_rules: IngestConfig
    limits: Limits

    async def ingest(self, *events: IncomingEvent) -> list[IngestResult]:
        """Events of our own making (consents, opt-outs), by the same way in as everybody's.

        Raises ``Problem`` 429 when overloaded, ``Outage`` when Postgres is away.
        """
        try:
            answers = await self.batcher.submit(events)
        except Overloaded:
            raise overloaded() from None
        for answer in answers:
            self.metrics.events.labels(answer.status.value).inc()
        return answers


def get_app_state(request: Request) -> AppState:
    """The open things, for a route."""
    return cast(AppState, request.app.state.doors)


_bearer_scheme = HTTPBearer(
    auto_error=False, description="An admin key; for events in a write or server key will do"
)


def require_admin_key(
    request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer_scheme)] = None
) -> ApiKey:
    """Let admin keys pass. Raises ``Problem`` 401 or 403."""
    return get_app_state(request).keys.authorize(key_from_header(request), Role.ADMIN)


def require_server_key(
    request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer_scheme)] = None
) -> ApiKey:
    """Let server keys pass, and admin keys. Raises ``Problem`` 401 or 403."""
    return get_app_state(request).keys.authorize(key_from_header(request), Role.SERVER)


AppStateDep = Annotated[AppState, Depends(get_app_state)]
"""A route's parameter for the doors."""


def new_event_id(prefix: str) -> str:
    """An id for an event that Waypost itself writes once."""
    return f"{prefix}-{new_id()}"


LimitParam = Annotated[int, Query(ge=1, le=200, description="Rows of a page")]


def _parse_cursor(
    cursor: Annotated[str | None, Query(max_length=200, description="next_cursor of the page before")] = None,
) -> Cursor | None:
    """Where a page begins. Raises ``Problem`` 422 for what is no cursor."""
    try:
        return Cursor.parse(cursor) if cursor else None
    except ValueError as error:
        raise unprocessable(f"cursor is {error}", ("cursor", str(error))) from None


CursorParam = Annotated[Cursor | None, Depends(_parse_cursor)]

NOT_FOUND_RESPONSE: dict[int | str, dict[str, Any]] = {
    404: {"model": ProblemDetails, "description": "Nobody has this identifier"}
}

IdentifierTypeParam = Annotated[str, Path(alias="type", description="One of " + ", ".join(IDENTIFIER_TYPES))]

IdentifierValueParam = Annotated[
    str, Path(description="The identifier, in any spelling; of a merged person any of theirs")
]


async def profile_id_or_404(connection: Any, open_doors: AppState, kind: str, value: str) -> UUID:
    """The canonical profile behind an identifier. Raises ``Problem`` 404."""
    try:
        found = await component.find_profile_id(connection, kind, value, region=open_doors.settings.region)
    except ValueError as error:
        raise not_found(f"nobody can have this identifier: {error}") from None
    if found is None:
        raise not_found(f"nobody has this {kind}; check its spelling, or send an event that names it")
    return found


class Because(BaseModel):
    """Why an operator does something; kept in the log for good."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(min_length=1, max_length=500, pattern=r"^[^\x00]*[^\s\x00][^\x00]*$")
