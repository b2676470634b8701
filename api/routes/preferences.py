"""Opt-out without a login: the pages behind the links in messages, and one-click unsubscribe (RFC 8058)."""

import hashlib
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, Request, Response

from api.dependencies import AppState, AppStateDep, new_event_id
from api.events.parsed import EventWithDerivedTime
from api.http.bodies import read_body
from api.http.outage import run_read
from api.http.problems import Problem
from api.pages import page
from api.routes.consents import ConsentChange, build_consent_event
from policy.verdict import Channel
from profiles.events import PreferencesSaved
from profiles.identity.identifiers import ADDRESS_TYPE_BY_CHANNEL, IDENTIFIER_TYPES
from profiles.ingest.event_store import IngestStatus
from profiles.messaging.preference_tokens import PreferenceClaim
from profiles.state.event_records import IncomingEvent
from profiles.views.preferences import Subscriber, is_opted_out, load_subscriber

router = APIRouter(tags=["Preferences"], include_in_schema=True)

PREFERENCES_SOURCE = "waypost/preferences"

CHANNEL_LABELS = {
    "email": ("Email", "Offers and reminders in your inbox"),
    "sms": ("Text messages", "Short reminders on your phone"),
    "ads": ("Advertisements", "Our offers on other sites"),
}
"""Channel → its label and description. Without push, which has neither a provider nor message templates."""

CHANNEL_NAMES = {"email": "email", "sms": "text message", "push": "app notification", "ads": "advertisement"}


UNKNOWN_LINK = (
    "Unknown link",
    "We do not know this link",
    "It may have been cut short on its way. Open the link in the message again, or answer the message.",
)
_UNKNOWN_PERSON = (
    "Nobody here",
    "There is nothing to change",
    "The person this link was made for is no longer on file, so nothing is sent to them.",
)
"""Title, headline and explanation of a notice."""

_NOT_STORED = (
    "Not saved",
    "This could not be saved",
    "Nothing was changed. Try again in a few minutes, or answer the message.",
)


class Notice(Problem):
    """A problem that is answered with a page."""

    def __init__(self, status: int, title: str, headline: str, explanation: str) -> None:
        super().__init__(status, explanation)
        self._values: dict[str, Any] = {"title": title, "headline": headline, "explanation": explanation}

    def to_response(self) -> Response:
        """Return the page."""
        return page("notice.html", status=self.status, **self._values)


async def _verify(token: str, app_state: AppStateDep) -> PreferenceClaim:
    """Return what a link's token proves. Raises ``Problem`` 404."""
    claim = app_state.preference_tokens.verify(token)
    if claim is None:
        raise Notice(404, *UNKNOWN_LINK)
    return claim


ClaimDep = Annotated[PreferenceClaim, Depends(_verify)]


@router.get("/unsubscribe/{token}")
async def ask(token: str, claim: ClaimDep) -> Response:
    """Show a page with one button. Changes nothing, because link scanners open every link of a mail."""
    return page("unsubscribe.html", channel=CHANNEL_NAMES.get(claim.channel, claim.channel), token=token)


@router.post("/unsubscribe/{token}")
async def unsubscribe(token: str, claim: ClaimDep, app_state: AppStateDep) -> Response:
    """Opt out at once, with or without a body (RFC 8058). Any number of clicks is one opt-out."""
    subscriber = await _read_subscriber(app_state, claim)
    event = _opt_out_event(claim, subscriber)
    if event is not None:
        await _store(app_state, event)
        if not await _is_opted_out(app_state, claim, subscriber):
            # The same click was recorded before, and something has lifted it since.
            await _store(app_state, replace(event, id=new_event_id("unsubscribe")))
    return page("unsubscribed.html", channel=CHANNEL_NAMES.get(claim.channel, claim.channel), token=token)


@router.get("/preferences/{token}")
async def show(token: str, claim: ClaimDep, app_state: AppStateDep) -> Response:
    """Show the channels, each with a switch."""
    return _preferences_page(token, await _read_person(app_state, claim))


@router.post("/preferences/{token}")
async def save(token: str, claim: ClaimDep, request: Request, app_state: AppStateDep) -> Response:
    """Save the switches: one consent event for each changed channel."""
    form = _parse_form(await read_body(request))
    if form.get("form") != ["preferences"]:
        explanation = "This form came without its fields. Go back, reload the page and save again."
        raise Notice(422, "Not saved", "Nothing was changed", explanation)
    subscriber = await _read_person(app_state, claim)
    wanted = {channel: channel in form and "nothing" not in form for channel in CHANNEL_LABELS}
    changed = [
        channel for channel in CHANNEL_LABELS if wanted[channel] != subscriber.accepts_marketing(channel)
    ]
    states = {channel: "granted" if wanted[channel] else "withdrawn" for channel in changed}
    if "nothing" in form:
        # An opt-out of every channel, also of push and of those without a consent on record.
        states = {channel.value: "withdrawn" for channel in Channel}
    now = datetime.now(UTC)
    fields = {"source": "preference page", "method": "preference_page"}
    changes = [{"channel": channel, "state": state, **fields} for channel, state in states.items()]
    events = [_consent_event(subscriber, change, now) for change in changes]
    if others := subscriber.other_identifiers:
        # The address has left the profile that the message was for. What is refused is refused there too.
        former = replace(subscriber, identifiers=others, address=None)
        events += [
            _consent_event(former, change, now) for change in changes if change["state"] == "withdrawn"
        ]
    if switched_on := [channel for channel in CHANNEL_LABELS if wanted[channel]]:
        events.append(_saved_event(subscriber, switched_on, now))
    await _store(app_state, *events)
    return _preferences_page(token, await _read_subscriber(app_state, claim), saved=True)


