"""What an SVG picture drawn by ``d2`` shows: shapes and arrows by their names in the source, and texts."""

import base64
import binascii
import html
import re
from xml.etree import ElementTree

SVG = "{http://www.w3.org/2000/svg}"


def texts(picture: str) -> list[str]:
    """Every text as it is read, in the order of the file; the lines of one label make one text."""
    return [
        " ".join("".join(line.itertext()) for line in (list(text) or [text]))
        for text in ElementTree.fromstring(picture).iter(f"{SVG}text")
    ]


def names(picture: str) -> list[str]:
    """Names of all shapes and arrows, such as ``story.n1`` and ``(n0 -> story.n1)[0]``, kept as classes."""
    found = []
    for group in ElementTree.fromstring(picture).iter(f"{SVG}g"):
        first = (group.get("class") or "").partition(" ")[0]
        try:
            name = html.unescape(base64.b64decode(first, validate=True).decode())
        except (binascii.Error, UnicodeDecodeError):
            continue
        if re.match(r"[\w(]", name):
            found.append(name)
    return found


def tags(picture: str) -> set[str]:
    """Names of all elements."""
    return {element.tag.removeprefix(SVG) for element in ElementTree.fromstring(picture).iter()}


DRAWING = {"svg", "title", "style", "g", "rect", "path", "polygon", "text", "tspan", "marker", "mask", "line"}
"""Elements that draw, and nothing that runs, links or loads."""
