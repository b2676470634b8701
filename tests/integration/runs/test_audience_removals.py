"""Ad audiences: a removal counts once the platform confirms it, is tried until then, and alarms meanwhile."""

import asyncio
from dataclasses import dataclass, field
from uuid import UUID

import pytest

from api.http.metrics import Metrics
from cli.doctor import Finding, examine_installation
from policy.verdict import Channel
from profiles.views.backlog import Backlog, load_backlog
from tests.support.environments.api import opened
from tests.support.environments.gate import GateHarness, shopper
from workers.delivery import Delivery
from workers.relay import Relay
from workers.sandbox import SandboxAdPlatform

ADA = shopper(1)


class Moody(SandboxAdPlatform):
    """The sandbox on a bad day."""

    down = False
    """Answers nothing."""
    deaf = False
    """Takes a removal, and keeps the member."""
    entering: asyncio.Event | None = None
    """Where set, an entry is answered when this is."""

    def __init__(self, gate_env: GateHarness) -> None:
        super().__init__(gate_env.database)
        self.told: list[tuple[str, UUID]] = []
        self.asked = asyncio.Event()

    async def add(self, audience: str, member_id: UUID) -> None:
        self.told.append(("add", member_id))
        self.asked.set()
        if self.entering is not None:
            await self.entering.wait()
        await super().add(audience, member_id)

    async def remove(self, audience: str, member_id: UUID) -> None:
        self.told.append(("remove", member_id))
        if self.down:
            raise ConnectionError("503 from the ad platform")
        if not self.deaf:
            await super().remove(audience, member_id)


@dataclass
class Ads:
    """Ada's lamp in an ad audience, and a platform to tell."""

    env: GateHarness
    run_id: UUID
    platform: Moody
    relay: Relay = field(init=False)

    def __post_init__(self) -> None:
        routes = self.env.journeys.routes
        self.relay = Relay(self.env.database, Delivery(self.env.client), routes, platform=self.platform)

    async def enters(self, step: str = "ads") -> None:
        """Ask the gate for a place."""
        assert await self.env.allowed(self.env.ask(self.run_id, step, "lamp", channel=Channel.ADS))

    async def buys(self, order_id: str = "o-1") -> None:
        """Ada buys the lamp."""
        await self.env.takes("Order Completed", self.env.order("lamp", order_id=order_id), **ADA)

    async def gives_back(self) -> None:
        """Ada gives the lamp back, and may be shown ads for it again."""
        await self.env.takes("Order Refunded", {"order_id": "o-1"}, **ADA)

    async def told(self) -> None:
        """Deliver what is due."""
        for _ in range(20):
            if not await self.relay.deliver_batch():
                return
        raise AssertionError("what is not confirmed is handed out again at once")

    async def a_minute_passes(self) -> None:
        """What was postponed is due."""
        await self.env.fetch_rows("UPDATE outbox SET retry_at = now()")

    async def states(self) -> list[str]:
        """How the places stand, oldest first."""
        found = await self.env.fetch_rows(
            "SELECT state || CASE WHEN left_at IS NULL THEN '' ELSE ', gone' END AS state "
            "FROM audience_member ORDER BY member_id"
        )
        return [row["state"] for row in found]

    async def places(self) -> list[UUID]:
        """All places Ada ever had, oldest first."""
        found = await self.env.fetch_rows("SELECT member_id FROM audience_member ORDER BY member_id")
        return [row["member_id"] for row in found]

    async def at_the_platform(self) -> list[UUID]:
        """Who is in the audience by the platform's books."""
        return [
            row["member_id"] for row in await self.env.fetch_rows("SELECT member_id FROM sandbox_audience")
        ]

    async def figures(self) -> Backlog:
        """What operators see."""
        return await self.env.database.run(lambda connection: load_backlog(connection))


@pytest.fixture
async def ads(gate_env: GateHarness) -> Ads:
    run_id = await gate_env.one_cart()
    ads = Ads(gate_env, run_id, Moody(gate_env))
    await ads.enters()
    return ads


async def test_a_removal_is_over_once_the_platform_has_confirmed_it(ads: Ads) -> None:
    await ads.told()
    inside = (await ads.states(), await ads.at_the_platform())
    await ads.buys()
    leaving, waiting = await ads.states(), (await ads.figures()).removals_unconfirmed
    await ads.told()

    assert inside == (["in"], await ads.places())
    assert (leaving, waiting) == (["leaving"], 1)
    assert (await ads.states(), await ads.at_the_platform()) == (["out, gone"], [])
    assert (await ads.figures()).removals_unconfirmed == 0


