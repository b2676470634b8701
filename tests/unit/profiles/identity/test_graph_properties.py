"""Generated identity graphs: one answer in any order, no two people in one, and what a plain model finds."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from hypothesis import event, given, settings
from hypothesis import strategies as st

from profiles.identity.graph import IdentityGraph, Link, resolve_graph
from profiles.identity.identifiers import (
    DEFAULT_IDENTITY_RULES,
    IDENTIFIER_TYPES,
    IdentityRules,
    ValueLimit,
    email_hash_key,
    strongest_first,
)
from tests.support.models.identity import model

START = datetime(2026, 1, 1, tzinfo=UTC)

TIGHT = IdentityRules(
    limits={
        "user_id": ValueLimit(1),
        "loyalty_id": ValueLimit(1, timedelta(days=365)),
        "email": ValueLimit(2, timedelta(days=30)),
        "phone": ValueLimit(2, timedelta(days=30)),
        "push_token": ValueLimit(2, timedelta(days=7)),
        "anonymous_id": ValueLimit(2, timedelta(days=7)),
    },
    shared_by=dict.fromkeys(IDENTIFIER_TYPES, 3),
)

SPREAD = (0, 0, 1, 6, 7, 8, 23, 29, 30, 31, 364, 365, 366)
"""Days, so that windows are met at their edges."""


@dataclass(frozen=True)
class Case:
    links: tuple[Link, ...]
    alone: dict[str, datetime]
    cuts: tuple[frozenset[str], ...]
    given: tuple[str, ...]
    rules: IdentityRules

    def resolved(self) -> IdentityGraph:
        return resolve_graph(
            self.links, sightings=self.alone, cuts=self.cuts, quarantined=self.given, rules=self.rules
        )


def hashed(key: str) -> str:
    """A foreign hash is that of an address which may be known or not."""
    return email_hash_key(key.replace("email_sha256:", "email:"))


def keys(many: int) -> st.SearchStrategy[str]:
    named = st.builds("{}:{}".format, st.sampled_from(IDENTIFIER_TYPES), st.integers(0, many).map(str))
    return named.map(lambda key: hashed(key) if key.startswith("email_sha256") else key)


def with_hashes(named: Sequence[str]) -> tuple[str, ...]:
    implied = [email_hash_key(key) for key in named if key.startswith("email:")]
    return tuple(sorted({*named, *implied}, key=strongest_first))


TIMES = st.builds(
    lambda days, micros: START + timedelta(days=days, microseconds=micros),
    st.sampled_from(SPREAD),
    st.sampled_from((0, 0, 1)),
)


def links(many: int, *, verified: st.SearchStrategy[bool], most: int) -> st.SearchStrategy[tuple[Link, ...]]:
    named = st.lists(keys(many), min_size=1, max_size=4, unique=True).map(with_hashes)
    ids = st.integers(0, 50).map(str)
    return st.lists(st.builds(Link, named, TIMES, st.just("shop"), ids, verified), max_size=most).map(tuple)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    many, most = draw(st.sampled_from([(1, 6), (2, 15), (6, 25), (30, 60)]))
    key = keys(many)
    pairs = st.sets(key, min_size=2, max_size=2).map(frozenset)
    return Case(
        links=draw(links(many, verified=st.booleans(), most=most)),
        alone=draw(st.dictionaries(key, TIMES, max_size=5)),
        cuts=tuple(
            cut for cut in draw(st.lists(pairs, max_size=2)) if not any(email_hash_key(k) in cut for k in cut)
        ),
        given=tuple(draw(st.lists(key, max_size=2))) if draw(st.booleans()) else (),
        rules=draw(st.sampled_from([DEFAULT_IDENTITY_RULES, TIGHT])),
    )


@settings(max_examples=120)
@given(cases())
def test_a_model_of_plain_sets_finds_the_same_people(case: Case) -> None:
    """And every key belongs to one person, no person has two accounts, and no cut is bridged."""
    graph = case.resolved()
    known = {*case.alone, *(key for link in case.links for key in link.keys)}
    expected = model(case.links, case.alone, case.cuts, case.given, case.rules)
    for why in {step.refusal for step in graph.steps}:
        event(why or "joined")

    assert expected.clusters == set(map(frozenset, graph.clusters))
    assert expected.joined_at == graph.joined_at
    assert expected.quarantined == graph.quarantined
    assert sorted(known) == sorted(key for cluster in graph.clusters for key in cluster)
    assert known == graph.joined_at.keys()
    for cluster in graph.clusters:
        assert sum(key.startswith("user_id:") for key in cluster) <= 1
        assert not any(cut <= {*cluster} for cut in case.cuts)
        assert len(cluster) == 1 or graph.quarantined.isdisjoint(cluster)
        assert all(graph.cluster_of(key) == cluster for key in cluster)


@given(cases(), st.randoms(use_true_random=False))
def test_order_and_repetition_change_nothing(case: Case, shuffle: random.Random) -> None:
    """Nor does it change anything to say again later what is known."""
    graph = case.resolved()
    mixed = [*case.links, *shuffle.choices(case.links, k=len(case.links))] if case.links else []
    shuffle.shuffle(mixed)
    turned = replace(case, links=tuple(mixed), alone=dict(reversed(case.alone.items())), cuts=case.cuts[::-1])
    later = START + timedelta(days=1_000)
    known = [
        Link((step.target_key, step.candidate_key), later, "shop", "x", step.link.verified)
        for step in graph.steps
        if step.joined
    ]
    again = replace(case, links=(*case.links, *known)).resolved()

    assert graph == turned.resolved()
    assert (graph.clusters, graph.joined_at) == (again.clusters, again.joined_at)
    assert graph.quarantined == again.quarantined


@given(cases())
def test_what_was_refused_might_as_well_not_have_been_linked(case: Case) -> None:
    """A refused key is named by itself instead: when it was seen, and that it is vouched for, stays."""
    graph = case.resolved()
    kept: list[Link] = []
    for link in case.links:
        refused = {step.candidate_key for step in graph.steps if step.link == link and not step.joined}
        kept.append(replace(link, keys=tuple(key for key in link.keys if key not in refused)))
        kept += [replace(link, keys=(key,)) for key in refused]

    again = replace(case, links=tuple(kept), given=tuple(graph.quarantined)).resolved()

    assert (graph.clusters, graph.joined_at) == (again.clusters, again.joined_at)
    assert (graph.vouched, graph.quarantined) == (again.vouched, again.quarantined)


FORGED = links(6, verified=st.just(False), most=30).map(
    lambda forged: tuple(
        replace(
            link,
            # Devices of its own: nobody can guess those of others.
            keys=tuple(
                f"{key}-forged" if key.startswith(("anonymous_id", "push_token")) else key
                for key in link.keys
            ),
        )
        for link in forged
    )
)


@settings(max_examples=80)
@given(
    honest=links(6, verified=st.just(True), most=15),
    forged=FORGED,
    rules=st.sampled_from([DEFAULT_IDENTITY_RULES, TIGHT]),
)
def test_no_forged_link_changes_a_person_who_is_vouched_for(
    honest: tuple[Link, ...], forged: tuple[Link, ...], rules: IdentityRules
) -> None:
    before, after = resolve_graph(honest, rules=rules), resolve_graph([*honest, *forged], rules=rules)

    assert before.vouched == after.vouched
    for key in before.vouched:
        assert before.cluster_of(key) == after.cluster_of(key)
        assert before.joined_at[key] == after.joined_at[key]
