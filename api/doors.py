"""What every door shares: settings, database, ingest, journeys, keys. Built once, in ``api.app``."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.batcher import Batcher, Overloaded
from api.engine import Engine
from api.keys import Key, Keys, Role, header_key
from api.meters import Meters
from api.problems import overloaded
from api.settings import ApiSettings
from journeys.vocabulary.definition import JourneyDefinition
from policy.limits import Limits
from profiles.database import Database
from profiles.identity_tokens import IdentityTokens
from profiles.ids import new_id
from profiles.incoming import IncomingEvent, Ingested
from profiles.ingest import Rules
from profiles.tokens import PreferenceTokens


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
