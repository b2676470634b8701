"""A template stops by itself at its rates of bounces and complaints, and counts anew once it is resumed."""

from datetime import timedelta

from activities.contracts import SweepRequest
from activities.sweeps import TemplateSweepActivities
from policy.limits import TemplateStopThresholds
from profiles.db.sql import new_id
from profiles.messaging import kill_switches
from tests.support.environments.ingest import CARTS, IngestHarness
from tests.support.queries.consent import may_mail, run_of

JOURNEYS = (CARTS,)

RULES = TemplateStopThresholds(at_least=20, complaints=10.0, bounces=5.0)

_SENT = """
INSERT INTO message (message_id, profile_id, run_id, step, journey, channel, template, message_class, items,
  status, decided_at, claimed_at, complained_at)
SELECT gen_random_uuid(), $1, $1, gen_random_uuid()::text, 'j', $6, $2, 'marketing', '{}',
  CASE WHEN n <= $4 THEN 'bounced' ELSE 'delivered' END, now(), now() - $7::interval,
  CASE WHEN n > $3 - $5 THEN now() END FROM generate_series(1, $3) n
"""


async def went_out(
    facts: IngestHarness,
    template: str,
    sent: int,
    *,
    bounced: int = 0,
    complained: int = 0,
    channel: str = "email",
    ago: timedelta = timedelta(0),
) -> None:
    """Messages of a template, the first of which bounced and the last of which were complained about."""
    await facts.rows(_SENT, new_id(), template, sent, bounced, complained, channel, ago)


async def swept(facts: IngestHarness, rules: TemplateStopThresholds = RULES) -> int:
    found = await TemplateSweepActivities(facts.database, rules).sweep_templates(SweepRequest())
    return found.entered


async def stopped(facts: IngestHarness) -> dict[str, str]:
    """Template → why."""
    async with facts.database.transaction() as connection:
        return {
            one.name: one.reason
            for one in await kill_switches.list_kill_switches(connection)
            if one.actor == "waypost"
        }


async def test_a_template_at_its_limit_stops_with_its_figures_and_others_go_on(facts: IngestHarness) -> None:
    await went_out(facts, "bad_addresses", 40, bounced=2)
    await went_out(facts, "annoying", 20, complained=2)
    await went_out(facts, "fine", 41, bounced=2, complained=4)
    await went_out(facts, "few", 19, bounced=19)
    await went_out(facts, "one", 20, bounced=1)
    await went_out(facts, "long_ago", 40, bounced=40, ago=timedelta(hours=25))
    await went_out(facts, "an_audience", 40, bounced=40, channel="ads")

    assert [await swept(facts), await swept(facts)] == [2, 0]
    assert await stopped(facts) == {
        "annoying": "2 of 20 were reported as spam in the last day (10 %), the limit is 10 %",
        "bad_addresses": "2 of 40 bounced in the last day (5 %), the limit is 5 %",
    }


async def test_a_template_that_was_resumed_counts_from_then(facts: IngestHarness) -> None:
    await went_out(facts, "hello", 20, bounced=20, ago=timedelta(minutes=1))
    first = await swept(facts)
    async with facts.database.transaction() as connection:
        await kill_switches.deactivate_kill_switch(
            connection, "template", "hello", reason="list was cleaned", actor="tests"
        )
    after = await swept(facts)
    await went_out(facts, "hello", 20, bounced=20, ago=timedelta(seconds=-1))

    assert (first, after, await swept(facts)) == (1, 0, 1)


async def test_no_limit_is_no_stop(facts: IngestHarness) -> None:
    await went_out(facts, "hello", 20, bounced=20, complained=20)

    assert await swept(facts, TemplateStopThresholds(at_least=20, complaints=None, bounces=None)) == 0


async def test_what_somebody_stopped_already_keeps_their_reason(facts: IngestHarness) -> None:
    await went_out(facts, "hello", 20, bounced=20)
    async with facts.database.transaction() as connection:
        await kill_switches.activate_kill_switch(
            connection, "template", "hello", reason="by hand", actor="tests"
        )

    assert (await swept(facts), await stopped(facts)) == (0, {})


async def test_a_complaint_closes_the_address_opts_out_and_is_kept_with_the_message(
    facts: IngestHarness,
) -> None:
    run_id = await run_of(facts, email="ada@example.com")
    before = await may_mail(facts, run_id)
    message = await facts.sent(run_id)
    await facts.happens("Message Complained", {"message_id": str(message)})
    await facts.happens("Message Complained", {"message_id": str(message)}, ago=timedelta(hours=1))
    [row] = await facts.rows(
        "SELECT status, m.recorded_at - complained_at > '30 min' AS first, p.problem FROM message m "
        "JOIN address_problem p USING (address)"
    )
    [withdrawn] = await facts.values("SELECT topic FROM opt_out WHERE state = 'withdrawn'")

    assert before == ["no_consent"]
    assert "opted_out" in await may_mail(facts, run_id)
    assert row == {"status": "delivered", "first": True, "problem": "complained"}
    assert withdrawn == "marketing"
