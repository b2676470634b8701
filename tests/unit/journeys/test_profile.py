"""The profile a story sees: declared traits only, defaults where they do not fit, and what was bought."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from activities.contracts import ProfileSnapshot, PurchasedItem
from journeys.vocabulary import EMAIL, Profile
from policy.verdict import Channel

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)

DAY = timedelta(days=1)


class Member(Profile):
    plan: str = "none"
    visits: int = 0
    born: datetime | None = None


class GoldMember(Member):
    points: int = 0


def read(**known: Any) -> ProfileSnapshot:
    return ProfileSnapshot.model_validate({"at": NOW, **known})


def test_what_is_asked_for_is_what_the_class_declares_and_nothing_else() -> None:
    assert Profile.declared() == ()
    assert Member.declared() == ("plan", "visits", "born")
    assert GoldMember.declared() == ("plan", "visits", "born", "points")


def test_traits_become_fields_of_their_type() -> None:
    profile, unfit = Member.read_from(read(traits={"plan": "gold", "visits": "7"}))

    assert isinstance(profile, Member)
    assert (profile.plan, profile.visits, profile.born, unfit) == ("gold", 7, None, ())


def test_a_trait_that_does_not_fit_has_its_default_and_is_named() -> None:
    profile, unfit = Member.read_from(read(traits={"plan": "gold", "visits": "many", "born": [1]}))

    assert isinstance(profile, Member)
    assert (profile.plan, profile.visits, profile.born) == ("gold", 0, None)
    assert unfit == ("visits", "born")


def test_a_trait_that_is_missing_has_its_default_and_is_no_fault() -> None:
    profile, unfit = Member.read_from(read())

    assert (profile.model_dump(include={"plan", "visits"}), unfit) == ({"plan": "none", "visits": 0}, ())


def test_a_trait_cannot_pose_as_what_the_profile_knows_itself() -> None:
    profile, _ = Member.read_from(read(orders=2, traits={"orders": 99, "zone": "Mars/Base", "plan": "gold"}))

    assert (profile.orders, profile.zone) == (2, "UTC")


def test_what_every_person_has_is_kept() -> None:
    told = read(
        zone="Asia/Tokyo",
        orders=3,
        spent=99.5,
        reachable=("email",),
        granted=(),
        refused=("sms",),
        engaged_at={"email": NOW - DAY},
    )
    profile, _ = GoldMember.read_from(told)

    assert (profile.zone, profile.orders, profile.spent) == ("Asia/Tokyo", 3, 99.5)
    assert (profile.reachable, profile.refused) == ((EMAIL,), (Channel.SMS,))
    assert profile.engaged_at == {EMAIL: NOW - DAY}


@pytest.mark.parametrize("name", ["email", "phone", "name", "first_name", "last_name", "address", "birthday"])
def test_what_names_a_person_cannot_be_declared(name: str) -> None:
    with pytest.raises(TypeError, match=rf"Nosy\.{name}: a story may not read it.*ids, not people"):
        type("Nosy", (Profile,), {"__annotations__": {name: str}, name: "", "__module__": __name__})


def test_a_trait_needs_a_default() -> None:
    with pytest.raises(TypeError, match=r"Strict\.plan needs a default, for profiles without plan"):
        type("Strict", (Profile,), {"__annotations__": {"plan": str}, "__module__": __name__})


def bought(item: str, ago: timedelta, quantity: int = 1) -> PurchasedItem:
    return PurchasedItem(item=item, at=NOW - ago, quantity=quantity)


SHELF = Profile(at=NOW, purchases=(bought("lamp", DAY), bought("lamp", 9 * DAY), bought("desk", 3 * DAY, 0)))


@pytest.mark.parametrize(
    ("item", "within", "expected"),
    [
        pytest.param("lamp", None, DAY, id="the latest one"),
        pytest.param("lamp", DAY, DAY, id="just within"),
        pytest.param("lamp", DAY / 2, None, id="longer ago"),
        pytest.param("desk", None, None, id="given back"),
        pytest.param("sofa", None, None, id="never bought"),
    ],
)
def test_bought_finds_the_latest_purchase_that_was_kept(
    item: str, within: timedelta | None, expected: timedelta | None
) -> None:
    found = SHELF.bought(item, within=within)

    assert (None if found is None else NOW - found.at) == expected


def test_rhythm_is_told_as_lengths_of_time() -> None:
    known = Profile(at=NOW, median_gap_days=10.5, last_order_at=NOW - 3 * DAY)

    assert (known.median_gap, known.since_last_order) == (10.5 * DAY, 3 * DAY)
    assert (Profile(at=NOW).median_gap, Profile(at=NOW).since_last_order) == (None, None)
