"""Properties, traits and context of an event, with every value in the form that Waypost reads. Pure.

Called by ``profiles.state.bounds`` wherever an event's content is applied, on arrival and in a replay. The
row of the event keeps what was sent. Nothing is guessed: what cannot be read is left out, with a problem.
"""

from collections.abc import Mapping
from math import isfinite
from typing import Any

from profiles.reading import lines
from profiles.reading.amounts import is_plain_numeral, read_currency, read_money, read_pieces
from profiles.reading.answers import read_answer, read_state, read_stock
from profiles.reading.ids import MAX_EXACT_INTEGER, MAX_ID_LENGTH, is_plain_id, normal_id
from profiles.reading.time_zones import UNREADABLE_ZONE, is_iana_zone, read_zone

Problem = dict[str, str]
"""What could not be read, or was read in another way than it is spelled: code, pointer, detail."""

REVERSALS = frozenset(("Order Refunded", "Order Cancelled", "Return Requested", "Return Completed"))
"""Events of which a negative number of pieces is a positive one."""

RECEIPTS = frozenset(("Order Completed", "Order Updated"))
"""Events of which a negative number of pieces is a return."""

ORDER_COMPLETED = "Order Completed"

_NO_LINES = (
    "it is not known what was bought, so that the carts are emptied; send products with product_id or sku"
)

CART_LISTS = frozenset(("Cart Viewed", "Checkout Started"))
"""Events that state the whole cart."""

LINE_EVENTS = REVERSALS | RECEIPTS | CART_LISTS | {"Order Fulfilled", "Order Delivered"}
"""Events with a list of products."""

PRODUCT_EVENTS = frozenset(
    (
        *("Product Viewed", "Product Added", "Product Removed", "Product Updated", "Product Reviewed"),
        *("Price Dropped", "Back In Stock", "Out Of Stock"),
    )
)
"""Events about one product."""

_CART_CHANGES = frozenset(("Product Added", "Product Removed"))

_FEED_EVENTS = frozenset(("Product Updated", "Back In Stock", "Out Of Stock"))

_TAKING_EVENTS = REVERSALS | {"Product Removed"}

_ID_NAMES = frozenset(("product_id", "sku", "cart_id", "order_id", "checkout_token", "ticket_id", "group"))

_LINE_ID_NAMES = ("product_id", "sku")

_TEXT_ID_NAMES = ("variant", "group", "item_group_id")
"""Fields of a line that are words as often as ids: a number becomes text, and nothing else is changed."""

_NUMBERS = (int, float)

_AMOUNT_NAMES = ("price", "total", "value", "revenue", "was", "amount")

_PROPERTY_ALIASES: dict[str, tuple[str, ...]] = {
    "order_id": (
        *("orderId", "orderID", "OrderId", "OrderID", "order_number", "orderNumber", "transaction_id"),
        *("transactionId", "orderid", "Order ID", "purchase_id"),
    ),
    "cart_id": ("cartId", "cartID", "CartId", "cart_token", "cartToken", "basket_id", "basketId"),
    "checkout_id": ("checkoutId", "checkoutID", "CheckoutId"),
    "refund_id": ("refundId", "refundID", "RefundId"),
    "return_id": ("returnId", "returnID", "ReturnId"),
    "cancellation_id": ("cancellationId", "cancellationID", "CancellationId"),
    "ticket_id": ("ticketId", "ticketID", "ticket_number", "ticketNumber"),
    "currency": ("currency_code", "currencyCode", "Currency", "presentment_currency", "currencyISO"),
}
"""Property → other names for it, which are read where the property itself is missing."""

_TOTAL_ALIASES = ("total_price", "totalPrice", "grand_total", "grandTotal", "order_total", "orderTotal")

_STOCK_ALIASES = ("availability", "stock_status", "stockStatus", "inStock", "is_in_stock", "available")

_ALL_ALIASES = frozenset(
    (*(alias for aliases in _PROPERTY_ALIASES.values() for alias in aliases), *_TOTAL_ALIASES)
)

CHANNEL_ALIASES = {
    **dict.fromkeys(("email", "mail", "emails", "newsletter", "emailmarketing", "marketingemail"), "email"),
    **dict.fromkeys(("sms", "text", "texts", "phone", "mobile", "smsmarketing", "textmessage"), "sms"),
    **dict.fromkeys(("push", "pushnotification", "pushnotifications", "mobilepush", "webpush"), "push"),
    **dict.fromkeys(("ads", "ad", "advertising", "adtargeting", "retargeting"), "ads"),
    **dict.fromkeys(("all", "any", "everything", "marketing", "allchannels"), "all"),
}
"""Letters of a channel's name, in small letters → the channel of a consent."""

