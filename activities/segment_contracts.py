"""What the sweep of one segment is asked, and what it answers. Pydantic only."""

from activities.contracts import Contract


class SweepSegment(Contract):
    """Find who newly belongs to a segment."""

    segment: str
    """Its name; the query is that of the worker's own code."""


class SegmentSwept(Contract):
    """What one sweep of a segment found."""

    found: int = 0
    newcomers: int = 0
    """Entered by an event."""
    left: int = 0
    skipped: int = 0
    """Newcomers whom no identifier names."""
    noted: int = 0
    """Found by the segment's first sweep, which enters nobody."""

    @property
    def words(self) -> str:
        """For operators: "12 found, 3 newcomers, 1 left"."""
        said = [f"{self.found} found", f"{self.newcomers} newcomer{'' if self.newcomers == 1 else 's'}"]
        if self.noted:
            said[1] = "noted only, since this is the first sweep"
        said.append(f"{self.left} left")
        if self.skipped:
            said.append(f"{self.skipped} skipped: no identifier names them")
        return ", ".join(said)
