"""Invariant 7: strangers are never blended. Each guard, and what its absence would do."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from profiles.db.database import Database
from profiles.identity import component, identifiers
from profiles.identity.graph import IdentityGraph, Link, resolve_graph
from profiles.identity.identifiers import DEFAULT_IDENTITY_RULES, IDENTIFIER_TYPES
from profiles.merging.unmerge import cut_identifiers
from tests.facts import LAMP, Facts, order
from tests.who_is_who import of_kind, people_in, quarantined_in

ADA = "ada@example.com"
PLACEHOLDERS = ("null", "undefined", "0000", "guest", "test@test.com", "-1", "N/A")


def known_by(kind: str, value: str) -> dict[str, str]:
    """What a door makes of an identifier: nothing, where the value identifies nobody."""
    try:
        return {kind: identifiers.normalize_identifier(kind, value)}
    except ValueError:
        return {}


async def claims(
    facts: Facts, name: str = "Seen", properties: dict[str, Any] | None = None, **who: str
) -> None:
    """Somebody with a public key says who somebody is."""
    await facts.ingest([replace(facts.event(name, properties, **who), verified=False)])


def without(monkeypatch: pytest.MonkeyPatch, **changed: Any) -> None:
    """Take a rule out."""
    rules = replace(DEFAULT_IDENTITY_RULES, **changed)
    monkeypatch.setattr(component, "resolve", lambda links, **how: resolve_graph(links, rules=rules, **how))


async def strangers_with_placeholders(facts: Facts) -> int:
    """Two people whose channels send the same placeholder; how many profiles that makes."""
    for value in PLACEHOLDERS:
        for n in (1, 2):
            kind = "email" if "@" in value else "user_id"
            event = facts.event("Product Viewed", LAMP, anonymous_id=f"{value.encode().hex()}-{n}")
            named = (*event.identifiers, *known_by(kind, value).items())
            await facts.ingest([replace(event, identifiers=named)])
    return len(await people_in(facts.database))


async def test_invariant_7_placeholder_values_never_make_two_people_one(database: Database) -> None:
    assert await strangers_with_placeholders(Facts(database)) == 2 * len(PLACEHOLDERS)


async def test_invariant_7_without_the_list_of_placeholders_strangers_would_be_blended(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Teeth."""
    monkeypatch.setattr(identifiers, "is_placeholder", lambda _: False)
    identifiers._normalize_stripped.cache_clear()
    try:
        assert await strangers_with_placeholders(Facts(database)) < 2 * len(PLACEHOLDERS)
    finally:
        identifiers._normalize_stripped.cache_clear()


async def siblings(facts: Facts) -> None:
    """Two accounts with one mail address, a purchase each."""
    for n in (1, 2):
        await facts.happens("Signed Up", user_id=f"u-{n}", email=ADA)
        await facts.happens("Order Completed", order(LAMP | {"product_id": f"p-{n}"}), user_id=f"u-{n}")


async def test_invariant_7_two_accounts_are_two_people_whatever_they_share(database: Database) -> None:
    facts = Facts(database)
    await siblings(facts)

    assert sorted(of_kind(one, "user_id") for one in await people_in(database)) == [["u-1"], ["u-2"]]
    assert await facts.suppressed("user_id", "u-2") == ["p-2"]
    assert await facts.values("SELECT DISTINCT detail LIKE '%more than 1 user_id%' FROM identity_log "
                              "WHERE kind = 'demoted'") == [True]  # fmt: skip


