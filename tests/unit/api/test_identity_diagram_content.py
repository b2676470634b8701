"""What a picture of an identity shows and says, and what it keeps to itself; and the same as Mermaid."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from api.identity_diagram.builder import MAX_NODES, build_diagram, display_values
from api.identity_diagram.mermaid import render_mermaid
from api.identity_diagram.svg import svg
from profiles.identity.identifiers import email_hash_key, mask_identifier
from tests.support.builders.identities import (
    BROTHER,
    EMAIL,
    EVERY,
    KIOSK,
    LOYALTY,
    MOBILE,
    OTHER_USER,
    PERSON,
    PHONE,
    PUSH,
    TABLET,
    TWO,
    USER,
    WORK,
    ada,
    cause,
    chain,
    held,
    joined,
    seen,
)

EVERY_VALUE = [
    key.partition(":")[2]
    for key in (
        USER,
        LOYALTY,
        EMAIL,
        WORK,
        PHONE,
        PUSH,
        MOBILE,
        TABLET,
        KIOSK,
        OTHER_USER,
        email_hash_key(EMAIL),
    )
]


def test_every_person_has_a_fence_of_their_own() -> None:
    titles = [fence.title for fence in build_diagram(ada()).groups]

    assert titles == [
        f"One person · profile …{PERSON.hex[-8:]}",
        f"Another person · profile …{BROTHER.hex[-8:]}",
        "Nobody’s",
    ]


def test_an_emails_hash_is_not_drawn_beside_it_and_what_hangs_on_it_hangs_on_the_email() -> None:
    nodes = {node.key: node for node in build_diagram(ada()).groups[0].nodes}

    assert email_hash_key(EMAIL) not in nodes
    assert nodes[TABLET].parent_key == EMAIL


def test_an_identifier_of_another_person_has_its_tick_and_the_count_names_the_hash() -> None:
    view = ada()
    view.neighbours[0] = replace(view.neighbours[0], vouched=True)
    sheet = build_diagram(view)
    [other] = sheet.groups[1].nodes

    assert other.is_vouched
    assert not build_diagram(ada()).groups[1].nodes[0].is_vouched
    assert sheet.subtitle.startswith("8 identifiers and 1 hash, seen since")


def test_what_has_no_room_is_summed_up_in_one_node_and_strong_identifiers_stay() -> None:
    sheet = build_diagram(chain(60, each_on=3, others=12))
    own, *others = sheet.groups
    rest = own.nodes[-1]

    assert sum(len(fence.nodes) for fence in sheet.groups) == MAX_NODES
    assert (rest.text, rest.edge_label) == ("and 45 more", "45 anonymous ids")
    assert {USER, EMAIL} <= {node.key for node in own.nodes}
    assert (others[-1].nodes[0].text, others[-1].nodes[0].edge_label) == ("and 4 more", "4 emails")


def test_up_to_twenty_five_identifiers_are_all_drawn() -> None:
    assert len(build_diagram(chain(25)).groups[0].nodes) == 25
    assert all(node.kind != "rest" for node in build_diagram(chain(25)).groups[0].nodes)


@pytest.mark.parametrize("told", [svg, render_mermaid], ids=["svg", "mermaid"])
def test_a_picture_may_be_shared_unless_it_is_asked_to_show_all(told: object) -> None:
    assert callable(told)
    short, full = told(ada()), told(ada(), full=True)

    assert [value for value in EVERY_VALUE if value in short] == []
    assert [value for value in EVERY_VALUE if value not in full] == [email_hash_key(EMAIL).partition(":")[2]]


@pytest.mark.parametrize(
    ("kind", "value", "short"),
    [
        ("email", "ada@example.com", "a…@example.com"),
        ("phone", "+4915112345678", "+49…78"),
        ("user_id", "u-4711", "u…11"),
        ("loyalty_id", "L7", "L…"),
        ("user_id", "7", "7…"),
        ("anonymous_id", "m-5f2a91c7", "m…c7"),
        ("push_token", "f3b1c09de2a7448bb1d0", "f3b1…b1d0"),
    ],
)
def test_a_value_is_shortened_by_its_type(kind: str, value: str, short: str) -> None:
    assert mask_identifier(kind, value) == short


def test_values_that_look_the_same_once_shortened_are_numbered() -> None:
    keys = ["email:ada@example.com", "email:alan@example.com", "phone:+4915112345678"]

    assert list(display_values(keys).values()) == ["a…@example.com", "a…@example.com (2)", "+49…78"]


@pytest.mark.parametrize("full", [False, True], ids=["shortened", "full"])
@pytest.mark.parametrize("name", EVERY)
def test_mermaid_names_every_identifier_once_and_leads_only_to_named_ones(name: str, full: bool) -> None:
    sheet = build_diagram(EVERY[name])
    told = [line.strip() for line in render_mermaid(EVERY[name], full=full).splitlines()]
    named = [found[1] for line in told if (found := re.match(r'(n\d+)\(?\[".*"\]\)?$', line))]
    ways = [
        found.groups()
        for line in told
        if (found := re.match(r'(n\d+) (?:---\|".*"\||-\. ".*" \.-x) (n\d+)$', line))
    ]
    nodes = [node for fence in sheet.groups for node in fence.nodes]

    assert told[0] == "flowchart LR"
    assert len(named) == len(set(named)) == len(nodes)
    assert len(ways) == sum((node.parent_key is not None) + len(node.refused_links) for node in nodes)
    assert {end for way in ways for end in way} <= set(named)
    assert sum(line.startswith("subgraph") for line in told) == told.count("end") == len(sheet.groups)
    for line in told:
        assert line.count('"') % 2 == 0
        assert "<script" not in line
        assert "\x07" not in line


def test_the_year_is_told_where_several_are_shown() -> None:
    late = joined(EMAIL, MOBILE, cause("Signed Up", "web", timedelta(days=90)))

    assert "1 Feb 2027 08:12" in svg(seen([held(EMAIL), held(MOBILE)], [late]))
    assert "3 Nov 08:12" in svg(TWO)


def test_whoever_a_picture_is_named_after_is_in_it_however_late_they_were_seen() -> None:
    phones = [held(f"phone:+49151000000{number:02}") for number in range(40)]
    sheet = build_diagram(seen([*phones, held(USER, timedelta(days=9))]))
    [own] = sheet.groups

    assert sheet.title == "Who is user id u…11"
    assert (own.nodes[0].key, own.nodes[-1].text) == (USER, "and 17 more")
    assert own.nodes[-1].parent_key == USER
