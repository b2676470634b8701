"""A made-up person as their identity is read: a phone, a tablet, a store's till and mail."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from profiles.db.database import Database
from profiles.db.sql import new_id
from profiles.identity.graph import IdentityGraph, Link
from profiles.identity.identifiers import STRONG_TYPES, email_hash_key, strongest_first
from profiles.identity.views import Cause, HeldIdentifier, IdentityEdge, IdentityView, Neighbour
from tests.support.builders.profiles import message_row

PERSON = UUID("019a2f00-1111-7000-8000-00000ada0001")

BROTHER = UUID("019a2f00-2222-7000-8000-00000bab0002")

FIRST = datetime(2026, 11, 3, 8, 12, tzinfo=UTC)

USER, LOYALTY, EMAIL, WORK = (
    "user_id:u-4711",
    "loyalty_id:L-220871",
    "email:ada@example.com",
    "email:a.king@example.org",
)

PHONE, PUSH = "phone:+4915112345678", "push_token:f3b1c09de2a7448bb1d0"

MOBILE, TABLET, KIOSK = "anonymous_id:m-5f2a91c7", "anonymous_id:t-81bd04e3", "anonymous_id:kiosk-berlin-3"

OTHER_USER = "user_id:u-4832"


def cause(event_type: str, channel: str, after: timedelta, *, verified: bool = True) -> Cause:
    """An event so long after the first."""
    return Cause(
        event_id=UUID(int=int(after.total_seconds()) + 1),
        event_type=event_type,
        channel=channel,
        source="shop",
        id=f"e-{int(after.total_seconds())}",
        time=FIRST + after,
        verified=verified,
    )


def held(key: str, after: timedelta = timedelta(), *, vouched: bool = False) -> HeldIdentifier:
    """One identifier of the person."""
    kind, _, value = key.partition(":")
    return HeldIdentifier(kind, value, FIRST + after, FIRST + after, vouched, "good")


def joined(one: str, other: str, because: Cause) -> IdentityEdge:
    """Two identifiers that an event joined."""
    return IdentityEdge(one, other, True, "", "", "", because)


def refused(one: str, other: str, why: str, because: Cause, detail: str = "") -> IdentityEdge:
    """Two identifiers that an event named together, in vain."""
    return IdentityEdge(one, other, False, why, detail, f"{one} and {other} stay apart", because)


def neighbour(key: str, profile_id: UUID | None = None, *, status: str = "good") -> Neighbour:
    """An identifier of somebody else, or of nobody."""
    kind, _, value = key.partition(":")
    return Neighbour(kind, value, profile_id, status, "stays apart")


def seen(
    identifiers: Sequence[HeldIdentifier],
    edges: Sequence[IdentityEdge] = (),
    neighbours: Sequence[Neighbour] = (),
    merged: Sequence[UUID] = (),
) -> IdentityView:
    """A person's identity."""
    return IdentityView(PERSON, list(identifiers), list(edges), list(neighbours), [], list(merged), [])


def ada() -> IdentityView:
    """Ada: browses on her phone, signs in, buys in the store, lends her tablet to her brother."""
    days = [timedelta(days=number, hours=number, minutes=7 * number) for number in range(12)]
    return seen(
        [
            held(MOBILE),
            held(USER, days[1], vouched=True),
            held(EMAIL, days[1], vouched=True),
            held(email_hash_key(EMAIL), days[1]),
            held(LOYALTY, days[3], vouched=True),
            held(PHONE, days[3], vouched=True),
            held(PUSH, days[5]),
            held(TABLET, days[7]),
            held(WORK, days[9], vouched=True),
        ],
        [
            joined(EMAIL, MOBILE, cause("Signed Up", "mobile", days[1])),
            joined(USER, EMAIL, cause("Signed In", "server", days[2])),
            joined(EMAIL, email_hash_key(EMAIL), cause("Signed Up", "mobile", days[1])),
            joined(LOYALTY, PHONE, cause("Order Completed", "store", days[3])),
            joined(EMAIL, LOYALTY, cause("Order Completed", "store", days[4])),
            joined(MOBILE, PUSH, cause("Application Opened", "mobile", days[5], verified=False)),
            joined(email_hash_key(EMAIL), TABLET, cause("Email Link Clicked", "email", days[7])),
            joined(USER, WORK, cause("Checkout Started", "web", days[9])),
            refused(OTHER_USER, TABLET, "limit", cause("Signed In", "web", days[10]), "user_id"),
            refused(LOYALTY, OTHER_USER, "limit", cause("Order Completed", "store", days[11]), "user_id"),
            refused(LOYALTY, KIOSK, "quarantined", cause("Product Viewed", "store", days[11])),
        ],
        [neighbour(OTHER_USER, BROTHER), neighbour(KIOSK, status="quarantined")],
        merged=[UUID("019a2f00-3333-7000-8000-00000ada0003")],
    )