async def test_invariant_7_without_the_limit_two_accounts_would_be_blended(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Teeth."""
    without(monkeypatch, limits={})
    facts = Facts(database)
    await siblings(facts)

    assert len(await people_in(database)) == 1
    assert await facts.suppressed("user_id", "u-2") == ["p-1", "p-2"]


SPELLED: dict[str, Callable[[int], str]] = {
    "loyalty_id": "L-{}".format,
    "email": "u{}@x.org".format,
    "phone": "+49151123456{:02}".format,
    "push_token": "token-{}".format,
    "anonymous_id": "a-{}".format,
}


@pytest.mark.parametrize("kind", SPELLED)
@pytest.mark.parametrize("slowly", [False, True], ids=["at once", "over time"])
async def test_invariant_7_one_person_has_so_many_of_a_type_and_no_more_within_its_window(
    database: Database, kind: str, slowly: bool
) -> None:
    facts = Facts(database)
    most, within = DEFAULT_IDENTITY_RULES.limits[kind].max_values, DEFAULT_IDENTITY_RULES.limits[kind].period
    assert within is not None
    span = within / (most if slowly else 10_000)
    for n in range(most + 2):
        named = {kind: SPELLED[kind](n)}
        await facts.happens("Signed In", user_id="u-1", ago=span * (most + 2 - n), **named)
    [ada] = [one for one in await people_in(database) if "user_id:u-1" in one]

    assert len(of_kind(ada, kind)) == (most + 2 if slowly else most)


async def on_one_device(facts: Facts) -> None:
    """Two people who each came by one browser, and one of them bought."""
    await facts.happens("Signed In", email=ADA, anonymous_id="browser")
    await facts.happens("Order Completed", order(LAMP), email=ADA)
    await facts.happens("Signed In", phone="+4915112345678", anonymous_id="browser")


async def test_invariant_7_what_names_a_device_never_joins_two_people(database: Database) -> None:
    facts = Facts(database)
    await on_one_device(facts)

    assert await facts.who("email", ADA) != await facts.who("phone", "+4915112345678")
    assert await facts.suppressed("phone", "+4915112345678") == []


async def test_invariant_7_if_weak_identifiers_counted_as_strong_two_people_would_be_blended(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Teeth."""
    without(monkeypatch, strong=frozenset(IDENTIFIER_TYPES))
    facts = Facts(database)
    await on_one_device(facts)

    assert await facts.suppressed("phone", "+4915112345678") == ["lamp"]


async def at_the_till(facts: Facts) -> None:
    """Six people log in at one till, and somebody who did not buys there."""
    for n in range(6):
        await facts.happens("Signed In", user_id=f"u-{n}", anonymous_id="till")
    await facts.happens("Order Completed", order(LAMP), anonymous_id="till")


async def test_invariant_7_what_many_people_share_is_nobodys(database: Database) -> None:
    facts = Facts(database)
    await at_the_till(facts)

    assert await quarantined_in(database) == {"anonymous_id:till"}
    assert len(await people_in(database)) == 7
    assert await facts.values("SELECT count(*) FROM purchase") == [0]
    assert [await facts.suppressed("user_id", f"u-{n}") for n in range(6)] == [[]] * 6
    [problem] = await facts.values(
        "SELECT problems -> 0 ->> 'detail' FROM event WHERE type = 'Order Completed' AND profile_id IS NULL"
    )
    assert "shared by so many that it is nobody's" in problem


async def test_invariant_7_without_quarantine_a_stranger_would_have_what_was_bought_there(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Teeth."""
    without(monkeypatch, shared_by={})
    facts = Facts(database)
    await at_the_till(facts)

    assert await facts.suppressed("user_id", "u-0") == ["lamp"]


async def forged(facts: Facts) -> None:
    """Somebody names a customer's address beside a browser of their own, and buys in that browser."""
    await facts.happens("Signed Up", user_id="u-1", email=ADA)
    await claims(facts, email=ADA, anonymous_id="stranger")
    await claims(facts, "Order Completed", order(LAMP), anonymous_id="stranger")


async def test_invariant_7_a_public_key_joins_nobody_to_a_known_customer(database: Database) -> None:
    facts = Facts(database)
    await forged(facts)

    assert await facts.who("anonymous_id", "stranger") != await facts.who("email", ADA)
    assert await facts.suppressed("email", ADA) == []
    assert await facts.suppressed("anonymous_id", "stranger") == ["lamp"]


async def test_invariant_7_if_every_sender_were_believed_a_stranger_would_get_in(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Teeth."""

    def believing(links: list[Link], **how: Any) -> IdentityGraph:
        return resolve_graph([replace(link, verified=True) for link in links], **how)

    monkeypatch.setattr(component, "resolve", believing)
    facts = Facts(database)
    await forged(facts)

    assert await facts.suppressed("email", ADA) == ["lamp"]


async def test_invariant_7_two_whom_an_operator_parted_stay_apart_whatever_is_said(
    database: Database,
) -> None:
    facts = Facts(database)
    await facts.happens("Signed In", email=ADA, phone="+4915112345678")
    await cut_identifiers(database, f"email:{ADA}", "phone:+4915112345678", actor="ops", reason="siblings")
    for n in range(3):
        await facts.happens("Signed In", email=ADA, phone="+4915112345678", anonymous_id=f"a-{n}")
    await facts.happens("Signed In", email=ADA, loyalty_id="L-1")
    await facts.happens("Signed In", phone="+4915112345678", loyalty_id="L-1")

    assert await facts.who("email", ADA) != await facts.who("phone", "+4915112345678")


@pytest.mark.parametrize("known_before", [False, True], ids=["new", "with a profile of their own"])
async def test_invariant_7_who_was_parted_by_a_quarantine_never_moves_in_with_the_other(
    database: Database, known_before: bool
) -> None:
    """Both were first seen under one profile, and nothing leads from the one to the other any more."""
    facts, day = Facts(database), timedelta(days=1)
    eve, phone = "eve@x.org", "+4915112345678"
    await facts.happens("Seen", anonymous_id="tablet", ago=3 * day)
    await facts.happens("Signed In", email=eve, anonymous_id="tablet", ago=day)
    if known_before:
        await facts.happens("Seen", phone=phone)
        await facts.happens("Signed In", email=eve, phone=phone)
    # Heard of late: the tablet had been somebody else's before.
    await facts.happens("Signed In", user_id="u-1", anonymous_id="tablet", ago=2 * day)
    await facts.happens("Order Completed", order(LAMP), user_id="u-1")
    for n in range(2, 8):
        await facts.happens("Signed In", user_id=f"u-{n}", anonymous_id="tablet")
    await facts.happens("Signed In", email=eve, phone=phone, loyalty_id="L-1")

    assert await facts.who("user_id", "u-1") != await facts.who("email", eve)
    assert await facts.suppressed("email", eve) == []
    assert len(await people_in(database)) == 9
