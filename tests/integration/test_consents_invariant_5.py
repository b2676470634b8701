"""Invariant 5: an opt-out follows the address, and is in force from its commit."""

from uuid import UUID

import pytest

from profiles.consent import effective
from profiles.db.database import Database
from tests.facts import CARTS, Facts
from tests.permission import may_mail, run_of

ADA = "ada@example.com"


YES = {"consents": {"email": True, "sms": True}}


async def test_invariant_5_an_address_that_joins_the_person_later_is_covered_by_their_word(
    database: Database,
) -> None:
    facts = Facts(database, CARTS)
    run_id = await run_of(facts, email=ADA, user_id="42")
    await facts.happens("Consent Changed", {"channel": "email", "state": "withdrawn"}, user_id="42")
    await facts.happens("Account Updated", email="second@example.com", user_id="42")

    assert "opted_out" in await may_mail(facts, run_id)


async def a_stranger_with_the_address(facts: Facts) -> UUID:
    """The first owner withdrew and was forgotten; then somebody else comes by the same address, and says yes
    on another channel. Their run."""
    await facts.happens("Consent Changed", {"channel": "email", "state": "withdrawn"}, email=ADA)
    await facts.rows("DELETE FROM identifier")
    run_id = await run_of(facts, user_id="stranger")
    await facts.happens("Checkout Started", {"cart_id": "c-9"}, email=ADA, user_id="stranger")
    return run_id


async def test_invariant_5_the_opt_out_stays_with_the_address_when_another_profile_gets_it(
    database: Database,
) -> None:
    facts = Facts(database, CARTS)

    assert await may_mail(facts, await a_stranger_with_the_address(facts)) == ["opted_out"]


async def test_invariant_5_without_the_mark_on_the_address_the_stranger_would_be_mailed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Teeth: the word kept with the profile alone."""
    monkeypatch.setattr(effective, "remarked", lambda *_: ([], []))
    facts = Facts(database, CARTS)

    assert await may_mail(facts, await a_stranger_with_the_address(facts)) == []


async def test_invariant_5_without_the_persons_state_a_second_address_would_be_mailed(
    database: Database,
) -> None:
    """Teeth: the word kept with the addresses alone that there were when it was said."""
    facts = Facts(database, CARTS)
    run_id = await run_of(facts, email=ADA, user_id="42")
    await facts.happens("Consent Changed", {"channel": "email", "state": "withdrawn"}, user_id="42")
    await facts.happens("Checkout Started", {"cart_id": "c-9"}, email="second@example.com", user_id="42")
    assert "opted_out" in await may_mail(facts, run_id)
    await facts.rows("DELETE FROM consent_state")
    await facts.rows("DELETE FROM opt_out WHERE address = 'second@example.com'")

    assert await may_mail(facts, run_id) == []


async def test_invariant_5_an_opt_out_is_in_force_from_its_commit(database: Database) -> None:
    facts = Facts(database, CARTS)
    run_id = await run_of(facts, email=ADA)
    await facts.happens("Signed Up", traits=YES, email=ADA)
    assert await may_mail(facts, run_id) == []
    await facts.happens("Consent Changed", {"channel": "email", "state": "withdrawn"}, email=ADA)

    assert await may_mail(facts, run_id) == ["opted_out", "no_consent"]
