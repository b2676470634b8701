"""Read-only results of one profile for assertions: messages, decisions, audiences and runs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel, Field, Json

from authoring.testing.environment import Row, Waypost
from authoring.testing.fakes import AcceptedMessage
from policy.verdict import Channel, Reason

_SELECT_MESSAGES = "SELECT * FROM message WHERE profile_id = $1 ORDER BY decided_at, message_id"

_SELECT_DECISIONS = (
    "SELECT *, checks::text AS checks FROM decision WHERE profile_id = $1 ORDER BY recorded_at, decision_id"
)

_SELECT_AUDIENCES = (
    "SELECT audience, array_agg(item ORDER BY joined_at, item) AS items FROM audience_member "
    "WHERE profile_id = $1 AND state IN ('joining', 'in') GROUP BY audience ORDER BY audience"
)

_SELECT_RUNS = "SELECT * FROM run WHERE profile_id = $1 ORDER BY entered_at, run_id"

_WITHHELD_STATUSES = ("withheld", "released")

_REASON_TEXTS = {
    Reason.PURCHASED: "it has been bought",
    Reason.OPTED_OUT: "consent was withdrawn",
    Reason.NO_CONSENT: "consent was never granted",
    Reason.CAPPED: "the person has had enough messages for now",
    Reason.QUIET_HOURS: "it is quiet time there",
    Reason.NO_ADDRESS: "there is no address to send it to",
    Reason.BOUNCED: "the address takes no messages",
    Reason.COMPLAINED: "the person reported a message as spam",
    Reason.EXPIRED: "its time is over",
    Reason.OUT_OF_STOCK: "it is sold out",
    Reason.LOWER_PRIORITY: "something else comes first",
    Reason.HOLDOUT: "the person is held out, to measure against",
    Reason.RUN_ENDED: "what it is about is over",
    Reason.ERASED: "the person has been erased",
    Reason.KILL_SWITCH: "sending is switched off",
    Reason.PROVIDER_BUDGET: "the provider has no room",
    Reason.DUPLICATE: "it has been sent before",
    Reason.CONTENT: "its text cannot be written",
    Reason.ERROR: "something failed",
}


class Received(str):
    """A message that the profile received. It compares equal to its template's name::

    assert shopper.received == ["cart_reminder"]
    assert shopper.received[0].channel == "email"
    """

    message_id: UUID
    journey: str
    channel: Channel
    items: tuple[str, ...]
    """Keys of the items that it showed."""
    subject: str
    text: str
    html: str
    to: str
    at: datetime
    """When it was sent, on the test's calendar."""
    status: str
    """sent, delivered, opened, clicked or bounced; unknown where the provider's answer was lost."""

    @classmethod
    def from_row(cls, row: Row, posted: AcceptedMessage) -> Self:
        """Make it from a message's row and the message that the provider accepted."""
        received = cls(row["template"])
        received.message_id = row["message_id"]
        received.journey = row["journey"]
        received.channel = posted.channel
        received.items = tuple(row["items"])
        received.subject = posted.outgoing.content.subject
        received.text = posted.outgoing.content.text
        received.html = posted.outgoing.content.html
        received.to = posted.outgoing.to
        received.at = row["sent_at"] or row["claimed_at"] or row["decided_at"]
        received.status = row["status"]
        return received


class Withheld(str):
    """A message that was planned and not sent. It compares equal to its template's name."""

    journey: str
    channel: Channel
    reason: str
    """As in the HTTP contract: purchased, no_consent, capped, …"""
    detail: str
    items: tuple[str, ...]
    at: datetime

    @classmethod
    def from_row(cls, row: Row, detail: str) -> Self:
        """Make it from a message's row and the detail of its last decision."""
        withheld = cls(row["template"])
        withheld.journey = row["journey"]
        withheld.channel = Channel(row["channel"])
        withheld.reason = row["reason"] or ""
        withheld.detail = detail
        withheld.items = tuple(row["items"])
        withheld.at = row["decided_at"]
        return withheld


