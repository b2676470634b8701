"""What a purchase keeps from being promoted, how far and how long, as the shop declares it."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from activities.audiences import AudienceActivities
from activities.contracts import SendMessage
from activities.gate.send_gate import GateRequest, NotAllowed, SendClaim, SendGate
from policy.checks.suppression import rule_for
from policy.limits import Limits, SuppressionRule, SuppressionScope
from policy.verdict import Allow, Channel, MessageClass, Reason
from profiles.commerce.orders import ALREADY_EXPIRED
from profiles.commerce.suggestions import suggest_items
from profiles.db.database import Database
from profiles.events import Item
from profiles.ingest.pipeline import IngestConfig
from tests.support.environments.ingest import CARTS, CHAIR, LAMP, IngestHarness, order
from tests.support.queries.snapshot import record

ADA = "ada@example.com"

YES = {"consents": {"email": True, "ads": True}}

SHOP = Limits(
    caps=(),
    suppression=(
        SuppressionRule(timedelta(0), category="Coffee"),
        SuppressionRule(timedelta(days=730), SuppressionScope.CATEGORY, category="Lamps"),
        SuppressionRule(timedelta(days=30), SuppressionScope.GROUP, group="oslo"),
        SuppressionRule(None, SuppressionScope.VARIANT, category="Shirts"),
    ),
)

RED = {"product_id": "shirt", "sku": "red", "category": "Shirts"}

BLUE = RED | {"sku": "blue"}

RECEIPT = {"sku": "lamp-red"}

LATE = timedelta(hours=2)

ONE_LAMP = ("Order Refunded", {"products": [LAMP | {"quantity": 1}]})


@pytest.fixture
def late() -> list[int]:
    """How many messages each late purchase overtook."""
    return []


@pytest.fixture
def facts(database: Database, late: list[int]) -> IngestHarness:
    """Ingest by the shop's rules."""
    rules = IngestConfig(suppression_rule_for=partial(rule_for, SHOP), on_late_purchase=late.append)
    return IngestHarness(database, CARTS, rules=rules)


async def feed(facts: IngestHarness, *products: dict[str, Any]) -> None:
    """The shop's feed tells of products."""
    await facts.ingest([facts.event("Product Updated", product) for product in products])


async def asked(
    facts: IngestHarness, *items: dict[str, Any], channel: Channel = Channel.EMAIL
) -> SendMessage:
    """A message of Ada's run that would promote the items."""
    if not await facts.runs():
        await facts.happens("Product Added", {"product_id": "rug", "cart_id": "c"}, traits=YES, email=ADA)
    [run] = await facts.runs()
    [known] = await facts.values("SELECT count(*) FROM decision")
    promoting = tuple(Item.model_validate(item) for item in items)
    return SendMessage(
        run_id=str(run["run_id"]), step=f"s{known}", journey="carts", template="reminder", channel=channel,
        promoting=promoting, expires_at=datetime.now(UTC) + timedelta(days=1),
    )  # fmt: skip


async def left(facts: IngestHarness, *items: dict[str, Any]) -> tuple[str, ...]:
    """What the gate leaves of the items."""
    request = await asked(facts, *items)
    case = GateRequest(request, MessageClass.MARKETING, "marketing", datetime.now(UTC))
    answer = await SendGate(facts.database, SHOP).decide(case)
    if isinstance(answer, SendClaim):
        return answer.items
    assert isinstance(answer, NotAllowed)
    assert not isinstance(answer.verdict, Allow)
    assert answer.verdict.reason is Reason.PURCHASED
    return ()


