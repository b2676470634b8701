"""Flows drawn: Mermaid that parses, SVG in which nothing overlaps, and the pictures in the documents."""

import os
import re
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from journeys.registry import SHIPPED, load
from workers.faults import Fault
from workers.graph.flow import Edge, Flow, Interrupt, Kind, Node
from workers.graph.main import draw
from workers.graph.mermaid import mermaid
from workers.graph.reading import flow_of
from workers.graph.svg import svg

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "images"
SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = 'a "b" <script>alert(1)</script> & #35; `c` \\ \x07 end'

FLOWS = [flow_of(cls.definition) for cls in SHIPPED]
STRANGE = Flow(
    journey="strange",
    summary=HOSTILE,
    nodes=(
        Node("n0", Kind.ENTRY, HOSTILE, (HOSTILE,)),
        Node("n1", Kind.LOOP, "again and again"),
        Node("n2", Kind.CALL, "x" * 300),
        Node("n3", Kind.CHOICE, "is it " + "very " * 20 + "long?"),
        Node("n4", Kind.END, "the end"),
    ),
    edges=(
        Edge("n0", "n1"),
        Edge("n1", "n2"),
        Edge("n2", "n3", HOSTILE),
        Edge("n3", "n1", "yes", back=True),
        Edge("n3", "n4", "no"),
        Edge("n1", "n4", "and two ways"),
        Edge("n1", "n4", "to the same place"),
    ),
    interrupts=(Interrupt(HOSTILE, HOSTILE, HOSTILE),),
)
ALONE = Flow("alone", "Starts and is over.", (Node("n0", Kind.ENTRY, "An event"),), (), ())
EVERY = [*FLOWS, STRANGE, ALONE]


Box = tuple[float, float, float, float]


def apart(one: Box, other: Box) -> bool:
    return one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]


def boxes(picture: ElementTree.Element) -> list[Box]:
    """(left, top, right, bottom) of everything that must not be covered: steps and labels."""
    found = []
    for rect in picture.findall(f"{SVG}rect"):
        if rect.get("rx") != "14":  # frames and the card
            x, y, w, h = (float(rect.get(name, "0")) for name in ("x", "y", "width", "height"))
            found.append((x, y, x + w, y + h))
    for polygon in picture.findall(f"{SVG}polygon"):
        points = [tuple(map(float, point.split(","))) for point in polygon.get("points", "").split()]
        xs, ys = zip(*points, strict=True)
        found.append((min(xs), min(ys), max(xs), max(ys)))
    return found


@pytest.mark.parametrize("flow", EVERY, ids=lambda flow: flow.journey)
def test_nothing_in_a_picture_covers_anything_else_or_leaves_it(flow: Flow) -> None:
    picture = ElementTree.fromstring(svg(flow))
    width, height = float(picture.get("width", "0")), float(picture.get("height", "0"))
    found = boxes(picture)

    labels = sum(bool(edge.label) for edge in flow.edges)
    assert len(found) == len(flow.nodes) + labels + 2 * len(flow.interrupts)
    for left, top, right, bottom in found:
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
    assert [(one, other) for one, other in combinations(found, 2) if not apart(one, other)] == []


@st.composite
def flows(draw: st.DrawFn) -> Flow:
    """Stories of any shape: each step is reached from an earlier one, and some ways lead back."""
    kinds = [Kind.SEND, Kind.WAIT, Kind.CHOICE, Kind.END]
    count = draw(st.integers(2, 12))
    label = st.sampled_from(["", "yes", "no", "a rather long label on a way"])
    nodes = [Node("n0", Kind.ENTRY, "An event")]
    edges = []
    for number in range(1, count):
        title = " ".join(["words"] * draw(st.integers(1, 6)))
        nodes.append(Node(f"n{number}", draw(st.sampled_from(kinds)), title))
        edges.append(Edge(f"n{draw(st.integers(0, number - 1))}", f"n{number}", draw(label)))
    for _ in range(draw(st.integers(0, 6))):
        one, other = sorted((draw(st.integers(0, count - 1)), draw(st.integers(0, count - 1))))
        back = one == other or draw(st.booleans())
        edges.append(Edge(f"n{other if back else one}", f"n{one if back else other}", draw(label), back))
    return Flow("any", "Any story.", tuple(nodes), tuple(edges), ())


@settings(max_examples=60, deadline=None)
@given(flow=flows())
def test_no_story_is_so_tangled_that_its_steps_or_labels_cover_one_another(flow: Flow) -> None:
    found = boxes(ElementTree.fromstring(svg(flow)))

    assert [(one, other) for one, other in combinations(found, 2) if not apart(one, other)] == []


