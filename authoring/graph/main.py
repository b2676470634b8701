"""The command ``waypost graph``: find the journey, read it, draw it."""

from collections.abc import Sequence
from pathlib import Path

from api.d2 import DrawingError
from authoring.graph.flow import Flow
from authoring.graph.mermaid import mermaid
from authoring.graph.reader import flow_of
from authoring.graph.svg import svg
from journeys.registry import load_journeys
from journeys.source.reader import UnreadableSource
from workers.errors import UserError


def draw(journey: str, modules: Sequence[str], *, to: Path | None, as_mermaid: bool) -> str:
    """Return the text to print: Mermaid text, or where the SVG file was written, or both.

    Replaces an existing SVG file. Raises ``UserError`` for an unknown journey, for code that cannot be
    read, for a picture that cannot be drawn and for a file that cannot be written.
    """
    flow = read(journey, modules)
    parts = [] if to is not None and not as_mermaid else [mermaid(flow).rstrip("\n")]
    if to is not None:
        try:
            to.write_text(svg(flow), "utf-8")
        except DrawingError as error:
            raise UserError(str(error)) from error
        except OSError as error:
            raise UserError(
                f"{to} cannot be written: {error.strerror}; name a file in a folder that exists"
            ) from error
        # Mermaid may be piped into a file: a comment does no harm there.
        parts.append(f"%% {to}" if as_mermaid else f"{to}: {len(flow.nodes)} steps of {journey}")
    return "\n".join(parts)


def read(journey: str, modules: Sequence[str]) -> Flow:
    """Return the flow of a registered journey. Raises ``UserError``."""
    try:
        return flow_of(load_journeys(modules)[journey])
    except KeyError as error:
        raise UserError(str(error.args[0])) from error
    except (UnreadableSource, ValueError) as error:
        raise UserError(str(error)) from error
