"""Links as events make them, and people without the hashes of their addresses."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from profiles.identity.graph import IdentityGraph, Link
from profiles.identity.identifiers import email_hash_key, strongest_first

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
