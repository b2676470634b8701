"""The doctor on a real database: what it says of identifiers that are nobody's."""

from dataclasses import replace

import pytest

from cli.doctor import Finding, examine_installation
from profiles.db.database import Database
from profiles.identity.identifiers import DEFAULT_IDENTITY_RULES
from tests.support.environments.ingest import IngestHarness
from tests.support.generators.shared_identifier_load import SHAPES, order

DESK = SHAPES["a mail address of the desk"]


async def of_identity(monkeypatch: pytest.MonkeyPatch, database_url: str) -> list[Finding]:
    """What the doctor finds."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    return [finding for finding in await examine_installation() if finding.part == "identity"]


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