_CONSENT_CHANNELS = frozenset(CHANNEL_ALIASES.values())

_REFUSALS = {
    **dict.fromkeys(("unsubscribed", "opted_out", "opt_out", "optedOut", "do_not_contact"), ("all", True)),
    **dict.fromkeys(
        ("email_unsubscribed", "unsubscribed_from_emails", "email_opt_out", "emailOptOut", "do_not_email"),
        ("email", True),
    ),
    **dict.fromkeys(("email_opt_in", "emailOptIn", "email_subscribed"), ("email", False)),
    **dict.fromkeys(("sms_opt_out", "smsOptOut", "sms_unsubscribed", "do_not_sms"), ("sms", True)),
    **dict.fromkeys(("sms_opt_in", "smsOptIn", "sms_subscribed"), ("sms", False)),
}
"""Trait of other systems → (channel of a consent, the answer that refuses it). None of them grants one."""


_REFUSAL_NAMES = frozenset(_REFUSALS)


def read_properties(event_type: str, properties: dict[str, Any], problems: list[Problem]) -> dict[str, Any]:
    """Return an event's properties as Waypost reads them; the same object where nothing has to change."""
    read = _read_ids(properties, "/properties", problems)
    if not _ALL_ALIASES.isdisjoint(read):
        read = _with_aliases(event_type, read, problems)
    if event_type in LINE_EVENTS:
        read = _read_line_event(event_type, read, problems)
    elif event_type in PRODUCT_EVENTS:
        read = _read_product_event(event_type, read, problems)
    elif event_type == "Consent Changed":
        read = _read_consent_change(read)
    return read


def _with_aliases(event_type: str, properties: dict[str, Any], problems: list[Problem]) -> dict[str, Any]:
    read = properties
    aliases = _PROPERTY_ALIASES
    if event_type in LINE_EVENTS:
        aliases = aliases | {"total": _TOTAL_ALIASES}
    for name, others in aliases.items():
        if read.get(name) in (None, "") and (
            found := next((other for other in others if read.get(other) not in (None, "")), None)
        ):
            value = _normal_id_or_none(read[found], f"/properties/{found}", problems)
            if value is not None or name in ("currency", "total"):
                read = {**read, name: read[found] if name in ("currency", "total") else value}
    return read


def _read_ids(fields: dict[str, Any], pointer: str, problems: list[Problem]) -> dict[str, Any]:
    """Return the fields with every id in its normal form; one that is no id is left out."""
    changed: dict[str, str | None] | None = None
    for name, value in fields.items():
        is_id = name[-3:] == "_id" or name in _ID_NAMES
        if is_id and value is not None and not _is_plain(value):
            normal = _normal_id_or_none(value, f"{pointer}/{name}", problems)
            if normal != value:
                changed = changed or {}
                changed[name] = normal
    if changed is None:
        return fields
    return {
        name: value for name, value in (fields | changed).items() if name not in changed or value is not None
    }


def _normal_id_or_none(value: Any, pointer: str, problems: list[Problem]) -> str | None:
    normal = normal_id(value)
    if normal is None:
        if value not in ("", None):
            detail = f"{_shown(value)} is no id and left out; send a text or a whole number, or nothing"
            problems.append(_problem("bad_id", pointer, detail))
    elif isinstance(value, float) and abs(value) > MAX_EXACT_INTEGER:
        detail = (
            "came as a number with an exponent or a fraction, which may have lost digits; send ids as text"
        )
        problems.append(_problem("inexact_id", pointer, detail))
    elif isinstance(value, str) and len(value) > MAX_ID_LENGTH and normal != value:
        detail = f"is long and counts as its beginning and a digest; send {MAX_ID_LENGTH} characters at most"
        problems.append(_problem("too_long", pointer, detail))
    return normal


