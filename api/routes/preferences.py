"""Opting out without a login: the page behind the link in a mail, and RFC 8058's one click."""

import hashlib
from datetime import UTC, datetime
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response

from api.dependencies import Doors, Open
from api.events.parsed import Heard
from api.http.bodies import read_body
from api.http.outage import reading
from api.pages import page
from api.routes.consents import ConsentChange, consent_event
from profiles.identity.identifiers import IDENTIFIER_TYPES
from profiles.messaging.preference_tokens import PreferenceClaim
from profiles.state.event_records import IncomingEvent
from profiles.views.preferences import Subscriber, subscriber

router = APIRouter(tags=["Preferences"], include_in_schema=True)

SOURCE = "waypost/preferences"

CHANNELS = {
    "email": ("Email", "Offers and reminders in your inbox"),
    "sms": ("Text messages", "Short reminders on your phone"),
    "push": ("App notifications", "On devices where you use our app"),
    "ads": ("Advertisements", "Our offers on other sites"),
}

_IN_WORDS = {"email": "email", "sms": "text message", "push": "app notification", "ads": "advertisement"}


@router.get("/unsubscribe/{token}")
async def ask(token: str, doors: Open) -> Response:
    """A page with one button. Looking at it changes nothing: link scanners look at every link of a mail."""
    claim = doors.tokens.read(token)
    if claim is None:
        return _unknown_link()
    return page("unsubscribe.html", channel=_IN_WORDS.get(claim.channel, claim.channel), token=token)


@router.post("/unsubscribe/{token}")
async def unsubscribe(token: str, doors: Open) -> Response:
    """Opt out, at once, with or without a body (RFC 8058). Any number of clicks is one opt-out."""
    claim = doors.tokens.read(token)
    if claim is None:
        return _unknown_link()
    known = await _subscriber(doors, claim)
    event = _opt_out(claim, known)
    if event is not None:
        await doors.take(event)
    return page("unsubscribed.html", channel=_IN_WORDS.get(claim.channel, claim.channel), token=token)


@router.get("/preferences/{token}")
async def show(token: str, doors: Open) -> Response:
    """What is sent on which channel, with a switch each."""
    claim = doors.tokens.read(token)
    if claim is None:
        return _unknown_link()
    known = await _subscriber(doors, claim)
    return _preferences(token, known) if known.identifiers else _nobody()


@router.post("/preferences/{token}")
async def save(token: str, request: Request, doors: Open) -> Response:
    """Save the switches: one consent event for each that changed."""
    claim = doors.tokens.read(token)
    if claim is None:
        return _unknown_link()
    form = _fields(await read_body(request))
    if form.get("form") != ["preferences"]:
        return page(
            "notice.html",
            status=422,
            title="Not saved",
            headline="Nothing was changed",
            explanation="This form came without its fields. Go back, reload the page and save again.",
        )
    known = await _subscriber(doors, claim)
    if not known.identifiers:
        return _nobody()
    wanted = {channel: channel in form and "nothing" not in form for channel in CHANNELS}
    changed = [channel for channel in CHANNELS if wanted[channel] != known.takes(channel)]
    if "nothing" in form:
        # A word on every channel, also where nothing was on file.
        changed = list(CHANNELS)
    now = datetime.now(UTC)
    await doors.take(*(_consent(known, channel, wanted[channel], now) for channel in changed))
    return _preferences(token, await _subscriber(doors, claim), saved=True)


def _fields(body: bytes) -> dict[str, list[str]]:
    """A form's fields; none where the body is no form of ours."""
    try:
        return parse_qs(body.decode(errors="replace"), max_num_fields=50)
    except ValueError:
        return {}


async def _subscriber(doors: Doors, claim: PreferenceClaim) -> Subscriber:
    return await reading(doors.database, lambda connection: subscriber(connection, claim))


def _opt_out(claim: PreferenceClaim, known: Subscriber) -> IncomingEvent | None:
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
        return _timeless(consent_event(_strongest(known), change, source=SOURCE, at=now, event_id=event_id))
    return Heard(
        source=SOURCE,
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


def _timeless(event: IncomingEvent) -> Heard:
    """The same event, known again whenever it is repeated."""
    return Heard(
        source=event.source,
        id=event.id,
        type=event.type,
        channel=event.channel,
        time=event.time,
        identifiers=event.identifiers,
        properties=event.properties,
    )


def _consent(known: Subscriber, channel: str, granted: bool, now: datetime) -> IncomingEvent:
    state = "granted" if granted else "withdrawn"
    said = {"channel": channel, "state": state, "source": "preference page", "method": "preference_page"}
    change = ConsentChange.model_validate(said)
    return consent_event(_strongest(known), change, source=SOURCE, at=now)


def _strongest(known: Subscriber) -> tuple[tuple[str, str], ...]:
    first = min(known.identifiers, key=lambda one: IDENTIFIER_TYPES.index(one.type))
    return ((first.type, first.value),)


def _preferences(token: str, known: Subscriber, *, saved: bool = False) -> Response:
    channels = [
        {"name": name, "title": title, "description": description, "granted": known.takes(name)}
        for name, (title, description) in CHANNELS.items()
    ]
    return page("preferences.html", token=token, channels=channels, saved=saved)


def _unknown_link() -> Response:
    return page(
        "notice.html",
        status=404,
        title="Unknown link",
        headline="We do not know this link",
        explanation="It may have been cut short on its way. Open the link in the message again, or answer "
        "the message.",
    )


def _nobody() -> Response:
    return page(
        "notice.html",
        status=404,
        title="Nobody here",
        headline="There is nothing to change",
        explanation="The person this link was made for is no longer on file, so nothing is sent to them.",
    )
