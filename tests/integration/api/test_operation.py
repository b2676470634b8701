"""Operation: alive, ready, counted; and the sandbox's mailbox."""

from datetime import UTC, datetime, timedelta
from html import unescape

import asyncpg
import httpx2
import pytest
from starlette.responses import JSONResponse

from api.app import create_app
from profiles.db.migrate import head_revision
from profiles.db.sql import new_id
from tests.support.environments.api import ADMIN, OpenApi, event, opened, settings
from tests.support.environments.ingest import IngestHarness

_SANDBOX = """
INSERT INTO sandbox_message (message_id, channel, address, subject, html, text, recorded_at)
VALUES ($1, $2, $3, $4, $5, $6, now() + $7 * interval '1 minute')
"""


async def test_it_is_ready_without_temporal_and_says_so(api: OpenApi) -> None:
    answer = await api.client.get("/readyz")
    body = answer.json()

    assert answer.status_code == 200
    assert [body[part]["state"] for part in ("postgres", "migrations", "temporal")] == [
        "ok",
        "ok",
        "unreachable",
    ]
    assert "delivered" in body["temporal"]["detail"]
    assert (body["stuck_runs"], body["stuck"]) == (0, [])
    assert (body["quarantined"], body["lately_quarantined"]) == (0, [])


async def test_stuck_runs_are_shown_with_their_reasons(api: OpenApi) -> None:
    await api.results("/v1/events", event(properties={"cart_id": "c-1", "product_id": "p-1"}))
    await api.rows("UPDATE run SET state = 'stuck', detail = 'no worker knows this journey'")
    body = (await api.client.get("/readyz")).json()

    assert body["stuck_runs"] == 1
    assert [run["reason"] for run in body["stuck"]] == ["no worker knows this journey"]


async def test_readiness_tells_since_when_runs_are_stuck_and_what_mends_them(api: OpenApi) -> None:
    await api.results("/v1/events", event(properties={"cart_id": "c-1", "product_id": "p-1"}))
    before = (await api.client.get("/readyz")).json()
    await api.rows("UPDATE run SET state = 'stuck', detail = 'refused', stuck_at = now() - interval '1 hour'")
    body, text = (await api.client.get("/readyz")).json(), (await api.client.get("/metrics")).text

    assert (before["stuck_advice"], before["deliveries_overdue"]) == (None, None)
    assert body["ready"]
    assert body["stuck"][0]["since"]
    assert "waypost runs retry --all" in body["stuck_advice"]
    assert "\nwaypost_runs_stuck 1.0\n" in text
    assert 3600 <= float(text.partition("\nwaypost_runs_stuck_oldest_seconds ")[2].split()[0]) < 3700
    assert "\nwaypost_outbox_oldest_seconds 0.0\n" in text


async def test_readiness_tells_of_events_that_wait_for_their_delivery(api: OpenApi) -> None:
    await api.results("/v1/events", event(properties={"cart_id": "c-1", "product_id": "p-1"}))
    await api.rows("UPDATE outbox SET recorded_at = now() - interval '2 minutes'")
    body = (await api.client.get("/readyz")).json()

    assert body["ready"]
    assert "relay" in body["deliveries_overdue"]


async def test_quarantined_identifiers_are_shown_and_counted_and_it_stays_ready(api: OpenApi) -> None:
    shared = [
        event("Signed In", f"q-{n}", identifiers={"user_id": f"u-{n}", "email": "guest-desk@shop.example"})
        for n in range(11)
    ]
    for one in shared:
        await api.results("/v1/events", one)
    answer = await api.client.get("/readyz")
    body, text = answer.json(), (await api.client.get("/metrics")).text
    await api.rows("UPDATE identifier SET status = 'released' WHERE type = 'email'")
    released = (await api.client.get("/readyz")).json()

    assert (answer.status_code, body["ready"], body["quarantined"]) == (200, True, 2)
    assert [one["type"] for one in body["lately_quarantined"]] == ["email", "email_sha256"]
    assert body["lately_quarantined"][0]["value"] == "g…@shop.example"
    assert "guest-desk" not in answer.text
    assert "\nwaypost_identifiers_quarantined 2.0\n" in text
    assert "\nwaypost_identifiers_quarantined_last_day 2.0\n" in text
    assert [one["type"] for one in released["lately_quarantined"]] == ["email_sha256"]


