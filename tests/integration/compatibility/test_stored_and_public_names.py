"""What is stored or public stays as it is, byte for byte, however the code behind it is laid out and named.

The files in ``golden`` beside this test hold it; ``golden_files.py`` says how they are made anew. Texts that
are read by people (descriptions of the API, details of decisions) have files of their own.

Held elsewhere: recorded histories of the shipped journeys (the replay tests), words that have a page
(``tests/unit/docs``), names of the testing kit (``test_testing_pure.py``).
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.registry import CollectorRegistry
from temporalio import activity, workflow

import journeys
import profiles.events
from journeys import vocabulary
from local.temporal_server import TemporalDevServer
from policy.verdict import Reason
from tests.integration.compatibility.golden_files import FOLDER, as_json, assert_golden, stamped
from tests.integration.compatibility.golden_names import (
    commands,
    environment,
    error_types,
    members,
    metric,
    schema_of,
    signature,
)
from tests.integration.compatibility.golden_scenarios import WITH_DEFAULTS, WITH_POLICY, Step, play
from tests.integration.compatibility.golden_schema import schema_as_text
from tests.integration.compatibility.golden_stack import YES, Stack, activities_of, count_ids, stack
from tests.support.deadlines import scaled
from workers.schedules import ensure_segment_schedules, ensure_sweep_schedules
from workers.temporal_client import ensure_search_attributes

POLICY = FOLDER / "policy.toml"

_TEXTS = ("description", "summary", "title")


# The HTTP API


async def test_the_openapi_document_is_served_as_it_was(
    database_url: str, temporal: TemporalDevServer
) -> None:
    async with stack(database_url, temporal.client) as running:
        answer = await running.api.get("/openapi.json")

    served = answer.json()
    assert_golden("openapi_without_texts.json", as_json(_without(_TEXTS, served)))
    assert_golden("openapi.json", answer.content)


def _without(words: tuple[str, ...], document: Any, *, names: bool = False) -> Any:
    """Without texts under these words; ``names``: the keys are names of fields, not words of OpenAPI."""
    match document:
        case dict():
            return {
                key: _without(words, one, names=key in ("properties", "schemas") and not names)
                for key, one in document.items()
                if names or key not in words or not isinstance(one, str)
            }
        case list():
            return [_without(words, one) for one in document]
    return document


# Decisions


@pytest.mark.parametrize(
    ("scenarios", "policy", "name"),
    [
        pytest.param(WITH_DEFAULTS, None, "decisions", id="by the defaults"),
        pytest.param(WITH_POLICY, POLICY, "decisions_by_policy", id="by a policy that sets every key"),
    ],
)
async def test_decisions_are_stored_as_they_were(
    database_url: str,
    temporal: TemporalDevServer,
    monkeypatch: pytest.MonkeyPatch,
    scenarios: dict[str, tuple[Step, ...]],
    policy: Path | None,
    name: str,
) -> None:
    count_ids(monkeypatch)
    async with stack(database_url, temporal.client, policy=policy) as running:
        answers = await play(running, scenarios)
        stored = {
            "policy": await running.rows(
                "SELECT version, limits::text AS limits FROM policy ORDER BY version"
            ),
            "decision": await running.rows(
                "SELECT d.*, d.checks::text AS checks, d.basis::text AS basis FROM decision d "
                "ORDER BY recorded_at, decision_id"
            ),
            "message": await running.rows("SELECT * FROM message ORDER BY message_id"),
            "exposure": await running.rows("SELECT * FROM exposure ORDER BY 1, 2"),
            "audience_member": await running.rows("SELECT * FROM audience_member ORDER BY member_id"),
            "suppression": await running.rows("SELECT * FROM suppression ORDER BY event_id, item"),
        }
    details = {}
    for row in stored["decision"]:
        checks = json.loads(row["checks"])
        details[str(row["decision_id"])] = [row.pop("detail"), *(check["detail"] for check in checks)]
        row["checks"] = [f"{check['name']}: {'passed' if check['passed'] else 'denied'}" for check in checks]
        assert set(checks[0]) == {"name", "passed", "detail"}

    assert_golden(f"{name}.json", stamped({"answers": _without(("detail",), answers), **stored}))
    assert_golden(f"{name}_details.json", stamped(details))


def test_every_reason_there_is_has_a_stored_decision_to_be_compared_with() -> None:
    files = [
        json.loads((FOLDER / f"{name}.json").read_bytes()) for name in ("decisions", "decisions_by_policy")
    ]

    assert {row["reason"] for file in files for row in file["decision"] if row["reason"]} == set(Reason)


# Events and the outbox


async def test_outbox_rows_of_a_series_of_events_are_as_they_were(
    database_url: str, temporal: TemporalDevServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    count_ids(monkeypatch)
    async with stack(database_url, temporal.client) as running:
        notified = asyncio.Event()
        await running.connection.add_listener("waypost_outbox", lambda *call: notified.set())
        await _series(running)
        await asyncio.wait_for(notified.wait(), scaled(5))
        stored = {
            "outbox": await running.rows("SELECT o.*, o.payload::text AS payload FROM outbox o ORDER BY seq"),
            "run": await running.rows("SELECT * FROM run ORDER BY run_id"),
            "consent": await running.rows("SELECT * FROM consent ORDER BY event_id, channel, topic"),
            "event": await running.rows("SELECT * FROM event ORDER BY event_id"),
        }

    assert {row["kind"] for row in stored["outbox"]} == {"start", "signal", "audience"}
    # A run's clock is set off against the machine's.
    content = re.sub(rb'(clock_offset_s\\*": )\d+\.\d+', rb"\1<offset>", stamped(stored))
    assert_golden("outbox.json", content)


async def _series(running: Stack) -> None:
    """Events of every kind that is routed: carts, orders, consents, holds, messages, lapses and a merge."""
    ada = {"email": "ada@example.com", "phone": "+4915112345678"}
    card, till = {"loyalty_id": "L-1"}, {"anonymous_id": "a-1"}
    lamp = {"product_id": "lamp", "sku": "lamp-red", "name": "Aria lamp", "price": 39.0, "category": "Lamps",
            "image_url": "https://shop.example.com/lamp.png", "unknown": "stays in Postgres"}  # fmt: skip
    chair = {
        "product_id": "chair",
        "name": "ada@example.com",
        "price": 99,
        "quantity": 2,
        "item_group_id": "g",
    }
    order = {"order_id": "o-1", "total": 39, "currency": "EUR", "products": [lamp]}
    steps: list[tuple[str, dict[str, str], dict[str, Any]]] = [
        ("Product Viewed", till, {"properties": lamp}),
        ("Product Added", till, {"properties": {**lamp, "cart_id": "c-1"}}),
        ("Product Added", ada, {"properties": {**chair, "cart_id": "c-1"}, "traits": YES}),
        ("Identify", {**ada, **till}, {"traits": {"first_name": "Ada", "timezone": "Europe/Berlin"}}),
        ("Checkout Started", ada, {"properties": {"value": 237.0, "products": [lamp, chair]}}),
        ("Product Removed", ada, {"properties": {**chair, "cart_id": "c-1"}}),
        ("Consent Changed", ada, {"properties": {"channel": "sms", "state": "withdrawn", "topic": "all"}}),
        ("Ticket Opened", ada, {"properties": {"ticket_id": "t-1"}, "channel": "support"}),
        ("Ticket Solved", ada, {"properties": {"ticket_id": "t-1"}, "channel": "support"}),
        ("Product Updated", {}, {"properties": {"product_id": "lamp", "price": 29.0, "in_stock": True}}),
        ("Customer Lapsed", ada, {"properties": {"days_since_order": 90, "products": [lamp]}}),
        ("Customer Lapsed", card, {"properties": {"days_since_order": 91}}),
        ("Order Completed", card, {"properties": {**order, "order_id": "o-0"}, "channel": "store"}),
        ("Order Completed", ada, {"properties": order}),
        ("Order Fulfilled", ada, {"properties": {"order_id": "o-1"}}),
        ("Return Requested", ada, {"properties": {"order_id": "o-1", "products": [lamp]}}),
        ("Return Completed", ada, {"properties": {"order_id": "o-1"}}),
        ("Order Delivered", ada, {"properties": {"order_id": "o-1"}}),
        ("Product Reviewed", ada, {"properties": {"product_id": "lamp", "rating": 5}}),
        ("Customer Lapsed", card, {"properties": {"days_since_order": 92}}),
        ("Identify", {**ada, **card}, {}),
        ("Order Refunded", ada, {"properties": {"order_id": "o-1"}}),
    ]
    for name, identifiers, more in steps:
        running.now += timedelta(minutes=1)
        await running.event(name, identifiers, **more)
    await _messages(running, {"email": "bob@example.com", "phone": "+4915187654321"})


async def _messages(running: Stack, bob: dict[str, str]) -> None:
    """What becomes of messages, a place in an audience, a signal by hand and an end by hand."""
    table = {"product_id": "table", "name": "Table", "price": 12.5, "cart_id": "c-2"}
    await running.event("Product Added", bob, properties=table, traits=YES)
    run_id = await running.run_id("key = 'c-2'")
    item = {"product_id": "table", "name": "Table"}
    request = {"run_id": run_id, "step": "s", "journey": "cart-abandonment",
               "expires_at": (running.now + timedelta(days=1)).isoformat()}  # fmt: skip
    mail = {**request, "template": "cart_reminder", "channel": "email", "promoting": [item]}
    sent = await running.perform("send_message", mail)
    assert sent["status"] == "sent"
    await running.perform("join_audience", {**request, "step": "a", "audience": "left", "items": [item]})
    for name in ("Message Delivered", "Message Opened", "Message Clicked", "Message Replied"):
        properties = {"message_id": sent["message_id"], "url": "https://shop.example.com/", "text": "Hello"}
        await running.event(name, bob, properties=properties, channel="email")
    by_hand = "/v1/journeys/cart-abandonment/runs/c-2/signals/Product Viewed"
    await running.admin("POST", by_hand, product_id="table")
    await running.admin("POST", f"/v1/runs/{run_id}/cancel", reason="golden")
    await running.perform("withdraw_consent", {"run_id": run_id, "step": "w", "channel": "email"})
    await running.perform("close_run", {"run_id": run_id, "outcome": "cancelled", "seen": []})
    entry = {"cart_id": "c-3", "product_id": "table"}
    by_hand = "/v1/journeys/cart-abandonment/runs"
    await running.admin("POST", by_hand, event="Product Added", identifiers=bob, properties=entry)


# Temporal


async def test_names_in_temporal_are_as_they_were(database_url: str, temporal: TemporalDevServer) -> None:
    recorder = _Recorder()
    await ensure_sweep_schedules(recorder)  # type: ignore[arg-type]
    await ensure_segment_schedules(recorder, {"big-spenders": timedelta(hours=6)})  # type: ignore[arg-type]
    await ensure_search_attributes(recorder)  # type: ignore[arg-type]
    async with stack(database_url, temporal.client) as running:
        known = {str(worker.config()["task_queue"]): worker for worker in running.workers}
    activities = {
        name: activity._Definition.must_from_callable(one)
        for worker in known.values()
        for name, one in activities_of(worker).items()
    }
    told = {
        "task_queues": {
            queue: {
                "activities": sorted(activities_of(worker)),
                "workflows": dict(sorted(map(_workflow, worker.config()["workflows"]))),
            }
            for queue, worker in known.items()
        },
        "activities": {
            name: {
                "request": [schema_of(kind) for kind in one.arg_types or []],
                "answer": schema_of(one.ret_type),
            }
            for name, one in sorted(activities.items())
        },
        "signal_to_end_a_run": profiles.events.END_RUN,
        "schedules": recorder.schedules,
        "search_attributes": recorder.search_attributes,
        "error_types": error_types(),
    }

    assert_golden("temporal.json", as_json(told))


def _workflow(cls: type) -> tuple[str, dict[str, Any]]:
    definition = workflow._Definition.must_from_class(cls)
    return str(definition.name), {
        "input": [schema_of(kind) for kind in definition.arg_types or []],
        "result": schema_of(definition.ret_type),
        "signals": sorted(name or "any" for name in definition.signals),
        "queries": sorted(name or "any" for name in definition.queries),
        "updates": sorted(name or "any" for name in definition.updates),
    }


class _Recorder:
    """A client that keeps what it is asked to make."""

    namespace = "default"

    def __init__(self) -> None:
        self.schedules: dict[str, Any] = {}
        self.search_attributes: dict[str, str] = {}
        self.operator_service = self

    async def create_schedule(self, schedule_id: str, schedule: Any, **more: Any) -> None:
        """One schedule."""
        action = schedule.action
        self.schedules[schedule_id] = {
            "workflow": action.workflow,
            "id": action.id,
            "task_queue": action.task_queue,
            "arguments": [
                one if isinstance(one, str) else one.model_dump(mode="json") for one in action.args
            ],
            "every_s": [interval.every.total_seconds() for interval in schedule.spec.intervals],
            "jitter_s": schedule.spec.jitter.total_seconds() if schedule.spec.jitter else None,
            "overlap": schedule.policy.overlap.name,
            "more": more,
        }

    async def list_schedules(self) -> Any:
        """None are there."""

        async def none() -> AsyncIterator[Any]:
            for each in list[Any]():
                yield each

        return none()

    async def list_search_attributes(self, request: Any) -> Any:
        """None are there."""
        return type("Answer", (), {"custom_attributes": {}})

    async def add_search_attributes(self, request: Any) -> None:
        """The ones that are missing."""
        self.search_attributes = {name: str(kind) for name, kind in sorted(request.search_attributes.items())}


# The database


async def test_the_schema_is_as_it_was(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        text = await schema_as_text(connection)
    finally:
        await connection.close()

    assert_golden("schema.txt", text.encode())


# Names for operators and authors


def test_variables_of_the_environment_are_as_they_were() -> None:
    assert_golden("environment.json", as_json(environment()))


def test_commands_are_as_they_were() -> None:
    assert_golden("commands.json", as_json(commands()))


async def test_metrics_are_as_they_were(
    database_url: str, temporal: TemporalDevServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    metrics: list[MetricWrapperBase] = []
    register = CollectorRegistry.register

    def recording(self: Any, collector: Any) -> None:
        metrics.extend([collector] if isinstance(collector, MetricWrapperBase) else [])
        register(self, collector)

    monkeypatch.setattr(CollectorRegistry, "register", recording)
    async with stack(database_url, temporal.client) as running:
        page = await running.api.get("/metrics")

    told = sorted((metric(one) for one in metrics), key=lambda one: str(one["name"]))
    assert_golden("metrics.json", as_json(told))
    assert [one["name"] for one in told if f"# TYPE {one['name']}" not in page.text] == []


def test_words_of_stories_and_events_are_as_they_were() -> None:
    module = profiles.events
    kinds = [one for one in vars(module).values() if isinstance(one, type) and issubclass(one, module.Event)]
    words = {
        "journeys": sorted(name for name in ("JOURNEYS",) if getattr(journeys, name)),
        "journeys.vocabulary": {
            name: signature(getattr(journeys.vocabulary, name))
            for name in sorted(journeys.vocabulary.__all__)
        },
        "methods of a journey": members(vocabulary.Journey),
        "profiles.events": sorted(
            name
            for name, one in vars(module).items()
            if getattr(one, "__module__", "") == module.__name__ or name == "END_RUN"
        ),
        "fields of an event": schema_of(module.Event)["properties"],
        "fields of an item": schema_of(module.Item)["properties"],
        "channels of events": [str(one) for one in module.Source],
        "events": {
            cls.event_name: {"class": cls.__name__, "module": cls.__module__, "fields": _own_fields(cls)}
            for cls in sorted(kinds, key=lambda cls: cls.event_name)
            if cls.event_name
        },
    }

    assert_golden("vocabulary.json", as_json(words))


def _own_fields(cls: type[profiles.events.Event]) -> dict[str, Any]:
    fields = schema_of(cls)["properties"]
    return {name: field for name, field in fields.items() if name not in profiles.events.Event.model_fields}