@pytest.mark.parametrize("fault", ["down", "deaf"])
async def test_a_removal_that_is_not_confirmed_waits_and_is_tried_again_until_it_is(
    ads: Ads, fault: str
) -> None:
    await ads.told()
    await ads.buys()
    setattr(ads.platform, fault, True)
    await ads.told()
    await ads.told()
    first = (await ads.states(), ads.platform.told.count(("remove", (await ads.places())[0])))
    await ads.a_minute_passes()
    await ads.told()
    [row] = await ads.env.fetch_rows(
        "SELECT attempts, error, delivered_at, retry_at > now() + interval '1 s' AS later FROM outbox "
        "WHERE name = 'remove'"
    )
    meanwhile = (await ads.states(), len(await ads.at_the_platform()), await ads.figures())
    setattr(ads.platform, fault, False)
    await ads.a_minute_passes()
    await ads.told()

    assert first == (["leaving"], 1)
    assert meanwhile[:2] == (["leaving"], 1)
    assert meanwhile[2].removals_unconfirmed == 1
    assert (row["attempts"], row["delivered_at"], row["later"]) == (2, None, True)
    assert ("503" in row["error"]) == (fault == "down")
    assert (await ads.states(), await ads.at_the_platform()) == (["out, gone"], [])


async def test_a_platform_that_fails_holds_up_no_signal(ads: Ads) -> None:
    await ads.told()
    ads.platform.down = True
    await ads.buys()
    await ads.told()
    left = await ads.env.fetch_rows("SELECT kind, name FROM outbox WHERE delivered_at IS NULL")

    assert [(row["kind"], row["name"]) for row in left] == [("audience", "remove")]


async def test_a_removal_that_is_told_twice_is_confirmed_once(ads: Ads) -> None:
    await ads.buys()
    await ads.told()
    first = await ads.env.fetch_rows("SELECT state, left_at FROM audience_member")
    await ads.env.fetch_rows("UPDATE outbox SET delivered_at = NULL WHERE kind = 'audience'")
    await ads.told()

    assert await ads.env.fetch_rows("SELECT state, left_at FROM audience_member") == first
    assert await ads.at_the_platform() == []


async def test_who_bought_before_the_platform_was_told_never_enters(ads: Ads) -> None:
    await ads.buys()
    await ads.told()

    assert [name for name, _ in ads.platform.told] == ["remove"]
    assert await ads.states() == ["out, gone"]


async def test_a_purchase_while_the_platform_takes_somebody_in_has_the_last_word(ads: Ads) -> None:
    ads.platform.entering = asyncio.Event()
    telling = asyncio.create_task(ads.relay.deliver_batch())
    await ads.platform.asked.wait()
    await ads.buys()
    ads.platform.entering.set()
    await telling
    between = (await ads.states(), len(await ads.at_the_platform()))
    await ads.told()

    assert between == (["leaving"], 1)
    assert [name for name, _ in ads.platform.told] == ["add", "remove"]
    assert (await ads.states(), await ads.at_the_platform()) == (["out, gone"], [])


async def test_who_comes_back_while_their_removal_is_under_way_enters_after_it(ads: Ads) -> None:
    await ads.told()
    await ads.buys()
    ads.platform.down = True
    await ads.told()
    await ads.gives_back()
    await ads.enters("ads again")
    await ads.told()
    meanwhile = await ads.states()
    ads.platform.down = False
    await ads.a_minute_passes()
    await ads.told()

    older, newer = await ads.places()
    assert meanwhile == ["leaving", "joining"]
    told = [("add", older), ("remove", older), ("remove", older), ("add", newer)]
    assert ads.platform.told == told
    assert (await ads.states(), await ads.at_the_platform()) == (["out, gone", "in"], [newer])


async def test_a_removal_that_is_overdue_alarms_in_the_metrics_in_readyz_and_in_the_doctor(
    ads: Ads, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ads.buys()
    young = (await ads.figures()).has_overdue_removals, await of_audiences(monkeypatch, ads.env.url)
    await ads.env.fetch_rows("UPDATE audience_member SET leaving_at = now() - interval '301 s'")
    figures, [old] = await ads.figures(), await of_audiences(monkeypatch, ads.env.url)
    page = Metrics().render(figures, 0).decode()
    async with opened(ads.env.url) as api:
        ready = (await api.client.get("/readyz")).json()
    await ads.told()
    [well] = await of_audiences(monkeypatch, ads.env.url)

    assert (young[0], [finding.ok for finding in young[1]]) == (False, [True])
    assert figures.has_overdue_removals
    assert "\nwaypost_audience_removals_unconfirmed 1.0\n" in page
    assert "\nwaypost_audience_removals_oldest_seconds 30" in page
    assert ready["audience_removals_unconfirmed"] == 1
    assert "relay's log" in ready["audience_removals_overdue"]
    assert old.format_line().startswith("FAIL  audiences   1 removals unconfirmed, the oldest for 30")
    assert well.format_line() == "ok    audiences   every removal is confirmed"


async def of_audiences(monkeypatch: pytest.MonkeyPatch, database_url: str) -> list[Finding]:
    """What the doctor finds."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("TEMPORAL_ADDRESS", "127.0.0.1:1")
    return [finding for finding in await examine_installation() if finding.part == "audiences"]
