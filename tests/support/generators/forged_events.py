"""Customers whom a shop's server has vouched for, and all of them that a forger would like to change."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from random import Random
from typing import Any
from uuid import UUID

from policy.verdict import Channel
from profiles.messaging.claims import read_locked_snapshot
from profiles.messaging.snapshot import SnapshotQuery
from tests.support.environments.api import ADMIN, SERVER, OpenApi
from tests.support.environments.ingest import LAMP, IngestHarness
from tests.support.queries.consent import may_mail

CHANNELS = ("email", "sms")


@dataclass(frozen=True, slots=True)
class Victim:
    """A customer of whom the forger knows all but the device."""

    number: int

    @property
    def known(self) -> dict[str, str]:
        """Identifiers that a stranger may know."""
        one = self.number
        return {
            "user_id": f"u-{one}",
            "loyalty_id": f"L-{one}",
            "email": f"victim-{one}@example.com",
            "phone": f"+49151{12_000_000 + one}",
        }

    @property
    def keys(self) -> tuple[str, ...]:
        """All that is theirs, sorted."""
        hashed = f"email_sha256:{sha256(self.known['email'].encode()).hexdigest()}"
        own = [f"{kind}:{value}" for kind, value in self.known.items()]
        return tuple(sorted([*own, hashed, f"anonymous_id:device-of-{self.number}"]))

    @property
    def traits(self) -> dict[str, Any]:
        """What the shop says of them; every other one of them has said no to something."""
        words: list[dict[str, bool]] = [{}, {"email": False}, {}, {"email": True, "sms": False}]
        said = words[self.number % 4]
        traits = {
            "first_name": f"Ada {self.number}",
            "timezone": "Europe/Berlin",
            "email": self.known["email"],
        }
        return traits | ({"consents": said} if said else {})

    async def speaks(self, api: OpenApi) -> None:
        """Is vouched for by the shop's server, leaves a cart behind, and may say no at the desk."""
        device = {"anonymous_id": f"device-of-{self.number}"}
        event = {"source": "shop", "identifiers": self.known | device, "channel": "web"}
        cart = {"cart_id": f"c-{self.number}", **LAMP}
        events = [
            {**event, "id": f"login-{self.number}", "type": "Signed In", "traits": self.traits},
            {**event, "id": f"added-{self.number}", "type": "Product Added", "properties": cart},
        ]
        answer = await api.send("/v1/events", events, headers=SERVER)
        assert [one["status"] for one in answer.json()["results"]] == ["accepted"] * 2
        if self.number % 4 == 2:
            for channel in CHANNELS:
                word = {"channel": channel, "state": "withdrawn", "source": "desk"}
                path = f"/v1/profiles/user_id/u-{self.number}/consents"
                assert (await api.client.put(path, json=word, headers=ADMIN)).status_code == 200


@dataclass(frozen=True)
class VictimState:
    """All of a customer that a forger would like to change."""

    merged: tuple[str, ...]
    """Identifiers, without devices that pages have linked where a shop accepts it."""
    diverted: dict[str, str | None]
    """Channel → the address that a message would go to."""
    consented: dict[str, list[str]]
    """Channel → what the gate has against marketing."""
    words: tuple[tuple[str, str, str, str], ...]
    """Consents as they stand."""
    rewritten: dict[str, Any]
    """Traits that the shop has told."""
    taken_away: tuple[str, ...]
    """Identifiers that count as nobody's."""


async def standing(api: OpenApi, victim: Victim) -> VictimState:
    """How a customer stands, as the gate would read it under lock."""
    facts = IngestHarness(api.doors.database)
    [run] = await facts.rows("SELECT run_id, profile_id FROM run WHERE key = $1", f"c-{victim.number}")
    rows = await facts.rows(
        "SELECT i.type || ':' || i.value AS key, i.status FROM identifier i WHERE profile_id = $1 "
        "AND NOT linked_by_page ORDER BY 1",
        run["profile_id"],
    )
    stolen = await facts.values(
        "SELECT type || ':' || value FROM identifier WHERE type || ':' || value = ANY($1) "
        "AND status = 'quarantined' ORDER BY 1",
        list(victim.keys),
    )
    async with facts.database.transaction() as connection:
        asks = [_ask(run["run_id"], channel) for channel in CHANNELS]
        snapshots = [await read_locked_snapshot(connection, ask) for ask in asks]
    first, _ = snapshots
    assert first is not None
    return VictimState(
        merged=tuple(row["key"] for row in rows),
        diverted={c: s.address(c) for c, s in zip(CHANNELS, snapshots, strict=True) if s},
        consented={c: await may_mail(facts, run["run_id"], Channel(c)) for c in CHANNELS},
        words=tuple(sorted(first.consents)),
        rewritten={name: first.traits.get(name) for name in ("first_name", "timezone", "email")},
        taken_away=tuple(stolen),
    )


