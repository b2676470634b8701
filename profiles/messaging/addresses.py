"""The state of one address: bounces, complaints, opt-outs and last messages; and its reopening."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from profiles.db.sql import fetch_as
from profiles.errors import InvalidRequest, NoChange

MAX_MESSAGES = 10
"""Last messages that are listed."""

MAX_SOFT_BOUNCES = 50
"""Soft bounces that are listed."""


class ReopenScope(StrEnum):
    """The messages that an address is reopened for."""

    TRANSACTIONAL = "transactional"
    ALL = "all"
    """Marketing too, if the consents allow it."""


@dataclass(frozen=True, slots=True)
class SoftBounce:
    """A message that the address did not take."""

    time: datetime
    word: str
    """What the provider stated."""
    lifted_at: datetime | None
    """When it stopped counting, since the address takes messages."""
    lifted_by: str | None


@dataclass(frozen=True, slots=True)
class AddressOptOut:
    """A topic that the address is opted out of."""

    topic: str
    source: str
    at: datetime


@dataclass(frozen=True, slots=True)
class AddressMessage:
    """A message to the address, without its content."""

    message_id: UUID
    profile_id: UUID
    journey: str
    template: str
    message_class: str
    status: str
    decided_at: datetime | None


@dataclass(frozen=True, slots=True)
class Reopening:
    """A reopening of the address by an operator."""

    problem: str
    scope: str
    reason: str
    actor: str
    at: datetime


@dataclass(frozen=True, slots=True)
class AddressState:
    """What is on record about an address."""

    channel: str
    address: str
    problem: str | None
    """bounced or complained; None: neither."""
    since: datetime | None
    """When that was reported last."""
    reopened_at: datetime | None
    """When it was reopened for transactional messages; None: it is not."""
    soft_bounces: list[SoftBounce]
    """The newest first."""
    opt_outs: list[AddressOptOut]
    messages: list[AddressMessage]
    """The newest first."""
    reopenings: list[Reopening]
    """The newest first."""


_SELECT_PROBLEM = "SELECT problem, at, reopened_at FROM address_problem WHERE channel = $1 AND address = $2"

_SELECT_SOFT_BOUNCES = """
SELECT time, word, lifted_at, lifted_by FROM soft_bounce WHERE channel = $1 AND address = $2
ORDER BY time DESC, ref LIMIT $3
"""

_SELECT_OPT_OUTS = """
SELECT topic, source, at FROM opt_out WHERE channel = $1 AND address = $2 AND state = 'withdrawn'
ORDER BY topic
"""

# Through the holder of the address: messages are indexed by profile.
_SELECT_MESSAGES = """
SELECT m.message_id, m.profile_id, m.journey, m.template, m.message_class, m.status, m.decided_at
FROM identifier i JOIN message m ON m.profile_id = i.profile_id
WHERE i.type = $1 AND i.value = $2 AND m.channel = $3 AND m.address = $2
ORDER BY m.decided_at DESC NULLS LAST LIMIT $4
"""

_SELECT_REOPENINGS = """
SELECT problem, scope, reason, actor, at FROM address_log WHERE channel = $1 AND address = $2
ORDER BY seq DESC
"""

# Serializes the operators of one address. Reports of providers wait for the row of the problem.
_LOCK_ADDRESS = "SELECT pg_advisory_xact_lock(hashtext('waypost: address ' || $1 || ':' || $2))"

_INSERT_LOG = """
INSERT INTO address_log (channel, address, problem, scope, reason, actor, at)
VALUES ($1, $2, $3, $4, $5, $6, greatest(clock_timestamp(), $7::timestamptz))
"""

_UPDATE_REOPENED = """
UPDATE address_problem SET reopened_at = greatest(clock_timestamp(), at)
WHERE channel = $1 AND address = $2 AND problem = 'bounced'
"""

_DELETE_PROBLEM = "DELETE FROM address_problem WHERE channel = $1 AND address = $2 AND problem = 'bounced'"

_LIFT_SOFT_BOUNCES = """
UPDATE soft_bounce SET lifted_at = clock_timestamp(), lifted_by = $3
WHERE channel = $1 AND address = $2 AND lifted_at IS NULL RETURNING time
"""

_DELETE_OLD_SOFT_BOUNCES = """
DELETE FROM soft_bounce b USING (SELECT channel, address, ref FROM soft_bounce
  WHERE time < now() - interval '180 days' ORDER BY time LIMIT 10000) old