def _read_line_event(event_type: str, properties: dict[str, Any], problems: list[Problem]) -> dict[str, Any]:
    read = properties
    found = lines.find_lines(properties)
    if found is None:
        return _read_money(event_type, _read_lone_product(event_type, read, problems), problems)
    name, value = found
    products = lines.to_lines(value)
    if not products and products is not None and event_type == ORDER_COMPLETED:
        problems.append(_problem("no_lines", f"/properties/{name}", _NO_LINES))
    if products is None:
        then = (
            f": {_NO_LINES}"
            if event_type == ORDER_COMPLETED
            else "; send a list of objects with product_id or sku"
        )
        detail = f"{_shown(value)} cannot be read as products{then}"
        problems.append(_problem("unreadable_lines", f"/properties/{name}", detail))
        # One line that cannot be read: it is not known what was bought.
        products = [None]
    if lines.is_list_of_ids(name):
        products = [lines.id_to_line(each, name) for each in products]
    read_lines = [
        line if line is None else _read_line(event_type, line, f"/properties/{name}/{index}", problems)
        for index, line in enumerate(products)
    ]
    if event_type in CART_LISTS and products and not any(isinstance(line, dict) for line in read_lines):
        # A cart that cannot be read is not an empty one.
        rest = {key: value for key, value in read.items() if key != "products"}
        return _read_money(event_type, rest, problems)
    is_changed = len(read_lines) != len(products) or any(
        a is not b for a, b in zip(read_lines, products, strict=True)
    )
    if is_changed or read.get("products") is not products:
        read = {**read, "products": read_lines}
    return _read_money(event_type, read, problems)


def _read_lone_product(
    event_type: str, properties: dict[str, Any], problems: list[Problem]
) -> dict[str, Any]:
    """Read an order or a refund of one product that stands in the properties themselves."""
    read: dict[str, Any] = lines.read_line(properties, is_whole_event=True)
    has_id = any(read.get(name) not in (None, "") for name in _LINE_ID_NAMES)
    if not has_id and event_type == ORDER_COMPLETED:
        problems.append(_problem("no_lines", "/properties/products", _NO_LINES))
    if not has_id or event_type in CART_LISTS:
        return properties
    line: dict[str, Any] = _read_line(event_type, read, "/properties", problems)
    return line if line != properties else properties


def _tell_line_without_product(
    event_type: str, line: dict[str, Any], pointer: str, problems: list[Problem]
) -> None:
    if line.get("product_id") in (None, "") and line.get("sku") in (None, ""):
        then = (
            f": {_NO_LINES}" if event_type == ORDER_COMPLETED else " and is left out; send product_id or sku"
        )
        problems.append(_problem("no_product_id", pointer, f"names no product{then}"))


def _read_line(event_type: str, line: Any, pointer: str, problems: list[Problem]) -> Any:
    """Return one line with its fields as Waypost reads them; the same object where nothing has to change."""
    if _is_plain_line(line):
        return line
    read = lines.read_line(line)
    if type(read) is not dict:
        then = f": {_NO_LINES}" if event_type == ORDER_COMPLETED else "; send product_id or sku"
        detail = f"{_shown(line)} is no object, so that it names no product{then}"
        problems.append(_problem("unreadable_line", pointer, detail))
        return None
    read = _read_ids(read, pointer, problems)
    _tell_line_without_product(event_type, read, pointer, problems)
    for name in _TEXT_ID_NAMES:
        if name in read and type(read[name]) in (int, float):
            read = {**read, name: normal_id(read[name])}
    if "quantity" in read and (type(read["quantity"]) is not int or read["quantity"] < 0):
        read = _read_quantity(event_type, read, pointer, problems)
    price = read.get("price")
    if price is not None and type(price) is not bool:
        amount = price if type(price) in (int, float) else read_money(price).amount
        if amount is not None and amount < 0:
            read = _read_negative_price(event_type, {**read, "price": amount}, pointer, problems)
    return read


def _is_plain(value: Any) -> bool:
    # Only short texts are kept in the cache behind it.
    return type(value) is str and len(value) <= MAX_ID_LENGTH and is_plain_id(value)


def _is_plain_line(line: Any) -> bool:
    """Return whether a line needs no reading, as those of most senders do not."""
    if type(line) is not dict or not lines.ALIAS_NAMES.isdisjoint(line):
        return False
    product, sku = line.get("product_id"), line.get("sku")
    quantity, price = line.get("quantity", 1), line.get("price")
    return (
        (product is not None or sku is not None)
        and (product is None or _is_plain(product))
        and (sku is None or _is_plain(sku))
        and type(quantity) is int
        and quantity >= 0
        and (price is None or (type(price) in _NUMBERS and price >= 0))
        and not any(type(line.get(name)) in _NUMBERS for name in _TEXT_ID_NAMES)
    )