def _ask(run_id: UUID, channel: str) -> SnapshotQuery:
    return SnapshotQuery(run_id, "s", channel, datetime.now(UTC))


def lost(before: VictimState, after: VictimState) -> set[str]:
    """The aims that a forger has reached."""
    return {
        name for name in VictimState.__dataclass_fields__ if getattr(before, name) != getattr(after, name)
    }


GRANTS = {"email": True, "sms": True, "push": True, "ads": True, "all": True}

Call = tuple[str, dict[str, Any]]
"""A path, and what is posted to it."""


def forgeries(count: int, victims: int, *, seed: int) -> list[Call]:
    """As many attacks of all shapes in turn, the same for the same seed."""
    draw = Random(seed)
    return [_SHAPES[n % len(_SHAPES)](_Forgery(n, draw, victims)) for n in range(count)]


class _Forgery:
    """One forged event in the making."""

    def __init__(self, number: int, draw: Random, victims: int) -> None:
        self.number, self.draw = number, draw
        self.victim, self.other = (Victim(one) for one in draw.sample(range(victims), 2))
        self.mine = {
            "user_id": f"mallory-{draw.randrange(5)}",
            "email": f"mallory-{draw.randrange(5)}@example.net",
            "anonymous_id": f"browser-{draw.randrange(5)}",
        }
        self.lies = {
            "email": self.mine["email"],
            "timezone": "Pacific/Kiritimati",
            "first_name": "<b>Mallory</b>",
            "consents": GRANTS,
        }

    @property
    def time(self) -> str:
        """Long ago, now, or yet to come."""
        days = self.draw.choice((-20_000, -800, -1, 0, 0, 0, 2, 20_000))
        return (datetime.now(UTC) + timedelta(days=days)).isoformat()

    def some(self) -> dict[str, str]:
        """One to all of what is known of the victim."""
        names = self.draw.sample(list(self.victim.known), self.draw.randint(1, 4))
        return {name: self.victim.known[name] for name in names}

    def native(self, identifiers: dict[str, Any], name: str = "Signed In", **more: Any) -> Call:
        event = {"id": f"forged-{self.number}", "type": name, "identifiers": identifiers, "time": self.time}
        return "/v1/events", event | more

    def call(self, path: str, **more: Any) -> Call:
        return path, {"messageId": f"forged-{self.number}", "timestamp": self.time} | more


def _identify(f: _Forgery) -> Call:
    return f.call(
        "/v1/identify", userId=f.victim.known["user_id"], anonymousId=f.mine["anonymous_id"], traits=f.lies
    )


def _identify_in_a_new_browser(f: _Forgery) -> Call:
    browser = f"browser-of-{f.number}"
    return f.call("/v1/identify", userId=f.victim.known["user_id"], anonymousId=browser, traits=f.lies)


def _own_user_with_their_address(f: _Forgery) -> Call:
    address = f.draw.choice(("email", "phone", "loyalty_id"))
    traits = f.lies | {address: f.victim.known[address]}
    return f.call("/v1/identify", userId=f.mine["user_id"], anonymousId=f.mine["anonymous_id"], traits=traits)


def _made_up_users_with_their_address(f: _Forgery) -> Call:
    """So many share the address, it seems, that it is nobody's."""
    address = f.draw.choice(("email", "phone", "loyalty_id", "email_sha256"))
    value = f.victim.known.get(address, sha256(f.victim.known["email"].encode()).hexdigest())
    crowd = [f.native({"user_id": f"made-up-{f.number}-{n}", address: value})[1] for n in range(12)]
    return "/v1/events", {"events": [one | {"id": f"forged-{f.number}-{n}"} for n, one in enumerate(crowd)]}


def _their_hash(f: _Forgery) -> Call:
    hashed = sha256(f.victim.known["email"].encode()).hexdigest()
    return f.native({"email_sha256": hashed, **f.mine}, traits=f.lies)


def _alias(f: _Forgery) -> Call:
    mine, theirs = f.mine["user_id"], f.draw.choice(list(f.some().items()))
    pair = [(mine, theirs[1]), (theirs[1], mine)][f.draw.randrange(2)]
    told = {"previous_id_type": f.draw.choice((theirs[0], "user_id"))}
    return f.call("/v1/alias", userId=pair[0], previousId=pair[1], context=told)


