"""The table of hours in the documents against the table that decides."""

from datetime import date

from policy.hours.jurisdictions import JURISDICTIONS, Jurisdiction
from policy.hours.windows import Window, format_spans
from tests.support.docs import ROOT

DOCUMENT = ROOT / "docs" / "reference" / "policy.md"

HEAD = "| | place | Monday to Friday | Saturday | Sunday | public holidays | source | kind of source |"


def windows(some: tuple[Window, ...] | None, otherwise: str) -> str:
    if some is None:
        return otherwise
    return format_spans(tuple(window.span for window in some)).replace(" to ", "–") if some else "closed"


def row(code: str, entry: Jurisdiction) -> str:
    weekdays = windows(entry.weekdays, "")
    days = (
        windows(entry.saturday, weekdays),
        windows(entry.sunday, weekdays),
        windows(entry.holidays, "as usual"),
    )
    return f"| {' | '.join((code, entry.name, weekdays, *days, entry.source, entry.verified.value))} |"


def test_the_documents_show_every_entry_of_the_table_and_no_other() -> None:
    lines = DOCUMENT.read_text("utf-8").splitlines()
    start = lines.index(HEAD) + 2
    shown = lines[start : lines.index("", start)]

    assert [row(code, entry) for code, entry in JURISDICTIONS.items()] == shown


def test_the_rows_show_what_decides() -> None:
    texas = row("US-TX", JURISDICTIONS["US-TX"])

    assert texas.startswith("| US-TX | Texas | 09:00–21:00 | 09:00–21:00 | 12:00–21:00 | as usual | ")
    assert format_spans(JURISDICTIONS["US-TX"].open_spans(date(2026, 6, 7))) == "12:00 to 21:00"
    assert "| closed | closed |" in row("US-LA", JURISDICTIONS["US-LA"])
