"""Prometheus metrics of the API process and of the backlog in Postgres."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest

from policy.facts import StopKind
from profiles.views.backlog import Backlog

_QUANTILES = ("0.5", "0.99")

_INGEST_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

_BACKLOG_GAUGES = {
    "undelivered": ("waypost_outbox_undelivered", "Outbox rows that are not delivered to Temporal yet"),
    "oldest_s": (
        "waypost_outbox_oldest_seconds",
        "Age of the oldest undelivered outbox row, those of stuck runs aside",
    ),
    "live_runs": ("waypost_runs_live", "Runs that have not ended"),
    "stuck_runs": ("waypost_runs_stuck", "Runs that wait for an operator"),
    "stuck_oldest_s": ("waypost_runs_stuck_oldest_seconds", "Time since the oldest stuck run was parked"),
    "unknown_messages": (
        "waypost_messages_unknown",
        "Messages of which it is unknown whether they were sent",
    ),
    "quarantined": (
        "waypost_identifiers_quarantined",
        "Identifiers in quarantine: shared by too many profiles",
    ),
    "quarantined_last_day": (
        "waypost_identifiers_quarantined_last_day",
        "Identifiers quarantined within 24 hours",
    ),
    "removals_unconfirmed": (
        "waypost_audience_removals_unconfirmed",
        "Removals from ad audiences that the platform has not confirmed",
    ),
    "removals_oldest_s": (
        "waypost_audience_removals_oldest_seconds",
        "Age of the oldest unconfirmed removal",
    ),
    "first_contacts_last_hour": (
        "waypost_first_contacts_last_hour",
        "Messages of the last hour to addresses that no verified event has named",
    ),
    "opt_ins_waiting": (
        "waypost_opt_in_requests_waiting",
        "Addresses that wait for a message that asks to confirm a consent",
    ),
    "in_flight_at_purchase": (
        "waypost_messages_in_flight_at_purchase",
        "Messages of the last day that a provider accepted after a purchase of an item they promote",
    ),
    "undescribed_carts": (
        "waypost_carts_undescribed",
        "Open carts, of at most 1000, with an item that no verified event and no feed has named",
    ),
}
"""Field of ``Backlog`` → name and description of its gauge."""


class Metrics:
    """The metrics of one app, in a registry of its own, so that two apps in a process do not mix counts."""

    def __init__(self, policy_version: str = "") -> None:
        """Create the metrics. ``policy_version``: version of the policy in force in this process."""
        self.registry = CollectorRegistry()
        self.policy_info = Info("waypost_policy", "The policy in force", registry=self.registry)
        self.policy_info.info({"version": policy_version})
        self.events = Counter("waypost_events", "Events by their result", ["status"], registry=self.registry)
        for status in ("accepted", "duplicate", "conflict", "rejected"):
            self.events.labels(status)
        self.event_problems = Counter(
            "waypost_event_problems",
            "What was not understood in accepted events, by the label of the sender's key and the code",
            ["source", "code"],
            registry=self.registry,
        )
        self.refused_requests = Counter(
            "waypost_requests_refused",
            "Requests that were refused unread, by the label of their key and the reason",
            ["key", "reason"],
            registry=self.registry,
        )
        self.ingest_seconds = Histogram(
            "waypost_ingest_seconds",
            "From a request's parsed events to their COMMIT",
            buckets=_INGEST_BUCKETS_S,
            registry=self.registry,
        )
        self.overtaken_messages = Counter(
            "waypost_messages_overtaken",
            "Messages that promoted items of an earlier purchase that was received too late",
            registry=self.registry,
        )
        self.left_out = Counter(
            "waypost_ingest_left_out",
            "Parts of accepted events without effect, by label of the key and by code: superseded (a more "
            "trusted event took its place), run (too many runs wait), link (unverified events linked too "
            "many identifiers), unverified or too_many (an unverified event did not reach a run), lines (an "
            "unverified order names more than suppress), else the table of a refused row",
            ["key", "code"],
            registry=self.registry,
        )
        self.address_reports = Counter(
            "waypost_address_reports",
            "Reports about addresses by channel and kind: bounced and complained close the address, "
            "bounced_softly counts towards it, opted_out withdraws a consent, not_of_address changes nothing",
            ["channel", "kind"],
            registry=self.registry,
        )
        self.unconfirmed_links = Counter(
            "waypost_links_unconfirmed",
            "Devices and addresses that pages named beside customers, and that nothing confirms",
            registry=self.registry,
        )
        self.queued_events = self._gauge(
            "waypost_ingest_queued", "Events that wait for a transaction to begin"
        )
        self._postgres_up = self._gauge("waypost_postgres_up", "1 while Postgres answers")
        self._backlog = {field: self._gauge(*gauge) for field, gauge in _BACKLOG_GAUGES.items()}
        self._active_kill_switches = self._gauge("waypost_stops_active", "Kill switches that are on", "kind")
        for kind in StopKind:
            self._active_kill_switches.labels(kind.value)
        self._claim_to_accept_s = self._gauge(
            "waypost_claim_to_accept_seconds",
            "From a message's claim to its acceptance by the provider, over the last hour",
            "channel",
            "quantile",
        )

    def render(self, backlog: Backlog | None, queued: int) -> bytes:
        """Return Prometheus' text format. ``backlog`` None: Postgres is away, its figures stay."""
        self.queued_events.set(queued)
        self._postgres_up.set(backlog is not None)
        if backlog is not None:
            for field, gauge in self._backlog.items():
                gauge.set(getattr(backlog, field))
            for kind in StopKind:
                self._active_kill_switches.labels(kind.value).set(backlog.stops.count(kind.value))
            self._claim_to_accept_s.clear()
            for channel, took in backlog.claim_to_accept.items():
                for quantile, seconds in zip(_QUANTILES, took, strict=True):
                    self._claim_to_accept_s.labels(channel, quantile).set(seconds)
        return generate_latest(self.registry)

    def _gauge(self, name: str, documentation: str, *labels: str) -> Gauge:
        return Gauge(name, documentation, labels, registry=self.registry)
