"""Consents: setting one, the ledger of a profile, and SMS replies that an operator has to review."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from api.dependencies import (
    NOT_FOUND_RESPONSE,
    AppStateDep,
    NamedProfileDep,
    PagingDep,
    new_event_id,
    require_admin_key,
)
from api.events.parsed import Rejection
from api.http.outage import run_read
from api.http.problems import problem_responses, unprocessable
from profiles.consent import evidence, review
from profiles.consent.evidence import (
    JURISDICTION_PATTERN,
    MALFORMED_VALUE,
    METHOD_PATTERN,
    TEXT_VERSION_PATTERN,
)
from profiles.identity.identifiers import normalize_identifier
from profiles.ingest.event_store import IngestStatus
from profiles.state.event_records import IncomingEvent
from profiles.views.profile import ConsentView

router = APIRouter(tags=["Consents"], dependencies=[Depends(require_admin_key)])

_UNPROCESSABLE_RESPONSE = problem_responses({422: "The identifier, the consent or the cursor is malformed"})


def _validate_evidence(value: Any, read: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
    """Validate evidence. Evidence that cannot be stored rejects a grant, but never a withdrawal."""
    try:
        kept = read(value)
        if kept is not None and (wrong := evidence.evidence_fault(str(info.field_name), kept)) is not None:
            raise ValueError(wrong)
    except (ValidationError, ValueError):
        if info.data.get("state") == "withdrawn":
            return MALFORMED_VALUE
        raise
    return kept


class ConsentChange(BaseModel):
    """A consent of a person for one channel and topic, and its evidence."""

    model_config = ConfigDict(extra="forbid")

    channel: Literal["email", "sms", "push", "ads", "all"]
    topic: str = Field(
        default="marketing", min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9_. -]*$"
    )
    state: Literal["granted", "withdrawn"]
    source: str = Field(
        default="api",
        min_length=1,
        max_length=200,
        pattern=r"^[^\x00]*$",
        description="How the person stated it",
    )
    text_version: Annotated[str | None, WrapValidator(_validate_evidence)] = Field(
        default=None, pattern=TEXT_VERSION_PATTERN, description="Version of the wording that was shown"
    )
    method: Annotated[str | None, WrapValidator(_validate_evidence)] = Field(
        default=None,
        pattern=METHOD_PATTERN,
        description="checkbox, double_opt_in, keyword, preference_page, one_click, provider, api, import "
        "or a word of yours; missing: api",
    )
    jurisdiction: Annotated[str | None, WrapValidator(_validate_evidence)] = Field(
        default=None, pattern=JURISDICTION_PATTERN, description="Country or region code, such as DE or US-CA"
    )


class Consents(BaseModel):
    """Consent statements, the newest first."""

    consents: list[review.ConsentEntry]
    next_cursor: str | None = Field(description="For ?cursor= of the next page; null on the last")


class Replies(BaseModel):
    """Replies that are not reviewed yet, the newest first."""

    replies: list[review.DoubtfulReply]
    next_cursor: str | None = None


@router.put("/v1/profiles/{type}/{value:path}/consents", responses=_UNPROCESSABLE_RESPONSE)
async def change_consent(profile: NamedProfileDep, change: ConsentChange) -> ConsentView:
    """Set one consent. It is in force once this is answered.

    It is written as an event; an unknown identifier creates a profile. Evidence that cannot be stored rejects
    a grant. A withdrawal counts without it, and its event records the problem.
    """
    app_state = profile.app_state
    try:
        spelled = normalize_identifier(profile.type, profile.value, region=app_state.settings.region)
    except ValueError as error:
        raise unprocessable(f"no profile can have this identifier: {error}", ("value", str(error))) from None
    now = datetime.now(UTC)
    if change.method is None:
        change = change.model_copy(update={"method": "api"})
    event = build_consent_event(((profile.type, spelled),), change, source="waypost/consents", at=now)
    (answer,) = await app_state.ingest(event)
    if answer.status is IngestStatus.REJECTED:
        raise Rejection("not_stored", answer.detail).to_problem()
    shown, _ = evidence.parse_evidence(event.properties)
    stated = change.model_dump(include={"channel", "topic", "state", "source"})
    return ConsentView(**stated, at=now, **asdict(shown))


@router.get(
    "/v1/profiles/{type}/{value:path}/consents", responses={**NOT_FOUND_RESPONSE, **_UNPROCESSABLE_RESPONSE}
)
async def read_consents(profile: NamedProfileDep, paging: PagingDep) -> Consents:
    """List the consent statements of a profile with their evidence. Effective consents are in the profile."""
    with _foreign_cursor_rejected():
        page = await profile.read(
            lambda connection, profile_id: review.list_consent_entries(
                connection, profile_id, limit=paging.limit, after=paging.after
            )
        )
    return Consents(consents=page.rows, next_cursor=page.next_cursor)


@router.get("/v1/consents/review", responses=_UNPROCESSABLE_RESPONSE)
async def read_review(app_state: AppStateDep, paging: PagingDep) -> Replies:
    """List text messages that were treated as an opt-out although they may have meant something else.

    `waypost consents keep` and `waypost consents restore` decide on one.
    """
    with _foreign_cursor_rejected():
        page = await run_read(
            app_state.database,
            lambda connection: review.list_doubtful_replies(
                connection, limit=paging.limit, after=paging.after
            ),
        )
    return Replies(replies=page.rows, next_cursor=page.next_cursor)


@contextmanager
def _foreign_cursor_rejected() -> Iterator[None]:
    """Raise ``Problem`` 422 for a cursor of another list."""
    try:
        yield
    except review.ForeignCursor as error:
        raise unprocessable(f"cursor is {error}", ("cursor", str(error))) from None


def build_consent_event(
    identifiers: tuple[tuple[str, str], ...],
    change: ConsentChange,
    *,
    source: str,
    at: datetime,
) -> IncomingEvent:
    """Return the event that records a consent."""
    return IncomingEvent(
        source=source,
        id=new_event_id("consent"),
        type="Consent Changed",
        channel="server",
        time=at,
        identifiers=identifiers,
        properties=change.model_dump(exclude_none=True),
    )
