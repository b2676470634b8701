"""The demo's people: the same for the same seed, no address twice, and the rates of an ordinary shop."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from local.demo.behaviour import DeliveredMessage, ShopperPlan, plan_reaction
from local.demo.calendar import build_phases, next_opening
from local.demo.catalog import BACK_IN_STOCK_AFTER, CATALOGUE, PRICE_DROP_AFTER, SOLD_OUT_AFTER, ProductFeed
from local.demo.events import ShopperEvent
from local.demo.people import create_shoppers
from local.demo.spellings import respell
from local.demo.traffic import group_into_requests, group_into_rounds
from profiles.identity.identifiers import normalize_identifier
from profiles.reading.event_names import canonical_name
from profiles.state.bounds import bound_properties

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)

OPENING = datetime(2026, 11, 22, tzinfo=UTC)

FOR_EVER = OPENING + timedelta(days=400)

SHELF = {product.product_id: product for product in CATALOGUE}


def acts_of(count: int, seed: int = 7) -> list[ShopperEvent]:
    """All that so many people plan to do by themselves."""
    found: list[ShopperEvent] = []
    for shopper in create_shoppers(count, seed):
        life = ShopperPlan(shopper, OPENING, seed)
        found += life.past_events(NOON)
        life.plan_visits()
        found += life.take_due(FOR_EVER)
    return found


def name_of(act: ShopperEvent) -> str:
    return str(act.body["event"] if "event" in act.body else act.body["type"])


def test_the_same_seed_makes_the_same_acts_and_another_seed_others() -> None:
    again = acts_of(30)

    assert acts_of(30) == again
    assert acts_of(30, seed=8) != again


def test_a_larger_cast_begins_with_the_smaller_one() -> None:
    assert create_shoppers(50, 7)[:20] == create_shoppers(20, 7)


@pytest.mark.parametrize("count", [200, 4000])
def test_no_two_people_share_an_address_and_each_address_is_one(count: int) -> None:
    people = create_shoppers(count, 7)
    emails = [one.email for one in people if one.email]
    phones = [one.phone for one in people if one.phone]

    assert len(emails) == len(set(emails))
    assert len(phones) == len(set(phones))
    assert emails == [normalize_identifier("email", one) for one in emails]
    assert phones == [normalize_identifier("phone", one) for one in phones]


def test_mail_addresses_belong_to_nobody() -> None:
    assert {one.email.rpartition("@")[2] for one in create_shoppers(300, 7) if one.email} == {"example.com"}


def test_event_ids_are_unique() -> None:
    ids = [act.body.get("messageId") or act.body["id"] for act in acts_of(200)]

    assert len(ids) == len(set(ids))


def visits_of(acts: list[ShopperEvent]) -> int:
    """How often somebody came to look: half an hour without a page ends a visit."""
    seen: dict[tuple[int, str], datetime] = {}
    visits = 0
    for act in sorted(acts, key=lambda act: act.at):
        if name_of(act) == "Product Viewed":
            last = seen.get((act.shopper, act.origin))
            visits += last is None or act.at - last > timedelta(minutes=30)
            seen[act.shopper, act.origin] = act.at
    return visits


def test_about_a_third_of_the_visits_fill_a_cart_and_most_carts_are_left_behind() -> None:
    acts = acts_of(2000)
    visits = visits_of(acts)
    carts = {act.body["properties"]["cart_id"] for act in acts if name_of(act) == "Product Added"}
    names = Counter(name_of(act) for act in acts if act.at > OPENING and act.is_segment)

    assert visits > 2000
    assert 0.33 < len(carts) / visits < 0.43
    assert 0.15 < names["Order Completed"] / len(carts) < 0.4


def test_lapsed_customers_bought_over_a_hundred_days_ago_unless_they_used_to_come_often() -> None:
    lapsed = [one for one in create_shoppers(400, 7) if one.lapsed and not one.ordered_regularly]
    lives = [ShopperPlan(shopper, OPENING, 7) for shopper in lapsed]
    past = [act for life in lives for act in life.past_events(NOON)]
    for life in lives:
        life.plan_visits()

    assert len(lapsed) > 10
    visits = [act for act in past if name_of(act) == "Page Viewed"]
    assert max(act.at for act in past if act not in visits) < NOON - timedelta(days=100)
    # Without something new, they would be known by history alone, by which nobody lapses.
    assert len(visits) == len(lapsed)
    assert min(act.at for act in visits) > NOON - timedelta(hours=1)
    assert {name_of(act) for life in lives for act in life.take_due(FOR_EVER)} <= {"Order Completed"}


def test_steady_customers_have_been_away_twice_as_long_as_they_used_to_be_but_no_ninety_days() -> None:
    steady = [one for one in create_shoppers(400, 7) if one.ordered_regularly]

    assert len(steady) > 5
    for shopper in steady:
        orders = [
            act.at
            for act in ShopperPlan(shopper, OPENING, 7).past_events(NOON)
            if name_of(act) == "Order Completed"
        ]
        gaps = [later - earlier for earlier, later in pairwise(orders)]
        away = NOON - orders[-1]
        assert len(orders) >= 3
        assert max(2 * max(gaps) + timedelta(days=1), timedelta(days=30)) < away < timedelta(days=90)


def test_every_ticket_is_solved_and_what_is_sent_back_is_some_of_a_delivered_order() -> None:
    acts = acts_of(600)
    said = {
        name: [act for act in acts if name_of(act) == name]
        for name in (
            "Ticket Opened",
            "Ticket Solved",
            "Return Requested",
            "Order Delivered",
            "Order Completed",
        )
    }
    opened, solved = (
        {act.body["properties"]["ticket_id"]: act.at for act in said[name]}
        for name in ("Ticket Opened", "Ticket Solved")
    )
    delivered = {act.body["properties"]["order_id"]: act.at for act in said["Order Delivered"]}
    lines = {
        act.body["properties"]["order_id"]: act.body["properties"]["products"]
        for act in said["Order Completed"]
    }

    assert len(opened) > 10
    assert opened.keys() == solved.keys()
    assert all(solved[ticket] > at for ticket, at in opened.items())
    assert len(said["Return Requested"]) > 5
    for act in said["Return Requested"]:
        order, back = act.body["properties"]["order_id"], act.body["properties"]["products"]
        assert act.at > delivered[order]
        assert 0 < len(back) < len(lines[order])
        assert all(line in lines[order] for line in back)


def test_the_feed_tells_the_catalogue_first_and_every_change_at_the_end_of_a_beat() -> None:
    ends = {beat.ends_at for beat in build_phases(OPENING)}
    feed = ProductFeed(OPENING, ["oslo-chair", "stone-mug", "oslo-chair"])
    catalogue = feed.take_due(OPENING)
    changes = feed.take_due(FOR_EVER)
    gone, back = changes[0], changes[-1]

    assert [update.product for update in catalogue] == list(CATALOGUE)
    assert {OPENING + SOLD_OUT_AFTER, OPENING + PRICE_DROP_AFTER, OPENING + BACK_IN_STOCK_AFTER} == {
        update.at for update in changes
    }
    assert {update.at for update in changes} <= ends
    assert (gone.in_stock, back.in_stock, gone.product) == (False, True, back.product)
    assert gone.product.product_id == "oslo-chair"
    assert changes[1].product.product_id == "stone-mug"
    assert len(changes) == 5
    for update in changes[1:-1]:
        assert update.product.price < SHELF[update.product.product_id].price
        assert feed.products[update.product.product_id] == update.product
    assert not feed.take_due(FOR_EVER)


def test_the_feed_names_nobody_and_no_two_of_its_events_share_an_id() -> None:
    bodies = [update.body for update in ProductFeed(OPENING, ()).take_due(FOR_EVER)]

    assert {str(body["identifiers"]) for body in bodies} == {"{}"}
    assert len({body["id"] for body in bodies}) == len(bodies)


def test_what_people_want_is_what_they_put_into_their_carts_by_then() -> None:
    [shopper] = [one for one in create_shoppers(60, 7) if one.fills_several_carts][:1]
    life = ShopperPlan(shopper, OPENING, 7)
    life.plan_visits()
    wanted = life.planned_product_ids(FOR_EVER)
    added = [act for act in life.take_due(FOR_EVER) if name_of(act) == "Product Added"]

    assert sorted(wanted) == sorted(act.body["properties"]["product_id"] for act in added)
    assert wanted
    assert not life.planned_product_ids(OPENING)


def test_acts_are_handed_out_once_and_in_order() -> None:
    [shopper] = create_shoppers(1, 7)
    life = ShopperPlan(shopper, OPENING, 7)
    life.buy_online(OPENING + timedelta(hours=2), list(CATALOGUE[:2]))
    life.buy_online(OPENING + timedelta(hours=1), list(CATALOGUE[:1]))
    first = life.take_due(OPENING + timedelta(hours=3))

    assert [act.at for act in first] == [OPENING + timedelta(hours=1), OPENING + timedelta(hours=2)]
    assert not set(map(id, first)) & set(map(id, life.take_due(FOR_EVER)))


def test_requests_keep_each_persons_order_and_part_their_devices() -> None:
    acts = sorted(acts_of(60), key=lambda act: act.at)
    told = [act for _, passed in group_into_requests(acts) for act in passed]

    assert sorted(map(id, told)) == sorted(map(id, acts))
    for number in range(1, 61):
        mine = [act for act in acts if act.shopper == number]
        assert [act for act in told if act.shopper == number] == mine
    for is_segment, passed in group_into_requests(acts):
        doors: dict[int, set[str]] = {}
        for act in passed:
            assert act.is_segment is is_segment
            doors.setdefault(act.shopper, set()).add(act.origin)
        assert {len(used) for used in doors.values()} == {1}


def test_a_scene_holds_one_thing_a_person_does_and_scenes_keep_their_order() -> None:
    acts = acts_of(60)
    played = group_into_rounds(acts)

    assert sorted(map(id, acts)) == sorted(id(act) for scene in played for act in scene)
    for number in range(1, 61):
        mine = [[act.at for act in scene if act.shopper == number] for scene in played]
        told = [at for ats in mine for at in ats]
        assert told == sorted(told)
        for earlier, later in pairwise(filter(None, mine)):
            assert later[0] - earlier[-1] > timedelta(minutes=30)


def test_a_mail_to_an_address_that_bounces_is_neither_opened_nor_clicked() -> None:
    shopper = next(one for one in create_shoppers(400, 7) if one.email_bounces)
    life = ShopperPlan(shopper, OPENING, 7)
    mail = DeliveredMessage("m-1", "email", "cart_reminder", True, ("oslo-chair",), OPENING)

    assert plan_reaction(life, mail, OPENING, 7, SHELF) is False
    assert [name_of(act) for act in life.take_due(FOR_EVER)] == ["Message Bounced"]


def test_nobody_unsubscribes_by_an_order_confirmation() -> None:
    lives = [ShopperPlan(shopper, OPENING, 7) for shopper in create_shoppers(400, 7)]
    confirmation = DeliveredMessage("m-1", "email", "order_confirmation", False, (), OPENING)
    promotion = DeliveredMessage("m-2", "email", "cross_sell", True, (), OPENING)

    assert not any(plan_reaction(life, confirmation, OPENING, 7, SHELF) for life in lives)
    assert any(plan_reaction(life, promotion, OPENING, 7, SHELF) for life in lives)


def test_what_is_done_about_a_message_comes_after_it_and_after_now() -> None:
    for shopper in create_shoppers(100, 7):
        life = ShopperPlan(shopper, OPENING, 7)
        offer = DeliveredMessage("m-1", "sms", "cart_offer", True, (), OPENING)
        plan_reaction(life, offer, OPENING + timedelta(hours=9), 7, SHELF)

        assert min(act.at for act in life.take_due(FOR_EVER)) > OPENING + timedelta(hours=9)


def test_the_calendar_opens_at_midnight_and_its_beats_follow_one_another() -> None:
    ends = [beat.ends_at for beat in build_phases(next_opening(NOON))]

    assert next_opening(NOON) == OPENING
    assert next_opening(OPENING) == OPENING + timedelta(days=1)
    assert ends == sorted(set(ends))


def test_a_share_of_what_carts_and_orders_hold_is_spelled_in_other_ways_and_means_the_same() -> None:
    named = [act for act in acts_of(200) if name_of(act) in ("Product Added", "Order Completed")]
    sent = [(act, respell(act)) for act in named]
    changed = [(act, other) for act, other in sent if act.body != other.body]

    assert 0.2 < len(changed) / len(sent) < 0.4
    assert sent == [(act, respell(act)) for act in named]
    for act, other in changed:
        assert canonical_name(name_of(other)) == name_of(act)
        assert lines_of(other, name_of(act)) == lines_of(act, name_of(act))


def lines_of(act: ShopperEvent, name: str) -> list[tuple[str, float | None]]:
    """(product, price) of each line of an event, as ingest reads them."""
    read = bound_properties(act.body["properties"], [], verified=True, event_type=name)
    return [(line["product_id"], line.get("price")) for line in read.get("products") or [read]]
