"""How things stand with a person: what has reached them, what was withheld, and what is under way."""

from typing import TYPE_CHECKING
from uuid import UUID

from workers.testing.chronicle import Chronicle
from workers.testing.faults import TellingFault
from workers.testing.ledger import Audience, Decision, Ledger, Received, RunSeen, Withheld
from workers.testing.ledger import read as read_ledger
from workers.testing.timeline import Timeline

if TYPE_CHECKING:
    from workers.testing.shop import Shop

_WHO = """
SELECT profile_id FROM identifier
WHERE (type, value) IN (SELECT * FROM unnest($1::text[], $2::text[]))
"""


class Standing:
    """Plain attributes, as of the last verb; they need no await."""

    def __init__(self, shop: "Shop", name: str, zone: str, identifiers: dict[str, str]) -> None:
        self.name = name
        self.zone = zone
        self.identifiers = identifiers
        self.timeline = Timeline(name, zone, shop.clock)
        """What happened so far, in order; print it."""
        self._shop = shop
        self._ledger = Ledger()
        self._chronicle = Chronicle(shop.waypost, self.timeline)

    @property
    def received(self) -> list[Received]:
        """The messages they got, by the providers' own books; compares with template names."""
        return self._ledger.received

    @property
    def withheld(self) -> list[Withheld]:
        """Messages planned for them and not sent; compares with template names."""
        return self._ledger.withheld

    @property
    def decisions(self) -> list[Decision]:
        """Every verdict of the gate about them, oldest first, ads included."""
        return self._ledger.decisions

    @property
    def audiences(self) -> list[Audience]:
        """The ad audiences they are in now; compares with names."""
        return self._ledger.audiences

    @property
    def runs(self) -> list[RunSeen]:
        """Their runs of all journeys, oldest first."""
        return self._ledger.runs

    @property
    def outcome(self) -> str | None:
        """How the run that ended last has ended; None while none has."""
        ended = [run for run in self.runs if run.ended_at is not None]
        last = max(ended, key=lambda run: run.ended_at or run.entered_at, default=None)
        return None if last is None else last.outcome

    @property
    def state(self) -> str | None:
        """running while any run goes on, stuck, ended when all have; None where no journey was entered."""
        states = [run.state for run in self.runs]
        return next((state for state in ("running", "stuck", "ended") if state in states), None)

    @property
    def waiting_for(self) -> str | None:
        """What the newest live run says it waits for."""
        return next((run.waiting_for for run in reversed(self.runs) if run.waiting_for), None)

    def run_of(self, journey: str) -> RunSeen:
        """Their newest run of one journey. Raises ``TellingFault``, naming the runs there are."""
        found = [run for run in self.runs if run.journey == journey]
        if not found:
            there = ", ".join(dict.fromkeys(run.journey for run in self.runs)) or "none at all"
            raise TellingFault(f"{self.name} has no run of {journey!r}; there are: {there}")
        return found[-1]

    async def profile_id(self) -> UUID | None:
        """Their profile's opaque id; None until an event has named them."""
        rows = await self._shop.waypost.rows(_WHO, list(self.identifiers), list(self.identifiers.values()))
        return rows[0]["profile_id"] if rows else None

    async def look(self) -> None:
        """Read the ledger anew; every verb ends with it."""
        if (profile_id := await self.profile_id()) is None:
            return
        shop = self._shop
        self._ledger = await read_ledger(shop.waypost, profile_id, shop.post, shop.waits_of_runs)
        await self._chronicle.look(profile_id, self._ledger, shop.clockwork.runs)
