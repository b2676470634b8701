"""Opting out without a login: the page behind the link in a mail, and RFC 8058's one click."""

import hashlib
from datetime import UTC, datetime
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response

from api.dependencies import AppState, AppStateDep
from api.events.parsed import EventWithDerivedTime
from api.http.bodies import read_body
from api.http.outage import run_read
from api.pages import page
from api.routes.consents import ConsentChange, build_consent_event
from profiles.identity.identifiers import IDENTIFIER_TYPES
from profiles.messaging.preference_tokens import PreferenceClaim
from profiles.state.event_records import IncomingEvent
from profiles.views.preferences import Subscriber, load_subscriber

router = APIRouter(tags=["Preferences"], include_in_schema=True)

PREFERENCES_SOURCE = "waypost/preferences"

CHANNEL_LABELS = {
    "email": ("Email", "Offers and reminders in your inbox"),
    "sms": ("Text messages", "Short reminders on your phone"),
    "push": ("App notifications", "On devices where you use our app"),
    "ads": ("Advertisements", "Our offers on other sites"),
}

_CHANNEL_NAMES = {"email": "email", "sms": "text message", "push": "app notification", "ads": "advertisement"}


@router.get("/unsubscribe/{token}")
async def ask(token: str, doors: AppStateDep) -> Response:
    """A page with one button. Looking at it changes nothing: link scanners look at every link of a mail."""
    claim = doors.preference_tokens.verify(token)
    if claim is None:
        return _unknown_link_page()
    return page("unsubscribe.html", channel=_CHANNEL_NAMES.get(claim.channel, claim.channel), token=token)


@router.post("/unsubscribe/{token}")
async def unsubscribe(token: str, doors: AppStateDep) -> Response:
    """Opt out, at once, with or without a body (RFC 8058). Any number of clicks is one opt-out."""
    claim = doors.preference_tokens.verify(token)
    if claim is None:
        return _unknown_link_page()
    known = await _read_subscriber(doors, claim)
    event = _opt_out_event(claim, known)
    if event is not None:
        await doors.ingest(event)
    return page("unsubscribed.html", channel=_CHANNEL_NAMES.get(claim.channel, claim.channel), token=token)


@router.get("/preferences/{token}")
async def show(token: str, doors: AppStateDep) -> Response:
    """What is sent on which channel, with a switch each."""
    claim = doors.preference_tokens.verify(token)
    if claim is None:
        return _unknown_link_page()
    known = await _read_subscriber(doors, claim)
    return _preferences_page(token, known) if known.identifiers else _unknown_person_page()


@router.post("/preferences/{token}")
async def save(token: str, request: Request, doors: AppStateDep) -> Response:
    """Save the switches: one consent event for each that changed."""
    claim = doors.preference_tokens.verify(token)
    if claim is None:
        return _unknown_link_page()
    form = _parse_form(await read_body(request))
    if form.get("form") != ["preferences"]:
        return page(
            "notice.html",
            status=422,
            title="Not saved",
            headline="Nothing was changed",
            explanation="This form came without its fields. Go back, reload the page and save again.",
        )
    known = await _read_subscriber(doors, claim)
    if not known.identifiers:
        return _unknown_person_page()
    wanted = {channel: channel in form and "nothing" not in form for channel in CHANNEL_LABELS}
    changed = [channel for channel in CHANNEL_LABELS if wanted[channel] != known.accepts_marketing(channel)]
    if "nothing" in form:
        # A word on every channel, also where nothing was on file.
        changed = list(CHANNEL_LABELS)
    now = datetime.now(UTC)
    await doors.ingest(*(_consent_change_event(known, channel, wanted[channel], now) for channel in changed))
    return _preferences_page(token, await _read_subscriber(doors, claim), saved=True)


def _parse_form(body: bytes) -> dict[str, list[str]]:
    """A form's fields; none where the body is no form of ours."""
    try:
        return parse_qs(body.decode(errors="replace"), max_num_fields=50)
    except ValueError:
        return {}


async def _read_subscriber(doors: AppState, claim: PreferenceClaim) -> Subscriber:
    return await run_read(doors.database, lambda connection: load_subscriber(connection, claim))


def _opt_out_event(claim: PreferenceClaim, known: Subscriber) -> IncomingEvent | None:
    """The click as an event; None where the person is no longer on file, so that there is nobody to write to.

    Its id comes from the token and the last grant: ten clicks are one event, yet after the person opted in
    again the same old link works again.
    """
    seed = f"{claim.message_id}|{claim.profile_id}|{claim.channel}|{claim.topic}|{known.last_grant or ''}"
    event_id = "unsubscribe-" + hashlib.sha256(seed.encode()).hexdigest()[:40]
    if not known.message_known:
        if not known.identifiers:
            return None
        change = ConsentChange.model_validate(
            {
                "channel": claim.channel,
                "topic": claim.topic,
                "state": "withdrawn",
                "source": "unsubscribe link",
                "method": "one_click",
            }
        )
        now = datetime.now(UTC)
        return _without_stated_time(
            build_consent_event(
                _strongest_identifier(known), change, source=PREFERENCES_SOURCE, at=now, event_id=event_id
            )
        )
    return EventWithDerivedTime(
        source=PREFERENCES_SOURCE,
        id=event_id,
        type="Message Unsubscribed",
        channel="email" if claim.channel == "email" else "server",
        time=datetime.now(UTC),
        identifiers=(),
        properties={
            "message_id": claim.message_id,
            "channel": claim.channel,
            "topic": claim.topic,
            "method": "one_click",
        },
    )


def _without_stated_time(event: IncomingEvent) -> EventWithDerivedTime:
    """The same event, known again whenever it is repeated."""
    return EventWithDerivedTime(
        source=event.source,
        id=event.id,
        type=event.type,
        channel=event.channel,
        time=event.time,
        identifiers=event.identifiers,
        properties=event.properties,
    )


def _consent_change_event(known: Subscriber, channel: str, granted: bool, now: datetime) -> IncomingEvent:
    state = "granted" if granted else "withdrawn"
    said = {"channel": channel, "state": state, "source": "preference page", "method": "preference_page"}
    change = ConsentChange.model_validate(said)
    return build_consent_event(_strongest_identifier(known), change, source=PREFERENCES_SOURCE, at=now)


def _strongest_identifier(known: Subscriber) -> tuple[tuple[str, str], ...]:
    first = min(known.identifiers, key=lambda one: IDENTIFIER_TYPES.index(one.type))
    return ((first.type, first.value),)


def _preferences_page(token: str, known: Subscriber, *, saved: bool = False) -> Response:
    channels = [
        {"name": name, "title": title, "description": description, "granted": known.accepts_marketing(name)}
        for name, (title, description) in CHANNEL_LABELS.items()
    ]
    return page("preferences.html", token=token, channels=channels, saved=saved)


def _unknown_link_page() -> Response:
    return page(
        "notice.html",
        status=404,
        title="Unknown link",
        headline="We do not know this link",
        explanation="It may have been cut short on its way. Open the link in the message again, or answer "
        "the message.",
    )


def _unknown_person_page() -> Response:
    return page(
        "notice.html",
        status=404,
        title="Nobody here",
        headline="There is nothing to change",
        explanation="The person this link was made for is no longer on file, so nothing is sent to them.",
    )
