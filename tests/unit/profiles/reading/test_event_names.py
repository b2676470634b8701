"""Names of events: any spelling of a known name, and those of other systems."""

import pytest

from profiles.events import Event
from profiles.reading.event_names import ALIASES, canonical_name, name_problem

SEEN: tuple[tuple[str, str, str], ...] = (
    ("Order Completed", "Order Completed", "the specification"),
    ("Completed Order", "Order Completed", "the specification's first version"),
    ("order completed", "Order Completed", "a backend in small letters"),
    ("ORDER COMPLETED", "Order Completed", "a till"),
    ("order_completed", "Order Completed", "a data warehouse"),
    ("orderCompleted", "Order Completed", "a page's script"),
    ("OrderCompleted", "Order Completed", "a typed client"),
    ("order-completed", "Order Completed", "a message queue"),
    ("  Order   Completed ", "Order Completed", "a spreadsheet"),
    ("purchase", "Order Completed", "a tag manager"),
    ("Purchase", "Order Completed", "an ad pixel"),
    ("Placed Order", "Order Completed", "a marketing tool"),
    ("orders/create", "Order Completed", "a shop system's topic"),
    ("order.paid", "Order Completed", "a shop plugin's topic"),
    ("checkout_completed", "Order Completed", "a shop system's pixel"),
    ("add_to_cart", "Product Added", "a tag manager"),
    ("AddToCart", "Product Added", "an ad pixel"),
    ("Added to Cart", "Product Added", "a marketing tool"),
    ("remove_from_cart", "Product Removed", "a tag manager"),
    ("view_item", "Product Viewed", "a tag manager"),
    ("ViewContent", "Product Viewed", "an ad pixel"),
    ("view_cart", "Cart Viewed", "a tag manager"),
    ("begin_checkout", "Checkout Started", "a tag manager"),
    ("InitiateCheckout", "Checkout Started", "an ad pixel"),
    ("Started Checkout", "Checkout Started", "a marketing tool"),
    ("refund", "Order Refunded", "a tag manager"),
    ("refunds/create", "Order Refunded", "a shop system's topic"),
    ("Order Canceled", "Order Cancelled", "American spelling"),
    ("orders/cancelled", "Order Cancelled", "a shop system's topic"),
    ("Order Shipped", "Order Fulfilled", "a carrier's connector"),
    ("email opened", "Message Opened", "the specification of mail events"),
    ("Unsubscribed", "Message Unsubscribed", "a mail provider"),
    ("consent_changed", "Consent Changed", "a data warehouse"),
    ("product_updated", "Product Updated", "a feed"),
    ("Newsletter Signup", "Newsletter Signup", "an event of the shop's own"),
    ("Product List Viewed", "Product List Viewed", "a name of the specification that changes nothing"),
)


@pytest.mark.parametrize(("sent", "known"), [pytest.param(a, b, id=f"{where}: {a}") for a, b, where in SEEN])
def test_a_name_is_read_in_any_spelling(sent: str, known: str) -> None:
    assert canonical_name(sent) == known
    assert canonical_name(known) == known
    assert name_problem(known) is None


@pytest.mark.parametrize(
    ("sent", "nearest"),
    [
        pytest.param("Ordr Compleeted", "Order Completed", id="a slip of the pen"),
        pytest.param("Order Compleeted Web", "Order Completed", id="a suffix of the shop's own"),
        pytest.param("Product Adde", "Product Added", id="a cut name"),
        pytest.param("Chekout Started", "Checkout Started", id="a slip of the pen in a checkout"),
        pytest.param("my purchase thing", None, id="a word of shops"),
    ],
)
def test_an_unknown_name_that_may_be_meant_is_told_with_the_nearest(sent: str, nearest: str | None) -> None:
    problem = name_problem(canonical_name(sent))

    assert problem is not None
    assert nearest is None or repr(nearest) in problem


def test_every_alias_stands_for_a_name_that_is_known() -> None:
    assert set(ALIASES) - set(Event.registry) == {"Consent Changed"}


def test_an_event_class_of_the_shop_keeps_its_name() -> None:
    class Purchase(Event, name="purchase"):
        """Declared by the shop."""

    try:
        assert canonical_name("purchase") == "purchase"
        assert canonical_name("Placed Order") == "Order Completed"
    finally:
        del Event.registry["purchase"]