@pytest.mark.parametrize(
    ("bought", "feed_says", "scope", "of", "window"),
    [
        pytest.param(LAMP, [], "product", None, timedelta(days=365), id="no rule fits"),
        pytest.param(LAMP | {"category": "lamps"}, [], "category", "lamps", timedelta(days=730), id="line"),
        pytest.param(
            RECEIPT, [{"product_id": "lamp", "category": "Lamps"}, {"product_id": "lamp", "sku": "lamp-red"}],
            "product", None, timedelta(days=365), id="the feed tells of the product in another row",
        ),
        pytest.param(
            RECEIPT, [{"product_id": "lamp", "sku": "lamp-red", "category": "Lamps"}],
            "category", "Lamps", timedelta(days=730), id="the feed, by the unit of a receipt",
        ),
        pytest.param(
            LAMP, [{"product_id": "lamp", "category": "Lamps"}],
            "category", "Lamps", timedelta(days=730), id="the feed, by the product",
        ),
        pytest.param(
            LAMP | {"item_group_id": "oslo"}, [], "group", "oslo", timedelta(days=30), id="the line's group"
        ),
        pytest.param(
            LAMP, [{"product_id": "lamp", "item_group_id": "oslo"}], "group", "oslo", timedelta(days=30),
            id="the feed's group",
        ),
        pytest.param(RED, [], "variant", "red", None, id="a variant, for good"),
        pytest.param(
            {"product_id": "shirt", "category": "Shirts"}, [], "product", None, None, id="no variant is named"
        ),
    ],
)  # fmt: skip
async def test_the_shops_rules_say_how_far_and_how_long_a_purchase_suppresses(
    facts: IngestHarness,
    bought: dict[str, Any],
    feed_says: list[dict[str, Any]],
    scope: str,
    of: str | None,
    window: timedelta | None,
) -> None:
    await feed(facts, *feed_says)
    await facts.happens("Order Completed", order(bought), channel="store", email=ADA)

    [row] = await facts.rows(
        "SELECT s.scope, s.of, s.until - e.time AS lasts FROM suppression s JOIN event e USING (event_id)"
    )
    assert (row["scope"], row["of"], row["lasts"]) == (scope, of, window)


async def test_what_is_bought_together_with_its_like_leaves_the_cart_and_suppresses_nothing(
    facts: IngestHarness,
) -> None:
    coffee = {"product_id": "coffee", "category": "Coffee"}
    await facts.happens("Product Added", coffee | {"cart_id": "c"}, traits=YES, email=ADA)
    await facts.happens("Order Completed", order(coffee), channel="store", email=ADA)

    assert await facts.carts() == {"c": []}
    assert await facts.values("SELECT until FROM suppression") == [ALREADY_EXPIRED]
    assert await left(facts, coffee) == ("coffee",)


@pytest.mark.parametrize(
    ("bought", "feed_says", "planned", "expected"),
    [
        pytest.param(
            LAMP | {"category": "Lamps"}, [{"product_id": "spot", "category": "lamps"}],
            [{"product_id": "spot"}, {"product_id": "rug"}], ("rug",), id="another product of the category",
        ),
        pytest.param(
            LAMP | {"category": "Lamps"}, [], [{"product_id": "spot", "category": "Lamps"}], (),
            id="of the category by the plan's own word",
        ),
        pytest.param(
            CHAIR | {"group": "oslo"}, [{"product_id": "stool", "item_group_id": "Oslo"}],
            [{"product_id": "stool"}], (), id="another product of the group",
        ),
        pytest.param(RED, [], [BLUE], ("shirt",), id="another variant"),
        pytest.param(RED, [], [RED], (), id="the variant"),
        pytest.param(
            {"product_id": "set"}, [{"product_id": "set", "bundle": ["cup", "pot"]}],
            [{"product_id": "cup"}, {"product_id": "rug"}], ("rug",), id="a part of what was bought",
        ),
        pytest.param(
            {"product_id": "cup"}, [{"product_id": "set", "bundle": ["cup", "pot"]}],
            [{"product_id": "set"}], ("set",), id="a bundle of which one part was bought",
        ),
        pytest.param(
            {"product_id": "cup"}, [{"product_id": "set", "bundle": ["cup"]}],
            [{"product_id": "set"}], (), id="a bundle of which every part was bought",
        ),
        pytest.param(
            RECEIPT, [{"product_id": "lamp", "sku": "lamp-red"}], [LAMP | {"sku": "lamp-blue"}], (),
            id="a receipt of another variant",
        ),
    ],
)  # fmt: skip
async def test_the_gate_and_the_audiences_keep_back_what_a_purchase_reaches(
    facts: IngestHarness,
    bought: dict[str, Any],
    feed_says: list[dict[str, Any]],
    planned: list[dict[str, Any]],
    expected: tuple[str, ...],
) -> None:
    await feed(facts, *feed_says)
    request = await asked(facts, *planned, channel=Channel.ADS)
    entered = await AudienceActivities(facts.database, SHOP).decide_and_add(request, datetime.now(UTC))
    assert isinstance(entered, Allow)
    await facts.happens("Order Completed", order(bought), channel="store", email=ADA)

    assert await left(facts, *planned) == expected
    # What only the plan called by its category, the audience has no word of.
    stays = {item["product_id"] for item in planned if "category" in item and item["category"] == "Lamps"}
    assert set(await facts.values("SELECT item FROM audience_member WHERE state <> 'leaving'")) == (
        {*expected} | stays
    )