def _group(f: _Forgery) -> Call:
    traits = {"email": f.victim.known["email"], "consents": GRANTS}
    context = {"traits": {"email": f.victim.known["email"], "phone": f.victim.known["phone"]}}
    return f.call("/v1/group", userId=f.mine["user_id"], groupId="g", traits=traits, context=context)


def _batch(f: _Forgery) -> Call:
    calls = [
        {"type": kind, "messageId": f"forged-{f.number}-{kind}", "userId": f.victim.known["user_id"],
         "anonymousId": f.mine["anonymous_id"], "event": "Signed In", "traits": f.lies,
         "properties": {"email": f.mine["email"]}} for kind in ("identify", "track", "page", "screen")
    ]  # fmt: skip
    return "/v1/batch", {"batch": calls}


def _as_the_shop(f: _Forgery) -> Call:
    source = f.draw.choice(("shop", "api/till", "segment/shop", "pos/berlin-3", "waypost/consents"))
    return f.native(f.some() | f.mine, source=source, traits=f.lies)


def _as_waypost(f: _Forgery) -> Call:
    source = f.draw.choice(("waypost/consents", "waypost/preferences", "waypost/sweep", "Waypost/consents"))
    return f.native(f.some(), source=source, traits=f.lies)


def _cloud_event(f: _Forgery) -> Call:
    data = {"identifiers": f.mine, "traits": f.lies}
    event = {"specversion": "1.0", "id": f"forged-{f.number}", "source": "shop", "type": "Signed In"}
    return "/v1/events", event | {"subject": f"email:{f.victim.known['email']}", "data": data}


def _grant(f: _Forgery) -> Call:
    said = {"channel": f.draw.choice(list(GRANTS)), "state": "granted", "source": "desk"}
    return f.native(f.some(), "Consent Changed", properties=said)


def _traits_alone(f: _Forgery) -> Call:
    return f.native(f.some(), traits=f.lies)


def _replay(f: _Forgery) -> Call:
    event_id = f.draw.choice((f"login-{f.victim.number}", f"added-{f.victim.number}"))
    return f.native(f.some() | f.mine, id=event_id, source="shop", traits=f.lies)


def _two_customers(f: _Forgery) -> Call:
    theirs = {"email": f.other.known["email"], "loyalty_id": f.other.known["loyalty_id"]}
    return f.native({"user_id": f.victim.known["user_id"], **theirs}, traits=f.lies)


def _bad_token(f: _Forgery) -> Call:
    token = f.draw.choice(("1.9999999999.x.y", ["x"] * 8, {"user_id": f.victim.known["user_id"]}))
    return f.native(
        f.some() | f.mine, context={"waypost_token": token, "timezone": "Pacific/Apia"}, traits=f.lies
    )


_SHAPES: tuple[Callable[[_Forgery], Call], ...] = (
    *(_identify, _own_user_with_their_address, _made_up_users_with_their_address, _their_hash, _alias),
    *(
        _identify_in_a_new_browser,
        _group,
        _batch,
        _as_the_shop,
        _as_waypost,
        _cloud_event,
        _grant,
        _traits_alone,
        _replay,
    ),
    *(_two_customers, _bad_token),
)


async def told(api: OpenApi, calls: Iterable[Call], *, headers: dict[str, str] | None = None) -> list[str]:
    """Post calls, with the write key unless told otherwise; what became of each event."""
    found: list[str] = []
    for path, body in calls:
        answer = await api.send(path, body, headers=headers)
        if answer.status_code == 422:
            found.append(answer.json()["code"])
        else:
            assert answer.status_code == 200, answer.text
            found += [one["status"] for one in answer.json()["results"]]
    return found


async def says(
    api: OpenApi, event_id: str, name: str = "Signed In", *, server: bool = False, **more: Any
) -> None:
    """One native event that is taken in."""
    event = {"id": event_id, "type": name, "source": "shop" if server else "page"}
    assert await told(api, [("/v1/events", event | more)], headers=SERVER if server else None) == ["accepted"]


async def people(api: OpenApi) -> list[list[str]]:
    """The identifiers of each person, without hashes."""
    rows = await api.rows(
        "SELECT array_agg(type || ':' || value ORDER BY type, value) AS keys FROM identifier "
        "WHERE type <> 'email_sha256' GROUP BY profile_id"
    )
    return sorted(row["keys"] for row in rows)
