"""Who is one person, and who is not."""

from collections.abc import Iterable
from datetime import timedelta

import pytest

from profiles.identity.graph import IdentityGraph, ResolutionStep, explain_step, resolve_graph
from profiles.identity.identifiers import IdentityRules, email_hash_key
from tests.support.builders.identities import START, link, names_of, owner, people, refusals


def test_a_visitor_who_logs_in_is_one_person_with_what_they_did_before() -> None:
    graph = resolve_graph(
        [link(1, "user_id:7", "anonymous_id:a")],
        sightings={"anonymous_id:a": START, "anonymous_id:b": START},
    )

    assert graph.clusters == (("user_id:7", "anonymous_id:a"), ("anonymous_id:b",))
    assert graph.joined_at == {
        "anonymous_id:a": START,
        "user_id:7": START + timedelta(hours=1),
        "anonymous_id:b": START,
    }


def test_two_accounts_with_one_email_stay_two_people() -> None:
    """The worked example of Segment's identity resolution pages, with its names."""
    graph = resolve_graph(
        [
            link(1, "user_id:abc123", "email:jane@example.com", "anonymous_id:browser"),
            link(2, "user_id:abc456", "email:jane@example.com", "anonymous_id:phone"),
        ]
    )

    assert names_of(graph, "user_id:abc123") == {
        "user_id:abc123",
        "email:jane@example.com",
        "anonymous_id:browser",
    }
    assert names_of(graph, "user_id:abc456") == {"user_id:abc456", "anonymous_id:phone"}
    assert refusals(graph) == [
        ("user_id:abc456", "email:jane@example.com", "limit"),
        ("user_id:abc456", email_hash_key("email:jane@example.com"), "limit"),
    ]


def test_an_address_as_user_id_that_was_stored_with_capitals_is_the_same_person() -> None:
    graph = resolve_graph(
        [
            link(1, "user_id:Jane@Example.com", "email:jane@example.com"),
            link(2, "user_id:jane@example.com", "email:jane@example.com"),
            link(3, "user_id:JANE@example.org", "email:jane@example.com"),
        ]
    )

    assert names_of(graph, "user_id:jane@example.com") == {
        "user_id:Jane@Example.com",
        "user_id:jane@example.com",
        "email:jane@example.com",
    }
    assert ("user_id:JANE@example.org", "email:jane@example.com", "limit") in refusals(graph)


def test_two_people_with_strong_keys_are_never_joined_by_a_weak_one() -> None:
    graph = resolve_graph(
        [
            link(1, "email:ada@example.com", "anonymous_id:sofa"),
            link(2, "email:bob@example.com", "anonymous_id:sofa"),
        ]
    )

    assert people(graph) == [{"email:ada@example.com", "anonymous_id:sofa"}, {"email:bob@example.com"}]
    assert refusals(graph) == [("email:bob@example.com", "anonymous_id:sofa", "strong")]


def test_without_the_strong_rule_a_sofa_would_make_two_people_one() -> None:
    links = [
        link(1, "email:ada@example.com", "anonymous_id:sofa"),
        link(2, "email:bob@example.com", "anonymous_id:sofa"),
    ]

    graph = resolve_graph(links, rules=IdentityRules(strong=frozenset()))

    assert len(graph.clusters) == 1


def test_two_people_are_not_joined_when_two_weak_keys_of_theirs_meet() -> None:
    graph = resolve_graph(
        [
            link(1, "user_id:1", "anonymous_id:a"),
            link(2, "phone:+4915112345678", "push_token:p"),
            link(3, "push_token:p", "anonymous_id:a"),
        ]
    )

    assert people(graph) == [{"user_id:1", "anonymous_id:a"}, {"phone:+4915112345678", "push_token:p"}]
    assert refusals(graph) == [("push_token:p", "anonymous_id:a", "strong")]


def test_a_chain_of_weak_keys_is_one_visitor_and_goes_to_the_first_person_named() -> None:
    chain = [link(24 * n, f"anonymous_id:{n}", f"anonymous_id:{n + 1}") for n in range(8)]

    graph = resolve_graph(
        [
            *chain,
            link(300, "email:ada@example.com", "anonymous_id:0"),
            link(301, "email:bob@example.com", "anonymous_id:8"),
        ]
    )

    assert len(names_of(graph, "email:ada@example.com")) == 10
    assert names_of(graph, "email:bob@example.com") == {"email:bob@example.com"}
    assert graph.joined_at["anonymous_id:8"] == START + timedelta(hours=24 * 7)
    assert graph.joined_at["email:ada@example.com"] == START + timedelta(hours=300)


