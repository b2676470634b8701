"""What many people share is nobody's, and what a browser says changes no customer."""

from datetime import timedelta

import pytest

from profiles.identity.graph import resolve_graph
from profiles.identity.identifiers import email_hash_key
from tests.support.builders.identities import START, link, logins, names_of, people, refusals


def test_five_people_at_a_shared_tablet_are_five_and_the_tablet_is_the_first_ones() -> None:
    graph = resolve_graph(logins(5))

    assert len(graph.clusters) == 5
    assert names_of(graph, "anonymous_id:tablet") == {
        "user_id:0",
        "email:p0@example.com",
        "anonymous_id:tablet",
    }
    assert graph.quarantined == frozenset()


def test_two_hundred_people_at_a_shared_tablet_are_two_hundred_and_the_tablet_is_nobodys() -> None:
    graph = resolve_graph(logins(200))

    assert len(graph.clusters) == 201
    assert graph.quarantined == {"anonymous_id:tablet"}
    assert graph.cluster_of("anonymous_id:tablet") == ("anonymous_id:tablet",)
    assert {why for _, _, why in refusals(graph)} == {"quarantined"}


def test_a_tablet_known_to_be_nobodys_joins_nobody_from_the_first_login_on() -> None:
    graph = resolve_graph(logins(2), quarantined=["anonymous_id:tablet"])

    assert len(graph.clusters) == 3
    assert graph.quarantined == {"anonymous_id:tablet"}


def test_an_address_that_is_nobodys_is_one_with_its_hash_whether_that_was_found_or_given() -> None:
    address = "email:ada@example.com"
    alone = {address: START + timedelta(days=1), email_hash_key(address): START}

    found = resolve_graph((), sightings=alone, quarantined=[address])
    given = resolve_graph((), sightings=alone, quarantined=[address, email_hash_key(address)])
    hash_alone = resolve_graph((), sightings=alone, quarantined=[email_hash_key(address)])

    assert found.joined_at == given.joined_at == dict.fromkeys(alone, START)
    assert hash_alone.joined_at == alone


def test_a_released_key_is_somebodys_however_many_share_it() -> None:
    graph = resolve_graph(logins(200), released=["anonymous_id:tablet"])

    assert graph.quarantined == frozenset()
    assert len(graph.clusters) == 200
    assert "user_id:0" in graph.cluster_of("anonymous_id:tablet")


def test_a_shared_address_is_nobodys_and_so_is_its_hash() -> None:
    """The mail of an office, given at eleven tills."""
    graph = resolve_graph([link(n, f"loyalty_id:L{n}", "email:office@example.com") for n in range(11)])

    address = {"email:office@example.com", email_hash_key("email:office@example.com")}
    assert graph.quarantined == address
    assert {(key,) for key in address} <= set(graph.clusters)
    assert "email:office@example.com" not in graph.vouched


@pytest.mark.parametrize("released", ["email:office@example.com", email_hash_key("email:office@example.com")])
def test_an_address_is_released_under_either_name(released: str) -> None:
    links = [link(n, f"loyalty_id:L{n}", "email:office@example.com") for n in range(11)]

    assert resolve_graph(links, released=[released]).quarantined == frozenset()


def test_many_keys_of_the_same_type_make_no_key_nobodys() -> None:
    """Somebody whose addresses were all changed from one is one person with many addresses."""
    links = [link(24 * 400 * n, "email:old@example.com", f"email:new{n}@example.com") for n in range(30)]

    graph = resolve_graph(links)

    assert graph.quarantined == frozenset()
    assert len(graph.clusters) == 1


def test_a_thousand_forged_links_change_no_person_whom_a_verified_event_vouches_for() -> None:
    honest = [
        link(1, "user_id:1", "email:ada@example.com", "anonymous_id:a"),
        link(2, "user_id:2", "email:bob@example.com", "phone:+4915112345678"),
    ]
    victims = ["user_id:1", "email:ada@example.com", "user_id:2", "phone:+4915112345678"]
    forged = [
        link(
            -n,
            *sorted({f"user_id:forged-{n}", victims[n % 4], victims[n % 3]}, reverse=True),
            f"anonymous_id:f{n}",
            verified=False,
        )
        for n in range(1_000)
    ]

    before, after = resolve_graph(honest), resolve_graph([*honest, *forged])

    for key in victims:
        assert before.cluster_of(key) == after.cluster_of(key)
        assert before.joined_at[key] == after.joined_at[key]
    assert after.quarantined.isdisjoint(victims)
    assert {why for _, _, why in refusals(after)} >= {"unverified"}


def test_the_same_forged_links_would_take_an_address_that_nothing_verified_has_named() -> None:
    forged = [link(n, f"user_id:forged-{n}", "email:ada@example.com", verified=False) for n in range(11)]

    assert "email:ada@example.com" in resolve_graph(forged).quarantined
    assert resolve_graph([*forged, link(99, "email:ada@example.com")]).quarantined == frozenset()


def test_a_verified_event_that_names_a_single_key_vouches_for_it() -> None:
    hijack = link(2, "user_id:1", "email:eve@example.com", verified=False)

    assert len(resolve_graph([hijack]).clusters) == 1
    graph = resolve_graph([hijack, link(1, "user_id:1")])

    assert graph.vouched == {"user_id:1"}
    assert people(graph) == [{"user_id:1"}, {"email:eve@example.com"}]


def test_unverified_links_make_people_of_those_whom_nothing_vouches_for() -> None:
    graph = resolve_graph([link(1, "user_id:1", "email:ada@example.com", "anonymous_id:a", verified=False)])

    assert len(graph.clusters) == 1
    assert graph.vouched == frozenset()


def test_what_a_server_says_comes_before_what_a_browser_said_earlier() -> None:
    graph = resolve_graph(
        [
            link(1, "user_id:1", "anonymous_id:a", verified=False),
            link(2, "user_id:2", "anonymous_id:a"),
        ]
    )

    assert people(graph) == [{"user_id:1"}, {"user_id:2", "anonymous_id:a"}]
