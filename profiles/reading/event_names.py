"""Names of events: aliases of other systems, any spelling of a known name, and the nearest known one. Pure.

Two names are one if their letters and digits are: "Order Completed", "order_completed" and "OrderCompleted".
"""

import difflib
import re
from collections.abc import Collection
from functools import lru_cache

from profiles.events import Event

ALIASES: dict[str, tuple[str, ...]] = {
    "Product Viewed": (
        *("view_item", "ViewContent", "Viewed Product", "Product View", "product_page_viewed", "scView"),
        *("prodView", "product/viewed", "product_detail_view", "eec.detail", "Viewed Item", "Item Viewed"),
    ),
    "Product Added": (
        *("add_to_cart", "AddToCart", "Added to Cart", "Add To Cart", "Product Added to Cart", "scAdd"),
        *("product_added_to_cart", "Added Product", "Added Product to Cart", "eec.add", "cart_add"),
        *("Item Added", "Item Added to Cart", "Add To Basket", "Added to Basket", "Product Added to Basket"),
        *("add_to_bag", "Added to Bag", "eCommerce - AddToCart"),
    ),
    "Product Removed": (
        *("remove_from_cart", "RemoveFromCart", "Removed from Cart", "Product Removed from Cart", "scRemove"),
        *("product_removed_from_cart", "Removed Product", "eec.remove", "cart_remove", "Item Removed"),
        *("Item Removed from Cart", "Remove From Basket", "Removed from Basket", "remove_from_bag"),
        *("eCommerce - RemoveFromCart",),
    ),
    "Cart Viewed": (
        *("view_cart", "ViewCart", "Viewed Cart", "cart_viewed", "Cart View", "Basket Viewed", "scOpen"),
        *("Cart Updated", "cart_update", "carts/update", "carts/create", "Updated Cart", "Basket Updated"),
    ),
    "Checkout Started": (
        *(
            "begin_checkout",
            "InitiateCheckout",
            "InitiatedCheckout",
            "Started Checkout",
            "Checkout Initiated",
        ),
        *("checkout_start", "checkout_begin", "Begin Checkout", "scCheckout", "checkouts/create"),
        *("checkouts/update", "eec.checkout", "eCommerce - Checkout", "Checkout Begun"),
    ),
    "Order Completed": (
        *("Completed Order", "purchase", "Purchased", "Placed Order", "Order Placed", "Purchase Completed"),
        *("Completed Purchase", "Made a Purchase", "Made Purchase", "Order Complete", "Complete Order"),
        *("orders/create", "orders/paid", "order.created", "order.paid", "order.completed", "Order Paid"),
        *(
            "checkout_completed",
            "Checkout Complete",
            "Completed Checkout",
            "CompletePayment",
            "ecommerceOrder",
        ),
        *(
            "Order Created",
            "Order Confirmed",
            "Order Submitted",
            "Order Success",
            "eec.purchase",
            "Transaction",
        ),
        *("Transaction Completed", "eCommerce - Purchase", "ecommerce_purchase", "in_app_purchase", "Sale"),
        *(
            "Sale Completed",
            "Product Purchased",
            "Order Finished",
            "Checkout Success",
            "Bestellung abgeschlossen",
        ),
        *("Bestellung aufgegeben", "Commande passée", "Pedido completado", "Pedido realizado"),
    ),
    "Order Updated": ("Updated Order", "orders/updated", "orders/edited", "order.updated", "Order Changed"),
    "Order Refunded": (
        *("refund", "Refunded", "Refunded Order", "refunds/create", "order.refunded", "Refund Created"),
        *("Refund Issued", "Refund Completed", "Order Refund", "charge.refunded", "eec.refund"),
        *("eCommerce - Refund", "Refund Processed"),
    ),
    "Order Cancelled": (
        *("Order Canceled", "Cancelled Order", "Canceled Order", "orders/cancelled", "order.cancelled"),
        *("order.canceled", "Cancel Order", "Order Cancel", "Order Voided", "Bestellung storniert"),
    ),
    "Order Fulfilled": (
        *("Fulfilled Order", "orders/fulfilled", "order.fulfilled", "fulfillments/create", "Order Shipped"),
        *("Shipped Order", "Order Dispatched", "Order Sent"),
    ),
    "Order Delivered": ("Delivered Order", "order.delivered", "Delivered Shipment", "Shipment Delivered"),
    "Product Reviewed": (
        "Review Submitted",
        "Reviewed Product",
        "Product Review Submitted",
        "Submitted Review",
    ),
    "Product Updated": ("products/update", "products/create", "product.updated", "Updated Product"),
    "Return Requested": ("Requested Return", "returns/request", "Return Created"),
    "Return Completed": ("Completed Return", "returns/close", "Return Closed"),
    "Ticket Opened": ("Opened Ticket", "Ticket Created", "ticket.created", "Conversation Started"),
    "Ticket Solved": ("Solved Ticket", "Ticket Closed", "Ticket Resolved", "ticket.closed", "ticket.solved"),
    "Consent Changed": (
        *("Consent Updated", "Updated Consent", "Changed Consent", "Consent Preferences Updated"),
        *("Subscription Changed", "customers_marketing_consent/update", "Marketing Consent Changed"),
    ),
    "Message Delivered": ("Email Delivered", "SMS Delivered", "Push Notification Received"),
    "Message Opened": ("Email Opened", "Opened Email"),
    "Message Clicked": (
        *("Email Link Clicked", "Email Clicked", "Clicked Email", "SMS Link Clicked", "SMS Clicked"),
        *("Push Notification Tapped",),
    ),
    "Message Bounced": (
        "Email Bounced",
        "SMS Bounced",
        "SMS Failed",
        "Push Notification Bounced",
        "Bounced Email",
        *("Email Soft Bounced", "Email Hard Bounced", "Soft Bounce", "Hard Bounce", "Email Dropped"),
        *("Email Blocked", "Email Failed", "SMS Undelivered"),
    ),
    "Message Replied": ("Email Replied", "SMS Replied"),
    "Message Complained": ("Email Marked as Spam", "Marked Email as Spam", "Spam Reported", "Spam Complaint"),
    "Message Unsubscribed": (
        *("Email Unsubscribed", "SMS Unsubscribed", "Unsubscribed", "Unsubscribe", "Unsubscribed from Email"),
        *("Email Unsubscribe", "Unsubscribed from Email Marketing", "List Unsubscribed"),
    ),
}
"""Known name → names that other systems have for it. A row of the table of tests says where each was seen."""

