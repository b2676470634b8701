"""Whose an event is, and what an operator reads about it."""

from collections.abc import Iterable

import pytest

from profiles.identity.graph import ResolutionStep, explain_step, resolve_graph
from tests.identity_links import link, owner

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
