"""The order of the gate's checks: the first one that fails decides, with each reason of the closed list."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from policy.facts import ConsentFact, Facts, Plan, PlannedItem, SentFact, Suppression, WaitingFact
from policy.gate import CHECKS, decide
from policy.limits import Limits
from policy.verdict import Allow, Channel, Defer, MessageClass, Reason, Withhold
from tests.support.builders.gate import DAY, NOW

NIGHT = datetime(2026, 11, 21, 22, tzinfo=UTC)

ITEMS = (PlannedItem("lamp", "lamp-red"), PlannedItem("chair", None))

SMS = Plan(Channel.SMS, MessageClass.MARKETING, "marketing", ITEMS, NOW + 3 * DAY, "cart-abandonment")

AGAIN = SentFact(Channel.SMS, NIGHT, template="reminder", items=("lamp", "chair"))

YES = (ConsentFact("all", "all", granted=True),)

HOPELESS = Facts(
    run_state="ended",
    erased=True,
    has_address=False,
    address_problem="complained",
    opted_out=("all",),
    suppressions=(Suppression("lamp", None, None), Suppression("chair", None, None)),
    out_of_stock=frozenset({"lamp", "chair"}),
    sent=(AGAIN,),
    waiting=(WaitingFact(Channel.SMS, "win-back", "marketing", NIGHT, NIGHT + DAY, NIGHT),) * 5,
    held=("a support ticket 7",),
    zone="Ada's flat",
    breaker_open_until=NIGHT + DAY,
)

HOPELESSLY = replace(SMS, template="reminder", topic="transactional", expires_at=NOW, holdout=100)

REPAIRS: list[tuple[Reason, Callable[[Plan, Facts, Limits], tuple[Plan, Facts, Limits]]]] = [
    (Reason.KILL_SWITCH, lambda p, f, s: (p, f, Limits())),
    (Reason.ERASED, lambda p, f, s: (p, replace(f, erased=False), s)),
    (Reason.CONTENT, lambda p, f, s: (replace(p, topic="marketing"), f, s)),
    (Reason.NO_ADDRESS, lambda p, f, s: (p, replace(f, has_address=True), s)),
    (Reason.COMPLAINED, lambda p, f, s: (p, replace(f, address_problem="bounced"), s)),
    (Reason.BOUNCED, lambda p, f, s: (p, replace(f, address_problem=None), s)),
    (Reason.OPTED_OUT, lambda p, f, s: (p, replace(f, opted_out=()), s)),
    (Reason.NO_CONSENT, lambda p, f, s: (p, replace(f, consents=YES), s)),
    (Reason.RUN_ENDED, lambda p, f, s: (p, replace(f, run_state="running"), s)),
    (Reason.EXPIRED, lambda p, f, s: (replace(p, expires_at=NIGHT + DAY), f, s)),
    (Reason.PURCHASED, lambda p, f, s: (p, replace(f, suppressions=()), s)),
    (Reason.OUT_OF_STOCK, lambda p, f, s: (p, replace(f, out_of_stock=frozenset()), s)),
    (Reason.HOLDOUT, lambda p, f, s: (replace(p, holdout=0), f, s)),
    (Reason.DUPLICATE, lambda p, f, s: (p, replace(f, sent=(replace(AGAIN, items=("lamp",)),)), s)),
    (Reason.CAPPED, lambda p, f, s: (p, replace(f, sent=()), s)),
    (Reason.LOWER_PRIORITY, lambda p, f, s: (p, replace(f, waiting=()), s)),
    (Reason.LOWER_PRIORITY, lambda p, f, s: (p, replace(f, held=()), s)),
    (Reason.ERROR, lambda p, f, s: (p, replace(f, zone="UTC"), s)),
    (Reason.QUIET_HOURS, lambda p, f, s: (p, replace(f, zone="Pacific/Auckland"), s)),
    (Reason.PROVIDER_BUDGET, lambda p, f, s: (p, replace(f, breaker_open_until=None), s)),
]


def test_the_first_failing_check_in_the_order_of_the_design_decides() -> None:
    state = (HOPELESSLY, HOPELESS, Limits(kill_switches=("all",)))

    for reason, repair in REPAIRS:
        verdict = decide(*state, NIGHT)
        assert isinstance(verdict, Withhold | Defer)
        assert reason is verdict.reason
        state = repair(*state)

    assert isinstance(decide(*state, NIGHT), Allow)


def test_every_reason_is_reached() -> None:
    assert set(Reason) == {reason for reason, _ in REPAIRS}


def test_every_check_is_recorded_in_order_whatever_the_others_say() -> None:
    verdict = decide(HOPELESSLY, HOPELESS, Limits(kill_switches=("all",)), NIGHT)

    assert [name for name, _ in CHECKS] == [check.name for check in verdict.checks]
    # With nothing left to promote there is nothing that could be said again.
    assert [check.name for check in verdict.checks if check.passed] == ["duplicate"]
    assert all(check.detail for check in verdict.checks)