async def test_a_receipt_is_of_the_product_once_the_feed_says_so(facts: IngestHarness) -> None:
    await facts.happens("Order Completed", order(RECEIPT), channel="store", email=ADA)
    await asked(facts)
    blue = {"product_id": "lamp", "sku": "lamp-blue"}
    assert await left(facts, blue) == ("lamp",)

    await feed(facts, {"product_id": "lamp", "sku": "lamp-red"})
    assert await left(facts, blue) == ()


async def test_a_receipt_empties_the_cart_of_every_variant_also_when_the_past_is_told_again(
    facts: IngestHarness,
) -> None:
    await feed(facts, {"product_id": "lamp", "sku": "lamp-red"})
    for line in (LAMP | {"sku": "lamp-blue"}, RED, BLUE):
        await facts.happens("Product Added", line | {"cart_id": "c"}, email=ADA, ago=timedelta(hours=2))
    await facts.happens("Order Completed", order(RECEIPT, RED), email=ADA, ago=timedelta(hours=1))
    assert await facts.carts() == {"c": ["shirt"]}

    # It happened before the order, and comes after it.
    await facts.happens("Product Added", CHAIR | {"cart_id": "c"}, email=ADA, ago=timedelta(hours=2))
    assert await facts.carts() == {"c": ["chair", "shirt"]}
    assert await facts.values('SELECT lines @> \'[{"sku": "blue"}]\' FROM cart') == [True]


async def test_two_people_who_become_one_keep_how_far_their_purchases_reach(facts: IngestHarness) -> None:
    await feed(facts, {"product_id": "set", "bundle": ["cup", "pot"]})
    await facts.happens("Order Completed", order(RED, {"product_id": "set"}), anonymous_id="a-1")
    await facts.happens("Product Added", CHAIR | {"cart_id": "c"}, email=ADA)
    reach = "SELECT item, scope, of, parts FROM suppression ORDER BY line"
    before = await facts.rows(reach)
    await facts.happens("Product Viewed", {}, email=ADA, anonymous_id="a-1")

    assert await facts.rows(reach) == before
    [whole] = (await record(facts.database)).values()
    assert [row[-3:] for row in whole["suppressions"]] == [
        ["variant", "red", []],
        ["product", None, ["cup", "pot"]],
    ]


@pytest.mark.parametrize(
    ("bought", "undone", "suppressed"),
    [
        pytest.param([2], [ONE_LAMP], True, id="one of two"),
        pytest.param([2], [("Order Refunded", {"products": [LAMP | {"quantity": 2}]})], False, id="both"),
        pytest.param([2], [ONE_LAMP] * 2, False, id="in turn"),
        pytest.param([2], [("Order Refunded", {"products": [LAMP]})], True, id="no quantity is one"),
        pytest.param([2], [("Order Cancelled", {})], False, id="the order is cancelled"),
        pytest.param([2], [("Order Refunded", {})], False, id="a refund without products"),
        pytest.param([1, 1], [ONE_LAMP], True, id="one of two lines"),
        pytest.param([1, 1], [ONE_LAMP] * 2, False, id="both lines"),
    ],
)
@pytest.mark.parametrize("together", [False, True], ids=["one by one", "in one batch"])
async def test_what_is_given_back_in_part_is_still_owned(
    facts: IngestHarness, bought: list[int], undone: list[tuple[str, Any]], suppressed: bool, together: bool
) -> None:
    events = [
        facts.event("Order Completed", order(*(LAMP | {"quantity": number} for number in bought)), email=ADA),
        *(facts.event(name, {"order_id": "o-1"} | said, email=ADA) for name, said in undone),
    ]
    for batch in [events] if together else [[event] for event in events]:
        await facts.ingest(batch)

    assert (await facts.suppressed("email", ADA) == ["lamp"]) is suppressed


