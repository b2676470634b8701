"""Identity tokens: a server issues one for a signed-in visitor, and the page sends it with its events."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict, Field

from api.dependencies import AppStateDep, require_server_key
from api.http.problems import problem_responses, unprocessable
from profiles.identity.identifiers import normalize_identifier
from profiles.identity.tokens import MAX_IDENTITY_TOKEN_LIFETIME

router = APIRouter(prefix="/v1/identity", tags=["Identity"])

_ERROR_RESPONSES = problem_responses(
    {401: "No key, or an unknown one", 403: "A write key", 422: "No good identifier, or expiry"}
)

TokenLifetimeS = Annotated[int, Field(ge=1, le=int(MAX_IDENTITY_TOKEN_LIFETIME.total_seconds()))]


class Claim(BaseModel):
    """The identifier that a token proves."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"type": "user_id", "value": "42", "expires_in_s": 3600}]},
    )

    type: Literal["user_id", "loyalty_id", "email", "phone"]
    value: str = Field(description="The identifier, in any spelling; text, as events name it")
    expires_in_s: TokenLifetimeS = Field(default=3600, description="Seconds until the token expires")


class IssuedToken(BaseModel):
    """A token and its expiry."""

    token: str = Field(description="URL-safe, under 256 characters; not stored here")
    expires_at: datetime


@router.post(
    "/tokens",
    dependencies=[Depends(require_server_key)],
    operation_id="issue_identity_token",
    summary="Issue an identity token",
    responses=_ERROR_RESPONSES,
)
async def issue(claim: Claim, app_state: AppStateDep, response: Response) -> IssuedToken:
    """Issue a token for a visitor who is signed in at your server. Needs a server or an admin key.

    The page sends the token as `context.waypost_token` (a text, or a list to prove several identifiers) with
    events under its write key. Such an event is verified if its tokens prove every user_id, loyalty_id, email
    and phone that it names. Nothing is stored: each request returns another token, and earlier ones stay
    valid until they expire.
    """
    expires_at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=claim.expires_in_s)
    try:
        value = normalize_identifier(claim.type, claim.value, region=app_state.settings.region)
    except ValueError as error:
        detail = f"/value is no usable identifier: {error}; send the {claim.type} as its events name it"
        raise unprocessable(detail, ("/value", detail)) from None
    # RFC 9111 section 5.2.2.5: a token must not be stored by any cache.
    response.headers["Cache-Control"] = "no-store"
    token = app_state.identity_tokens.issue(claim.type, value, expires_at=expires_at)
    return IssuedToken(token=token, expires_at=expires_at)
