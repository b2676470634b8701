"""A journey's code read into a flow: every way a story can take is in it, in words."""

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
