"""The testing kit on its own words: what a shopper does, what is on the ledger, and how it fails."""

import os
import subprocess
import sys
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from authoring.testing import Shop, Shopper, StoryFailed, TellingFault, with_journeys
from authoring.testing.fakes import replace_activities
from journeys.vocabulary import days, hours, minutes
from policy.limits import Cap, CapReachedAction, Limits
from tests.support.journeys.kit.stories import (
    AfterFour,
    AfterOneAndThree,
    AfterTwo,
    Basket,
    Measured,
    Misspelt,
    Parcel,
    Points,
    Raises,
    StarGiven,
    Stars,
    Tried,
    loyalty_points,
)

pytestmark = with_journeys(Basket, Parcel)


async def test_a_ledger_compares_with_names_and_has_all_the_rest_beside_them(shopper: Shopper) -> None:
    await shopper.adds("lamp")
    await shopper.opts_out("sms")
    await shopper.waits(days(3))

    assert shopper.received == ["reminder", "offer"]
    reminder = shopper.received[0]
    assert (reminder.channel, reminder.items, reminder.status) == ("email", ("lamp",), "sent")
    assert "Lamp" in reminder.subject
    assert "Lamp" in reminder.html
    assert "Lamp" in reminder.text
    assert shopper.timeline.when(reminder.at) == "day 1 13:00"
    assert [str(each).partition(":")[0] for each in shopper.decisions] == [
        "allow email reminder",
        "allow ads left-behind",
        "withhold sms offer",
        "allow email offer",
    ]
    assert (shopper.state, shopper.outcome, shopper.waiting_for) == ("ended", "nudged", None)


async def test_before_anything_happened_the_ledger_is_empty(shopper: Shopper) -> None:
    assert (shopper.received, shopper.withheld, shopper.runs, shopper.state) == ([], [], [], None)
    with pytest.raises(TellingFault, match="has no run of 'win-back'; there are: none at all"):
        shopper.run_of("win-back")


async def test_a_withheld_message_says_why(shop: Shop) -> None:
    shopper = await shop.shopper(consents={"email": False})
    await shopper.adds("lamp")
    await shopper.waits(hours(2))

    assert shopper.withheld == ["reminder"]
    assert (shopper.withheld[0].channel, shopper.withheld[0].reason) == ("sms", "no_consent")
    assert shopper.withheld[0].detail == "no grant of marketing on sms on file"


async def test_verbs_about_orders_and_tickets_mean_the_last_one(shopper: Shopper) -> None:
    await shopper.buys("lamp", where="app")
    await shopper.is_shipped()
    await shopper.is_delivered()
    await shopper.opens_ticket()
    await shopper.ticket_is_solved()
    await shopper.waits(days(6))
    await shopper.is_refunded()

    assert shopper.received == ["receipt", "how_is_it"]
    assert shopper.outcome == "refunded"
    happened = [each.text for each in shopper.timeline if each.kind == "event"]
    assert happened == [
        "Identified",
        "Order Completed: lamp, order-1 (mobile)",
        "Order Fulfilled: order-1",
        "Order Delivered: order-1",
        "Ticket Opened: ticket-1 (support)",
        "Ticket Solved: ticket-1 (support)",
        "Order Refunded: order-1",
    ]


@pytest.mark.parametrize(
    ("verb", "said"),
    [
        ("clicks", "cannot click a message: received nothing"),
        ("opens", "cannot open a message: received nothing"),
        ("is_delivered", "has bought nothing"),
        ("cancels", "has bought nothing"),
        ("ticket_is_solved", "has opened no ticket"),
        ("logs_in", "is known already"),
    ],
)
async def test_what_cannot_be_done_says_what_to_do_first(shopper: Shopper, verb: str, said: str) -> None:
    with pytest.raises(TellingFault, match=said):
        await getattr(shopper, verb)()


async def test_a_click_on_a_message_nobody_got_names_those_received_and_withheld(shop: Shop) -> None:
    shopper = await shop.shopper(consents={})
    await shopper.adds("lamp")
    await shopper.waits(hours(2))

    with pytest.raises(TellingFault, match=r"received nothing; withheld reminder \(no_consent\)"):
        await shopper.clicks("reminder")


