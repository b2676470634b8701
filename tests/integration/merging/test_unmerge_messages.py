"""Which messages went out to people while they were wrongly one, whatever the clocks say."""

from typing import Any

from profiles.merging import cut_preview
from profiles.merging.cut_preview import preview_cut
from profiles.merging.unmerge import cut_identifiers, mend_cut
from tests.support.builders.wrong_merge import ADA, ADA_KEY, BY, DAY, PHONE, PHONE_KEY, joined, parted
from tests.support.environments.ingest import CARTS, LAMP, IngestHarness

JOURNEYS = (CARTS,)


async def test_messages_are_told_by_when_they_were_licensed_whatever_the_clocks_of_runs_and_events_say(
    facts: IngestHarness,
) -> None:
    """The wrong event says that it was a month ago; the one run is a month ahead, the other one behind."""
    await facts.happens("Product Added", LAMP | {"cart_id": "c-1"}, email=ADA)
    await facts.happens("Product Added", LAMP | {"cart_id": "c-2"}, phone=PHONE)
    ada, other = [run["run_id"] for run in await facts.runs()]
    for run, away in ((ada, 30 * DAY), (other, -30 * DAY)):
        await facts.accepted(*await facts.claimed(run, step="before", at=facts.now + away), facts.now + away)
    await joined(facts, ago=30 * DAY)
    sent = []
    for run, away in ((ada, 30 * DAY), (other, -30 * DAY)):
        licence = await facts.claimed(run, step="meanwhile", at=facts.now + away)
        await facts.accepted(*licence, facts.now + away)
        sent.append(licence[0])
    async with facts.database.transaction() as connection:
        ahead = await preview_cut(connection, await facts.who("email", ADA), ADA_KEY, PHONE_KEY)
    done = await parted(facts)

    assert sorted(sent) == sorted(done.sent_message_ids)
    assert done.sent_message_ids == tuple(message.message_id for message in ahead.messages)


async def test_a_claim_under_way_stays_with_its_run_and_is_listed(facts: IngestHarness) -> None:
    await facts.happens("Product Added", LAMP | {"cart_id": "c-1"}, email=ADA)
    await facts.happens("Product Added", LAMP | {"cart_id": "c-2"}, phone=PHONE)
    _, other = [run["run_id"] for run in await facts.runs()]
    early, early_token = await facts.claimed(other, step="early")
    await joined(facts)
    licence = await facts.claimed(other, step="meanwhile")
    held_back, _ = await facts.claimed(other, step="held back")
    await facts.rows("UPDATE message SET status = 'released' WHERE message_id = $1", held_back)
    await facts.accepted(early, early_token, facts.now)
    done = await parted(facts)
    await facts.accepted(*licence, facts.now)

    assert done.sent_message_ids == (licence[0],)
    assert await facts.values("SELECT DISTINCT profile_id FROM message") == [await facts.who("phone", PHONE)]
    assert await facts.values("SELECT status FROM message ORDER BY message_id") == [
        "sent",
        "sent",
        "released",
    ]


async def test_messages_count_from_the_wrong_link_on_whoever_else_was_joined_before_or_since(
    facts: IngestHarness,
) -> None:
    await facts.happens("Product Added", LAMP | {"cart_id": "c-1"}, email=ADA)
    [run] = [run["run_id"] for run in await facts.runs()]
    await facts.happens("Seen", phone=PHONE)
    said: tuple[tuple[str, dict[str, Any]], ...] = (
        ("first", {"email": ADA, "loyalty_id": "L-1"}),
        ("second", {"loyalty_id": "L-1", "phone": PHONE}),
        ("third", {"phone": PHONE, "anonymous_id": "a-1"}),
    )
    for step, named in said:
        await facts.happens("Seen", **named)
        await facts.sent(run, step=step)
    done = await parted(facts)
    await facts.sent(run, step="apart")
    await mend_cut(facts.database, done.cut_id, **BY)
    await facts.sent(run, step="mended")
    again = await cut_identifiers(facts.database, "loyalty_id:L-1", PHONE_KEY, **BY)
    steps = "SELECT step FROM message WHERE message_id = ANY($1) ORDER BY message_id"

    assert await facts.values(steps, list(done.sent_message_ids)) == ["second", "third"]
    assert await facts.values(steps, list(again.sent_message_ids)) == ["mended"]


async def test_two_who_came_in_as_one_have_been_one_since_then(facts: IngestHarness) -> None:
    await facts.happens("Product Added", LAMP, email=ADA, phone=PHONE)
    sent = [await facts.sent(run["run_id"]) for run in await facts.runs()]

    assert (await parted(facts)).sent_message_ids == tuple(sent)


async def test_messages_of_somebody_with_ten_thousand_are_read_by_an_index(facts: IngestHarness) -> None:
    await facts.happens("Product Added", LAMP | {"cart_id": "c-1"}, email=ADA)
    await facts.happens("Seen", phone=PHONE)
    [run] = [run["run_id"] for run in await facts.runs()]
    written = (
        "INSERT INTO message (message_id, profile_id, run_id, step, journey, channel, template, "
        "message_class, items, status, decided_at, claimed_at, sent_at, claim_recorded_at) "
        "SELECT gen_random_uuid(), COALESCE($1, gen_random_uuid()), $2, $3 || n, 'carts', 'email', 't', "
        "'marketing', '{}', 'sent', now(), now(), now(), now() FROM generate_series(1, $4::int) n"
    )
    ada = await facts.who("email", ADA)
    await facts.rows(written, ada, run, "before", 10_000)
    await facts.rows(written, None, run, "of others", 30_000)
    await joined(facts)
    await facts.rows(written, ada, run, "meanwhile", 3)
    await facts.rows("ANALYZE message")
    plan = await facts.values(f"EXPLAIN {cut_preview._SELECT_MESSAGES_SINCE}", ada, facts.now)

    assert "Seq Scan" not in "".join(plan)
    assert len((await parted(facts)).sent_message_ids) == 3
