"""Read a journey's flow: the ways from node to node, and the lines of a node."""

from authoring.graph.flow import Flow


def ways(flow: Flow) -> set[str]:
    """Every way, as "from -label-> to"; a way back has an arrow with two heads."""
    title = {node.id: node.title for node in flow.nodes}
    return {
        f"{title[edge.source]} -{edge.label}->{'>' if edge.back else ''} {title[edge.target]}"
        for edge in flow.edges
    }


def said(flow: Flow, title: str) -> tuple[str, ...]:
    [lines] = [node.lines for node in flow.nodes if node.title == title]
    return lines
