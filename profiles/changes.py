"""What a transaction is going to write: gathered first, then written in bulk in very few statements."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from profiles import statements
from profiles.person import Membership, OpenCart, Person

Row = dict[str, Any]

MESSAGE_RANK = (
    *("withheld", "deferred", "released", "claimed", "unknown", "unknown_final"),
    *("sent", "delivered", "bounced", "opened", "clicked"),
)
"""A message's status only ever moves to the right."""


def encode(rows: Any) -> str:
    """JSON for one jsonb parameter."""
    return orjson.dumps(rows, default=str).decode()


@dataclass(slots=True)
class Changes:
    """Rows to write at the end of one transaction."""

    inserts: defaultdict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    """Of purchase, suppression, consent and outbox."""
    runs: list[Row] = field(default_factory=list)
    carts: dict[tuple[UUID, str], Row] = field(default_factory=dict)
    events: dict[UUID, Row] = field(default_factory=dict)
    messages: list[Row] = field(default_factory=list)
    undone: list[Row] = field(default_factory=list)
    signals: dict[UUID, int] = field(default_factory=dict)
    leaving: dict[UUID, str] = field(default_factory=dict)
    """Audience membership → why it ends."""
    address_problems: dict[tuple[str, str], Row] = field(default_factory=dict)

    def keep_cart(self, person: Person, cart: OpenCart) -> None:
        """Write a cart as it is now."""
        self.carts[person.profile_id, cart.cart_id] = {
            "profile_id": person.profile_id,
            "cart_id": cart.cart_id,
            "lines": [line.model_dump(exclude_none=True) for line in cart.lines],
            "updated_at": cart.updated_at,
            "closed_at": cart.closed_at,
        }

    def leave(self, person: Person, members: Iterable[Membership], reason: str) -> None:
        """Take a person out of ad audiences."""
        for member in members:
            self.leaving[member.member_id] = reason
            payload = {"audience": member.audience, "reason": reason}
            row = {"lane": member.member_id, "kind": "audience", "name": "remove", "payload": payload}
            self.inserts["outbox"].append({**row, "event_id": None, "trigger": False})
        person.audiences = [member for member in person.audiences if member.member_id not in self.leaving]

    def problem(self, event_id: UUID, journey: str, detail: str) -> None:
        """Record on the event what could not be done with it."""
        if (row := self.events.get(event_id)) is not None:
            row["problems"].append({"journey": journey, "detail": detail})

    async def write(self, connection: Any, persons: dict[UUID, Person]) -> None:
        """Write everything; without the starts of runs that lost their key's race.

        Runs go first, since they may lose; then all tables in one statement, which their locks allow; then
        what must see the rows just written.
        """
        await self._write_runs(connection)
        parts: list[str] = []
        arguments: list[Any] = []
        for statement, rows in self._statements(persons):
            if rows:
                arguments.append(encode(rows))
                parts.append(statement.replace("$1", f"${len(arguments)}"))
        if self.inserts["outbox"]:
            parts.append(statements.NOTIFY)
        if parts:
            named = ", ".join(f"part_{number} AS ({part})" for number, part in enumerate(parts[:-1]))
            await connection.execute(f"WITH {named} {parts[-1]}" if named else parts[-1], *arguments)
        if self.undone:
            await connection.execute(statements.LIFT, encode(self.undone))

    def _statements(self, persons: dict[UUID, Person]) -> list[tuple[str, list[Row]]]:
        """Statements of one jsonb parameter, and their rows; rows that others write too go in key order."""
        return [
            *((statement, self.inserts[table]) for table, statement in statements.INSERTS.items()),
            (statements.ADDRESS_PROBLEMS, [row for _, row in sorted(self.address_problems.items())]),
            (statements.CARTS, list(self.carts.values())),
            (statements.MESSAGES, self._highest_messages()),
            (statements.SIGNALS, [{"run_id": run, "signals": count} for run, count in self.signals.items()]),
            (
                statements.LEAVE,
                [{"member_id": member, "reason": why} for member, why in self.leaving.items()],
            ),
            (statements.PROFILES, [_profile(person) for person in persons.values() if person.changed]),
            (statements.EVENTS, list(self.events.values())),
        ]

    def _highest_messages(self) -> list[Row]:
        """One row a message: the highest status that this transaction heard of, and the last engagement."""
        highest: dict[UUID, int] = {}
        engaged: dict[UUID, datetime] = {}
        complained: dict[UUID, datetime] = {}
        for row in self.messages:
            message, rank = row["message_id"], MESSAGE_RANK.index(row["status"])
            highest[message] = max(rank, highest.get(message, rank))
            if (at := row["engaged_at"]) is not None:
                engaged[message] = max(at, engaged.get(message, at))
            if (at := row["complained_at"]) is not None:
                complained[message] = min(at, complained.get(message, at))
        return [
            {
                "message_id": message,
                "status": MESSAGE_RANK[rank],
                "lower": MESSAGE_RANK[:rank],
                "engaged_at": engaged.get(message),
                "complained_at": complained.get(message),
            }
            for message, rank in highest.items()
        ]

    async def _write_runs(self, connection: Any) -> None:
        if not self.runs:
            return
        started = {row["run_id"] for row in await connection.fetch(statements.RUNS, encode(self.runs))}
        lost = [run for run in self.runs if run["run_id"] not in started]
        for run in lost:
            detail = f"key {run['key']!r} already has a live run of another profile"
            self.problem(run["entry_event"], run["journey"], detail)
        gone = {run["run_id"] for run in lost}
        self.inserts["outbox"] = [row for row in self.inserts["outbox"] if row["lane"] not in gone]
        self.signals = {run: count for run, count in self.signals.items() if run not in gone}


def _profile(person: Person) -> Row:
    time, *names = person.carts_place or (None,)
    return {
        "profile_id": person.profile_id,
        "traits": person.traits,
        "origins": person.origins,
        "context_timezone": person.context_timezone,
        "context_locale": person.context_locale,
        "email_from_order": person.is_customer_by_email,
        "last_checkout_at": person.last_checkout_at,
        "sure_checkout_at": person.sure_checkout_at,
        "email_ordered": person.email_ordered,
        "seen": person.seen,
        "carts_time": time,
        "carts_key": "\x1f".join(names) if time else None,
    }