def read_stored_line(row: dict[str, Any]) -> dict[str, Any]:
    """Return a line that is stored, or that another query reads, with its ids in normal form."""
    if _is_plain_line(row):
        return row
    return _read_ids(row, "", [])


def _read_quantity(
    event_type: str, line: dict[str, Any], pointer: str, problems: list[Problem]
) -> dict[str, Any]:
    raw = line["quantity"]
    pieces = read_pieces(raw)
    rest = {name: value for name, value in line.items() if name != "quantity"}
    if pieces is None:
        if raw is None or isinstance(raw, float):
            return line if raw is not None else rest
        detail = f"{_shown(raw)} is no number of pieces and counts as one; send a whole number"
        problems.append(_problem("unreadable_quantity", f"{pointer}/quantity", detail))
        # Without a number, a whole line would be removed or returned.
        return {**rest, "quantity": 1} if event_type in _TAKING_EVENTS else rest
    if pieces >= 0:
        return line if pieces == raw and type(raw) is int else {**rest, "quantity": pieces}
    if event_type in _TAKING_EVENTS:
        return {**rest, "quantity": -pieces}
    if event_type in RECEIPTS:
        detail = f"{pieces} pieces are a return: the line counts as not bought; send Order Refunded"
        problems.append(_problem("returned_line", f"{pointer}/quantity", detail))
        return {**rest, "quantity": 0}
    detail = f"{pieces} pieces count as none; send a number of 0 or more"
    problems.append(_problem("negative_quantity", f"{pointer}/quantity", detail))
    return {**rest, "quantity": 0}


def _read_negative_price(
    event_type: str, line: dict[str, Any], pointer: str, problems: list[Problem]
) -> dict[str, Any]:
    if event_type in REVERSALS:
        return {**line, "price": -line["price"]}
    if event_type in RECEIPTS:
        detail = (
            "is negative: the line counts as a return or a discount, and not as bought; send Order Refunded"
        )
        problems.append(_problem("returned_line", f"{pointer}/price", detail))
        return {**line, "quantity": 0, "price": None}
    problems.append(_problem("negative_price", f"{pointer}/price", "is negative and left out; send a price"))
    return {**line, "price": None}


def _read_product_event(
    event_type: str, properties: dict[str, Any], problems: list[Problem]
) -> dict[str, Any]:
    read = properties
    if not any(read.get(name) not in (None, "") for name in _LINE_ID_NAMES):
        read = _read_described_product(read, problems)
    if event_type in _CART_CHANGES and not any(read.get(name) not in (None, "") for name in _LINE_ID_NAMES):
        detail = "is missing, and no other id of a product: the cart does not change; send product_id or sku"
        problems.append(_problem("no_product_id", "/properties/product_id", detail))
    if "quantity" in read and (type(read["quantity"]) is not int or read["quantity"] < 0):
        read = _read_quantity(event_type, read, "/properties", problems)
    if event_type in _FEED_EVENTS:
        read = _read_feed_product(read, problems)
    if type(read.get("variant")) in (int, float):
        read = {**read, "variant": normal_id(read["variant"])}
    return _read_money(event_type, read, problems)


def _read_described_product(properties: dict[str, Any], problems: list[Problem]) -> dict[str, Any]:
    """Read the product of an event that names it under another name, or as the only line of a list."""
    found = lines.find_lines(properties)
    listed = lines.to_lines(found[1]) if found else None
    if found and listed and lines.is_list_of_ids(found[0]):
        listed = [lines.id_to_line(each, found[0]) for each in listed]
    if listed and isinstance(line := lines.read_line(listed[0]), dict):
        if len(listed) > 1:
            detail = f"holds {len(listed)} products, of which the first counts; send an event for each"
            problems.append(_problem("too_many", f"/properties/{found[0] if found else ''}", detail))
        rest = {name: value for name, value in properties.items() if name not in line}
        return _read_ids({**rest, **line}, "/properties", problems)
    read: dict[str, Any] = lines.read_line(properties)
    return _read_ids(read, "/properties", problems) if read is not properties else properties


def _read_feed_product(properties: dict[str, Any], problems: list[Problem]) -> dict[str, Any]:
    read = properties
    name = next((each for each in ("in_stock", *_STOCK_ALIASES) if read.get(each) is not None), None)
    if name is not None and (name != "in_stock" or type(read[name]) is not bool):
        stock = read_stock(read[name])
        read = {key: value for key, value in read.items() if key != "in_stock"}
        if stock is None:
            detail = (
                f"{_shown(properties[name])} is no stock that is understood, and left out; send true or false"
            )
            problems.append(_problem("unreadable_stock", f"/properties/{name}", detail))
        else:
            read["in_stock"] = stock
    bundle = read.get("bundle")
    if isinstance(bundle, list) and (ids := [normal_id(part) for part in bundle]) != bundle:
        read = {**read, "bundle": [part for part in ids if part]}
    return read