async def test_time_does_not_run_backwards(shopper: Shopper) -> None:
    with pytest.raises(TellingFault, match="time does not run backwards"):
        await shopper.waits_until(datetime(2020, 1, 1, tzinfo=UTC))


async def test_a_bounce_keeps_later_mail_away(shopper: Shopper) -> None:
    await shopper.buys("lamp")
    await shopper.bounces("receipt")
    await shopper.is_delivered()
    await shopper.waits(days(6))

    assert [(each, each.reason) for each in shopper.withheld] == [("how_is_it", "bounced")]


@with_journeys(Stars)
async def test_an_event_of_ones_own_comes_as_an_instance_or_by_name(shopper: Shopper) -> None:
    await shopper.happens(StarGiven(stars=3))

    assert shopper.waiting_for == "Waiting for Star Given"
    await shopper.happens("Star Given", {"stars": 5})
    assert shopper.outcome == "3 and 5"


async def test_an_effect_of_ones_own_is_replaced_by_name(shop: Shop) -> None:
    async def plenty(customer_id: str) -> int:
        return 250

    shopper = await shop(journeys=(Points,), effects={"loyalty_points": plenty}).shopper()
    await shopper.views("lamp")

    assert shopper.outcome == "rich"


def test_only_what_has_a_stand_in_is_replaced() -> None:
    def few(customer_id: str) -> int:
        return 1

    assert replace_activities([loyalty_points], {}) == [loyalty_points]
    [stand_in] = replace_activities([loyalty_points], {"loyalty_points": few})
    assert stand_in is not loyalty_points


async def test_runs_of_several_journeys_move_in_the_order_of_their_timers(shop: Shop) -> None:
    two_a_day = Limits(caps=(Cap(2, timedelta(days=1)),), duplicates_within=timedelta(0))
    shopper = await shop(journeys=(AfterOneAndThree, AfterTwo), limits=two_a_day).shopper()
    await shopper.adds("lamp")
    await shopper.waits(days(3))

    assert [(each.journey, shopper.timeline.when(each.at)) for each in shopper.received] == [
        ("after-one-and-three", "day 1 13:00"),
        ("after-two", "day 1 14:00"),
    ]
    assert [(each.journey, each.reason) for each in shopper.withheld] == [("after-one-and-three", "capped")]
    assert shopper.timeline.when(shopper.withheld[0].at) == "day 1 15:00"


async def test_a_message_that_finds_no_slot_waits_for_one_where_the_shop_or_its_story_says_so(
    shop: Shop,
) -> None:
    two_a_day = Limits(
        caps=(Cap(2, timedelta(days=1)),),
        when_capped={"after-one-and-three": CapReachedAction.WAIT},
        duplicates_within=timedelta(0),
    )
    told = (AfterOneAndThree, AfterTwo, AfterFour)
    shopper = await shop(journeys=told, limits=two_a_day).shopper()
    await shopper.adds("lamp")
    await shopper.waits(days(4))

    assert [(each.journey, shopper.timeline.when(each.at)) for each in shopper.received] == [
        ("after-one-and-three", "day 1 13:00"),
        ("after-two", "day 1 14:00"),
        ("after-one-and-three", "day 2 13:00"),
        ("after-four", "day 2 14:00"),
    ]
    assert shopper.withheld == []


@with_journeys(AfterTwo)
async def test_everybody_in_the_shop_shares_its_clock(shop: Shop) -> None:
    ada, ben = await shop.shopper(), await shop.shopper()
    await ada.adds("lamp")
    await ada.waits(hours(1))
    await ben.adds("lamp")
    await ben.waits(hours(1) + minutes(1))

    assert (ada.received, ben.received) == (["note"], [])
    await ada.waits(hours(1))
    assert ben.received == ["note"]


async def test_a_provider_out_of_order_delays_a_message_and_loses_none(shop: Shop, shopper: Shopper) -> None:
    shop.email.fails(times=3)
    await shopper.buys("lamp")
    assert shopper.received == []
    await shopper.waits(minutes(10))

    assert shopper.received == ["receipt"]
    assert set(shop.email.calls.values()) == {4}


