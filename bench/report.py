"""Measured values: medians, spreads and ratios to the bare counterpart, as a table and as JSON."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Measure:
    """Values of one quantity, one per repeat."""

    values: Sequence[float]

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("a measure needs at least one value; got none")
        object.__setattr__(self, "values", tuple(self.values))

    @property
    def median(self) -> float:
        """The median of the values."""
        return statistics.median(self.values)

    def as_json(self) -> dict[str, Any]:
        """Return every value, and median, minimum and maximum."""
        return {
            "median": self.median,
            "min": min(self.values),
            "max": max(self.values),
            "values": list(self.values),
        }


@dataclass(frozen=True, slots=True)
class BenchComparison:
    """Waypost and its bare counterpart, for one quantity."""

    bench: str
    name: str
    unit: str
    ours: Measure
    bare: Measure | None = None
    """None: there is no bare counterpart, so there is no ratio."""
    note: str = ""
    sides: tuple[str, str] = ("Waypost", "bare")
    """Labels of ``ours`` and ``bare``."""

    @property
    def more_is_better(self) -> bool:
        """Whether the quantity is a rate; a time, a size or a number is better if it is smaller."""
        return self.unit.endswith("/s")

    @property
    def ratio(self) -> Measure | None:
        """Ours divided by bare, per repeat: both of a repeat run one after the other, under the same load.

        None without a bare counterpart or with a bare value of 0. Raises ValueError for unequal repeats.
        """
        if self.bare is None or 0 in self.bare.values:
            return None
        if len(self.bare.values) != len(self.ours.values):
            raise ValueError(
                f"{self.bench}, {self.name}: {len(self.ours.values)} repeats of Waypost and "
                f"{len(self.bare.values)} bare ones cannot be paired"
            )
        return Measure([o / b for o, b in zip(self.ours.values, self.bare.values, strict=True)])

    def as_json(self) -> dict[str, Any]:
        """Return one entry of the results file."""
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
    """Return the number per second. Raises ValueError unless ``seconds`` is positive."""
    if seconds <= 0:
        raise ValueError(f"expected a positive time for {count} items, got {seconds} s")
    return count / seconds


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that a ``share`` (0 to 1) of all values do not exceed (nearest rank).

    Raises ValueError without values, or for a share outside of that range.
    """
    if not values or not 0 < share <= 1:
        raise ValueError(f"expected values and a share in (0, 1]; got {len(values)} values and {share}")
    return sorted(values)[math.ceil(share * len(values)) - 1]


def comparison_table(comparisons: Sequence[BenchComparison]) -> Table:
    """Return a table of medians with the lowest and highest repeat, one section per bench, and the notes."""
    table = Table(
        title="Waypost beside the bare parts: median (lowest to highest repeat)",
        title_justify="left",
        caption="\n".join(f"{each.name}: {each.note}" for each in comparisons if each.note),
        caption_justify="left",
        box=SIMPLE_HEAD,
    )
    table.add_column("what")
    table.add_column("unit", no_wrap=True)
    for heading in ("Waypost", "bare", "Waypost / bare"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("better")
    bench = ""
    for each in comparisons:
        if each.bench != bench:
            bench = each.bench
            table.add_section()
            table.add_row(f"[bold]{bench}[/bold]", "", *_side_headings(each))
        table.add_row(
            each.name,
            each.unit,
            _format_measure(each.ours),
            _format_measure(each.bare),
            f"[bold]{_format_measure(each.ratio)}[/bold]",
            ("more" if each.more_is_better else "less") if each.bare else "",
        )
    return table


def _side_headings(each: BenchComparison) -> tuple[str, ...]:
    """Return the headings of a bench with other sides than Waypost and bare, else nothing."""
    ours, bare = each.sides
    return () if each.sides == ("Waypost", "bare") else (f"[bold]{ours}[/bold]", bare, "ratio")


def _format_measure(measure: Measure | None) -> str:
    if measure is None:
        return ""
    low, high = min(measure.values), max(measure.values)
    spread = "" if low == high else f" ({_format_number(low)} to {_format_number(high)})"
    return _format_number(measure.median) + spread


def _format_number(value: float) -> str:
    """Return the value with three significant digits."""
    if value == 0 or not math.isfinite(value):
        return str(value)
    digits = 2 - math.floor(math.log10(abs(value)))
    rounded = round(value, digits)
    return f"{rounded:,.{max(digits, 0)}f}" if value != int(value) else f"{rounded:,.0f}"
