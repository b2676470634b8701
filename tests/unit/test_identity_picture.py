"""Identities drawn: nothing overlaps, nothing leads to nowhere, and nobody can be reached by a picture."""

import re
from collections.abc import Sequence
from datetime import timedelta
from itertools import combinations
from pathlib import Path
from uuid import UUID
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.identity_picture.gathering import MOST, sheet_of
from api.identity_picture.svg import svg
from profiles.identity_view import IdentityView
from tests.identities import (
    EVERY,
    STRANGE,
    ada,
    cause,
    held,
    joined,
    neighbour,
    refused,
    seen,
)

IMAGES = Path(__file__).parents[2] / "docs" / "images"
SVG = "{http://www.w3.org/2000/svg}"

Box = tuple[float, float, float, float]


def boxes(picture: ElementTree.Element, corners: Sequence[str]) -> list[Box]:
    """(left, top, right, bottom) of the rectangles with these corners."""
    found = []
    for rect in picture.findall(f"{SVG}rect"):
        if rect.get("rx") in corners:
            x, y, w, h = (float(rect.get(name, "0")) for name in ("x", "y", "width", "height"))
            found.append((x, y, x + w, y + h))
    return found


def overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def said(picture: ElementTree.Element) -> list[Box]:
    """About where the lines of text stand, as narrow letters would have them."""
    found = []
    for text in picture.findall(f"{SVG}text"):
        x, y, size = (float(text.get(name, "0")) for name in ("x", "y", "font-size"))
        found.append((x, y - 0.7 * size, x + 0.4 * size * len(text.text or ""), y + 0.15 * size))
    return found


def drawn(view: IdentityView, *, full: bool = False) -> ElementTree.Element:
    return ElementTree.fromstring(svg(view, full=full))


NODES, FENCES = ("8", "17"), ("12",)


@pytest.mark.parametrize("name", EVERY)
def test_nothing_in_a_picture_covers_anything_else_or_leaves_it(name: str) -> None:
    sheet, picture = sheet_of(EVERY[name]), drawn(EVERY[name])
    width, height = float(picture.get("width", "0")), float(picture.get("height", "0"))
    nodes, fences, texts = boxes(picture, NODES), boxes(picture, FENCES), said(picture)

    assert len(nodes) == sum(len(fence.spots) for fence in sheet.fences)
    assert len(fences) == len(sheet.fences)
    for group in (nodes, fences, texts):
        assert [pair for pair in combinations(group, 2) if overlap(*pair)] == []
    for left, top, right, bottom in (*nodes, *fences, *texts):
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height


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


@settings(max_examples=60, deadline=None)
@given(view=people())
def test_no_identity_is_so_tangled_that_its_picture_cannot_be_drawn(view: IdentityView) -> None:
    picture, sheet = drawn(view), sheet_of(view)
    spots = [spot for fence in sheet.fences for spot in fence.spots]
    there = {spot.key for spot in spots}

    assert len(spots) <= MOST
    assert len(there) == len(spots)
    for spot in spots:
        assert {spot.parent or spot.key, *(each.source for each in spot.refusals)} <= there
    for group in (boxes(picture, NODES), boxes(picture, FENCES), said(picture)):
        assert [pair for pair in combinations(group, 2) if overlap(*pair)] == []


def test_a_picture_tells_who_joined_what_and_what_was_refused() -> None:
    words = " ".join(text.text or "" for text in drawn(ada()).iter(f"{SVG}text"))

    assert "Signed In · server · 5 Nov 10:26" in words
    assert "Application Opened · mobile · 8 Nov 13:47 · unverified" in words
    assert "too many user ids for one person" in words
    assert "shared by too many to be anybody" in words
    assert "1 profile merged into it" in words


def test_each_refusal_is_a_dashed_red_line_and_what_is_nobodys_is_grey() -> None:
    picture = drawn(ada())
    red = [path for path in picture.findall(f"{SVG}path") if path.get("stroke") == "#c0443a"]
    dashed = [path for path in red if path.get("stroke-dasharray")]
    grey = [rect for rect in picture.findall(f"{SVG}rect") if rect.get("fill") == "#eceef1"]

    assert len(dashed) == 3
    assert len(red) == 6  # each with a cross
    assert len(grey) == 1


def test_text_in_a_picture_is_text_only() -> None:
    picture = drawn(STRANGE, full=True)
    words = " ".join(text.text or "" for text in picture.iter(f"{SVG}text"))

    assert {element.tag for element in picture.iter()} == {
        SVG + name for name in ("svg", "title", "desc", "path", "rect", "text")
    }
    assert "<script>" in words
    assert "\x07" not in words


@pytest.mark.parametrize("name", EVERY)
def test_a_picture_brings_its_own_card_and_needs_nothing_from_outside(name: str) -> None:
    text = svg(EVERY[name])
    card = ElementTree.fromstring(text).find(f"{SVG}rect")

    assert card is not None
    assert card.get("fill") == "#ffffff"
    assert not re.search(r"(href|src|url\((?!#)|@import|<style)", text)


@pytest.mark.parametrize("picture", sorted(IMAGES.glob("identity.svg")), ids=lambda path: path.stem)
def test_the_picture_in_the_documents_is_as_it_is_drawn_now(picture: Path) -> None:
    # Otherwise: draw it anew with docs/screenshots.py.
    assert picture.read_text("utf-8") == svg(ada())
