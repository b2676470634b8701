"""Answers: a no in any words is a no; what cannot be read as a yes never is one."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.reading.answers import read_answer, read_stock
from profiles.reading.properties import read_properties, read_traits

CONSENTS: tuple[tuple[Any, bool | None, str], ...] = (
    (True, True, "a boolean"),
    (False, False, "a boolean"),
    ("true", True, "a form's text"),
    ("false", False, "a form's text"),
    ("False", False, "Python's str() of a boolean"),
    (1, True, "a database's tinyint"),
    (0, False, "a database's tinyint"),
    (0.0, False, "a data frame's column"),
    ("0", False, "a CSV export"),
    ("1", True, "a CSV export"),
    (" NO ", False, "a hand-written list"),
    ("n", False, "a till"),
    ("off", False, "an HTML checkbox"),
    ("on", True, "an HTML checkbox"),
    ("nein", False, "a German shop"),
    ("ja", True, "a German shop"),
    ("non", False, "a French shop"),
    ("não", False, "a Portuguese shop"),
    ("нет", False, "a Russian shop"),
    ("unsubscribed", False, "a mail provider's state"),
    ("UNSUBSCRIBED", False, "another provider's state"),
    ("subscribed", True, "a mail provider's state"),
    ("opted_out", False, "a messaging provider's state"),
    ("Opted Out", False, "its export"),
    ("opted_in", True, "a messaging provider's state"),
    ("opt-out", False, "a CRM's state"),
    ("not_subscribed", False, "a shop system's state"),
    ("never_subscribed", False, "a marketing tool's state"),
    ("withdrawn", False, "a consent manager"),
    ("revoked", False, "a consent manager"),
    ("denied", False, "a browser's permission"),
    ("granted", True, "a browser's permission"),
    ("declined", False, "a call centre"),
    ("no thanks", False, "a free text"),
    ("do not contact", False, "a CRM"),
    ("Don't mail me", False, "a free text"),
    ("abgemeldet", False, "a German newsletter tool"),
    ("désabonné", False, "a French newsletter tool"),
    ("STOP", False, "a reply"),
    ("suppressed", False, "a provider's list"),
    ("spam", False, "a provider's list"),
    ({"status": "unsubscribed"}, False, "a nested state"),
    ({"granted": "yes", "method": "checkbox"}, True, "an object with evidence"),
    (
        {"subscribed": True, "unsubscribed_at": "2026-01-01", "unsubscribed": True},
        False,
        "both: the no counts",
    ),
    ({"opted_out": "2026-01-01T00:00:00Z"}, False, "the date of a withdrawal"),
    ({"granted": True, "status": "pending"}, None, "a yes in doubt"),
    ("pending", None, "a double opt-in that waits"),
    ("unknown", None, "a CRM's default"),
    ("maybe", None, "a free text"),
    ("", None, "an empty cell"),
    (None, None, "null"),
    (2, None, "a number that is no answer"),
    ({}, None, "an empty object"),
    (["email"], None, "a list of something"),
)


@pytest.mark.parametrize(
    ("sent", "answer"), [pytest.param(a, b, id=f"{where}: {a!r}") for a, b, where in CONSENTS]
)
def test_a_consent_is_read_by_its_words(sent: Any, answer: bool | None) -> None:
    read = read_traits({"consents": {"email": sent}}, [])["consents"]["email"]
    granted = read.get("granted") if isinstance(read, dict) else read

    assert read_answer(sent) is answer
    assert (granted if isinstance(granted, bool) else None) is answer


@pytest.mark.parametrize(
    ("traits", "consents"),
    [
        pytest.param({"consents": "no"}, {"all": False}, id="a bare no is one to everything"),
        pytest.param({"consents": "yes"}, "yes", id="a bare yes names no channel"),
        pytest.param({"consents": {"E-Mail": "no"}}, {"email": False}, id="a channel in another spelling"),
        pytest.param({"consents": {"email": True, "E-mail": 0}}, {"email": False}, id="a no outweighs a yes"),
        pytest.param({"unsubscribed": True}, {"all": False}, id="a marketing tool's flag"),
        pytest.param({"email_opt_in": "false"}, {"email": False}, id="a form's flag"),
        pytest.param({"sms_opt_out": 1, "consents": {"sms": True}}, {"sms": False}, id="a flag beside a yes"),
        pytest.param({"email_opt_in": True}, None, id="a flag of another system grants nothing"),
    ],
)
def test_a_refusal_counts_wherever_it_stands(traits: dict[str, Any], consents: Any) -> None:
    assert read_traits(traits, []).get("consents") == consents


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        pytest.param({"state": "unsubscribed"}, "withdrawn", id="a provider's state"),
        pytest.param({"state": "opted_in"}, "granted", id="another provider's state"),
        pytest.param({"granted": False}, "withdrawn", id="a boolean in place of a state"),
        pytest.param({"state": "pending"}, "pending", id="neither stays as it is"),
    ],
)
def test_a_change_of_consent_is_read_by_its_words(sent: dict[str, Any], read: str) -> None:
    properties = read_properties("Consent Changed", {"channel": "E-mail", "topic": ["news"], **sent}, [])

    assert (properties["channel"], properties["topic"], properties["state"]) == ("email", "news", read)


STOCKS: tuple[tuple[Any, bool | None, str], ...] = (
    (True, True, "a boolean"),
    ("in stock", True, "a merchant feed"),
    ("in_stock", True, "a merchant feed's API"),
    ("out of stock", False, "a merchant feed"),
    ("outofstock", False, "a shop plugin"),
    ("instock", True, "a shop plugin"),
    ("onbackorder", True, "a shop plugin"),
    ("https://schema.org/InStock", True, "a page's structured data"),
    ("http://schema.org/OutOfStock", False, "a page's structured data"),
    ("https://schema.org/SoldOut", False, "a page's structured data"),
    ("InStock", True, "structured data without the address"),
    ("Discontinued", False, "structured data without the address"),
    ("0", False, "a CSV export"),
    ("false", False, "a CSV export"),
    ("12", True, "pieces as a text"),
    (0, False, "pieces"),
    (3, True, "pieces"),
    (-2, False, "oversold"),
    ("ausverkauft", False, "a German shop"),
    ("preorder", True, "a merchant feed"),
    ("soon", None, "a free text"),
    ({}, None, "an object"),
)


@pytest.mark.parametrize(
    ("sent", "stock"), [pytest.param(a, b, id=f"{where}: {a!r}") for a, b, where in STOCKS]
)
def test_a_stock_is_read_by_its_words(sent: Any, stock: bool | None) -> None:
    problems: list[dict[str, str]] = []
    properties = read_properties("Product Updated", {"product_id": "p", "in_stock": sent}, problems)
    under_another_name = read_properties("Product Updated", {"product_id": "p", "availability": sent}, [])

    assert read_stock(sent) is stock
    assert properties.get("in_stock") is stock is under_another_name.get("in_stock")
    assert [each["code"] for each in problems] == (["unreadable_stock"] if stock is None else [])


@given(st.recursive(st.one_of(st.none(), st.text(), st.floats(), st.integers()), st.lists, max_leaves=4))
def test_no_answer_raises(value: Any) -> None:
    assert read_answer(value) in (True, False, None)
    assert read_stock(value) in (True, False, None)
