"""What a run says of itself in the Temporal UI."""

from datetime import UTC, datetime

from journeys.vocabulary.narrative import CurrentDetails


def test_the_steps_are_headed_so_far_until_the_run_has_ended() -> None:
    published: list[str] = []
    details = CurrentDetails(lambda: datetime(2026, 11, 21, 19, tzinfo=UTC), published.append)
    details.add_line("Product Added: lamp (web)")
    details.end("Ended: engaged (clicked)")

    step = "- Sat 21 Nov 19:00 UTC Product Added: lamp (web)"
    assert published == [
        f"**Starting.**\n\n#### So far\n{step}",
        f"**Ended: engaged (clicked)**\n\n#### What happened\n{step}",
    ]
