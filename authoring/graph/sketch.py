"""A flow while it is being read: steps and ways so far, and the loose ends that the next step picks up."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from authoring.graph.flow import Edge, Kind, Node
from authoring.graph.result import Ends, Loose, Result
from authoring.graph.step import Step


@dataclass(slots=True)
class Loop:
    """A loop around what is being read: where it begins again, and the ways that leave it."""

    again: str
    left: list[Loose] = field(default_factory=list)


class FlowBuilder:
    """Gathers nodes and edges."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.edges: list[Edge] = []
        self.loops: list[Loop] = []

    def add(self, kind: Kind, title: str, lines: Sequence[str], ends: Ends) -> str:
        """A new step, reached from these loose ends; its id."""
        node = f"n{len(self.nodes)}"
        self.nodes.append(Node(node, kind, title, tuple(lines)))
        self.edges.extend(Edge(end.source, node, end.label) for end in ends)
        return node

    def add_step(self, step: Step, ends: Ends) -> tuple[Ends, Result | None]:
        """A step of the vocabulary, its loose ends, and what came of it."""
        node, beside = self.add(step.kind, step.title, step.lines, ends), ""
        if step.otherwise is not None:
            label, second = step.otherwise
            beside = self.add(second.kind, second.title, second.lines, (Loose(node, label),))
        result = step.result(node, beside)
        return (result.open if result else (Loose(node),)), result

    def back(self, ends: Ends, to: str) -> None:
        """These loose ends lead to an earlier step."""
        self.edges.extend(Edge(end.source, to, end.label, back=True) for end in ends)
