"""Two people who turn out to be one, or were taken to be one: Ada, who left a cart, and the other."""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from activities.contracts import SendMessage, SendResult
from policy.verdict import Channel
from profiles.db.database import Database
from profiles.merging.unmerge import IdentityCut, cut_identifiers
from tests.support.environments.gate import YES, GateHarness, shopper

WITHHELD = {
    "a purchase": "purchased",
    "a purchase that joins": "purchased",
    "a no": "opted_out",
    "one mail of two": "capped",
    "both mails of two": "capped",
}
"""What the other brings → why Ada's next message is withheld, where the caps allow two mails a day."""

BRINGS = ("nothing", *WITHHELD)


def word(result: SendResult | None) -> str:
    """A result in a word."""
    if result is None:
        return "no answer"
    return result.reason.value if result.reason else result.status.value


@dataclass(frozen=True)
class TwoPeople:
    """One pair of many in one shop."""

    env: GateHarness
    number: int

    @property
    def ada(self) -> dict[str, Any]:
        """What Ada is known by."""
        return dict(shopper(self.number))

    @property
    def card(self) -> dict[str, Any]:
        """What the other is known by in the store."""
        return {"loyalty_id": f"card-{self.number}"}

    @property
    def work(self) -> dict[str, Any]:
        """What the other is known by online."""
        return {"email": f"ada-{self.number}@work.example", **self.card}

    @property
    def carts(self) -> tuple[str, str]:
        """Ada's cart, and the other's."""
        return f"c-{self.number}", f"w-{self.number}"

    async def the_other_comes(self, brings: str = "nothing") -> None:
        """The other is seen, and what they bring happens."""
        await self.env.takes("Page Viewed", {}, traits=YES, **self.work)
        match brings:
            case "a purchase":
                await self.env.takes("Order Completed", self.order, **self.card)
            case "a no":
                await self.env.takes("Identify", {}, traits={"consents": {"email": False}}, **self.card)
            case "one mail of two" | "both mails of two":
                run_id = await self.env.leaves_cart(["chair"], cart_id=self.carts[1], **self.work)
                for step in ("one", "another")[: 1 if brings == "one mail of two" else 2]:
                    await self.env.sends(self.env.ask(run_id, step, "chair"))

    @property
    def order(self) -> dict[str, Any]:
        """The lamp, bought."""
        return self.env.order("lamp", order_id=f"o-{self.number}")

    async def ada_leaves_a_lamp(self) -> UUID:
        """Ada's cart; returns its run."""
        return await self.env.leaves_cart(["lamp"], cart_id=self.carts[0], **self.ada)

    async def leave_a_lamp(self, older: str, brings: str = "nothing") -> UUID:
        """Both are seen, the older one first, and Ada leaves a lamp in her cart; returns its run."""
        if older == "the other":
            await self.the_other_comes(brings)
        run_id = await self.ada_leaves_a_lamp()
        if older == "ada":
            await self.the_other_comes(brings)
        return run_id

    def joined(self, database: Database, brings: str = "nothing") -> Awaitable[Any]:
        """Take in the event that tells that the two are one."""
        said = ("Order Completed", self.order) if brings == "a purchase that joins" else ("Identify", {})
        told = self.env.build_event(*said, **self.card, email=self.ada["email"])
        return self.env.ingest_on(database)([told])

    async def are_one(self, younger: str, brings: str = "nothing") -> UUID:
        """The two have been taken to be one; returns the run of the cart that Ada leaves then."""
        if younger == "ada":
            await self.the_other_comes(brings)
        await self.env.takes("Page Viewed", {}, **self.ada)
        if younger == "the other":
            await self.the_other_comes(brings)
        await self.joined(self.env.database)
        return await self.ada_leaves_a_lamp()

    async def parted(self, database: Database) -> IdentityCut:
        """Take an operator's word that they are two."""
        mail, card = f"email:{self.ada['email']}", f"loyalty_id:{self.card['loyalty_id']}"
        return await cut_identifiers(database, mail, card, actor="test", reason="two people")

    def ask(self, run_id: UUID, step: str = "reminder", channel: Channel = Channel.EMAIL) -> SendMessage:
        """A request for a message about the lamp."""
        return self.env.ask(run_id, step, "lamp", channel=channel)

    async def who(self, **named: str) -> UUID:
        """Whose an identifier is."""
        [(kind, value)] = named.items()
        [row] = await self.env.fetch_rows(
            "SELECT profile_id FROM identifier WHERE type = $1 AND value = $2", kind, value
        )
        found: UUID = row["profile_id"]
        return found

    async def owners_of(self, run_id: UUID) -> set[UUID]:
        """Whose a run, its messages and its decisions are."""
        rows = await self.env.fetch_rows(
            "SELECT profile_id FROM run WHERE run_id = $1 "
            "UNION SELECT profile_id FROM message WHERE run_id = $1 "
            "UNION SELECT profile_id FROM decision WHERE run_id = $1",
            run_id,
        )
        return {row["profile_id"] for row in rows}

    async def told(self, run_id: UUID, **named: str) -> bool:
        """Whether Ada's run is told of what somebody does with her cart."""
        queued = "SELECT count(*) FROM outbox WHERE lane = $1"
        [before] = await self.env.fetch_rows(queued, run_id)
        await self.env.takes("Checkout Started", {"cart_id": self.carts[0]}, **named)
        [after] = await self.env.fetch_rows(queued, run_id)
        return bool(after["count"] == before["count"] + 1)

    async def runs_of_carts(self, *profile_ids: UUID) -> list[tuple[str, str]]:
        """Key and state of the runs of these people's carts."""
        rows = await self.env.fetch_rows(
            "SELECT key, state FROM run WHERE journey = 'cart-abandonment' AND profile_id = ANY($1) "
            "ORDER BY key, state",
            list(profile_ids),
        )
        return [(row["key"], row["state"]) for row in rows]

    async def accepted(self, run_id: UUID) -> dict[str, list[str]]:
        """Each message of a run → the addresses at which the provider took it."""
        rows = await self.env.fetch_rows(
            "SELECT message_id::text AS id FROM message WHERE run_id = $1", run_id
        )
        took = self.env.ledgers[Channel.EMAIL].accepted
        return {row["id"]: [one.to for one in took if one.message_id == row["id"]] for row in rows}