async def test_a_provider_away_for_days_is_given_up_at_the_messages_expiry(
    shop: Shop, shopper: Shopper
) -> None:
    shop.email.fails(times=None)
    await shopper.adds("lamp")
    await shopper.waits(days(5))

    assert [each.channel for each in shopper.received] == ["sms"]
    shop.email.recovers()
    await shopper.buys("lamp")
    assert shopper.received == ["offer", "receipt"]


async def test_a_lost_answer_is_unknown_and_the_message_is_never_sent_again(
    shop: Shop, shopper: Shopper
) -> None:
    shop.email.loses_the_answer()
    await shopper.adds("lamp")
    await shopper.waits(hours(3))

    assert [(each, each.status) for each in shopper.received] == [("reminder", "unknown")]
    assert set(shop.email.calls.values()) == {1}
    assert "the provider's answer was lost" in str(shopper.timeline)


async def test_a_refused_address_is_not_tried_again_and_another_channel_is(
    shop: Shop, shopper: Shopper
) -> None:
    shop.email.refuses(bounced=True)
    await shopper.adds("lamp")
    await shopper.waits(hours(2))

    assert [(each, each.channel) for each in shopper.received] == [("reminder", "sms")]
    assert set(shop.email.calls.values()) == {1}
    assert "tries to send email reminder: lamp" in str(shopper.timeline)


async def test_a_message_a_provider_refuses_is_withheld(shop: Shop, shopper: Shopper) -> None:
    shop.email.refuses(because="too long")
    await shopper.adds("lamp")
    await shopper.waits(hours(2))

    assert [(each, each.reason) for each in shopper.withheld] == [("reminder", "error")]
    assert shopper.received == []


async def test_what_was_done_before_the_login_is_theirs_after_it(shopper: Shopper) -> None:
    tablet = shopper.on_device("tablet")
    await tablet.adds("lamp")
    await tablet.waits(hours(2))
    assert (tablet.received, [each.reason for each in tablet.withheld]) == ([], ["no_address"])
    await tablet.logs_in()
    await tablet.buys("lamp")

    assert shopper.run_of("basket").outcome == "bought"
    assert shopper.received == ["receipt"]


@with_journeys(Tried)
@pytest.mark.parametrize(("arm", "received"), [("offer", ["note"]), ("control", [])])
async def test_a_person_of_either_arm_can_be_asked_for(shop: Shop, arm: str, received: list[str]) -> None:
    shopper = await shop.shopper(arms={"offer": arm})
    await shopper.adds("lamp")

    assert shopper.received == received


@with_journeys(Tried)
@pytest.mark.parametrize(
    ("arms", "said"),
    [
        ({"ofer": "control"}, "no journey here has an experiment 'ofer'; there are: offer"),
        ({"offer": "none"}, "no profile is in arm 'none' of 'offer'; there are: offer, control"),
    ],
)
async def test_an_arm_there_is_not_is_refused(shop: Shop, arms: dict[str, str], said: str) -> None:
    with pytest.raises(TellingFault, match=said):
        await shop.shopper(arms=arms)


@with_journeys(Measured)
@pytest.mark.parametrize("held_out", [False, True])
async def test_nobody_is_held_out_unless_it_is_asked_for(shop: Shop, held_out: bool) -> None:
    shopper = await shop.shopper(held_out=held_out)
    await shopper.adds("lamp")

    assert [each.reason for each in shopper.withheld] == (["holdout"] if held_out else [])


async def test_the_calendar_can_start_anywhere_ahead(shop: Shop) -> None:
    new_year = datetime(datetime.now(UTC).year + 2, 12, 31, 23, 30, tzinfo=ZoneInfo("Asia/Tokyo"))
    shopper = await shop(starts_at=new_year).shopper(timezone="Asia/Tokyo")
    await shopper.adds("lamp")
    await shopper.waits_until(time(1))

    assert shopper.timeline.when(shopper.received[0].at) == "day 2 00:30"


