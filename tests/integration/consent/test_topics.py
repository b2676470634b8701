"""Topics of consent have a bound, and a withdrawal beyond it counts for the whole channel."""

from dataclasses import replace

import pytest

from profiles.consent import declarations
from profiles.state.bounds import MAX_TOPICS, MAX_UNVERIFIED_TOPICS
from profiles.state.event_records import IncomingEvent
from tests.support.environments.ingest import IngestHarness

ADA = "ada@example.com"


def declared(
    facts: IngestHarness, topic: str, state: str, *, verified: bool = False, **named: str
) -> IncomingEvent:
    properties = {"channel": "email", "topic": topic, "state": state}
    said = facts.event("Consent Changed", properties, **(named or {"email": ADA}))
    return replace(said, verified=verified)


async def filled(facts: IngestHarness, count: int = MAX_UNVERIFIED_TOPICS, *, verified: bool = False) -> None:
    said = [declared(facts, f"t-{number}", "withdrawn", verified=verified) for number in range(count)]
    await facts.ingest(said)


async def topics(facts: IngestHarness) -> list[str]:
    return await facts.values("SELECT DISTINCT topic FROM consent ORDER BY 1")


@pytest.mark.parametrize("at_once", [True, False], ids=["in one batch", "one after the other"])
async def test_unverified_events_make_up_a_bounded_number_of_topics(
    facts: IngestHarness, at_once: bool
) -> None:
    said = [declared(facts, f"t-{number}", "withdrawn") for number in range(MAX_UNVERIFIED_TOPICS + 20)]
    for events in [said] if at_once else [[each] for each in said]:
        results = await facts.ingest(events)

    assert len(await topics(facts)) == MAX_UNVERIFIED_TOPICS + 1
    assert "topics of consent at most" in (await facts.problems(results[-1].event_id))[0]


async def test_the_bound_holds_where_each_event_names_another_profile_too(facts: IngestHarness) -> None:
    for number in range(MAX_UNVERIFIED_TOPICS + 10):
        named = {"email": ADA, "user_id": f"u-{number}"}
        await facts.ingest([declared(facts, f"t-{number}", "withdrawn", **named)])

    assert len(await topics(facts)) == MAX_UNVERIFIED_TOPICS + 1


async def test_a_withdrawal_beyond_the_bound_counts_for_the_whole_channel(facts: IngestHarness) -> None:
    await filled(facts)
    await facts.ingest([declared(facts, "one-more", "withdrawn")])
    opted_out = await facts.values("SELECT topic FROM opt_out WHERE address = $1", ADA)

    assert "marketing" in opted_out
    assert "one-more" not in opted_out


async def test_a_grant_beyond_the_bound_is_left_out(facts: IngestHarness) -> None:
    await filled(facts, MAX_TOPICS, verified=True)
    await facts.ingest([declared(facts, "one-more", "granted", verified=True)])

    assert len(await topics(facts)) == MAX_TOPICS


async def test_a_verified_event_adds_a_topic_where_strangers_have_filled_their_bound(
    facts: IngestHarness,
) -> None:
    await filled(facts)
    await facts.ingest([declared(facts, "news", "granted", verified=True)])

    assert "news" in await topics(facts)


async def test_a_topic_on_record_is_declared_again_beyond_the_bound(facts: IngestHarness) -> None:
    await filled(facts)
    await facts.ingest([declared(facts, "t-3", "granted", verified=True)])

    assert await facts.values("SELECT state FROM consent WHERE topic = 't-3' ORDER BY seq") == [
        "withdrawn",
        "granted",
    ]


async def test_without_the_bound_a_stranger_makes_up_any_number(
    facts: IngestHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Teeth."""
    monkeypatch.setattr(declarations, "MAX_UNVERIFIED_TOPICS", 10**9)
    await filled(facts, MAX_UNVERIFIED_TOPICS + 20)

    assert len(await topics(facts)) == MAX_UNVERIFIED_TOPICS + 20