def _read_money(event_type: str, properties: dict[str, Any], problems: list[Problem]) -> dict[str, Any]:
    """Return the properties with amounts as numbers, each in the currency that is stated, or left out."""
    raw = properties.get("currency")
    products = properties.get("products")
    if raw is None and not _has_odd_money(properties, products):
        return properties
    stated = read_currency(raw) if raw not in (None, "") else None
    is_plain = type(raw) is str and raw == stated and event_type not in CART_LISTS
    if is_plain and not _has_odd_money(properties, products):
        return properties
    if type(raw) is str and raw == stated and not _has_odd_money(properties, products):
        if not products:
            return properties
        return {
            **properties,
            "products": [{**line, "currency": raw} if type(line) is dict else line for line in products],
        }
    read = dict(properties)
    if raw not in (None, "") and stated is None:
        detail = f"{_shown(raw)} is no currency, so that the amounts are left out; send a code such as EUR"
        problems.append(_problem("unreadable_currency", "/properties/currency", detail))
        read.pop("currency", None)
    elif stated is not None:
        read["currency"] = stated
    is_lost = raw not in (None, "") and stated is None
    stated = _read_amounts(read, stated, "/properties", problems, is_lost=is_lost)
    if isinstance(products, list):
        read["products"] = [
            _line_with_money(line, stated, f"/properties/products/{index}", problems, is_lost=is_lost)
            if isinstance(line, dict)
            else line
            for index, line in enumerate(products)
        ]
    return read if read != properties else properties


def _has_odd_money(properties: Mapping[str, Any], products: Any) -> bool:
    """Return whether an amount is no number, or a line has a currency of its own."""
    for name in _AMOUNT_NAMES:
        value = properties.get(name)
        if value is not None and type(value) is not float and type(value) is not int:
            return True
    if isinstance(products, list):
        for line in products:
            if type(line) is dict:
                price = line.get("price")
                if (
                    price is not None and type(price) is not float and type(price) is not int
                ) or "currency" in line:
                    return True
    return False


def _line_with_money(
    line: dict[str, Any], stated: str | None, pointer: str, problems: list[Problem], *, is_lost: bool
) -> dict[str, Any]:
    read = dict(line)
    raw = read.get("currency")
    own = read_currency(raw) if raw not in (None, "") else stated
    if raw not in (None, "") and own is None:
        detail = f"{_shown(raw)} is no currency, so that the price is left out; send a code such as EUR"
        problems.append(_problem("unreadable_currency", f"{pointer}/currency", detail))
        read.pop("currency", None)
    is_lost = own is None and (is_lost or raw not in (None, ""))
    own = _read_amounts(read, own, pointer, problems, is_lost=is_lost, names=("price",))
    if own is not None:
        read["currency"] = own
    return read if read != line else line


def _read_amounts(
    fields: dict[str, Any],
    stated: str | None,
    pointer: str,
    problems: list[Problem],
    *,
    is_lost: bool,
    names: tuple[str, ...] = _AMOUNT_NAMES,
) -> str | None:
    """Set the amounts among the fields, in place. Return their currency: as stated, else as written with one.

    ``is_lost``: the currency cannot be read, so that there is no amount.
    """
    for name in names:
        value = fields.get(name)
        if value is None:
            continue
        money = read_money(value, stated)
        if money.amount is None and not is_lost and _is_endless_number(value):
            # Out of every range: the bounds leave it out.
            continue
        if money.amount is None or is_lost:
            del fields[name]
            if not is_lost:
                detail = (
                    f"{_shown(value)} is no amount and left out; send a number such as 1234.5, in currency"
                )
                problems.append(_problem("unreadable_amount", f"{pointer}/{name}", detail))
            continue
        if money.currency and stated and money.currency != stated:
            del fields[name]
            detail = f"{_shown(value)} is not in {stated}, which the event states, and left out"
            problems.append(_problem("mixed_currencies", f"{pointer}/{name}", detail))
            continue
        if money.currency and not stated:
            stated = fields["currency"] = money.currency
        if type(value) not in (int, float) and not is_plain_numeral(value):
            fields[name] = money.amount
    return stated