UNUSED_NAMES = frozenset(
    (
        *("Products Searched", "Product List Viewed", "Product List Filtered", "Promotion Viewed"),
        *("Promotion Clicked", "Product Clicked", "Checkout Step Viewed", "Checkout Step Completed"),
        *("Payment Info Entered", "Coupon Entered", "Coupon Applied", "Coupon Denied", "Coupon Removed"),
        *("Product Added to Wishlist", "Product Removed from Wishlist", "Wishlist Product Added to Cart"),
        *("Product Shared", "Cart Shared", "Identified", "Aliased", "Page Viewed", "Screen Viewed"),
        *("Group Joined", "Application Installed", "Application Opened", "Application Updated"),
        *(
            "Application Backgrounded",
            "Application Crashed",
            "Application Uninstalled",
            "Signed Up",
            "Signed In",
        ),
        *("Signed Out", "Account Created", "Order Note Added", "End Run"),
    )
)
"""Names of the Segment specifications, and of Waypost, that change nothing but are no mistake."""

_SPECIAL_NAMES = ("Consent Changed",)
"""Known names that no class declares."""

_COMMERCE_WORDS = re.compile(
    r"order|purchas|checkout|cart|basket|refund|return|cancel|bought|paid|consent|subscri|opt.?(in|out)"
    r"|bestell|kauf|warenkorb|stornier|command|pedido|carrito|panier",
    re.IGNORECASE,
)

_NOT_A_LETTER = re.compile(r"[\W_]+")

_SIMILARITY = 0.78

MAX_NAME_LENGTH = 80
"""Characters of a name that is compared with the known ones."""


def fold_name(name: str) -> str:
    """Return the letters and digits of a name, in small letters."""
    return _NOT_A_LETTER.sub("", name).casefold()


_CANONICAL_BY_FOLD = {
    fold_name(spelling): canonical for canonical, names in ALIASES.items() for spelling in (canonical, *names)
}

_UNUSED_FOLDS = frozenset(map(fold_name, UNUSED_NAMES))


def canonical_name(name: str) -> str:
    """Return the known name that a spelling or an alias stands for; a name that is not known unchanged.

    A name that a class declares, also one of the shop's own, always stands for itself.
    """
    return name if name in Event.registry else _canonical_name(name, len(Event.registry))


@lru_cache(maxsize=4096)
def _canonical_name(name: str, _declared: int) -> str:
    if len(name) > MAX_NAME_LENGTH or name in UNUSED_NAMES:
        return name
    folded = fold_name(name)
    declared = next((each for each in Event.registry if fold_name(each) == folded), None)
    return declared or _CANONICAL_BY_FOLD.get(folded, name)


def name_problem(name: str) -> str | None:
    """Return what is wrong with a name that is not known, if it looks like one that was meant; else None.

    ``name`` is as ``canonical_name`` returns it. A shop may send any other name: it is stored.
    """
    return None if name in Event.registry else _name_problem(name, len(Event.registry))


@lru_cache(maxsize=4096)
def _name_problem(name: str, _declared: int) -> str | None:
    known = (*Event.registry, *_SPECIAL_NAMES)
    if name in known or len(name) > MAX_NAME_LENGTH or fold_name(name) in _UNUSED_FOLDS:
        return None
    nearest = _nearest(name, known)
    if nearest is None and not _COMMERCE_WORDS.search(name):
        return None
    hint = f"; the nearest known name is {nearest!r}" if nearest else ""
    return (
        f"{name[:60]!r} is no event that is known here, so that it is stored and changes nothing{hint}; "
        "send a name of docs/reference/events.md"
    )


def _nearest(name: str, known: Collection[str]) -> str | None:
    by_fold = {fold_name(each): each for each in known} | _CANONICAL_BY_FOLD
    by_words = {"".join(sorted(_words(each))): each for each in known}
    if exact := by_words.get("".join(sorted(_words(name)))):
        return exact
    close = difflib.get_close_matches(fold_name(name), by_fold, n=1, cutoff=_SIMILARITY)
    if close:
        return by_fold[close[0]]
    if not _COMMERCE_WORDS.search(name):
        return None
    close = difflib.get_close_matches(fold_name(name), by_fold, n=1, cutoff=0.5)
    return by_fold[close[0]] if close else None


def _words(name: str) -> list[str]:
    return re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+", name.replace("_", " "))
