"""What was measured, as values: medians, spreads, ratios to the bare parts, a table and JSON."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Measure:
    """One quantity, one value a repeat."""

    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("a measure needs at least one value; got none")

    @property
    def median(self) -> float:
        """The value in the middle."""
        return statistics.median(self.values)

    def as_json(self) -> dict[str, Any]:
        """Every value, and what the table shows of them."""
        return {
            "median": self.median,
            "min": min(self.values),
            "max": max(self.values),
            "values": list(self.values),
        }


@dataclass(frozen=True, slots=True)
class BenchComparison:
    """Waypost beside the bare parts, for one quantity."""

    bench: str
    name: str
    unit: str
    ours: Measure
    bare: Measure | None = None
    """None: there is no bare counterpart, so there is no ratio."""
    more_is_better: bool = True
    note: str = ""
    sides: tuple[str, str] = ("Waypost", "bare")
    """What ``ours`` and ``bare`` are of, where it is not that."""

    @property
    def ratio(self) -> Measure | None:
        """Ours over bare, repeat by repeat: the two of a repeat ran back to back, on the same machine load.

        None where there is nothing bare, or where a bare value is too small to divide by (0).
        Raises ValueError when the two were not repeated equally often.
        """
        if self.bare is None or 0 in self.bare.values:
            return None
        if len(self.bare.values) != len(self.ours.values):
            raise ValueError(
                f"{self.bench}, {self.name}: {len(self.ours.values)} repeats of Waypost and "
                f"{len(self.bare.values)} bare ones cannot be paired"
            )
        return Measure(tuple(o / b for o, b in zip(self.ours.values, self.bare.values, strict=True)))

    def as_json(self) -> dict[str, Any]:
        """One entry of the results file."""
        return {
            "bench": self.bench,
            "name": self.name,
            "unit": self.unit,
            "more_is_better": self.more_is_better,
            "sides": list(self.sides),
            "ours": self.ours.as_json(),
            "bare": self.bare.as_json() if self.bare else None,
            "ratio": self.ratio.as_json() if self.ratio else None,
            "note": self.note,
        }


def per_second(count: int, seconds: float) -> float:
    """How many a second. Raises ValueError where no time has passed."""
    if seconds <= 0:
        raise ValueError(f"expected a positive time for {count} items, got {seconds} s")
    return count / seconds


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` (0 to 1) of all values do not exceed (nearest rank)."""
    if not values or not 0 < share <= 1:
        raise ValueError(f"expected values and a share in (0, 1]; got {len(values)} values and {share}")
    return sorted(values)[math.ceil(share * len(values)) - 1]


def comparison_table(comparisons: Sequence[BenchComparison]) -> Table:
    """Medians, with the lowest and highest repeat; a section a bench, notes under it."""
    shown = Table(
        title="Waypost beside the bare parts: median (lowest to highest repeat)",
        title_justify="left",
        caption="\n".join(f"{each.name}: {each.note}" for each in comparisons if each.note),
        caption_justify="left",
        box=SIMPLE_HEAD,
    )
    shown.add_column("what")
    shown.add_column("unit", no_wrap=True)
    for heading in ("Waypost", "bare", "Waypost / bare"):
        shown.add_column(heading, justify="right", no_wrap=True)
    shown.add_column("better")
    bench = ""
    for each in comparisons:
        if each.bench != bench:
            bench = each.bench
            shown.add_section()
            shown.add_row(f"[bold]{bench}[/bold]", "", *_side_headings(each))
        shown.add_row(
            each.name,
            each.unit,
            _format_measure(each.ours),
            _format_measure(each.bare),
            f"[bold]{_format_measure(each.ratio)}[/bold]",
            ("more" if each.more_is_better else "less") if each.bare else "",
        )
    return shown


def _side_headings(each: BenchComparison) -> tuple[str, ...]:
    """Of a bench whose sides are others than the table says."""
    ours, bare = each.sides
    return () if each.sides == ("Waypost", "bare") else (f"[bold]{ours}[/bold]", bare, "ratio")


def _format_measure(measure: Measure | None) -> str:
    if measure is None:
        return ""
    low, high = min(measure.values), max(measure.values)
    spread = "" if low == high else f" ({_format_number(low)} to {_format_number(high)})"
    return _format_number(measure.median) + spread


def _format_number(value: float) -> str:
    """Three significant digits, and no more precision than that."""
    if value == 0 or not math.isfinite(value):
        return str(value)
    digits = 2 - math.floor(math.log10(abs(value)))
    rounded = round(value, digits)
    return f"{rounded:,.{max(digits, 0)}f}" if value != int(value) else f"{rounded:,.0f}"
