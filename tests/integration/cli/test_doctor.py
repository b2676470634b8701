"""The doctor on a real database: what it says of quarantined identifiers, of runs and of deliveries."""

from dataclasses import replace

import pytest

from cli.doctor import Finding, examine_installation
from profiles.db.database import Database
from profiles.identity.identifiers import DEFAULT_IDENTITY_RULES
from tests.support.environments.ingest import CARTS, LAMP, IngestHarness
from tests.support.generators.shared_identifier_load import SHAPES, order

DESK = SHAPES["a mail address of the desk"]


async def findings_of(part: str, monkeypatch: pytest.MonkeyPatch, database_url: str) -> list[Finding]:
    """What the doctor finds of one part."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    return [finding for finding in await examine_installation() if finding.part == part]


async def of_identity(monkeypatch: pytest.MonkeyPatch, database_url: str) -> list[Finding]:
    """What the doctor finds of identities."""
    return await findings_of("identity", monkeypatch, database_url)


async def test_the_doctor_warns_of_a_quarantined_identifier_without_failing_or_showing_it_whole(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = IngestHarness(database)
    before = await of_identity(monkeypatch, database_url)
    for one in range(DEFAULT_IDENTITY_RULES.shared_by["email"] + 1):
        await facts.ingest([order(one, DESK.names(one))])
    [after] = await of_identity(monkeypatch, database_url)

    assert [finding.format_line() for finding in before] == ["ok    identity    no identifier is quarantined"]
    assert after.ok
    assert after.format_line().startswith(
        "warn  identity    2 quarantined; newest: email g…@shop.example, email_sha256 "
    )
    assert "waypost identity quarantined" in after.format_line()
    assert DESK.bad[1] not in after.format_line()


async def test_the_doctor_says_nothing_of_identifiers_where_the_schema_is_not_there(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await IngestHarness(database).rows("UPDATE alembic_version SET version_num = 'older'")

    assert await of_identity(monkeypatch, database_url) == []


async def test_the_doctor_fails_for_a_stuck_run_and_says_since_when_why_and_what_mends_it(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = IngestHarness(database, replace(CARTS, name="cart-abandonment"))
    await facts.happens("Product Added", LAMP | {"cart_id": "c"}, email="ada@example.com")
    [before] = await findings_of("runs", monkeypatch, database_url)
    await facts.rows(
        "UPDATE run SET state = 'stuck', detail = 'Blob data size exceeds limit.', "
        "stuck_at = '2026-11-30 10:15Z'"
    )
    [after] = await findings_of("runs", monkeypatch, database_url)
    [outbox] = await findings_of("outbox", monkeypatch, database_url)
    line = after.format_line()

    assert before.format_line() == "ok    runs        1 live, none is stuck"
    assert not after.ok
    assert line.startswith("FAIL  runs        1 stuck, the oldest for ")
    assert "of cart-abandonment, since 2026-11-30 10:15 UTC (Blob data size exceeds limit.)" in line
    assert "`waypost runs retry --all --reason TEXT`" in line
    assert outbox.ok


@pytest.mark.parametrize(
    ("age", "verdict"), [("30 seconds", "ok  "), ("2 minutes", "warn"), ("10 minutes", "FAIL")]
)
async def test_the_doctor_tells_of_events_that_wait_for_their_delivery(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch, age: str, verdict: str
) -> None:
    facts = IngestHarness(database, CARTS)
    await facts.happens("Product Added", LAMP | {"cart_id": "c"}, email="ada@example.com")
    await facts.rows(f"UPDATE outbox SET recorded_at = now() - interval '{age}', error = 'no such namespace'")
    [finding] = await findings_of("outbox", monkeypatch, database_url)
    line = finding.format_line()

    assert line.startswith(verdict)
    assert ("no such namespace" in line and "waypost alive" in line) == (verdict != "ok  ")


async def test_the_doctor_warns_of_live_runs_of_a_journey_that_was_removed(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = IngestHarness(database, replace(CARTS, name="summer-sale"))
    await facts.happens("Product Added", LAMP | {"cart_id": "c"}, email="ada@example.com")
    [finding] = await findings_of("runs", monkeypatch, database_url)

    assert finding.ok
    assert "not registered: summer-sale (1)" in finding.format_line()


async def test_the_doctor_warns_of_items_that_messages_cannot_name(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    facts = IngestHarness(database)

    async def line() -> str:
        [found] = [finding for finding in await examine_installation() if finding.part == "items"]
        assert found.ok
        return found.format_line()

    stated = {"product_id": "lamp", "name": "Aria lamp", "cart_id": "c"}
    added = facts.event("Product Added", stated, email="ada@example.com")
    await facts.ingest([replace(added, verified=False)])
    unnamed = await line()
    await facts.happens("Product Updated", {"product_id": "lamp", "name": "Aria lamp"})

    assert unnamed.startswith("warn  items       1 open carts have items")
    assert "server key" in unnamed
    assert (await line()).startswith("ok    items")