def test_the_sixth_address_in_a_year_is_somebody_else_and_a_year_after_the_first_it_is_not() -> None:
    def addresses(last: timedelta) -> IdentityGraph:
        days = [timedelta(days=n) for n in range(5)]
        return resolve_graph(
            [
                link(at / timedelta(hours=1), "user_id:1", f"email:a{n}@example.com")
                for n, at in enumerate([*days, last])
            ]
        )

    within, after = timedelta(days=365) - timedelta(minutes=1), timedelta(days=365)
    assert names_of(addresses(within), "email:a5@example.com") == {"email:a5@example.com"}
    assert len(addresses(after).clusters) == 1


def test_of_several_cuts_the_one_between_the_strongest_keys_is_named_in_any_order() -> None:
    links = [
        link(1, "user_id:1", "anonymous_id:a"),
        link(2, "user_id:1", "loyalty_id:L", "phone:+4915112345678"),
    ]
    cuts = [frozenset(("user_id:1", "loyalty_id:L")), frozenset(("anonymous_id:a", "loyalty_id:L"))]

    there, back = resolve_graph(links, cuts=cuts), resolve_graph(links, cuts=cuts[::-1])

    assert [step.detail for step in there.steps if step.refusal == "cut"] == ["user_id:1 and loyalty_id:L"]
    assert there == back


def test_a_limit_counts_addresses_by_when_they_were_seen_not_by_when_they_joined() -> None:
    seen_early = [link(24 * day, f"email:a{day}@example.com", f"anonymous_id:{day}") for day in (4, 5, 6, 7)]
    joined_late = [link(24 * 700 + day, "user_id:1", f"email:a{day}@example.com") for day in (0, 4, 5, 6, 7)]
    recent = [link(24 * day, "user_id:1", f"email:a{day}@example.com") for day in (702, 703, 704, 705, 802)]

    graph = resolve_graph([*seen_early, *joined_late, *recent])

    assert refusals(graph)[0] == ("user_id:1", "email:a802@example.com", "limit")
    assert {f"email:a{day}@example.com" for day in (0, 4, 5, 6, 7, 702, 705)} <= names_of(graph, "user_id:1")


def test_those_who_join_later_are_one_person_from_their_latest_link_on() -> None:
    """A server's word of the tenth hour is taken before a browser's of the fifth."""
    graph = resolve_graph(
        [
            link(10, "push_token:p", "anonymous_id:a"),
            link(5, "push_token:p", "anonymous_id:b", verified=False),
        ],
        sightings={"anonymous_id:b": START},
    )

    tenth = START + timedelta(hours=10)
    assert graph.joined_at == {"anonymous_id:b": START, "push_token:p": tenth, "anonymous_id:a": tenth}


def test_a_demoted_address_takes_its_hash_along_and_leaves_the_rest_of_its_event() -> None:
    graph = resolve_graph(
        [
            link(1, "user_id:1", "email:jane@example.com"),
            link(2, "user_id:2", "email:jane@example.com", "phone:+4915112345678"),
        ]
    )

    assert names_of(graph, "user_id:2") == {"user_id:2", "phone:+4915112345678"}
    assert graph.cluster_of(email_hash_key("email:jane@example.com")) == graph.cluster_of("user_id:1")


def test_a_hash_finds_the_person_of_its_email_and_is_too_weak_to_take_them_elsewhere() -> None:
    hashed = email_hash_key("email:ada@example.com")
    before = link(1, "phone:+4915112345678", hashed)

    alone = resolve_graph([before])
    known = resolve_graph([before, link(2, "email:ada@example.com", "anonymous_id:a")])

    assert alone.cluster_of(hashed) == ("phone:+4915112345678", hashed)
    assert known.cluster_of(hashed) == ("email:ada@example.com", "anonymous_id:a", hashed)
    assert refusals(known) == [("phone:+4915112345678", hashed, "strong")]


