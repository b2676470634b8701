"""All that bears on one message, as plain values."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson

from profiles.identifiers import ADDRESS_TYPE
from profiles.shelf import OnShelf, shelf_of, sold_out


def address_type(channel: str) -> str:
    """The identifier type a channel writes to; empty where it writes to none."""
    return ADDRESS_TYPE.get(channel, "")


@dataclass(frozen=True, slots=True)
class Ask:
    """Which message is being decided on."""

    run_id: UUID
    step: str
    channel: str
    at: datetime
    cart_id: str | None = None
    promoted: tuple[tuple[str, str | None], ...] = ()
    """Key and stock keeping unit of the items it would promote."""
    choosing: bool = False
    """Whether it matters on which channels the person engages."""
    counting_back: timedelta = timedelta(0)
    """How far back it matters what was sent."""
    budgeted: bool = False
    """Whether the channel's claims of the last minute matter."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The message row of this send key, where there is one."""

    message_id: UUID
    status: str
    token: UUID | None
    channel: str
    reason: str | None
    items: tuple[str, ...]
    planned_at: datetime | None = None
    """When it was first asked for, by the run's clock."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that was put off and will ask again."""

    channel: str
    journey: str
    topic: str
    until: datetime
    expires_at: datetime
    planned_at: datetime
    value: float
    message_id: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One consistent reading of all that bears on a message."""

    profile_id: UUID
    traits: dict[str, Any]
    context_timezone: str | None
    email_from_order: bool
    erased: bool
    run_state: str
    run_of: UUID
    """Whose the run is, as far as this reading knows: somebody else once people were parted."""
    addresses: dict[str, tuple[str, ...]]
    """email and phone, newest first."""
    consents: tuple[tuple[str, str, str, str], ...]
    """channel, topic, state, source: the word that stands on each."""
    suppressions: tuple[tuple[str, str | None, datetime | None, str, str, str | None, tuple[str, ...]], ...]
    """item, sku, until, event, scope, what it reaches, parts of a bundle."""
    cart: tuple[dict[str, Any], ...] | None
    sent: tuple[tuple[str, datetime, str, str, str, str, tuple[str, ...]], ...]
    """Channel, when, journey, topic, run, template, items."""
    opt_outs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Address → topics it is opted out of."""
    problems: dict[str, str] = field(default_factory=dict)
    """Address → bounced or complained."""
    standing: Standing | None = None
    out_of_stock: frozenset[str] = frozenset()
    """Those of the promoted items that the shop is known to have sold out."""
    shelf: tuple[OnShelf, ...] = ()
    """What the shop's feed says of the promoted items."""
    engaged: dict[str, int] = field(default_factory=dict)
    """Channel → messages opened or followed of late, where it was asked for."""
    waiting: tuple[Waiting, ...] = ()
    """Marketing of the person's other live runs that was put off."""
    stops: tuple[tuple[str, str, datetime], ...] = ()
    """kind, name, since of every kill switch that is on."""
    claims_last_minute: int | None = None
    """On the channel, where it was asked for."""

    def address(self, channel: str) -> str | None:
        """Where to reach the person: the address in the traits if it is theirs, else the newest one."""
        kind = address_type(channel)
        known = self.addresses.get(kind, ())
        named = str(self.traits.get(kind, "")).strip().lower()
        return named if named in known else next(iter(known), None)


def snapshot_of(row: Any, ask: Ask) -> Snapshot:
    """One row of the reading, as values."""

    def rows(name: str) -> list[list[Any]]:
        return [orjson.loads(text) for text in row[name]]

    addresses: dict[str, tuple[str, ...]] = {}
    for kind, value, _ in sorted(rows("addresses"), key=_newest_first):
        addresses[kind] = (*addresses.get(kind, ()), value)
    opt_outs: dict[str, tuple[str, ...]] = {}
    for address, topic in rows("opt_outs"):
        opt_outs[address] = (*opt_outs.get(address, ()), topic)
    shelf = shelf_of(rows("shelf"))
    return Snapshot(
        profile_id=row["profile_id"],
        traits=orjson.loads(row["traits"]),
        context_timezone=row["context_timezone"],
        email_from_order=row["email_from_order"],
        erased=row["erased_at"] is not None,
        run_state=row["run_state"],
        run_of=row["run_of"],
        addresses=addresses,
        consents=tuple((c, t, s, source) for c, t, s, source in rows("consents")),
        suppressions=tuple(
            (item, sku, datetime.fromisoformat(until) if until else None, event_id, scope, of, tuple(parts))
            for event_id, _, item, sku, until, scope, of, parts in sorted(rows("suppressions"), key=_by_event)
        ),
        cart=None if row["cart"] is None else tuple(orjson.loads(row["cart"])),
        sent=tuple(
            (channel, datetime.fromisoformat(at), journey, topic, run, template, tuple(items))
            for channel, at, journey, topic, run, template, items in rows("sent")
        ),
        opt_outs=opt_outs,
        problems=dict(rows("problems")),
        standing=_standing(row),
        shelf=shelf,
        out_of_stock=sold_out(shelf, ask.promoted),
        engaged=orjson.loads(row["engaged"] or "{}"),
        waiting=tuple(_waiting(*one) for one in sorted(rows("waiting"))),
        stops=tuple((kind, name, datetime.fromisoformat(since)) for kind, name, since in rows("stops")),
        claims_last_minute=row["claims_last_minute"],
    )


def _newest_first(row: Sequence[Any]) -> tuple[float, str]:
    _, address, seen_at = row
    return -seen_at, address


def _by_event(row: Sequence[Any]) -> tuple[str, int]:
    return row[0], row[1]


def _standing(row: Any) -> Standing | None:
    if row["message_id"] is None:
        return None
    return Standing(
        row["message_id"],
        row["status"],
        row["token"],
        row["message_channel"],
        row["message_reason"],
        tuple(row["message_items"]),
        row["message_planned_at"],
    )


def _waiting(
    message: str, channel: str, journey: str, topic: str, until: str, expires: str, planned: str, value: float
) -> Waiting:
    instants = [datetime.fromisoformat(at) for at in (until, expires, planned)]
    return Waiting(channel, journey, topic, instants[0], instants[1], instants[2], value, message)
