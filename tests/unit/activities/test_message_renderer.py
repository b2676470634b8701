"""A letter shows the items as they are when it goes out: the cart's quantity, the feed's price."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

import journeys.cart_abandonment
from activities.content.templates import TemplateRegistry
from activities.contracts import SendMessage
from activities.gate.send_gate import SendClaim
from activities.message_renderer import MessageRenderer
from activities.settings import ActivitySettings
from policy.verdict import Channel
from profiles.commerce.catalog import CatalogEntry
from profiles.db.sql import new_id
from profiles.events import Item
from profiles.messaging.preference_tokens import PreferenceTokens
from profiles.messaging.snapshot import Snapshot

LAMP = Item(product_id="lamp", sku="red", name="Aria lamp", price=39.0, content_verified=True)

SECRET = "a secret of tests, which is long enough"

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def written(shelf: tuple[CatalogEntry, ...], *, quantity: int = 1, showing: bool = False) -> str:
    """The text of a mail about the lamp."""
    snapshot = Snapshot(
        profile_id=new_id(), traits={}, context_timezone=None, email_from_order=False, erased=False,
        run_state="running", run_profile_id=new_id(), addresses={}, consents=(), suppressions=(),
        sent_messages=(),
        catalog=shelf,
        cart=({"product_id": "lamp", "sku": "red", "quantity": quantity},),
    )  # fmt: skip
    claim = SendClaim(
        message_id=new_id(), token=new_id(), address="ada@example.com", items=("lamp",), removed=(),
        snapshot=snapshot, valid_for=None, zone="UTC", channels=(),
    )  # fmt: skip
    request = SendMessage(
        run_id=str(new_id()), step="s", journey="carts", template="cart_reminder", channel=Channel.EMAIL,
        promoting=None if showing else (LAMP,), showing=(LAMP,) if showing else (),
        expires_at=NOW + timedelta(days=1),
    )  # fmt: skip
    templates = TemplateRegistry.load([Path(journeys.cart_abandonment.__file__).parent])
    settings = ActivitySettings(secrets=(SecretStr(SECRET),), shop_currency="EUR")
    return (
        MessageRenderer(settings, PreferenceTokens([SECRET]))
        .render(templates["cart_reminder"], request, claim)
        .text
    )


@pytest.mark.parametrize(
    ("shelf", "expected"),
    [
        pytest.param(
            (CatalogEntry("lamp", "red", price=29.5, verified=True),), "29.50", id="the feed's price"
        ),
        pytest.param(
            (CatalogEntry("lamp", "red", price=29.5, currency="USD", verified=True),),
            "39.00",
            id="another currency",
        ),
        pytest.param(
            (CatalogEntry("lamp", "blue", price=29.5, verified=True),), "39.00", id="another variant's"
        ),
        pytest.param((), "39.00", id="no word of the feed"),
    ],
)
def test_a_promoted_item_has_the_price_that_the_feed_tells(
    shelf: tuple[CatalogEntry, ...], expected: str
) -> None:
    assert expected in written(shelf)


def test_the_total_is_of_the_fresh_price_and_the_quantity_in_the_cart() -> None:
    assert "59.00" in written((CatalogEntry("lamp", "", price=29.5, verified=True),), quantity=2)


def test_what_a_message_shows_without_promoting_it_keeps_the_price_that_was_paid() -> None:
    assert "39.00" in written((CatalogEntry("lamp", "red", price=29.5, verified=True),), showing=True)