class Audience(str):
    """An ad audience of which the profile is a member. It compares equal to the audience's name."""

    items: tuple[str, ...]
    """Keys of the items that are advertised."""


class Decision(BaseModel, frozen=True):
    """One decision of the gate."""

    template: str
    channel: Channel
    verdict: str
    """allow, withhold or defer."""
    reason: str | None
    detail: str
    items: tuple[str, ...]
    items_removed: tuple[str, ...]
    until: datetime | None
    at: datetime
    journey: str
    run_id: UUID
    message_id: UUID
    checks: Json[tuple[dict[str, Any], ...]] = Field(repr=False)
    """Every check of the gate: name, whether it passed, detail."""

    def __str__(self) -> str:
        because = f": {describe_reason(self.reason, self.detail)}" if self.verdict != "allow" else ""
        return f"{self.verdict} {self.channel.value} {self.template}{because}"


class ObservedRun(BaseModel, frozen=True):
    """One run of the profile."""

    run_id: UUID
    journey: str
    key: str
    state: str
    """running, ended or stuck."""
    outcome: str | None
    detail: str
    entered_at: datetime
    ended_at: datetime | None
    waiting_for: str | None = None
    """The wait that the run reports; None once it has ended."""


@dataclass(eq=False, repr=False)
class Observations:
    """All results of one profile."""

    received: list[Received] = field(default_factory=list)
    """Messages that the providers accepted; they compare equal to template names."""
    withheld: list[Withheld] = field(default_factory=list)
    """Messages planned and not sent; they compare equal to template names."""
    decisions: list[Decision] = field(default_factory=list)
    """All decisions of the gate, oldest first, ads included."""
    audiences: list[Audience] = field(default_factory=list)
    """The current ad audiences; they compare equal to names."""
    runs: list[ObservedRun] = field(default_factory=list)
    """Runs of all journeys, oldest first."""


async def load_observations(
    waypost: Waypost, profile_id: UUID, accepted: Sequence[AcceptedMessage], pending_waits: dict[UUID, str]
) -> Observations:
    """Read the results of one profile. ``pending_waits``: the wait that each live run reports."""
    rows = {str(row["message_id"]): row for row in await waypost.fetch_rows(_SELECT_MESSAGES, profile_id)}
    rows_of_decisions = await waypost.fetch_rows(_SELECT_DECISIONS, profile_id)
    decisions = [Decision.model_validate(row) for row in rows_of_decisions]
    details = {each.message_id: each.detail for each in decisions if each.verdict != "allow"}
    return Observations(
        received=[
            Received.from_row(rows[posted.outgoing.message_id], posted)
            for posted in accepted
            if posted.outgoing.message_id in rows
        ],
        withheld=[
            Withheld.from_row(row, details.get(row["message_id"], ""))
            for row in rows.values()
            if row["status"] in _WITHHELD_STATUSES and row["channel"] != Channel.ADS
        ],
        decisions=decisions,
        audiences=[_to_audience(row) for row in await waypost.fetch_rows(_SELECT_AUDIENCES, profile_id)],
        runs=[_to_run(row, pending_waits) for row in await waypost.fetch_rows(_SELECT_RUNS, profile_id)],
    )


def _to_audience(row: Row) -> Audience:
    audience = Audience(row["audience"])
    audience.items = tuple(row["items"])
    return audience


def _to_run(row: Row, pending_waits: dict[UUID, str]) -> ObservedRun:
    waiting_for = pending_waits.get(row["run_id"])
    return ObservedRun.model_validate(row | {"detail": row["detail"] or "", "waiting_for": waiting_for})


def describe_reason(reason: str | None, detail: str = "") -> str:
    """Return a reason of the HTTP contract in plain words, with its detail."""
    if reason is None:
        return detail
    plain = _REASON_TEXTS[Reason(reason)] if reason in list(Reason) else reason
    return f"{plain} ({detail})" if detail else plain