def _is_endless_number(value: Any) -> bool:
    try:
        return isinstance(value, str | float) and not isfinite(float(value))
    except ValueError:
        return False


def _read_consent_change(properties: dict[str, Any]) -> dict[str, Any]:
    """Return the properties of ``Consent Changed`` with its channel and state as the ledger has them."""
    read = dict(properties)
    if channel := _consent_channel(read.get("channel")):
        read["channel"] = channel
    answer = read_state({name: value for name, value in read.items() if name not in ("marketing", "value")})
    if answer is not None:
        read["state"] = "granted" if answer else "withdrawn"
    topic = read.get("topic")
    if isinstance(topic, list) and len(topic) == 1:
        read["topic"] = topic[0]
    if isinstance(read.get("topic"), str):
        read["topic"] = read["topic"].strip()
    return read if read != properties else properties


def _consent_channel(value: Any) -> str | None:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, str) or len(value) > 40:
        return None
    return CHANNEL_ALIASES.get("".join(c for c in value.casefold() if c.isalnum()))


def read_traits(traits: dict[str, Any], problems: list[Problem]) -> dict[str, Any]:
    """Return traits with zone and consents as Waypost reads them; the same object if nothing changes."""
    read = traits
    if (zone := read.get("timezone")) is not None and (
        named := _read_zone(zone, problems, "/traits")
    ) != zone:
        read = {**read, "timezone": named}
    if (consents := read.get("consents")) is not None:
        understood = _read_consents(consents)
        if understood is not consents:
            read = {**read, "consents": understood}
    if type(currency := read.get("currency")) is str and (code := read_currency(currency)) not in (
        None,
        currency,
    ):
        read = {**read, "currency": code}
    if not _REFUSAL_NAMES.isdisjoint(read):
        read = _with_refusals(read)
    return read


def _read_zone(value: Any, problems: list[Problem], pointer: str) -> Any:
    zone = read_zone(value)
    if zone is None and value != UNREADABLE_ZONE:
        detail = (
            f"{_shown(value)} is no time zone that is known, so that only the middle of the day counts as "
            "day; send a name of the IANA database, such as Europe/Berlin"
        )
        problems.append(_problem("unreadable_zone", f"{pointer}/timezone", detail))
    return zone or UNREADABLE_ZONE


def _read_consents(consents: Any) -> Any:
    if not isinstance(consents, dict):
        # A bare refusal is one of all channels. A bare grant names no channel, and grants nothing.
        return {"all": False} if read_answer(consents) is False else consents
    if all(type(value) is bool and name in _CONSENT_CHANNELS for name, value in consents.items()):
        return consents
    read: dict[str, Any] = {}
    for name, value in consents.items():
        channel = _consent_channel(name) or name
        understood: Any
        if isinstance(value, dict):
            answer = read_state(value)
            understood = value if answer is None else {**value, "granted": answer}
            if answer is None and value.get("granted") is not None:
                understood = {**value, "granted": None}
        else:
            answer = read_answer(value)
            understood = value if answer is None else answer
        # Of two spellings of a channel, a refusal outweighs a grant.
        if channel not in read or answer is False:
            read[channel] = understood
    # By type too, since 0 equals False.
    return consents if repr(read) == repr(consents) else read


def _with_refusals(traits: dict[str, Any]) -> dict[str, Any]:
    """Return traits with the consents that the fields of other systems refuse."""
    consents = traits.get("consents")
    if consents is not None and not isinstance(consents, dict):
        return traits
    refused = {
        channel: False
        for name, (channel, refusal) in _REFUSALS.items()
        if name in traits and read_answer(traits[name]) is refusal
    }
    return {**traits, "consents": {**(consents or {}), **refused}} if refused else traits


def read_context(context: dict[str, Any], problems: list[Problem]) -> dict[str, Any]:
    """Return a context with its time zone as Waypost reads it; the same object if nothing has to change."""
    zone = context.get("timezone")
    if zone is None or zone == "" or is_iana_zone(zone):
        return context
    named = _read_zone(zone, problems, "/context")
    return context if named == zone else {**context, "timezone": named}


def _shown(value: Any) -> str:
    return type(value).__name__ if isinstance(value, dict | list) else repr(value)[:60]


def _problem(code: str, pointer: str, detail: str) -> Problem:
    return {"code": code, "pointer": pointer, "detail": f"{pointer} {detail}"}