@pytest.mark.parametrize(
    ("said", "ago", "marked"),
    [
        pytest.param(LAMP, LATE, True, id="bought before, heard of after"),
        pytest.param(RECEIPT, LATE, True, id="by a receipt"),
        pytest.param(LAMP, timedelta(seconds=30), False, id="not late"),
        pytest.param(CHAIR, LATE, False, id="something else"),
        pytest.param(LAMP | {"category": "Coffee"}, LATE, False, id="what does not suppress"),
    ],
)
async def test_a_message_is_marked_that_a_purchase_overtook(
    facts: IngestHarness, late: list[int], said: dict[str, Any], ago: timedelta, marked: bool
) -> None:
    await feed(facts, {"product_id": "lamp", "sku": "lamp-red"})
    assert await left(facts, LAMP, {"product_id": "rug"}) == ("lamp", "rug")
    answer = await facts.happens("Order Completed", order(said), channel="store", email=ADA, ago=ago)

    assert await facts.values("SELECT overtaken_by FROM message") == [answer.event_id if marked else None]
    assert late == ([1] if marked else [])


async def test_a_message_from_before_the_purchase_and_a_withheld_one_are_not_overtaken(
    facts: IngestHarness,
) -> None:
    assert await left(facts, LAMP) == ("lamp",)
    await facts.rows("UPDATE message SET decided_at = decided_at - '3 hours'::interval")
    assert await left(facts, LAMP) == ("lamp",)
    await facts.rows("UPDATE message SET status = 'withheld' WHERE step = 's1'")
    await facts.happens("Order Completed", order(LAMP), email=ADA, ago=timedelta(hours=2))

    assert await facts.values("SELECT overtaken_by FROM message") == [None, None]


async def test_the_feed_tells_of_category_group_and_bundle_and_the_newest_word_stands(
    facts: IngestHarness,
) -> None:
    said = {"product_id": "set", "category": "Tea", "item_group_id": "aria", "bundle": ["cup", 7]}
    await facts.happens("Product Updated", said)
    await facts.happens(
        "Product Updated", {"product_id": "set", "category": "Old", "bundle": []}, ago=timedelta(hours=1)
    )
    told = "SELECT category, item_group, bundle FROM product"
    assert await facts.rows(told) == [{"category": "Tea", "item_group": "aria", "bundle": ["cup", "7"]}]

    await facts.happens("Product Updated", {"product_id": "set", "group": "oslo", "bundle": []})
    assert await facts.rows(told) == [{"category": "Tea", "item_group": "oslo", "bundle": []}]


@pytest.mark.parametrize(
    ("bought", "expected"),
    [
        pytest.param(CHAIR, ["spot", "lamp"], id="something else"),
        pytest.param(LAMP | {"category": "Lamps"}, [], id="of their category"),
        pytest.param(LAMP, ["spot"], id="one of them"),
        pytest.param(RECEIPT, ["spot"], id="one of them, by a receipt"),
    ],
)
async def test_nothing_is_suggested_that_a_purchase_reaches(
    facts: IngestHarness, bought: dict[str, Any], expected: list[str]
) -> None:
    await asked(facts)
    for looked_at in (LAMP, {"product_id": "spot", "name": "Spot"}):
        await facts.happens("Product Viewed", looked_at | {"category": "Lamps"}, email=ADA)
    await facts.happens("Order Completed", order(bought), email=ADA)
    [run] = await facts.runs()
    async with facts.database.transaction() as connection:
        found = await suggest_items(connection, run["run_id"], limit=5, at=datetime.now(UTC))

    assert [item.key for item in found] == expected