async def test_setting_up_a_shop_that_is_open_says_what_to_do(shop: Shop, shopper: Shopper) -> None:
    with pytest.raises(TellingFault, match="ask for the fixture `shop` alone"):
        shop(journeys=(Stars,))


async def test_an_instant_without_an_offset_is_refused(shop: Shop) -> None:
    with pytest.raises(TellingFault, match="starts_at needs an offset"):
        shop(starts_at=datetime(2030, 1, 1))  # noqa: DTZ001 - that is the mistake


@with_journeys(Raises)
async def test_a_story_that_raises_fails_the_test_with_its_own_error_at_once(shopper: Shopper) -> None:
    await shopper.views("chair")

    with pytest.raises(StoryFailed, match=r"(?s)raises cannot go on: KeyError: 'chair'.*stories\.py"):
        await shopper.waits(hours(2))


@with_journeys(Misspelt)
async def test_a_message_without_a_template_fails_the_test_and_names_those_there_are(
    shopper: Shopper,
) -> None:
    with pytest.raises(StoryFailed, match="no template 'noet'; did you mean 'note'"):
        await shopper.views("lamp")


async def test_no_key_of_a_provider_in_the_environment_makes_a_test_send(
    monkeypatch: pytest.MonkeyPatch, shop: Shop
) -> None:
    monkeypatch.setenv("SENDGRID_API_KEY", "SG.real")
    monkeypatch.setenv("EMAIL_FROM", "shop@example.com")
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", "AC" + "0" * 32)
    shopper = await shop.shopper()
    await shopper.buys("lamp")

    assert shopper.received == ["receipt"]
    assert [posted.channel for posted in shop.post] == ["email"]


async def test_a_timeline_tells_waits_and_reasons_by_the_shoppers_own_clock(shop: Shop) -> None:
    shopper = await shop.shopper(consents={"email": True}, timezone="America/New_York")
    await shopper.adds("lamp")
    await shopper.waits(hours(2))
    await shopper.clicks()

    told = [" ".join(line.split()) for line in str(shopper.timeline).splitlines()]
    assert told == [
        "Ada, by the clock of America/New_York",
        "day 1 06:00 shopper Identified",
        "day 1 06:00 shopper Product Added: lamp",
        "day 1 06:00 basket begins",
        "day 1 06:00 basket waits: quiet for 1 h, until 07:00",
        'day 1 07:00 basket sends email reminder: lamp "About Lamp"',
        "day 1 07:00 basket enters no ad audience left-behind: consent was never granted "
        "(no grant of marketing on ads on file)",
        "day 1 07:00 basket waits for Message Clicked of reminder, until day 2 07:00",
        "day 1 08:00 shopper Message Clicked: reminder (email)",
        "day 1 08:00 basket ends: engaged (the story was told to its end)",
    ]


AN_AUTHORS_TEST = """
from journeys.vocabulary import hours
from authoring.testing import Shopper

async def test_a_reminder(shopper: Shopper) -> None:
    await shopper.adds("lamp")
    await shopper.waits(hours(2))
    assert shopper.received == ["cart_reminder"]

async def test_that_fails(shopper: Shopper) -> None:
    await shopper.adds("lamp")
    await shopper.waits(hours(2))
    assert shopper.received == []
"""


@pytest.mark.timeout(200)
@pytest.mark.parametrize(("mode", "own_postgres"), [("strict", True), ("auto", False)])
def test_an_authors_own_folder_needs_one_line_and_a_failed_test_shows_its_timeline(
    tmp_path: Path, postgres: str, mode: str, own_postgres: bool
) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["authoring.testing.plugin"]\n')
    (tmp_path / "test_mine.py").write_text(AN_AUTHORS_TEST)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--asyncio-mode={mode}"],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "DATABASE_URL": "" if own_postgres else postgres,
        },
        capture_output=True,
        text=True,
        check=False,
    )

    assert "1 failed, 1 passed" in done.stdout, done.stdout
    assert "- timeline of Ada -" in done.stdout
    assert "day 1 13:00  cart-abandonment  sends email cart_reminder" in done.stdout
