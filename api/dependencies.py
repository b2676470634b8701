"""What routes depend on: the app's state (built once, in ``api.app``), keys, paging and path parameters."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, cast
from uuid import UUID

from fastapi import Depends, Path, Query, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field

from api.batching import Batcher, Overloaded
from api.http.budgets import SenderBudgets
from api.http.keys import ApiKey, ApiKeys, Role, key_from_header
from api.http.metrics import Metrics
from api.http.outage import Result, run_read, with_outage_check
from api.http.problems import not_found, overloaded, problem_responses, unprocessable
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
    """Shared state of one app: settings, connections, journeys and keys."""

    settings: ApiSettings
    database: Database
    batcher: Batcher
    journeys: Mapping[str, JourneyDefinition]
    keys: ApiKeys
    preference_tokens: PreferenceTokens
    opt_in_tokens: PreferenceTokens
    """Of the links that confirm a consent."""
    identity_tokens: IdentityTokens
    temporal: TemporalGateway
    metrics: Metrics
    ingest_rules: IngestConfig
    limits: Limits
    budgets: SenderBudgets
    unverified_parsing: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    """Held while the body of an unverified sender is parsed."""

    async def ingest(self, *events: IncomingEvent) -> list[IngestResult]:
        """Ingest Waypost's own events. Raises ``Problem`` 429 if overloaded, ``Outage``."""
        try:
            answers = await self.batcher.submit(events)
        except Overloaded as error:
            raise overloaded(error.retry_after_s) from None
        for answer in answers:
            self.metrics.events.labels(answer.status.value).inc()
        return answers

    async def change(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a change. Raises ``Outage`` within about a second of an outage; it may be committed then."""
        return await with_outage_check(work, self.database.ping)


def get_app_state(request: Request) -> AppState:
    """Return the state of the request's app."""
    return cast(AppState, request.app.state.app_state)


_Bearer = Annotated[
    HTTPAuthorizationCredentials | None,
    Security(
        HTTPBearer(auto_error=False, description="An admin key; for events in a write or server key will do")
    ),
]


def require_admin_key(request: Request, _: _Bearer = None) -> ApiKey:
    """Let admin keys pass. Raises ``Problem`` 401 or 403."""
    return get_app_state(request).keys.authorize(key_from_header(request), Role.ADMIN)


def require_server_key(request: Request, _: _Bearer = None) -> ApiKey:
    """Let server keys pass, and admin keys. Raises ``Problem`` 401 or 403."""
    return get_app_state(request).keys.authorize(key_from_header(request), Role.SERVER)


AppStateDep = Annotated[AppState, Depends(get_app_state)]
AdminKeyDep = Annotated[ApiKey, Depends(require_admin_key)]


def new_event_id(prefix: str) -> str:
    """Return an id for an event that Waypost itself writes once."""
    return f"{prefix}-{new_id()}"


LimitParam = Annotated[int, Query(ge=1, le=200, description="Rows of a page")]


def _parse_cursor(
    cursor: Annotated[str | None, Query(max_length=200, description="next_cursor of the page before")] = None,
) -> Cursor | None:
    """Return the cursor of a page, or None for the first page. Raises ``Problem`` 422 if it is malformed."""
    try:
        return Cursor.parse(cursor) if cursor else None
    except ValueError as error:
        raise unprocessable(f"cursor is {error}", ("cursor", str(error))) from None


@dataclass(frozen=True, slots=True)
class Paging:
    """The page of a list that a request asks for."""

    after: Annotated[Cursor | None, Depends(_parse_cursor)]
    limit: LimitParam = 50


PagingDep = Annotated[Paging, Depends()]

NOT_FOUND_RESPONSE = problem_responses({404: "No profile has this identifier"})


@dataclass(frozen=True, slots=True)
class NamedProfile:
    """The profile that a path names by one of its identifiers."""

    app_state: AppStateDep
    type: Annotated[str, Path(description="One of " + ", ".join(IDENTIFIER_TYPES))]
    value: Annotated[
        str, Path(description="The identifier, in any spelling; of a merged profile any of its identifiers")
    ]

    async def read(self, work: Callable[[Any, UUID], Awaitable[Result]]) -> Result:
        """Read (connection, canonical profile id) in one transaction. Raises ``Problem`` 404, ``Outage``."""

        async def read(connection: Any) -> Result:
            profile_id = await profile_id_or_404(connection, self.app_state, self.type, self.value)
            return await work(connection, profile_id)

        return await run_read(self.app_state.database, read)


NamedProfileDep = Annotated[NamedProfile, Depends()]


async def profile_id_or_404(connection: Any, app_state: AppState, kind: str, value: str) -> UUID:
    """Return the canonical profile of an identifier. Raises ``Problem`` 404."""
    try:
        profile_id = await component.find_profile_id(
            connection, kind, value, region=app_state.settings.region
        )
    except ValueError as error:
        raise not_found(f"no profile can have this identifier: {error}") from None
    if profile_id is None:
        raise not_found(f"no profile has this {kind}; check its spelling, or send an event that names it")
    return profile_id


class Because(BaseModel):
    """The reason of an operator's action; kept in the log permanently."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(min_length=1, max_length=500, pattern=r"^[^\x00]*[^\s\x00][^\x00]*$")