async def test_it_is_not_ready_while_migrations_are_missing(api: OpenApi) -> None:
    await api.rows("UPDATE alembic_version SET version_num = 'older'")
    behind = await api.client.get("/readyz")
    await api.rows("DROP TABLE alembic_version")
    empty = await api.client.get("/readyz")

    assert [behind.status_code, empty.status_code] == [503, 503]
    assert behind.json()["migrations"]["state"] == "behind"
    assert head_revision() in behind.json()["migrations"]["detail"]
    assert "waypost migrate" in empty.json()["migrations"]["detail"]


async def test_a_schema_that_is_not_there_is_a_503_and_loses_no_event(api: OpenApi) -> None:
    await api.rows("ALTER TABLE event RENAME TO event_elsewhere")
    during = await api.send("/v1/events", event())
    await api.rows("ALTER TABLE event_elsewhere RENAME TO event")
    after = await api.send("/v1/events", event())

    assert [during.status_code, after.status_code] == [503, 200]


async def test_metrics_count_events_by_what_became_of_them(api: OpenApi) -> None:
    batch = [event(), event(), event("Order Completed"), {"id": "x"}]
    await api.results("/v1/events", batch)
    await api.send("/v1/events", {})
    text = (await api.client.get("/metrics")).text

    for status, count in (("accepted", 1), ("duplicate", 1), ("conflict", 1), ("rejected", 2)):
        assert f'waypost_events_total{{status="{status}"}} {count}.0' in text
    shown = ("waypost_ingest_seconds_count", "waypost_outbox_undelivered", "waypost_outbox_oldest_seconds")
    for name in (*shown, "waypost_runs_stuck", "waypost_messages_unknown"):
        assert f"\n{name} " in text


async def test_metrics_count_what_was_not_understood_by_sender_and_code(api: OpenApi) -> None:
    lost = event("Order Completed") | {"id": "p-1", "properties": {"order_id": "o-1", "products": "?"}}
    await api.results("/v1/events", [lost, event("Ordr Completed") | {"id": "p-2"}])
    lines = [
        line
        for line in (await api.client.get("/metrics")).text.splitlines()
        if "event_problems_total" in line
    ]

    assert any('code="unreadable_lines"' in line and line.endswith(" 1.0") for line in lines)
    assert any('code="unknown_event_name"' in line and line.endswith(" 1.0") for line in lines)
    assert all('source=""' not in line for line in lines)


async def test_the_root_leads_to_the_documentation(shared_api: OpenApi) -> None:
    answer = await shared_api.client.get("/")

    assert (answer.status_code, answer.headers["location"]) == (307, "/docs")
    assert (await shared_api.client.get("/docs")).status_code == 200


async def test_the_schema_describes_every_door_with_an_example(shared_api: OpenApi) -> None:
    paths = (await shared_api.client.get("/openapi.json")).json()["paths"]

    for path, ways in paths.items():
        for method, way in ways.items():
            assert way.get("description"), f"{method} {path} says nothing"
    for path in ("/v1/track", "/v1/batch", "/v1/events"):
        assert paths[path]["post"]["requestBody"]["content"]["application/json"]["example"]


async def test_the_schema_is_serialised_for_its_first_reader_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    app = create_app(settings("postgresql://nobody@127.0.0.1:1/none"))
    made = []
    render = JSONResponse.render
    monkeypatch.setattr(JSONResponse, "render", lambda self, value: made.append(1) or render(self, value))
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://test") as client:
        answers = [await client.get("/openapi.json") for _ in range(3)]

    assert {(answer.status_code, answer.headers["content-type"]) for answer in answers} == {
        (200, "application/json")
    }
    assert answers[0].json() == app.openapi()
    assert {answer.content for answer in answers} == {answers[0].content}
    assert len(made) == 1


