"""A made-up person as their identity is read: a phone, a tablet, a store's till and mail."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from profiles.identity.identifiers import email_hash_key
from profiles.identity.views import Cause, HeldIdentifier, IdentityEdge, IdentityView, Neighbour

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
