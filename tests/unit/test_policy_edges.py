"""The checks of the gate at their edges, and what each of them says."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest

from policy.caps import reach, under_caps
from policy.consent import consented, not_opted_out
from policy.facts import (
    ConsentFact,
    Facts,
    Place,
    Plan,
    PlannedItem,
    SentFact,
    Shelved,
    Suppression,
    WaitingFact,
)
from policy.finding import CheckFunction
from policy.holdout import not_held_out
from policy.holds import nothing_holds
from policy.jurisdiction import Jurisdiction
from policy.kill_switch import not_switched_off
from policy.limits import Budget, Cap, Limits, Period, QuietHours, Scope
from policy.message_class import class_fits
from policy.priority import outranks, yields_to_nobody
from policy.provider import provider_takes_it
from policy.quiet_hours import in_open_hours, open_until
from policy.recipient import address_works, not_erased
from policy.relevance import items_left, not_expired, run_is_live
from policy.shelf import known
from policy.stop import Stop, StopKind
from policy.suppression import concerns, suppressed
from policy.undecided import undecided, unreadable
from policy.verdict import Channel, MessageClass, Reason
from policy.windows import Window, in_words, shared, since_midnight

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LAMP, CHAIR = PlannedItem("lamp", "lamp-red"), PlannedItem("chair", None)
OFFER = Plan(Channel.SMS, MessageClass.MARKETING, "offers", (LAMP,), NOW + DAY, "win-back", template="hello")
RECEIPT = Plan(Channel.SMS, MessageClass.TRANSACTIONAL, "transactional", None, NOW + DAY)
AD = replace(OFFER, channel=Channel.ADS)
MAIL = replace(OFFER, channel=Channel.EMAIL)
YES = Facts(consents=(ConsentFact("sms", "offers", granted=True), ConsentFact("all", "all", granted=True)))
NO = Facts(consents=(ConsentFact("sms", "offers", granted=False), ConsentFact("all", "all", granted=False)))
BOUGHT = replace(YES, suppressions=(Suppression("lamp", None, None),))
RESTING = replace(YES, breaker_open_until=NOW + 7 * MINUTE)
TEN = Limits(budgets={Channel.SMS: Budget(10)})

SAID: list[tuple[CheckFunction, Plan, Facts, Limits, str]] = [
    (not_switched_off, OFFER, YES, Limits(), "no kill switch"),
    (
        not_switched_off,
        OFFER,
        YES,
        Limits(kill_switches=("hello", "sms", "hello", "")),
        "kill switch on for hello, sms",
    ),
    (
        not_switched_off,
        OFFER,
        replace(YES, stopped=(Stop(StopKind.ALL, "all", NOW - HOUR), Stop(StopKind.CHANNEL, "sms", NOW))),
        Limits(),
        "everything is stopped since 2026-11-21 11:00+00:00, "
        "channel sms is stopped since 2026-11-21 12:00+00:00",
    ),
    (
        not_switched_off,
        replace(OFFER, expires_at=NOW),
        replace(YES, stopped=(Stop(StopKind.TEMPLATE, "hello", NOW),)),
        Limits(),
        "template hello is stopped since 2026-11-21 12:00+00:00, and the message has expired",
    ),
    (not_erased, OFFER, replace(YES, erased=True), Limits(), "the profile was erased"),
    (address_works, OFFER, replace(YES, has_address=False), Limits(), "no sms address on file"),
    (
        address_works,
        OFFER,
        replace(YES, address_problem="bounced"),
        Limits(),
        "the address bounced for good",
    ),
    (
        address_works,
        OFFER,
        replace(YES, address_problem="complained"),
        Limits(),
        "the person reported a message as spam",
    ),
    (
        address_works,
        OFFER,
        replace(YES, address_problem="fax"),
        Limits(),
        "the address has a problem of an unknown kind",
    ),
    (class_fits, RECEIPT, YES, Limits(), "transactional"),
    (
        class_fits,
        replace(OFFER, topic="transactional"),
        YES,
        Limits(),
        'marketing under the topic "transactional": give the template its own topic',
    ),
    (
        class_fits,
        replace(RECEIPT, promoting=(LAMP, CHAIR)),
        YES,
        Limits(),
        "transactional, but promotes 2 item(s): promote in a marketing template",
    ),
    (
        class_fits,
        replace(RECEIPT, channel=Channel.ADS),
        YES,
        Limits(),
        "transactional, but an ad: ads are marketing",
    ),
    (not_opted_out, OFFER, YES, Limits(), "no opt-out from all, marketing, offers"),
    (not_opted_out, RECEIPT, YES, Limits(), "no opt-out from transactional"),
    (
        not_opted_out,
        OFFER,
        replace(YES, opted_out=("all", "offers", "all", "news")),
        Limits(),
        "the address is opted out of all, offers",
    ),
    (
        not_opted_out,
        RECEIPT,
        replace(YES, opted_out=("transactional", "all")),
        Limits(),
        "the address is opted out of transactional, all",
    ),
    (not_opted_out, OFFER, NO, Limits(), "the person withdrew offers on sms, all on all"),
    (consented, RECEIPT, YES, Limits(), "transactional messages need no consent"),
    (consented, OFFER, YES, Limits(), "granted: offers on sms, all on all"),
    (consented, OFFER, NO, Limits(), "consent for offers on sms was withdrawn"),
    (consented, OFFER, Facts(), Limits(), "no grant of offers on sms on file"),
    (
        consented,
        MAIL,
        Facts(address_from_order=True),
        Limits(),
        "nothing on file, but the address came with an order or a checkout",
    ),
    (run_is_live, OFFER, replace(YES, run_state="ended"), Limits(), "the run is ended"),
    (not_expired, replace(OFFER, expires_at=NOW), YES, Limits(), "expired at 2026-11-21T12:00:00+00:00"),
    (items_left, RECEIPT, YES, Limits(), "promotes nothing"),
    (items_left, OFFER, YES, Limits(), "1 of 1 item(s) left"),
    (items_left, OFFER, BOUGHT, Limits(), "0 of 1 item(s) left: lamp suppressed"),
    (
        items_left,
        replace(OFFER, promoting=(LAMP, CHAIR, PlannedItem(None, None), PlannedItem("", ""))),
        replace(YES, out_of_stock=frozenset({"chair"})),
        Limits(),
        "1 of 4 item(s) left: chair out of stock, 2 without product or sku",
    ),
    (
        items_left,
        replace(OFFER, cart_id="c-1", promoting=(LAMP, CHAIR)),
        replace(YES, cart=(CHAIR,), out_of_stock=frozenset({"lamp"})),
        Limits(),
        "1 of 2 item(s) left: lamp not in the cart",
    ),
    (under_caps, RECEIPT, YES, Limits(), "transactional messages are not capped"),
    (under_caps, AD, YES, Limits(), "ads are not capped"),
    (under_caps, OFFER, YES, Limits(caps=()), "no cap"),
    (
        under_caps,
        OFFER,
        YES,
        Limits(caps=(Cap(3, HOUR, Channel.SMS, "win-back", "offers"), Cap(4, per=Period.DAY))),
        "0 of 3 on sms for win-back about offers in 1 hour; 0 of 4 on all channels today (since 00:00 UTC)",
    ),
    (under_caps, OFFER, YES, Limits(caps=(Cap(0, DAY),)), "cap reached: 0 of 0 on all channels in 1 day"),
    (yields_to_nobody, AD, YES, Limits(), "not capped, so it yields to nobody"),
    (
        yields_to_nobody,
        OFFER,
        replace(
            YES, waiting=(WaitingFact(Channel.PUSH, "news", "offers", NOW + HOUR, NOW + DAY, NOW - HOUR),)
        ),
        Limits(caps=(Cap(1, DAY, Channel.SMS),)),
        "nothing more important needs the slot; 1 waiting",
    ),
    (nothing_holds, OFFER, YES, Limits(), "nothing holds it"),
    (
        nothing_holds,
        RECEIPT,
        replace(YES, held=("a return",)),
        Limits(),
        "transactional messages are not held",
    ),
    (in_open_hours, MAIL, YES, Limits(), "no quiet hours on email"),
    (provider_takes_it, AD, YES, Limits(), "ads have no provider here"),
    (provider_takes_it, OFFER, YES, Limits(), "no budget on sms"),
    (
        provider_takes_it,
        OFFER,
        RESTING,
        Limits(),
        "the provider of sms failed over and over; left alone until 2026-11-21T12:07:00+00:00",
    ),
    (
        provider_takes_it,
        OFFER,
        replace(YES, claims_last_minute=9),
        TEN,
        "9 of 10 on sms in the last minute",
    ),
]


@pytest.mark.parametrize(
    ("check", "plan", "facts", "limits", "expected"),
    SAID,
    ids=[f"{row[0].__name__}: {row[4]}" for row in SAID],
)
def test_a_check_says_what_it_found(
    check: CheckFunction, plan: Plan, facts: Facts, limits: Limits, expected: str
) -> None:
    assert expected == check(plan, facts, limits, NOW).detail


def test_an_empty_name_switches_off_nothing() -> None:
    nameless = replace(OFFER, journey="", template="")

    assert not_switched_off(nameless, YES, Limits(kill_switches=("",)), NOW).reason is None


def test_of_two_stops_the_older_one_says_when_to_look_again() -> None:
    stops = (Stop(StopKind.ALL, "all", NOW - MINUTE), Stop(StopKind.CHANNEL, "sms", NOW - 6 * HOUR))

    assert not_switched_off(OFFER, replace(YES, stopped=stops), Limits(), NOW).until == NOW + 30 * MINUTE


def test_a_budget_without_a_count_asks_for_one() -> None:
    with pytest.raises(
        ValueError, match="expected the claims of the last minute on sms, got none: count them"
    ):
        provider_takes_it(OFFER, YES, TEN, NOW)


def test_somebody_whose_budget_is_spent_comes_back_at_the_same_instant() -> None:
    finding = provider_takes_it(OFFER, replace(YES, person="ada", claims_last_minute=10), TEN, NOW)

    # crc32 of "ada" is 12 modulo 60.
    assert (finding.reason, finding.until) == (Reason.PROVIDER_BUDGET, NOW + timedelta(seconds=72))


@pytest.mark.parametrize(
    ("clock", "expected"),
    [
        (time(8, 30, 15), timedelta(hours=8, minutes=30, seconds=15)),
        (time(23, 59, 59, 999_999), DAY - timedelta(microseconds=1)),
        (time(), timedelta()),
    ],
)
def test_a_clock_shows_so_much_since_midnight(clock: time, expected: timedelta) -> None:
    assert expected == since_midnight(clock)


def test_a_window_that_closes_at_midnight_lasts_to_the_end_of_the_day() -> None:
    assert Window(time(20), time()).span == (20 * HOUR, DAY)
    assert Window(time(), time()).span == (timedelta(), DAY)


@pytest.mark.parametrize(
    ("opens", "closes", "said"),
    [
        (
            time(8),
            time(8),
            "expected a window that ends after it begins, got 08:00:00 to 08:00:00; write one",
        ),
        (
            time(22),
            time(6),
            "expected a window that ends after it begins, got 22:00:00 to 06:00:00; write one",
        ),
        (time(8, tzinfo=UTC), time(9), "expected local times without an offset, got 08:00:00"),
        (time(8), time(9, tzinfo=UTC), "expected local times without an offset, got 08:00:00"),
    ],
)
def test_a_window_that_is_none_is_refused(opens: time, closes: time, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Window(opens, closes)


def test_what_every_rule_leaves_open_has_no_empty_windows() -> None:
    morning, noon, evening = (8 * HOUR, 12 * HOUR), (12 * HOUR, 14 * HOUR), (18 * HOUR, 20 * HOUR)

    assert shared([(evening, morning), ((timedelta(), DAY),)]) == (morning, evening)
    assert shared([(morning,), (noon,)]) == ()
    assert shared([(morning, noon), ((11 * HOUR, 13 * HOUR),)]) == (
        (11 * HOUR, 12 * HOUR),
        (12 * HOUR, 13 * HOUR),
    )
    assert shared([]) == ((timedelta(), DAY),)


def test_windows_are_said_in_words() -> None:
    day, morning = (timedelta(), DAY), (8 * HOUR, 12 * HOUR + 59 * MINUTE)

    assert in_words((day,)) == "all day"
    assert in_words(()) == "not at all"
    assert in_words((morning, (13 * HOUR, DAY))) == "08:00 to 12:59 and 13:00 to 24:00"


def test_a_unit_s_own_bundle_goes_before_the_product_s() -> None:
    shelf = (
        Shelved("set", "2", bundle=("b",)),
        Shelved("set", None, bundle=("a",)),
        Shelved("set", "1", bundle=("c",)),
        Shelved("set", "9"),
    )

    assert known(PlannedItem("set", "1"), shelf).parts == ("c",)
    assert known(PlannedItem("set", "9"), shelf).parts == ("a",)
    assert known(PlannedItem("set", None), shelf).parts == ("a",)
    assert known(PlannedItem("set", "3"), (shelf[0], shelf[2])).parts == ("c",)


def test_what_nobody_told_of_an_item_is_not_known() -> None:
    lamp = known(PlannedItem("lamp", None, " Lights ", " "), (Shelved("lamp"), Shelved("rug", "r")))
    nameless = known(PlannedItem(None, "u"), (Shelved("lamp"), Shelved("", "u")))

    assert (lamp.products, lamp.variants) == (frozenset({"lamp"}), frozenset())
    assert (lamp.categories, lamp.groups) == (frozenset({"lights"}), frozenset())
    assert (nameless.products, nameless.variants) == (frozenset(), frozenset({"u"}))


def test_a_bundle_bought_whole_says_so() -> None:
    shelf = (Shelved("set", bundle=("a", "b", "a")),)
    rows = (Suppression("a", None, None), Suppression("c", None, None, parts=("b",)))

    assert suppressed((PlannedItem("set", None),), rows, NOW, shelf) == {"set": "every part of it was bought"}


@pytest.mark.parametrize(
    ("caps", "expected"),
    [
        ((), timedelta()),
        ((Cap(1, HOUR), Cap(1, DAY)), DAY),
        ((Cap(1, per=Period.DAY),), 2 * DAY),
        ((Cap(1, per=Period.WEEK),), 8 * DAY),
        ((Cap(1, per=Period.MONTH),), 32 * DAY),
    ],
)
def test_sent_messages_are_read_as_far_back_as_any_cap_reaches(
    caps: tuple[Cap, ...], expected: timedelta
) -> None:
    assert expected == reach(Limits(caps=caps))


def test_what_cannot_be_decided_says_why_and_whether_it_has_expired() -> None:
    soon, over = undecided(NOW + DAY, NOW, "odd"), undecided(NOW, NOW, "odd")
    verdict = unreadable(NOW, NOW, KeyError("fax"))

    assert (soon.reason, soon.until, soon.detail) == (Reason.ERROR, NOW + MINUTE, "odd")
    assert (over.reason, over.until, over.detail) == (Reason.ERROR, None, "odd; the message has expired")
    assert verdict.detail == "the facts cannot be read (KeyError); the message has expired"
    assert [(check.name, check.passed, check.detail) for check in verdict.checks] == [
        ("facts", False, verdict.detail)
    ]


def test_only_a_bundle_that_is_kept_and_was_bought_in_part_lately_is_said_to_be_so() -> None:
    shelf = (Shelved("set", bundle=("cup", "pot")), Shelved("box", bundle=("cup", "lid")), Shelved("mug"))
    plan = replace(OFFER, promoting=tuple(PlannedItem(name, None) for name in ("set", "box", "mug")))
    facts = replace(
        YES,
        shelf=shelf,
        out_of_stock=frozenset({"box"}),
        suppressions=(Suppression("cup", None, None), Suppression("pot", None, NOW)),
    )

    assert items_left(plan, facts, Limits(), NOW).detail == (
        "2 of 3 item(s) left: box out of stock, set kept: 1 of its 2 parts bought"
    )


def test_of_several_reasons_that_it_was_bought_itself_is_told_else_the_shortest() -> None:
    item = PlannedItem("cup", None, group="blue")
    group = Suppression("pot", None, None, scope=Scope.GROUP, of="blue")
    part = Suppression("everything-for-the-table", None, None, parts=("cup",))

    assert suppressed((item,), (part, group), NOW) == {"cup": "of the group blue, of which pot was bought"}
    assert suppressed((item,), (part, Suppression("cup", None, None), group), NOW) == {"cup": ""}


def test_a_part_without_a_name_was_not_bought() -> None:
    shelf = (Shelved("set", bundle=("cup", "")),)

    assert suppressed((PlannedItem("set", None),), (Suppression("cup", "", None),), NOW, shelf) == {}


def test_an_empty_name_is_not_an_empty_part() -> None:
    row = Suppression("set", None, None, parts=("",))

    assert not concerns(row, PlannedItem("cup", ""))


def test_of_scope_variant_the_unit_counts_however_it_is_told() -> None:
    by_sku = Suppression("shirt", "red", None, scope=Scope.VARIANT)
    by_unit_alone = Suppression("red", "red", None, scope=Scope.VARIANT)
    whole = PlannedItem("shirt", None)

    assert concerns(by_sku, PlannedItem("shirt", "red"))
    assert not concerns(by_sku, PlannedItem("shirt", "blue"))
    assert concerns(by_unit_alone, whole, (Shelved("shirt", "red"),))
    assert not concerns(by_unit_alone, whole, (Shelved("shirt", "blue"),))


@pytest.mark.parametrize(
    ("caps", "expected"),
    [
        (
            (Cap(1, DAY, Channel.SMS), Cap(1, 2 * DAY)),
            "cap reached: 1 of 1 on sms in 1 day; 1 of 1 on all channels in 2 days; "
            "fits at 2026-11-23T11:00:00+00:00 at the earliest",
        ),
        (
            (Cap(0, DAY, Channel.SMS), Cap(1, 2 * DAY)),
            "cap reached: 1 of 0 on sms in 1 day; 1 of 1 on all channels in 2 days",
        ),
    ],
    ids=["it fits when it fits under both", "under a cap of none never"],
)
def test_every_cap_that_is_full_is_told(caps: tuple[Cap, ...], expected: str) -> None:
    facts = replace(YES, sent=(SentFact(Channel.SMS, NOW - HOUR),))

    assert expected == under_caps(OFFER, facts, Limits(caps=caps), NOW).detail


def waiting(journey: str, message_id: str = "m-1") -> WaitingFact:
    return WaitingFact(
        Channel.SMS, journey, "offers", NOW + HOUR, NOW + DAY, NOW - HOUR, message_id=message_id
    )


def test_every_cap_that_is_tight_and_every_journey_that_goes_first_is_told() -> None:
    limits = Limits(
        caps=(Cap(1, DAY, Channel.SMS), Cap(2, 2 * DAY)), priorities={"cart": 2, "browse": 1, "win-back": 0}
    )
    facts = replace(YES, waiting=(waiting("cart"), waiting("browse", "m-2"), waiting("cart", "m-3")))

    assert yields_to_nobody(OFFER, facts, limits, NOW).detail.startswith(
        "the slot left of 1 on sms in 1 day: 3 of cart, browse waiting go first; "
        "the 2 slots left of 2 on all channels in 2 days: 3 of cart, browse waiting go first; fits at "
    )


def test_nobody_is_yielded_to_where_the_cap_is_full() -> None:
    limits = Limits(caps=(Cap(1, DAY),), priorities={"cart": 1})
    facts = replace(YES, sent=(SentFact(Channel.SMS, NOW - HOUR),), waiting=(waiting("cart"),))

    assert yields_to_nobody(OFFER, facts, limits, NOW).reason is None


def test_no_message_outranks_itself() -> None:
    itself = waiting("win-back")
    plan = replace(OFFER, since=itself.since, message_id="m-1")

    assert not outranks(itself, plan, Limits())
    assert outranks(itself, replace(plan, message_id="m-2"), Limits())
    assert not outranks(itself, replace(plan, message_id="m-0"), Limits())


def test_a_receipt_is_never_held_out() -> None:
    finding = not_held_out(RECEIPT, YES, Limits(holdout=100), NOW)

    assert (finding.reason, finding.detail) == (None, "transactional messages reach everybody")


def test_what_is_deferred_as_unreadable_is_on_record_too() -> None:
    verdict = unreadable(NOW + DAY, NOW, KeyError("fax"))

    assert [check.name for check in verdict.checks] == ["facts"]


def test_a_window_of_seconds_is_not_slept_through() -> None:
    limits = Limits(quiet_hours={Channel.SMS: QuietHours(time(13), time(13, 0, 3))})
    finding = in_open_hours(replace(OFFER, key="run-1/offer"), YES, limits, NOW)

    assert (finding.reason, finding.until) == (Reason.QUIET_HOURS, NOW + HOUR)


def test_where_no_hours_govern_a_message_may_arrive_until_it_expires() -> None:
    assert open_until(MAIL, YES, Limits(), NOW) == MAIL.expires_at


@pytest.mark.parametrize(
    ("zones", "expected"),
    [
        (("UTC",), "12:00 in UTC (from phone), open 08:00 to 21:00"),
        (
            ("UTC", "Europe/Paris"),
            "12:00 in UTC and 1 other zones of the country (from phone), open 08:00 to 21:00",
        ),
        (
            ("UTC", "Europe/Paris", "Europe/Rome"),
            "12:00 in UTC and 2 other zones of the country (from phone), open 08:00 to 21:00",
        ),
    ],
)
def test_it_is_said_how_many_other_zones_somebody_may_live_in(zones: tuple[str, ...], expected: str) -> None:
    facts = replace(YES, zones=zones, zone_source="phone")

    assert expected == in_open_hours(OFFER, facts, Limits(), NOW).detail


def test_the_holidays_of_two_places_are_both_named() -> None:
    christmas = NOW.replace(month=12, day=25)
    limits = Limits(
        jurisdictions={
            "DE": Jurisdiction((Window(time(8), time(20)),), holidays=(), days=(christmas.date(),)),
            "FR": Jurisdiction((Window(time(8), time(20)),), holidays=(), calendar="FR"),
        }
    )
    facts = replace(YES, places=(Place("DE", source="the address"), Place("FR", source="the phone number")))

    said = in_open_hours(replace(OFFER, expires_at=christmas + DAY), facts, limits, christmas).detail

    assert "closed on Friday (" in said
    assert " and a public holiday)" in said
