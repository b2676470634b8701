"""Shapes of an SVG file: text is escaped, and every colour is given, whatever the page around it."""

from html import escape

from workers.graph.flow import Kind
from workers.graph.palette import CARD, INK, INTERRUPT, LINE, MUTED, PAINTS, Paint
from workers.graph.shape import DETAIL, LEADING, TAG, Shape

_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_CORNER = 10.0
Point = tuple[float, float]


class Canvas:
    """Collects shapes; ``text`` puts the card behind them."""

    def __init__(self, width: float, height: float, *, title: str, description: str) -> None:
        self.width, self.height = width, height
        self._title, self._description = title, description
        self._lines: list[str] = []
        self._shapes: list[str] = []
        self._labels: list[str] = []

    def text(self) -> str:
        """The file: ways lie below labels, and labels below steps."""
        width, height = f"{self.width:.0f}", f"{self.height:.0f}"
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
            f'height="{height}" role="img" aria-labelledby="title description" font-family="{_FONT}">'
        )
        card = (
            f'<rect x="0.5" y="0.5" width="{self.width - 1:.1f}" height="{self.height - 1:.1f}" rx="14" '
            f'fill="{CARD}" stroke="#d9dde3"/>'
        )
        told = [
            f'<title id="title">{_text(self._title)}</title>',
            f'<desc id="description">{_text(self._description)}</desc>',
        ]
        marks = ["<defs>", _arrow("way", LINE), _arrow("interrupt", INTERRUPT.line), "</defs>"]
        parts = [head, *told, *marks, card, *self._lines, *self._labels, *self._shapes, "</svg>"]
        return "\n".join(parts) + "\n"

    def words(
        self,
        text: str,
        x: float,
        y: float,
        size: float,
        *,
        colour: str = INK,
        bold: bool = False,
        at: str = "start",
    ) -> None:
        """One line of text on its base line."""
        weight = ' font-weight="600"' if bold else ""
        self._shapes.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" fill="{colour}" text-anchor="{at}"{weight}>'
            f"{_text(text)}</text>"
        )

    def step(self, shape: Shape, x: float, y: float, paint: Paint | None = None) -> None:
        """A step around its middle."""
        paint = paint or PAINTS[shape.node.kind]
        kind = shape.node.kind
        if shape.pointed:
            w, h = shape.width / 2, shape.height / 2
            points = f"{x:.1f},{y - h:.1f} {x + w:.1f},{y:.1f} {x:.1f},{y + h:.1f} {x - w:.1f},{y:.1f}"
            self._shapes.append(
                f'<polygon points="{points}" fill="{paint.fill}" stroke="{paint.line}" stroke-width="1.4" '
                'stroke-linejoin="round"/>'
            )
        else:
            round_ends = kind in (Kind.ENTRY, Kind.END)
            self.box(x, y, shape.width, shape.height, paint, 18.0 if round_ends else 8.0, kind is Kind.CALL)
        baseline = y - shape.text_height / 2
        for line in shape.lines:
            tag = line.size == TAG
            colour = paint.line if tag else MUTED if line.size == DETAIL else paint.ink
            baseline += LEADING[line.size]
            self.words(
                line.text, x, baseline - 5, line.size, colour=colour, bold=line.size != DETAIL, at="middle"
            )

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        paint: Paint,
        corner: float,
        dashed: bool = False,
    ) -> None:
        """A rectangle around its middle."""
        dashes = ' stroke-dasharray="5 3"' if dashed else ""
        self._shapes.append(
            f'<rect x="{x - width / 2:.1f}" y="{y - height / 2:.1f}" width="{width:.1f}" '
            f'height="{height:.1f}" rx="{corner:g}" fill="{paint.fill}" stroke="{paint.line}" '
            f'stroke-width="1.4"{dashes}/>'
        )

    def frame(
        self, left: float, top: float, right: float, bottom: float, *, interrupts: bool = False
    ) -> None:
        """A dashed frame behind everything."""
        colour, fill = (INTERRUPT.line, "#fffafa") if interrupts else (LINE, "#fafbfc")
        self._lines.insert(
            0,
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" '
            f'height="{bottom - top:.1f}" rx="14" fill="{fill}" stroke="{colour}" stroke-dasharray="4 4"/>',
        )

    def way(self, points: list[Point]) -> None:
        """An arrow down through these points; it bends between the first and second, third and fourth, …"""
        (x, y), *rest = points
        path = [f"M{x:.1f} {y:.1f}"]
        for number, (to_x, to_y) in enumerate(rest):
            half = (to_y - y) / 2
            if number % 2 or abs(to_x - x) < 0.6:
                path.append(f"L{to_x:.1f} {to_y:.1f}")
            else:
                path.append(f"C{x:.1f} {y + half:.1f} {to_x:.1f} {to_y - half:.1f} {to_x:.1f} {to_y:.1f}")
            x, y = to_x, to_y
        self._path(" ".join(path))

    def corners(self, points: list[Point], *, interrupts: bool = False) -> None:
        """An arrow with round corners."""
        path = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
        for before, corner, after in zip(points, points[1:], points[2:], strict=False):
            near, far = _toward(corner, before), _toward(corner, after)
            path.append(
                f"L{near[0]:.1f} {near[1]:.1f} Q{corner[0]:.1f} {corner[1]:.1f} {far[0]:.1f} {far[1]:.1f}"
            )
        path.append(f"L{points[-1][0]:.1f} {points[-1][1]:.1f}")
        self._path(" ".join(path), interrupts=interrupts)

    def label(self, text: str, x: float, y: float, width: float) -> None:
        """What is written on a way."""
        self._labels.append(
            f'<rect x="{x - width / 2:.1f}" y="{y - 9:.1f}" width="{width:.1f}" height="18" rx="9" '
            'fill="#eef1f5"/>'
            f'<text x="{x:.1f}" y="{y + 4.2:.1f}" font-size="{DETAIL:g}" fill="{INK}" text-anchor="middle">'
            f"{_text(text)}</text>"
        )

    def _path(self, path: str, *, interrupts: bool = False) -> None:
        colour, mark = (INTERRUPT.line, "interrupt") if interrupts else (LINE, "way")
        dashes = ' stroke-dasharray="5 4"' if interrupts else ""
        self._lines.append(
            f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.6"{dashes} '
            f'marker-end="url(#{mark})"/>'
        )


def _toward(corner: Point, other: Point) -> Point:
    """A point a little way from the corner."""
    far = max(abs(other[0] - corner[0]), abs(other[1] - corner[1])) or 1.0
    share = min(_CORNER, far / 2) / far
    return corner[0] + (other[0] - corner[0]) * share, corner[1] + (other[1] - corner[1]) * share


def _arrow(name: str, colour: str) -> str:
    return (
        f'<marker id="{name}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
        f'orient="auto"><path d="M0 0.8 L10 5 L0 9.2 z" fill="{colour}"/></marker>'
    )


def _text(text: str) -> str:
    """Escaped, without the control characters that XML does not have."""
    return escape("".join(letter for letter in text if letter.isprintable()), quote=True)
