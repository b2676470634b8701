"""What a decision stood on is kept without loss, and deciding on it again gives the same verdict."""

import json
from dataclasses import MISSING, fields, replace
from datetime import UTC, datetime, time, timedelta
from hashlib import sha256
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.config.codec import decode_value, encode_value
from policy.config.policy_file import read_policy
from policy.facts import Facts, Plan, PlannedItem, SentFact
from policy.gate import decide
from policy.hours.jurisdictions import Jurisdiction
from policy.hours.windows import QuietHours, Window
from policy.limits import Cap, Limits
from policy.replay import decision_inputs, limits_from_json, limits_to_json, policy_version, redecide
from policy.verdict import Channel, MessageClass
from tests.support.generators.gate_inputs import FACTS, LIMITS, NOW, PLANS

WINDOWS = st.none() | st.timedeltas(min_value=timedelta(microseconds=1))

ANY_LIMITS = st.builds(
    lambda limits, window: replace(limits, suppression_window=window), LIMITS, WINDOWS
) | st.builds(lambda holdout: Limits(holdout=holdout), st.floats(0, 100))

ANY_PLANS = PLANS | st.builds(Plan, holdout=st.floats(0, 100))

ANY_FACTS = FACTS | st.builds(Facts)
"""Beside facts as they come, anything that the declared types allow, in fields that come later too."""

PLAN = Plan(Channel.EMAIL, MessageClass.MARKETING, "marketing", None, NOW + timedelta(days=1))


def stored(value: Any) -> Any:
    """As it comes back from a column of JSON."""
    return json.loads(json.dumps(value))


@settings(max_examples=100, deadline=None)
@given(ANY_PLANS, ANY_FACTS)
def test_plans_and_facts_come_back_as_they_were(plan: Plan, facts: Facts) -> None:
    assert plan == decode_value(Plan, stored(encode_value(plan)))
    assert facts == decode_value(Facts, stored(encode_value(facts)))


@settings(max_examples=100, deadline=None)
@given(ANY_LIMITS)
def test_limits_come_back_as_they_were_and_under_the_same_version(limits: Limits) -> None:
    back = limits_from_json(stored(limits_to_json(limits)))

    assert limits == back
    assert policy_version(limits) == policy_version(back)


@settings(max_examples=100, deadline=None)
@given(PLANS, FACTS, LIMITS)
def test_a_decision_made_again_comes_out_the_same(plan: Plan, facts: Facts, limits: Limits) -> None:
    first = decide(plan, facts, limits, NOW)
    again = redecide(
        stored(decision_inputs(plan, facts, NOW)), limits_from_json(stored(limits_to_json(limits)))
    )

    assert first == again
    assert first.checks == again.checks


def test_a_basis_leaves_out_what_is_at_its_default() -> None:
    basis = decision_inputs(PLAN, Facts(sent=(SentFact(Channel.SMS, NOW),)), NOW)

    assert basis == {
        "plan": {
            "channel": "email",
            "message_class": "marketing",
            "topic": "marketing",
            "promoting": None,
            "expires_at": "2026-11-22T12:00:00+00:00",
        },
        "facts": {"sent": [{"channel": "sms", "at": "2026-11-21T12:00:00+00:00"}]},
        "at": "2026-11-21T12:00:00+00:00",
    }


def test_the_limits_that_are_kept_leave_nothing_to_the_defaults_of_later_code() -> None:
    kept = limits_to_json(Limits())

    assert set(kept) == {field.name for field in fields(Limits)}
    assert set(kept["caps"][2]) == {field.name for field in fields(Cap)}


@pytest.mark.parametrize("kind", [Facts, Limits])
def test_what_older_or_newer_code_recorded_still_decodes(kind: type) -> None:
    assert kind() == decode_value(kind, {})
    assert kind() == decode_value(kind, {"of_another_time": [1]})
    assert all(field.default is not MISSING or field.default_factory is not MISSING for field in fields(kind))


@pytest.mark.parametrize("basis", [{}, {"plan": {}, "facts": {}, "at": "x"}, {"plan": None, "facts": {}}])
def test_what_is_no_basis_is_refused(basis: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        redecide(basis, Limits())


def test_a_version_is_twelve_hex_digits_and_the_same_however_the_values_were_set() -> None:
    coded = Limits(holdout=cast(float, 10), quiet_hours=dict(reversed(Limits().quiet_hours.items())))
    read = read_policy('holdout = 10.0\n[quiet_hours.push]\nopens = "08:00"').limits

    assert policy_version(coded) == policy_version(read)
    assert len(policy_version(read)) == 12
    assert int(policy_version(read), 16)


@pytest.mark.parametrize(
    "changed",
    [
        Limits(suppression_window=None),
        Limits(holdout=0.001),
        Limits(kill_switches=("all",)),
        Limits(caps=(*Limits().caps[:2], Cap(5, timedelta(days=7), Channel.PUSH))),
        Limits(quiet_hours={**Limits().quiet_hours, Channel.PUSH: QuietHours(time(8), time(21, 1))}),
    ],
)
def test_every_other_value_has_another_version(changed: Limits) -> None:
    assert policy_version(Limits()) != policy_version(changed)


def test_a_type_that_no_fact_is_made_of_is_refused() -> None:
    with pytest.raises(TypeError, match="expected plain values and dataclasses of them, got object"):
        encode_value(object())


def test_an_instant_keeps_its_offset_and_its_microseconds() -> None:
    at = datetime(2026, 11, 21, 12, 0, 0, 7, tzinfo=UTC)

    assert at == decode_value(datetime, encode_value(at))
    assert PlannedItem("p", None) == decode_value(PlannedItem, {"product_id": "p", "sku": None})


def test_one_decision_is_made_again_from_its_json() -> None:
    plan = replace(PLAN, promoting=(PlannedItem("lamp", "lamp-red"),), key="r-1/s", template="hello")
    facts = Facts(person="p-1", address_from_order=True, sent=(SentFact(Channel.EMAIL, NOW),))
    kept = json.loads(json.dumps(decision_inputs(plan, facts, NOW)))

    again = redecide(kept, Limits())

    assert again == decide(plan, facts, Limits(), NOW)
    assert again.checks == decide(plan, facts, Limits(), NOW).checks


@pytest.mark.parametrize("missing", ["plan", "facts", "at"])
def test_what_is_no_basis_is_refused_with_what_there_is(missing: str) -> None:
    kept = decision_inputs(PLAN, Facts(), NOW)
    del kept[missing]

    with pytest.raises(ValueError, match=f"^expected a basis of plan, facts and at, got {', '.join(kept)}$"):
        redecide(kept, Limits())


def test_limits_come_back_from_their_json_and_a_version_is_the_digest_of_it() -> None:
    limits = Limits(
        caps=(Cap(3, timedelta(hours=5), Channel.EMAIL),),
        priorities={"win-back": 2},
        quiet_hours={Channel.SMS: QuietHours(time(9), time(20))},
        jurisdictions={"FR": Jurisdiction((Window(time(10), time(13)),), name="France")},
    )
    kept = json.loads(json.dumps(limits_to_json(limits)))
    canonical = json.dumps(kept, sort_keys=True, separators=(",", ":"))

    assert limits == limits_from_json(kept)
    assert kept["jurisdictions"]["FR"].keys() == {one.name for one in fields(Jurisdiction)}
    assert policy_version(limits) == sha256(canonical.encode()).hexdigest()[:12]