async def test_what_is_under_no_path_is_a_problem_too(shared_api: OpenApi) -> None:
    missing = await shared_api.client.get("/v1/nothing")
    wrong = await shared_api.client.get("/v1/track")

    assert [missing.status_code, wrong.status_code] == [404, 405]
    assert "/docs" in missing.json()["detail"]
    assert "POST" in wrong.json()["detail"]


async def test_a_body_over_the_limit_is_refused_on_every_route_before_its_key_is_looked_at(
    shared_api: OpenApi,
) -> None:
    answer = await shared_api.client.put("/v1/profiles/user_id/u/consents", content=b" " * 2_000_000)

    assert answer.status_code == 413


async def test_the_mailbox_shows_mails_and_texts_with_the_newest_open(api: OpenApi) -> None:
    mail, text = new_id(), new_id()
    html = '<p>Dear "Ada" &amp; co</p><script>alert(1)</script>'
    await api.rows(_SANDBOX, mail, "email", "ada@example.com", "Your <lamp>", html, "Dear Ada", 0)
    await api.rows(
        _SANDBOX, text, "sms", "+49151", "", "", 'Hi <b> https://shop.example/c?a=1&b="2". STOP', 1
    )
    letter = "Lumen <https://shop.example>\n\nStill interested?\n\nYour lamp is here."
    await api.rows(_SANDBOX, new_id(), "email", "eve@example.com", "Lamp", "<p>x</p>", letter, -1)
    box = await api.client.get("/sandbox", headers=ADMIN)
    one = await api.client.get(f"/sandbox/{mail}", headers=ADMIN)

    assert [box.status_code, one.status_code] == [200, 200]
    assert 'class="bubble">Hi &lt;b&gt; <a href="https://shop.example/c?a=1&amp;b=' in box.text
    assert "Your &lt;lamp&gt;" in box.text
    assert '<div class="preview">Still interested? Your lamp is here.</div>' in box.text
    assert '<div class="preview">Dear Ada</div>' in box.text
    # The mail stands in its frames as it is, and the page around it cannot run it.
    assert html in unescape(one.text)
    assert "<script" not in one.text
    assert one.text.count('sandbox="allow-popups allow-popups-to-escape-sandbox"') == 2
    policy = one.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy


async def test_an_empty_mailbox_says_so_and_a_missing_message_is_a_404(shared_api: OpenApi) -> None:
    assert "Nothing was sent yet" in (await shared_api.client.get("/sandbox", headers=ADMIN)).text
    assert (await shared_api.client.get(f"/sandbox/{new_id()}", headers=ADMIN)).status_code == 404


async def test_the_mailbox_is_open_on_a_local_stack_only(api: OpenApi, database_url: str) -> None:
    closed = await api.client.get("/sandbox")
    async with opened(database_url, waypost_local=True) as local:
        shown = await local.client.get("/sandbox")

    assert [closed.status_code, shown.status_code] == [401, 200]


async def test_closing_gives_every_connection_back(database_url: str) -> None:
    async with opened(database_url) as api:
        await api.results("/v1/events", event())
    watcher = await asyncpg.connect(database_url)
    left = await watcher.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await watcher.close()

    assert left == 0


async def test_a_purchase_heard_of_late_is_shown_on_the_message_it_overtook_and_counted(api: OpenApi) -> None:
    lamp = {"product_id": "lamp", "cart_id": "c-1"}
    await api.results("/v1/events", event(properties=lamp))
    facts = IngestHarness(api.doors.database)
    [run] = await facts.runs()
    await facts.sent(run["run_id"])
    await facts.rows("UPDATE message SET items = '{lamp}'")
    an_hour_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    bought = event("Order Completed", "e-2", time=an_hour_ago, properties={"products": [lamp]})
    await api.results("/v1/events", bought)
    [late] = await facts.values("SELECT event_id FROM event WHERE id = 'e-2'")

    [message] = (await api.read("/v1/profiles/user_id/u-1/messages"))["messages"]
    assert message["overtaken_by"] == str(late)
    assert "waypost_messages_overtaken_total 1.0" in (await api.client.get("/metrics")).text
