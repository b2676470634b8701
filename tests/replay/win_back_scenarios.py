"""Tales of customers who stay away: one for each wait point and outcome."""

from policy.experiments import assign_arm
from tests.replay.scenario import DAY, HOUR, YES, ReplayScenario, tale

BACK = "win-back"


async def lapses(t: ReplayScenario, arm: str = "offer") -> None:
    """Somebody who has lapsed, of that arm of the journey's experiment."""
    for attempt in range(100):
        t.who["email"] = f"quillon-{t.key}-{attempt}@example.com"
        t.who["phone"] = f"+4915199{int(t.key[2:]) * 100 + attempt:06d}"
        await t.happens("Product Viewed", {"product_id": "desk", "name": "A desk"}, traits=YES)
        [owner] = await t.waypost.fetch_rows(
            "SELECT profile_id FROM identifier WHERE value = $1", t.who["email"]
        )
        if assign_arm(str(owner["profile_id"]), "win-back-incentive", {"offer": 80, "control": 20}) == arm:
            break
    await t.happens("Customer Lapsed", {"days_since_order": 120})


@tale(BACK, None)
async def waiting_after_the_hello(t: ReplayScenario) -> None:
    await lapses(t)
    await t.passes(BACK, HOUR)


@tale(BACK, None)
async def waiting_after_the_offer(t: ReplayScenario) -> None:
    await lapses(t)
    await t.passes(BACK, DAY * 8)


@tale(BACK, None)
async def waiting_without_an_offer(t: ReplayScenario) -> None:
    await lapses(t, arm="control")
    await t.passes(BACK, DAY * 8)


@tale(BACK, None)
async def waiting_after_the_goodbye(t: ReplayScenario) -> None:
    await lapses(t)
    await t.passes(BACK, DAY * 23)


@tale(BACK, "sunset")
async def sunset(t: ReplayScenario) -> None:
    await lapses(t)
    await t.passes(BACK, DAY * 40)


@tale(BACK, "staying")
async def asks_to_stay_on_the_list(t: ReplayScenario) -> None:
    await lapses(t)
    await t.passes(BACK, DAY * 23)
    await t.clicks("goodbye")


@tale(BACK, "engaged")
async def engaged_by_the_offer(t: ReplayScenario) -> None:
    await lapses(t)
    await t.passes(BACK, DAY * 8)
    await t.clicks("win_back_offer")


@tale(BACK, "back")
async def comes_back_without_an_incentive(t: ReplayScenario) -> None:
    await lapses(t)
    await t.passes(BACK, HOUR)
    await t.clicks("we_miss_you")
    await t.passes(BACK, DAY * 15)


@tale(BACK, "won_back")
async def won_back(t: ReplayScenario) -> None:
    await lapses(t)
    await t.passes(BACK, DAY)
    await t.buys("lamp")


@tale(BACK, "sunset")
async def sunset_with_nothing_to_suggest(t: ReplayScenario) -> None:
    await t.happens("Customer Lapsed", {"days_since_order": 120}, traits=YES)
    await t.passes(BACK, DAY * 40)


@tale(BACK, "not_contacted")
async def not_contacted_where_no_mail_may_go_out(t: ReplayScenario) -> None:
    await t.happens("Customer Lapsed", {"days_since_order": 120})
    await t.passes(BACK, DAY * 40)


@tale(BACK, "merged")
async def merged_with_the_run_of_somebody_who_is_the_same(t: ReplayScenario) -> None:
    await lapses(t)
    t.waypost.clock += HOUR
    card = {"loyalty_id": f"card-{t.key}"}
    await t.waypost.ingest_event("Customer Lapsed", {"days_since_order": 90}, traits=YES, **card)
    await t.happens("Cart Viewed", {}, **card)