def test_a_cut_keeps_two_apart_however_they_are_linked_and_its_mending_joins_them_again() -> None:
    links = [
        link(1, "user_id:1", "anonymous_id:a"),
        link(2, "email:ada@example.com", "phone:+4915112345678"),
        link(3, "user_id:1", "email:ada@example.com"),
        link(4, "user_id:1", "phone:+4915112345678"),
    ]
    cut = frozenset(("email:ada@example.com", "anonymous_id:a"))

    apart, whole = resolve_graph(links, cuts=[cut]), resolve_graph(links)

    assert people(apart) == [
        {"user_id:1", "anonymous_id:a"},
        {"email:ada@example.com", "phone:+4915112345678"},
    ]
    assert {why for _, _, why in refusals(apart)} == {"cut"}
    assert len(whole.clusters) == 1


HONEST = (
    link(1, "user_id:1", "email:ada@example.com", "anonymous_id:a"),
    link(2, "user_id:2", "phone:+4915112345678"),
    link(3, "email:new@example.com", "anonymous_id:b", verified=False),
)


@pytest.mark.parametrize(
    ("keys", "verified", "expected"),
    [
        pytest.param(["anonymous_id:a"], True, "anonymous_id:a", id="the only key"),
        pytest.param(["anonymous_id:a", "user_id:2"], True, "user_id:2", id="the strongest of two people"),
        pytest.param(["user_id:1", "anonymous_id:b"], True, "user_id:1", id="the strongest, vouched or not"),
        pytest.param(["user_id:1", "anonymous_id:a"], False, "user_id:1", id="unverified, one person"),
        pytest.param(["user_id:1", "anonymous_id:b"], False, "anonymous_id:b", id="unverified: not vouched"),
        pytest.param(["user_id:1", "anonymous_id:z"], False, "anonymous_id:z", id="unverified: a new key"),
        pytest.param(["user_id:2", "anonymous_id:a"], False, "user_id:2", id="unverified, all are vouched"),
        pytest.param(
            ["user_id:1", "anonymous_id:b", "email:new@example.com"],
            False,
            "email:new@example.com",
            id="unverified: the strongest that is not vouched",
        ),
        pytest.param(["user_id:1", "anonymous_id:t"], False, "user_id:1", id="a tablet is no other person"),
        pytest.param(["anonymous_id:t"], True, None, id="nobody's"),
        pytest.param([], True, None, id="no key"),
    ],
)
def test_an_event_belongs_to(keys: list[str], verified: bool, expected: str | None) -> None:
    graph = resolve_graph(HONEST, quarantined=["anonymous_id:t"])

    assert expected == owner(keys, verified, graph)


def test_every_step_explains_itself() -> None:
    graph = resolve_graph(
        [
            link(1, "user_id:1", "phone:+4915112345678", "anonymous_id:a"),
            link(2, "user_id:2", "phone:+4915112345678"),
            link(3, "email:ada@example.com", "anonymous_id:a", "anonymous_id:t"),
            link(4, "user_id:1", "loyalty_id:L7"),
            link(5, "user_id:1", "anonymous_id:f", verified=False),
        ],
        cuts=[frozenset(("user_id:1", "loyalty_id:L7"))],
        quarantined=["anonymous_id:t"],
    )

    assert sentences(graph.steps) == [
        "phone:+4915112345678 is the same person as user_id:1: event e-1 from shop names both.",
        "anonymous_id:a is the same person as user_id:1: event e-1 from shop names both.",
        "phone:+4915112345678 does not join user_id:2, though event e-2 from shop names both: "
        "one person would have more than 1 user_id.",
        "anonymous_id:a does not join email:ada@example.com, though event e-3 from shop names both: "
        "both are somebody already, and a device or a hash is too weak to make them one.",
        "anonymous_id:t does not join email:ada@example.com, though event e-3 from shop names both: "
        "so many people share one of them that it is nobody's.",
        "loyalty_id:L7 does not join user_id:1, though event e-4 from shop names both: "
        "an operator has cut user_id:1 and loyalty_id:L7 apart.",
        "anonymous_id:f does not join user_id:1, though event e-5 from shop names both: "
        "nothing verifies it, and one of the two is a person whom a verified event vouches for.",
    ]


def test_a_limit_within_a_span_names_the_span() -> None:
    graph = resolve_graph([link(n, "user_id:1", f"email:a{n}@example.com") for n in range(6)])

    assert sentences(graph.steps)[-1] == (
        "email:a5@example.com does not join user_id:1, though event e-5 from shop names both: "
        "one person would have more than 5 email within 365 days."
    )


def sentences(steps: Iterable[ResolutionStep]) -> list[str]:
    """Without the hashes, of which the same is said as of their emails."""
    return [explain_step(step) for step in steps if "email_sha256" not in step.candidate_key]