WHERE (b.channel, b.address, b.ref) = (old.channel, old.address, old.ref)
"""


async def load_address_state(connection: Any, channel: str, kind: str, address: str) -> AddressState:
    """Read the state of an address. ``kind``: its type of identifier. ``address``: in its normal form."""
    problem = await connection.fetchrow(_SELECT_PROBLEM, channel, address)
    return AddressState(
        channel=channel,
        address=address,
        problem=problem["problem"] if problem else None,
        since=problem["at"] if problem else None,
        reopened_at=problem["reopened_at"] if problem else None,
        soft_bounces=await fetch_as(
            connection, SoftBounce, _SELECT_SOFT_BOUNCES, channel, address, MAX_SOFT_BOUNCES
        ),
        opt_outs=await fetch_as(connection, AddressOptOut, _SELECT_OPT_OUTS, channel, address),
        messages=await fetch_as(
            connection, AddressMessage, _SELECT_MESSAGES, kind, address, channel, MAX_MESSAGES
        ),
        reopenings=await fetch_as(connection, Reopening, _SELECT_REOPENINGS, channel, address),
    )


async def reopen_address(
    connection: Any, channel: str, address: str, scope: ReopenScope, *, reason: str, actor: str
) -> None:
    """Reopen an address that bounced, and write it into the log. In force when the transaction commits.

    After a hard bounce it is reopened for transactional messages, or for all; soft bounces up to now no
    longer count. Opt-outs and complaints stay. A second hard bounce is final. Raises ``NoChange`` for an
    address that is open, ``InvalidRequest`` for one that must stay closed.
    Locks held: an advisory lock of the address, then its rows.
    """
    await connection.execute(_LOCK_ADDRESS, channel, address)
    problem = await connection.fetchrow(f"{_SELECT_PROBLEM} FOR UPDATE", channel, address)
    if problem is not None and problem["problem"] != "bounced":
        raise InvalidRequest(
            f"the address is closed since a message to it was reported as spam ({problem['problem']} at "
            f"{problem['at'].isoformat(timespec='seconds')}); a complaint is never lifted"
        )
    earlier = [
        each
        for each in await fetch_as(connection, Reopening, _SELECT_REOPENINGS, channel, address)
        if each.problem == "bounced"
    ]
    if problem is not None and problem["reopened_at"] is None and earlier:
        raise InvalidRequest(
            f"the address was reopened at {earlier[0].at.isoformat(timespec='seconds')} and bounced again at "
            f"{problem['at'].isoformat(timespec='seconds')}; ask its owner for another address"
        )
    if problem is not None and problem["reopened_at"] is not None and scope is ReopenScope.TRANSACTIONAL:
        raise NoChange("the address is reopened for transactional messages already")
    lifted = await connection.fetch(_LIFT_SOFT_BOUNCES, channel, address, actor)
    if problem is not None:
        statement = _DELETE_PROBLEM if scope is ReopenScope.ALL else _UPDATE_REOPENED
        await connection.execute(statement, channel, address)
    elif not lifted:
        raise NoChange("the address has no bounce on record that counts")
    kind, at = ("bounced", problem["at"]) if problem else ("bounced_softly", None)
    await connection.execute(_INSERT_LOG, channel, address, kind, scope.value, reason, actor, at)


async def delete_old_soft_bounces(connection: Any) -> None:
    """Delete soft bounces of half a year ago, which no rule reads. At most 10,000."""
    await connection.execute(_DELETE_OLD_SOFT_BOUNCES)
