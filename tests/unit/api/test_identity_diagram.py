"""Identities drawn: every identifier and every line is there, and what is refused is told apart."""

import re
from datetime import timedelta
from pathlib import Path
from uuid import UUID
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.d2 import RED
from api.identity_diagram.builder import MAX_NODES, build_diagram
from api.identity_diagram.model import IdentityDiagram
from api.identity_diagram.svg import svg
from profiles.identity.views import IdentityView
from tests.support.builders.identities import (
    EVERY,
    STRANGE,
    TWO,
    ada,
    cause,
    held,
    joined,
    neighbour,
    refused,
    seen,
)
from tests.support.pictures import DRAWING, SVG, names, tags, texts

IMAGES = Path(__file__).parents[3] / "docs" / "images"


def arrows(picture: str) -> list[tuple[str, str, bool]]:
    """(from, to, whether they were joined) of each line, by the names of the shapes."""
    lines = [re.fullmatch(r"(?:(\w+)\.)?\((\S+) (--|->) (\S+)\)\[\d+\]", name) for name in names(picture)]
    parts = [(f"{line[1]}." if line[1] else "", line[2], line[3], line[4]) for line in lines if line]
    return sorted((fence + one, fence + other, kind == "--") for fence, one, kind, other in parts)


def lines_of(sheet: IdentityDiagram) -> list[tuple[str, str, bool]]:
    """The same of what is to be drawn."""
    shapes = {
        node.key: f"fence{number}.n{place}"
        for number, fence in enumerate(sheet.groups)
        for place, node in enumerate(fence.nodes)
    }
    nodes = [node for fence in sheet.groups for node in fence.nodes]
    joins = [
        (shapes[node.parent_key], shapes[node.key], True) for node in nodes if node.parent_key is not None
    ]
    refusals = [
        (shapes[each.source_key], shapes[node.key], False) for node in nodes for each in node.refused_links
    ]
    return sorted(joins + refusals)


@pytest.mark.parametrize("name", EVERY)
def test_a_picture_shows_every_identifier_and_every_line_between_two(name: str) -> None:
    sheet, picture = build_diagram(EVERY[name]), svg(EVERY[name])
    wanted = [
        f"fence{number}.n{place}"
        for number, fence in enumerate(sheet.groups)
        for place in range(len(fence.nodes))
    ]

    assert sorted(wanted) == sorted(name for name in names(picture) if re.fullmatch(r"fence\d+\.n\d+", name))
    assert lines_of(sheet) == arrows(picture)
    assert {fence.title.replace("…", "...") for fence in sheet.groups} <= set(texts(picture))


@st.composite
def people(draw: st.DrawFn) -> IdentityView:
    """Identities of any shape."""
    count = draw(st.integers(1, 40))
    kinds = st.sampled_from(["user_id", "loyalty_id", "email", "phone", "push_token", "anonymous_id"])
    keys = [f"{draw(kinds)}:{number:04}" for number in range(count)]
    edges = [
        joined(
            keys[draw(st.integers(0, number - 1))],
            keys[number],
            cause("Signed In", "web", timedelta(days=number)),
        )
        for number in range(1, count)
        if draw(st.booleans())
    ]
    others = [f"{draw(kinds)}:other-{number:04}" for number in range(draw(st.integers(0, 12)))]
    edges += [
        refused(keys[draw(st.integers(0, count - 1))], key, draw(st.sampled_from(["limit", "strong", "cut"])),
                cause("Order Completed", "store", timedelta()), "email")
        for key in others
        for _ in range(draw(st.integers(1, 3)))
    ]  # fmt: skip
    whose = [neighbour(key, UUID(int=draw(st.integers(1, 3)))) for key in others]
    return seen([held(key, timedelta(days=number)) for number, key in enumerate(keys)], edges, whose)


@settings(max_examples=25, deadline=None)
@given(view=people())
def test_no_identity_is_so_tangled_that_its_picture_cannot_be_drawn(view: IdentityView) -> None:
    sheet = build_diagram(view)
    nodes = [node for fence in sheet.groups for node in fence.nodes]
    there = {node.key for node in nodes}

    assert len(nodes) <= MAX_NODES
    assert len(there) == len(nodes)
    for node in nodes:
        assert {node.parent_key or node.key, *(each.source_key for each in node.refused_links)} <= there
    assert lines_of(sheet) == arrows(svg(view))


def test_a_picture_tells_who_joined_what_and_what_was_refused() -> None:
    words = " ".join(texts(svg(ada())))

    assert "Signed In · server · 5 Nov 10:26" in words
    assert "Application Opened · mobile · 8 Nov 13:47 · unverified" in words
    assert "× Order Completed · store · 14 Nov 20:29: not joined, too many user ids for one person" in words
    assert "shared by too many to be anybody" in words
    assert "1 profile merged into it" in words
    assert "Red: named together, not joined." in words
    assert "Red" not in " ".join(texts(svg(TWO)))


def test_each_refusal_is_a_dashed_red_line_and_what_is_nobodys_is_grey() -> None:
    picture = svg(ada())
    paths = [path.attrib for path in ElementTree.fromstring(picture).iter(f"{SVG}path")]
    red = [path for path in paths if path.get("stroke") == RED and "marker-end" in path]

    assert len(red) == 3
    assert all("stroke-dasharray" in path["style"] for path in red)
    assert picture.count('fill="#eceef1"') == 1


def test_a_chain_goes_down_and_what_is_broad_goes_to_the_right() -> None:
    def size(view: IdentityView) -> tuple[int, int]:
        picture = ElementTree.fromstring(svg(view))
        return int(picture.attrib["width"]), int(picture.attrib["height"])

    assert size(EVERY["deep"])[0] < 600
    assert size(EVERY["most"])[0] < 1200
    assert size(EVERY["too many"])[0] < 1800


def test_text_in_a_picture_is_text_only() -> None:
    picture = svg(STRANGE, full=True)

    assert tags(picture) <= DRAWING
    assert "<script>" in " ".join(texts(picture))
    assert "\x07" not in picture


@pytest.mark.parametrize("picture", sorted(IMAGES.glob("identity.svg")), ids=lambda path: path.stem)
def test_the_picture_in_the_documents_is_as_it_is_drawn_now(picture: Path) -> None:
    # Otherwise: draw it anew with docs/screenshots.py.
    kept, now = picture.read_text("utf-8"), svg(ada())

    assert (names(kept), texts(kept)) == (names(now), texts(now))