HOSTILE = 'user_id:a "b" <script>alert(1)</script> & #35; `c`|]) \\ \x07 end'


def chain(count: int, *, each_on: int = 1, others: int = 0) -> IdentityView:
    """So many identifiers, each joined to an earlier one, and so many of other people."""
    keys = [USER, EMAIL, *(f"anonymous_id:device-{number:03}" for number in range(count - 2))]
    edges = [
        joined(
            keys[number // each_on - (each_on == 1)],
            key,
            cause("Product Viewed", "web", timedelta(hours=number)),
        )
        for number, key in enumerate(keys)
        if number
    ]
    strangers = [f"email:stranger-{number}@example.com" for number in range(others)]
    edges += [
        refused(
            keys[number % count],
            key,
            "limit",
            cause("Checkout Started", "web", timedelta(days=number)),
            "email",
        )
        for number, key in enumerate(strangers)
    ]
    return seen(
        [held(key, timedelta(hours=number)) for number, key in enumerate(keys)],
        edges,
        [neighbour(key, UUID(int=number + 1)) for number, key in enumerate(strangers)],
    )


TWO = seen([held(EMAIL), held(MOBILE)], [joined(EMAIL, MOBILE, cause("Signed Up", "web", timedelta()))])

STRANGE = seen(
    [held(HOSTILE), held(EMAIL)],
    [joined(HOSTILE, EMAIL, cause('a|"b"]) end --> <x>', "web", timedelta(), verified=False))],
)

EVERY = {
    "ada": ada(),
    "two": TWO,
    "strange": STRANGE,
    "alone": seen([held(MOBILE)]),
    "nobody": seen([]),
    "deep": chain(25),
    "most": chain(25, each_on=3),
    "too many": chain(60, each_on=3, others=12),
}

START = datetime(2026, 11, 21, 12, tzinfo=UTC)


def link(hour: float, *keys: str, verified: bool = True) -> Link:
    """An event so many hours after the start, with the hash that an email implies."""
    implied = [email_hash_key(key) for key in keys if key.startswith("email:")]
    return Link((*keys, *implied), START + timedelta(hours=hour), "shop", f"e-{hour:g}", verified)


def logins(count: int) -> list[Link]:
    """So many people who log in at one tablet, a minute apart."""
    return [
        link(n / 60, f"user_id:{n}", f"email:p{n}@example.com", "anonymous_id:tablet") for n in range(count)
    ]


def names_of(graph: IdentityGraph, key: str) -> set[str]:
    """The keys of one person."""
    return {name for name in graph.cluster_of(key) if not name.startswith("email_sha256:")}


def people(graph: IdentityGraph) -> list[set[str]]:
    """The keys of each."""
    return [names_of(graph, cluster[0]) for cluster in graph.clusters]


def refusals(graph: IdentityGraph) -> list[tuple[str, str, str]]:
    """(the key joined to, the key that did not join, why), in order."""
    return [(step.target_key, step.candidate_key, step.refusal) for step in graph.steps if not step.joined]


def owner(keys: Sequence[str], verified: bool, graph: IdentityGraph) -> str | None:
    """The key whose cluster an event that names these keys belongs to; None when no key is good.

    That is its strongest good key. An unverified event that names several people belongs to the strongest
    key of those who are not vouched for, if there is one: a browser may not write into a customer's
    profile by also naming the customer.
    """
    good = sorted((key for key in keys if key not in graph.quarantined), key=strongest_first)
    if not verified and len({graph.cluster_of(key) for key in good}) > 1:
        free = (key for key in good if graph.vouched.isdisjoint(graph.cluster_of(key)))
        return next(free, good[0])
    return good[0] if good else None


_EVENT = """
INSERT INTO event (event_id, source, id, content_hash, type, channel, time, at, verified)
VALUES ($1, 'shop', $2, '', $3, $4, $5, $5, $6)
"""

_LINK = """
INSERT INTO identity_link (digest, verified, keys, time, source, id, event_id, at)
VALUES ($1, $2, $3, $4, 'shop', $5, $6, $4)
"""

_IDENTIFIER = """
INSERT INTO identifier (type, value, profile_id, origin, since, linked_at, status, vouched, created_at)
VALUES ($1, $2, $3, $3, $4, $4, $5, $6, $4)
"""

_LOG = """
INSERT INTO identity_log (at, kind, profile_id, other_profile_id, key, other_key, detail)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""


@dataclass(slots=True)
class IdentityRows:
    """Writes people, what links them, and what was sent to them."""

    database: Database
    events: list[UUID] = field(default_factory=list)

    async def person(
        self, *keys: str, quarantined: tuple[str, ...] = (), merged_into: UUID | None = None
    ) -> UUID:
        """A profile with these identifiers."""
        profile_id = new_id()
        async with self.database.transaction() as connection:
            await connection.execute(
                "INSERT INTO profile (profile_id, merged_into, created_at) VALUES ($1, $2, $3)",
                profile_id,
                merged_into,
                FIRST,
            )
            for key in keys:
                kind, _, value = key.partition(":")
                status = "quarantined" if key in quarantined else "good"
                await connection.execute(
                    _IDENTIFIER, kind, value, profile_id, FIRST, status, kind in STRONG_TYPES
                )
        return profile_id

    async def link(
        self,
        *keys: str,
        name: str = "Signed In",
        channel: str = "web",
        after: timedelta = timedelta(),
        verified: bool = True,
    ) -> UUID:
        """An event that names several identifiers; its id."""
        event_id, said = new_id(), f"e-{len(self.events) + 1}"
        named = sorted(keys, key=strongest_first)
        digest = hashlib.sha256("\x1f".join(named).encode()).digest()
        async with self.database.transaction() as connection:
            await connection.execute(_EVENT, event_id, said, name, channel, FIRST + after, verified)
            await connection.execute(_LINK, digest, verified, named, FIRST + after, said, event_id)
        self.events.append(event_id)
        return event_id

    async def cut(self, one: str, other: str, *, lifted: bool = False) -> int:
        """Two identifiers kept apart; the cut's id."""
        async with self.database.transaction() as connection:
            cut_id: int = await connection.fetchval(
                "INSERT INTO identity_cut (one, other, actor, reason, at, lifted_at) "
                "VALUES ($1, $2, 'ops', 'siblings', $3, $4) RETURNING cut_id",
                one,
                other,
                FIRST,
                FIRST if lifted else None,
            )
        return cut_id

    async def logged(
        self,
        kind: str,
        profile_id: UUID | None = None,
        *,
        other: UUID | None = None,
        key: str | None = None,
        at: datetime = FIRST,
        detail: str = "",
    ) -> None:
        """A row of the log."""
        async with self.database.transaction() as connection:
            await connection.execute(_LOG, at, kind, profile_id, other, key, None, detail)

    async def sent(self, profile_id: UUID, at: datetime) -> UUID:
        """A message that went out."""
        given = {"journey": "win-back", "template": "we_miss_you", "decided_at": at, "sent_at": at}
        async with self.database.transaction() as connection:
            return await message_row(connection, profile_id, **given)
