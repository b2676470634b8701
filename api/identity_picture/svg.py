"""A picture of an identity as SVG, drawn here: no browser, no fonts to load, the same on any page."""

from html import escape

from api.identity_picture.gathering import sheet_of
from api.identity_picture.outline import (
    HEAD,
    LABEL,
    LEADING,
    MARGIN,
    NODE,
    SIDE,
    TAG,
    VALUE,
    Outline,
    Place,
    Yard,
    outlined,
    tag_width,
)
from api.identity_picture.palette import (
    CARD,
    FENCE,
    FENCE_LINE,
    INK,
    LINE,
    MUTED,
    OTHER,
    REFUSED,
    paint_of,
)
from api.identity_picture.sheet import REST, Sheet
from profiles.identity_view import IdentityView

_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_ROUND = 9.0
_LEGEND = "✓ named by a sender who may vouch for it. Times are UTC."
_REFUSALS = "Red: named together, not joined."


def svg(view: IdentityView, *, full: bool = False) -> str:
    """The picture as the text of an SVG file; ends with a newline. Values are shortened unless ``full``."""
    return drawn(sheet_of(view, full=full))


def drawn(sheet: Sheet) -> str:
    """A sheet as the text of an SVG file."""
    refused = any(spot.refusals for fence in sheet.fences for spot in fence.spots)
    outline = outlined(sheet, f"{_REFUSALS} {_LEGEND}" if refused else _LEGEND)
    width, height = f"{outline.width:.0f}", f"{outline.height:.0f}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-labelledby="title description" font-family="{_FONT}">',
        f'<title id="title">{_text(sheet.title)}</title>',
        f'<desc id="description">{_text(_told(sheet))}</desc>',
        f'<rect x="0.5" y="0.5" width="{outline.width - 1:.1f}" height="{outline.height - 1:.1f}" rx="14" '
        f'fill="{CARD}" stroke="#d9dde3"/>',
    ]
    y = MARGIN + HEAD
    for line in outline.head:
        parts.append(_words(line, MARGIN, y, HEAD, INK, bold=True))
        y += 24
    for line in outline.subtitle:
        parts.append(_words(line, MARGIN, y, LABEL, MUTED))
        y += LEADING
    parts += [line for yard in outline.yards for line in _fence(yard, outline)]
    parts += _refusals(outline)
    for yard in outline.yards:
        parts += _ways(yard, outline.indent)
        parts += [shape for place in yard.places for shape in _node(place)]
    y = outline.height - MARGIN - LEADING * (len(outline.legend) - 1)
    for number, line in enumerate(outline.legend):
        parts.append(_words(line, MARGIN, y + LEADING * number, LABEL, MUTED))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _fence(yard: Yard, outline: Outline) -> list[str]:
    fill, line = (FENCE, FENCE_LINE) if yard is outline.yards[0] else (OTHER, LINE)
    width = outline.width
    dashes = ' stroke-dasharray="4 4"' if yard.fence.nobodys else ""
    return [
        f'<rect x="{MARGIN:.1f}" y="{yard.top:.1f}" width="{width - 2 * MARGIN:.1f}" '
        f'height="{yard.bottom - yard.top:.1f}" rx="12" fill="{fill}" stroke="{line}"{dashes}/>',
        _words(yard.fence.title, MARGIN + 14, yard.top + 19, LABEL, MUTED, bold=True),
    ]


def _ways(yard: Yard, indent: float) -> list[str]:
    """From each identifier a line to those that were joined to it, as in an outline."""
    at = {place.spot.key: place for place in yard.places}
    paths = []
    for place in yard.places:
        if place.spot.parent is None:
            continue
        parent = at[place.spot.parent]
        x, turn = parent.left + indent / 2, min(_ROUND, indent / 2)
        dashes = ' stroke-dasharray="2 4"' if place.spot.kind == REST else ""
        paths.append(
            f'<path d="M{x:.1f} {parent.top + NODE:.1f} V{place.middle - turn:.1f} '
            f'Q{x:.1f} {place.middle:.1f} {x + turn:.1f} {place.middle:.1f} H{place.left:.1f}" '
            f'fill="none" stroke="{LINE}" stroke-width="1.6"{dashes}/>'
        )
    return paths


def _refusals(outline: Outline) -> list[str]:
    """Dashed red lines from the person's identifiers to those that were not joined, each with a cross."""
    at = {place.spot.key: place for yard in outline.yards for place in yard.places}
    paths = []
    for place in (place for yard in outline.yards for place in yard.places):
        for number, refusal in enumerate(place.spot.refusals):
            lane, source = outline.lanes[refusal.source], at[refusal.source]
            y = place.middle + 9 * (number - (len(place.spot.refusals) - 1) / 2)
            paths.append(
                f'<path d="M{source.right:.1f} {source.middle:.1f} H{lane - _ROUND:.1f} '
                f"Q{lane:.1f} {source.middle:.1f} {lane:.1f} {source.middle + _ROUND:.1f} "
                f'V{y - _ROUND:.1f} Q{lane:.1f} {y:.1f} {lane - _ROUND:.1f} {y:.1f} H{place.right:.1f}" '
                f'fill="none" stroke="{REFUSED}" stroke-width="1.5" stroke-dasharray="5 4"/>'
            )
            x = place.right + 12
            paths.append(
                f'<path d="M{x - 4:.1f} {y - 4:.1f} l8 8 m0 -8 l-8 8" fill="none" stroke="{REFUSED}" '
                'stroke-width="2"/>'
            )
    return paths


def _node(place: Place) -> list[str]:
    spot, paint = place.spot, paint_of(place.spot)
    y = place.top - 7 - LEADING * (len(place.above) - 1)
    parts = [
        _words(line.text, place.left + 4, y + LEADING * number, LABEL, REFUSED if line.refused else MUTED)
        for number, line in enumerate(place.above)
    ]
    corner = 8.0 if spot.strong or spot.kind == REST else NODE / 2
    dashes = ' stroke-dasharray="5 3"' if spot.nobodys or spot.kind == REST else ""
    parts.append(
        f'<rect x="{place.left:.1f}" y="{place.top:.1f}" width="{place.width:.1f}" height="{NODE:g}" '
        f'rx="{corner:g}" fill="{paint.fill}" stroke="{paint.line}" stroke-width="1.4"{dashes}/>'
    )
    base = place.middle + 5
    if place.tag:
        parts.append(_words(place.tag, place.left + SIDE, base - 0.5, TAG, paint.tag, bold=True))
    parts.append(
        _words(spot.text, place.left + SIDE + tag_width(place), base, VALUE, paint.ink, bold=spot.strong)
    )
    return parts


def _words(text: str, x: float, y: float, size: float, colour: str, *, bold: bool = False) -> str:
    weight = ' font-weight="600"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" fill="{colour}"{weight}>{_text(text)}</text>'


def _told(sheet: Sheet) -> str:
    """The picture for those who do not see it."""
    people = []
    for fence in sheet.fences:
        said = [
            f"{spot.kind} {spot.text}"
            + (f" ({spot.label})" if spot.label else "")
            + "".join(f" ({refusal.label})" for refusal in spot.refusals)
            for spot in fence.spots
        ]
        people.append(f"{fence.title}: {'; '.join(said)}.")
    return " ".join([f"{sheet.subtitle}.", *people])


def _text(text: str) -> str:
    """Escaped, without the control characters that XML does not have."""
    return escape("".join(letter for letter in text if letter.isprintable()), quote=True)
