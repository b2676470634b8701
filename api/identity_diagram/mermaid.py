"""A picture of an identity as Mermaid text, for an issue, a pull request or a wiki."""

import re

from api.identity_diagram.builder import sheet_of
from api.identity_diagram.model import REST, TYPES, Fence, Sheet, Spot
from api.identity_diagram.style import FENCE, FENCE_LINE, LINE, OTHER, REFUSED, paint_of
from profiles.identity.views import IdentityView

_SQUARE, _PILL = ('["', '"]'), ('(["', '"])')


def mermaid(view: IdentityView, *, full: bool = False) -> str:
    """The picture as a ``flowchart``; ends with a newline. Values are shortened unless ``full``."""
    return told(sheet_of(view, full=full))


def told(sheet: Sheet) -> str:
    """A sheet as a ``flowchart``."""
    spots = [spot for fence in sheet.fences for spot in fence.spots]
    names = {spot.key: f"n{number}" for number, spot in enumerate(spots)}
    lines = ["flowchart LR"]
    for number, fence in enumerate(sheet.fences):
        lines += _fence(fence, number, names)
    ways = [spot for spot in spots if spot.parent is not None]
    lines += [f'  {names[spot.parent or ""]} ---|"{_text(spot.label)}"| {names[spot.key]}' for spot in ways]
    refused = [(spot, each) for spot in spots for each in spot.refusals]
    lines += [f'  {names[each.source]} -. "{_text(each.label)}" .-x {names[s.key]}' for s, each in refused]
    if refused:
        numbers = ",".join(str(len(ways) + number) for number in range(len(refused)))
        lines.append(f"  linkStyle {numbers} stroke:{REFUSED},color:{REFUSED}")
    lines += [_style(spot, names[spot.key]) for spot in spots]
    return "\n".join(lines) + "\n"


def _fence(fence: Fence, number: int, names: dict[str, str]) -> list[str]:
    lines = [f'  subgraph fence{number}["{_text(fence.title)}"]']
    lines += [f"    {names[spot.key]}{_node(spot)}" for spot in fence.spots]
    fill, line = (OTHER, LINE) if number else (FENCE, FENCE_LINE)
    return [*lines, "  end", f"  style fence{number} fill:{fill},stroke:{line}"]


def _node(spot: Spot) -> str:
    opening, closing = _SQUARE if spot.strong or spot.kind == REST else _PILL
    tag = "" if spot.kind == REST else TYPES.get(spot.kind, spot.kind) + (" ✓" if spot.vouched else "")
    return opening + "<br/>".join(_text(line) for line in (tag, spot.text) if line) + closing


def _style(spot: Spot, name: str) -> str:
    paint = paint_of(spot)
    dashes = ",stroke-dasharray:5 3" if spot.nobodys or spot.kind == REST else ""
    return f"  style {name} fill:{paint.fill},stroke:{paint.line},color:{paint.ink}{dashes}"


def _text(text: str) -> str:
    """Text inside quotation marks. Mermaid writes an entity as #name; and a backquote begins Markdown."""
    named = {"#": "#35;", '"': "#quot;", "`": "#96;", "&": "#amp;", "<": "#lt;", ">": "#gt;", "\\": "#92;"}
    plain = (letter for letter in re.sub(r"\s+", " ", text) if letter.isprintable())
    return "".join(named.get(letter, letter) for letter in plain)
