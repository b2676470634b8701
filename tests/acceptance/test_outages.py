"""kill -9 of every other process while a shop is busy: what was acknowledged has its effects, once."""

import asyncio
from collections import Counter
from datetime import timedelta
from time import monotonic
from typing import Any

import httpx2
import pytest

from tests.support.deadlines import scaled
from tests.support.environments.installation import CHAIR, LAMP, YES, Installation
from tests.support.proof_size import FULL, size

SHOPPERS = size(ci=12, full=120)
AT_ONCE = 8

pytestmark = pytest.mark.timeout(600 if FULL else 180)


class Rush:
    """Shoppers who fill a cart and buy it, each step sent again until it is acknowledged."""

    def __init__(self, installation: Installation, name: str) -> None:
        self.installation = installation
        self.people = [f"{name}-{n}@example.com" for n in range(SHOPPERS)]
        self.acknowledged = 0
        self.tries = 0
        self._marks: dict[asyncio.Event, float] = {}

    @property
    def steps(self) -> int:
        """Events in all."""
        return 3 * len(self.people)

    async def happens(self) -> None:
        """Until every event is acknowledged."""
        turns = asyncio.Semaphore(AT_ONCE)

        async def one(email: str) -> None:
            async with turns:
                for event in self._events(email):
                    tries = await self.installation.takes(event)
                    self.tries += tries
                    self.acknowledged += 1
                    for mark, part in self._marks.items():
                        if self.acknowledged >= part * self.steps:
                            mark.set()

        await asyncio.gather(*(one(email) for email in self.people))

    def _events(self, email: str) -> list[dict[str, Any]]:
        cart = {"cart_id": f"cart-of-{email.partition('@')[0]}"}
        order = {"order_id": f"order-of-{email.partition('@')[0]}", "products": [LAMP, CHAIR]}
        event = self.installation.event
        return [
            event("Product Added", LAMP | cart, event_id=f"{email}/1", traits=YES, email=email),
            event("Product Added", CHAIR | cart, event_id=f"{email}/2", email=email),
            event("Order Completed", order, event_id=f"{email}/3", channel="store", email=email),
        ]

    async def reached(self, part: float) -> None:
        """Until this part of all events is acknowledged; wakes up at that very moment."""
        mark = asyncio.Event()
        self._marks[mark] = part
        async with asyncio.timeout(scaled(60)):
            await mark.wait()

    async def drained(self) -> None:
        """Until every run of a cart has ended, and every order is confirmed or its confirmation unknown."""

        left: list[dict[str, Any]] = []

        async def over() -> bool:
            left[:] = await self.installation.rows(_LEFT, self.people)
            return not left

        try:
            await self.installation.until(over, within_s=90)
        except AssertionError as error:
            raise AssertionError(f"{error}; left are {left}") from None

    async def check(self) -> None:
        """Every event once, and its effects once."""
        rows = self.installation.rows
        [events] = await rows(
            "SELECT count(*) FROM event WHERE split_part(id, '/', 1) = ANY($1)", self.people
        )
        runs = await rows(_RUNS, self.people)
        bought = await rows(_BOUGHT, self.people)
        sent = await rows(_SENT, self.people)
        times = Counter(
            one.to for one in self.installation.mail.delivered if "Thank you for your purchase" in one.subject
        )

        assert events["count"] == self.steps
        assert {(r["journey"], r["outcomes"]): r["people"] for r in runs} == {
            ("cart-abandonment", "bought"): len(self.people),
            ("post-purchase", ""): len(self.people),
        }
        assert [row["lines"] for row in bought] == [2] * len(self.people)
        assert {row["address"] for row in sent} == set(self.people)
        # A confirmation of which the answer was lost is sent again, as a message of its own.
        messages = Counter(row["address"] for row in sent)
        accepted = Counter(row["address"] for row in sent if row["status"] == "sent")
        for address in self.people:
            assert accepted[address] <= times[address] <= messages[address], address


