"""Customers whom a shop's server has vouched for, and all of them that a forger would like to change."""

from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from policy.verdict import Channel
from profiles.messaging.claims import read_locked_snapshot
from profiles.messaging.snapshot import SnapshotQuery
from tests.facts import LAMP, Facts
from tests.integration.open_api import ADMIN, OpenApi
from tests.permission import may_mail

SERVER = {"Authorization": "Bearer server-key-of-tests"}
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
class Standing:
    """All of a customer that a forger would like to change."""

    merged: tuple[str, ...]
    """Identifiers."""
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


async def standing(api: OpenApi, victim: Victim) -> Standing:
    """How a customer stands, as the gate would read it under lock."""
    facts = Facts(api.doors.database)
    [run] = await facts.rows("SELECT run_id, profile_id FROM run WHERE key = $1", f"c-{victim.number}")
    rows = await facts.rows(
        "SELECT i.type || ':' || i.value AS key, i.status FROM identifier i WHERE profile_id = $1 ORDER BY 1",
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
    return Standing(
        merged=tuple(row["key"] for row in rows),
        diverted={c: s.address(c) for c, s in zip(CHANNELS, snapshots, strict=True) if s},
        consented={c: await may_mail(facts, run["run_id"], Channel(c)) for c in CHANNELS},
        words=tuple(sorted(first.consents)),
        rewritten={name: first.traits.get(name) for name in ("first_name", "timezone", "email")},
        taken_away=tuple(stolen),
    )


def _ask(run_id: UUID, channel: str) -> SnapshotQuery:
    return SnapshotQuery(run_id, "s", channel, datetime.now(UTC))


def lost(before: Standing, after: Standing) -> set[str]:
    """The aims that a forger has reached."""
    return {name for name in Standing.__dataclass_fields__ if getattr(before, name) != getattr(after, name)}
