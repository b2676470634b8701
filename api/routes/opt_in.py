"""Double opt-in: the page behind the link by which the owner of an address confirms a consent."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Response

from api.dependencies import AppState, AppStateDep
from api.events.parsed import EventWithDerivedTime
from api.http.outage import run_read
from api.pages import page
from api.routes.preferences import CHANNEL_NAMES, UNKNOWN_LINK, Notice
from profiles.consent.declarations import CONFIRMABLE_CHANNELS
from profiles.ingest.event_store import IngestStatus
from profiles.messaging.preference_tokens import PreferenceClaim
from profiles.sweeps.opt_in_requests import OPT_IN_SOURCE
from profiles.views.preferences import ConfirmationLink, is_recorded, load_confirmation_link

router = APIRouter(tags=["Preferences"])

MAX_LINK_AGE = timedelta(days=7)
"""A link can be used for this long after its message was sent."""

CONFIRMATION_METHOD = "double_opt_in"

_EXPIRED_LINK = (
    "Link expired",
    "This link can no longer be used",
    "It was valid for a week. If you still want to hear from us, sign up once more and use the new link.",
)
_USED_LINK = (
    "Link used",
    "This link was used before",
    "It confirms once. What you chose since then stays as it is.",
)

_NOT_CONFIRMED = (
    "Not confirmed",
    "Your choice could not be recorded",
    "Many customers share this address, so that it is not clear whom it belongs to. Answer the message, and "
    "we will set it right.",
)


async def _verify(token: str, app_state: AppStateDep) -> ConfirmationLink:
    """Return the address that a link confirms. Raises ``Problem`` 404, and 410 for an expired link."""
    claim = app_state.opt_in_tokens.verify(token)
    link = await _read_link(app_state, claim) if claim is not None else None
    if claim is None or link is None or link.channel not in CONFIRMABLE_CHANNELS:
        raise Notice(404, *UNKNOWN_LINK)
    if datetime.now(UTC) - link.sent_at > MAX_LINK_AGE:
        raise Notice(410, *_EXPIRED_LINK)
    return link


LinkDep = Annotated[ConfirmationLink, Depends(_verify)]


@router.get("/opt-in/{token}")
async def ask_to_confirm(token: str, link: LinkDep) -> Response:
    """Show a page with one button. Changes nothing, because link scanners open every link of a mail."""
    return page("confirm.html", channel=CHANNEL_NAMES[link.channel], token=token)


@router.post("/opt-in/{token}")
async def confirm(token: str, link: LinkDep, app_state: AppStateDep) -> Response:
    """Record the consent of the address that the link was sent to. A link confirms once.

    So it does not undo what its recipient withdraws afterwards. The consent is a verified grant of
    marketing on the message's channel, under that address alone: other addresses of the profile, and its
    links to browsers, stay as they are.
    """
    event = EventWithDerivedTime(
        source=OPT_IN_SOURCE,
        id=f"confirmed/{link.message_id}",
        type="Consent Changed",
        channel="email" if link.channel == "email" else "sms",
        time=datetime.now(UTC),
        identifiers=(link.address,),
        properties={
            "channel": link.channel,
            "topic": link.topic,
            "state": "granted",
            "source": CONFIRMATION_METHOD,
            "method": CONFIRMATION_METHOD,
        },
    )
    (answer,) = await app_state.ingest(event)
    if answer.status is IngestStatus.REJECTED:
        raise Notice(503, *_NOT_CONFIRMED)
    if answer.status is not IngestStatus.ACCEPTED:
        raise Notice(200, *_USED_LINK)
    event_id = answer.event_id
    if event_id is None or not await run_read(
        app_state.database, lambda connection: is_recorded(connection, event_id)
    ):
        raise Notice(409, *_NOT_CONFIRMED)
    return page("confirmed.html", channel=CHANNEL_NAMES[link.channel])


async def _read_link(app_state: AppState, claim: PreferenceClaim) -> ConfirmationLink | None:
    return await run_read(app_state.database, lambda connection: load_confirmation_link(connection, claim))