_LEFT = """
SELECT i.value AS email, r.state AS cart, p.state AS order, m.status AS confirmation, m.reason,
  (SELECT count(*) FROM outbox o WHERE o.lane IN (r.run_id, p.run_id) AND o.delivered_at IS NULL) AS queued
FROM identifier i
LEFT JOIN run r ON r.profile_id = i.profile_id AND r.journey = 'cart-abandonment'
LEFT JOIN run p ON p.profile_id = i.profile_id AND p.journey = 'post-purchase'
LEFT JOIN message m ON m.run_id = p.run_id AND m.template = 'order_confirmation'
WHERE i.value = ANY($1)
  AND (r.state = 'ended' AND m.status IN ('sent', 'unknown', 'unknown_final')) IS NOT TRUE
"""
_RUNS = """
SELECT journey, outcomes, count(*) AS people FROM (
  SELECT i.value, r.journey, string_agg(COALESCE(r.outcome, ''), ',') AS outcomes
  FROM run r JOIN identifier i USING (profile_id) WHERE i.value = ANY($1) GROUP BY 1, 2) person
GROUP BY 1, 2
"""
_BOUGHT = """
SELECT count(*) AS lines FROM purchase p JOIN identifier i USING (profile_id)
WHERE i.value = ANY($1) GROUP BY i.value
"""
_SENT = "SELECT address, status FROM message WHERE address = ANY($1) AND template = 'order_confirmation'"


@pytest.mark.proof
@pytest.mark.parametrize("process", ["api", "relay", "temporal", "postgres"])
async def test_invariant_2_every_acknowledged_event_survives_a_kill_of(
    process: str, installation: Installation
) -> None:
    rush = Rush(installation, process)
    rushing = asyncio.create_task(rush.happens())
    await rush.reached(0.3)
    await installation.stack.kill(process)
    if process in ("relay", "temporal"):
        await rush.reached(0.8)  # events need neither of them
    await installation.stack.start(process)
    await rushing
    await rush.drained()

    await rush.check()
    assert (rush.tries > rush.steps) == (process in ("api", "postgres"))
    ready = await installation.read("/readyz")
    assert (ready["ready"], ready["stuck_runs"]) == (True, 0)


async def test_invariant_2_events_are_taken_while_temporal_is_away_and_delivered_when_it_is_back(
    installation: Installation,
) -> None:
    email = "patient@example.com"
    await installation.stack.kill("temporal")
    try:
        answer = await installation.post(
            installation.event("Product Added", LAMP | {"cart_id": "cart-patient"}, traits=YES, email=email)
        )
        away = await installation.ask("GET", "/readyz")
    finally:
        await installation.stack.start("temporal")
    run = await installation.run(email, "cart-abandonment")
    back = await installation.read("/readyz")
    await installation.passes(run, timedelta(hours=2))
    await installation.settled(email, "cart_reminder", "sent")

    assert (answer.status_code, answer.json()["results"][0]["status"]) == (200, "accepted")
    assert (away.status_code, away.json()["ready"], away.json()["temporal"]["state"]) == (
        200,
        True,
        "unreachable",
    )
    assert away.json()["outbox_undelivered"] >= 1
    assert (back["temporal"]["state"], back["stuck_runs"]) == ("ok", 0)


async def test_postgres_away_is_503_within_a_second_and_nothing_is_half_done(
    installation: Installation,
) -> None:
    email = "unlucky@example.com"
    event = installation.event("Product Added", LAMP | {"cart_id": "cart-unlucky"}, traits=YES, email=email)
    await installation.stack.kill("postgres")
    try:
        refused = [await timed(installation, event) for _ in range(3)]
        away = await installation.ask("GET", "/readyz")
    finally:
        await installation.stack.start("postgres")
    before = await installation.rows("SELECT 1 FROM event WHERE id = $1", event["id"])
    nobody = await installation.ask("GET", f"/v1/profiles/email/{email}")
    await installation.takes(event)
    run = await installation.run(email, "cart-abandonment")

    assert [answer.status_code for answer, _ in refused] == [503] * 3
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer, _ in refused)
    assert all(answer.headers["content-type"] == "application/problem+json" for answer, _ in refused)
    assert min(seconds for _, seconds in refused) < scaled(1.0)
    assert (away.status_code, away.json()["postgres"]["state"]) == (503, "unreachable")
    assert (before, nobody.status_code, run["state"]) == ([], 404, "running")


async def timed(installation: Installation, event: dict[str, Any]) -> tuple[httpx2.Response, float]:
    begun = monotonic()
    answer = await installation.post(event)
    return answer, monotonic() - begun