async def _store(app_state: AppState, *events: IncomingEvent) -> None:
    """Ingest the events of a page. Raises ``Problem`` 503 if one is not stored: no page promises that."""
    if any(answer.status is IngestStatus.REJECTED for answer in await app_state.ingest(*events)):
        raise Notice(503, *_NOT_STORED)


async def _is_opted_out(app_state: AppState, claim: PreferenceClaim, subscriber: Subscriber) -> bool:
    """Return whether the address of a link is opted out; True where the link's channel has no address."""
    if subscriber.address is None or ADDRESS_TYPE_BY_CHANNEL.get(claim.channel) != subscriber.address[0]:
        return True
    address = subscriber.address[1]
    return await run_read(
        app_state.database, lambda connection: is_opted_out(connection, claim.channel, address)
    )


def _parse_form(body: bytes) -> dict[str, list[str]]:
    """Return the fields of a form; none if the body is not a form."""
    try:
        return parse_qs(body.decode(errors="replace"), max_num_fields=50)
    except ValueError:
        return {}


async def _read_subscriber(app_state: AppState, claim: PreferenceClaim) -> Subscriber:
    return await run_read(app_state.database, lambda connection: load_subscriber(connection, claim))


async def _read_person(app_state: AppState, claim: PreferenceClaim) -> Subscriber:
    """Return the subscriber. Raises ``Problem`` 404 without an identifier on file."""
    subscriber = await _read_subscriber(app_state, claim)
    if not subscriber.identifiers and subscriber.address is None:
        raise Notice(404, *_UNKNOWN_PERSON)
    return subscriber


def _opt_out_event(claim: PreferenceClaim, subscriber: Subscriber) -> IncomingEvent | None:
    """Return the event of an unsubscribe click, or None if the profile no longer exists.

    Its id derives from token and last grant: ten clicks are one event, and after an opt-in it is another.
    """
    seed = (
        f"{claim.message_id}|{claim.profile_id}|{claim.channel}|{claim.topic}|{subscriber.last_grant or ''}"
    )
    event_id = "unsubscribe-" + hashlib.sha256(seed.encode()).hexdigest()[:40]
    if not subscriber.message_known:
        if not subscriber.identifiers and subscriber.address is None:
            return None
        fields = {"state": "withdrawn", "source": "unsubscribe link", "method": "one_click"}
        change = {"channel": claim.channel, "topic": claim.topic, **fields}
        event = asdict(_consent_event(subscriber, change, datetime.now(UTC)))
        # Without a stated time, so that repeated clicks have the same content hash.
        return EventWithDerivedTime(**event | {"id": event_id})
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


def _consent_event(subscriber: Subscriber, change: dict[str, str], at: datetime) -> IncomingEvent:
    """Return the event of a change, under the address that the link was sent to.

    The link proves this address and no other one: a page may have put several into one profile. Where the
    address is not known, the event is unverified, and names the subscriber's strongest identifier.
    """
    stated = ConsentChange.model_validate(change)
    event = build_consent_event((_named_by_link(subscriber),), stated, source=PREFERENCES_SOURCE, at=at)
    return replace(event, verified=subscriber.address is not None)


def _saved_event(subscriber: Subscriber, channels: list[str], at: datetime) -> IncomingEvent:
    """Return the event by which a journey learns that the customer wants to stay, as ``_consent_event``."""
    return IncomingEvent(
        source=PREFERENCES_SOURCE,
        id=new_event_id("preferences"),
        type=PreferencesSaved.event_name,
        channel="server",
        time=at,
        identifiers=(_named_by_link(subscriber),),
        properties={"channels": channels},
        verified=subscriber.address is not None,
    )


def _named_by_link(subscriber: Subscriber) -> tuple[str, str]:
    """Return the address of the link, else the subscriber's strongest identifier, as type and value."""
    if subscriber.address is not None:
        return subscriber.address
    first = min(subscriber.identifiers, key=lambda identifier: IDENTIFIER_TYPES.index(identifier.type))
    return first.type, first.value


def _preferences_page(token: str, subscriber: Subscriber, *, saved: bool = False) -> Response:
    channels = [
        {
            "name": name,
            "title": title,
            "description": description,
            "granted": subscriber.accepts_marketing(name),
        }
        for name, (title, description) in CHANNEL_LABELS.items()
    ]
    return page("preferences.html", token=token, channels=channels, saved=saved)