@pytest.mark.parametrize("flow", EVERY, ids=lambda flow: flow.journey)
def test_every_way_is_an_arrow_and_ends_in_the_picture(flow: Flow) -> None:
    picture = ElementTree.fromstring(svg(flow))
    arrows = [path for path in picture.findall(f"{SVG}path") if path.get("marker-end")]

    # One into the lane of what ends a run, and one from each event there.
    lane = len(flow.interrupts) + bool(flow.interrupts)

    assert len(arrows) == len(flow.edges) + lane
    for arrow in arrows:
        numbers = [float(number) for number in re.findall(r"-?\d+\.?\d*", arrow.get("d", ""))]
        assert min(numbers) >= 0
        assert max(numbers) <= max(float(picture.get(side, "0")) for side in ("width", "height"))


def test_text_in_a_picture_is_text_only() -> None:
    picture = ElementTree.fromstring(svg(STRANGE))
    said = " ".join(text.text or "" for text in picture.iter(f"{SVG}text"))

    assert {element.tag for element in picture.iter()} == {
        SVG + name for name in ("svg", "title", "desc", "defs", "marker", "path", "rect", "polygon", "text")
    }
    assert "<script>alert(1)</script>" in said
    assert "\x07" not in said


@pytest.mark.parametrize("flow", EVERY, ids=lambda flow: flow.journey)
def test_a_picture_brings_its_own_card_and_needs_nothing_from_outside(flow: Flow) -> None:
    text = svg(flow)
    picture = ElementTree.fromstring(text)
    card = picture.find(f"{SVG}rect")

    assert card is not None
    assert card.get("fill") == "#ffffff"
    assert all(each.get("fill") for each in picture.iter(f"{SVG}text"))
    assert not re.search(r"(href|src|url\((?!#)|@import|<style)", text)


@pytest.mark.parametrize("flow", EVERY, ids=lambda flow: flow.journey)
def test_mermaid_names_every_step_once_and_leads_only_to_named_ones(flow: Flow) -> None:
    lines = [line.strip() for line in mermaid(flow).splitlines()]
    named = [found[1] for line in lines if (found := re.match(r'(\w+)[(\[{]+".*"[)\]}]+:::\w+$', line))]
    ways = [found for line in lines if (found := re.match(r'(\w+) -->(?:\|".*"\|)? (\w+)$', line))]

    assert lines[0] == "flowchart TD"
    assert len(named) == len(set(named)) == len(flow.nodes) + 2 * len(flow.interrupts)
    assert len(ways) == len(flow.edges) + len(flow.interrupts)
    assert {end for way in ways for end in way.groups()} <= set(named)
    assert sum(line.startswith("subgraph") for line in lines) == lines.count("end")


def test_quotation_marks_and_angle_brackets_cannot_end_a_text_of_mermaid() -> None:
    for line in mermaid(STRANGE).splitlines():
        assert line.count('"') % 2 == 0
        assert "<script" not in line
        assert "\x07" not in line


@pytest.mark.parametrize("picture", sorted(IMAGES.glob("graph-*.svg")), ids=lambda path: path.stem)
def test_the_pictures_in_the_documents_show_the_journeys_as_they_are(picture: Path) -> None:
    drawn = flow_of(load()[picture.stem.removeprefix("graph-")])

    # Otherwise: waypost graph <journey> --svg docs/images/graph-<journey>.svg
    assert picture.read_text("utf-8") == svg(drawn)


def test_an_unknown_journey_is_answered_with_what_there_is() -> None:
    with pytest.raises(Fault, match=r"no journey 'cart-abandonmet'; registered: .*did you mean 'cart-aband"):
        draw("cart-abandonmet", ["journeys"], to=None, as_mermaid=False)


def test_the_command_prints_mermaid_and_writes_what_it_is_told_to(tmp_path: Path) -> None:
    def graph(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "workers.command", "graph", *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )

    printed = graph("win-back")
    written = graph("win-back", "--svg", "flow.svg")
    nowhere = graph("win-back", "--svg", "no/such/folder/flow.svg")

    assert printed.stdout == mermaid(flow_of(load()["win-back"]))
    assert "flow.svg" in written.stdout
    assert (tmp_path / "flow.svg").read_text("utf-8") == svg(flow_of(load()["win-back"]))
    assert nowhere.returncode == 1
    assert "name a file in a folder that exists" in nowhere.stderr
    assert "Traceback" not in nowhere.stderr
