"""Renders the message of a claim, with the profile's values, the allowed items and signed links."""

from collections.abc import Mapping, Sequence
from typing import Any

from activities.channels.adapter import RenderedMessage
from activities.content.context import Links, RenderContext, ShopDetails
from activities.content.display_text import clean_url, greeting_name, product_text
from activities.content.render import render_message
from activities.content.sanitize import absolute_url, safe_reference
from activities.content.template import Template
from activities.contracts import SendMessage
from activities.gate.send_gate import SendClaim
from activities.settings import ActivitySettings
from profiles.commerce.catalog import current_price, described_item
from profiles.consent.declarations import MARKETING_TOPIC
from profiles.events import Item
from profiles.messaging.preference_tokens import OPT_IN_SIGNING_CONTEXT, PreferenceTokens
from profiles.messaging.recipients import NAME_TRAITS
from profiles.messaging.snapshot import Snapshot
from profiles.state.cart import parse_lines


class MessageRenderer:
    """Renders messages for one shop."""

    def __init__(self, settings: ActivitySettings, tokens: PreferenceTokens) -> None:
        self._public_url = settings.public_url
        self._tokens = tokens
        secrets = [secret.get_secret_value() for secret in settings.secrets]
        self._opt_in_tokens = PreferenceTokens(secrets, context=OPT_IN_SIGNING_CONTEXT)
        self._shop = ShopDetails(
            name=settings.shop_name,
            postal_address=settings.shop_address,
            url=settings.shop_url,
            support_email=settings.shop_support_email,
            hosts=settings.shop_hosts,
            currency=settings.shop_currency,
        )

    def render(self, template: Template, request: SendMessage, claim: SendClaim) -> RenderedMessage:
        """Render the message for one profile on one channel. Raises ``ContentError``."""
        snapshot = claim.snapshot
        # What no verified event stated never appears in a message.
        traits = {n: value for n, value in snapshot.traits.items() if n not in snapshot.unverified_traits}
        left = frozenset(claim.items)
        extra = self._presentable_context(request)
        promoted = [item for item in request.promoting or () if item.key in left]
        currency = _first_text(extra, "currency") or message_currency(
            promoted or request.showing, snapshot, _first_text(traits, "currency"), self._shop.currency
        )
        context = RenderContext(
            shop=self._shop,
            links=self._links(template, request, claim),
            items=to_presentable_items(
                promoted or request.showing,
                snapshot,
                currency or self._shop.currency,
                with_current_values=bool(promoted),
                shop_currency=self._shop.currency,
            ),
            first_name=_first_name(snapshot.names_for(request.channel.value)),
            locale=_first_text(traits, "locale", "language"),
            currency=currency,
            extra=extra,
        )
        return render_message(template, request.channel, context)

    def _presentable_context(self, request: SendMessage) -> dict[str, Any]:
        """Return ``context=`` as a message may show it.

        Of what an unverified event stated only counts and links to the shop are left. An id, which a name
        with ``_id`` at its end tells, is shown if a verified event stated it and it looks like a reference.
        """
        shown: dict[str, Any] = {}
        for name, value in request.context.items():
            is_id = name.endswith("_id")
            if name in request.unverified_context:
                shown[name] = None if is_id else self._to_presentable(value)
            elif is_id and isinstance(value, str | int) and not isinstance(value, bool):
                shown[name] = safe_reference(str(value))
            else:
                shown[name] = value
        return shown

    def _to_presentable(self, value: Any) -> Any:
        match value:
            case str() if self._shop.is_own_link(value):
                return value
            case str():
                return None
            case list() | tuple():
                return [self._to_presentable(inner) for inner in value]
            case dict():
                # Names are texts too, so a mapping is left out.
                return None
            case None | bool() | int():
                return value
            case _:
                return None

    def _cart_url(self, stated: str | None) -> str:
        """Return where the cart is: as the shop stated it, at its own host; else the cart of the browser."""
        url = absolute_url(clean_url(stated), self._shop.url) if stated else None
        return url if url and self._shop.is_own_link(url) else f"{self._shop.url}/cart"

    def _links(self, template: Template, request: SendMessage, claim: SendClaim) -> Links:
        message = (str(claim.snapshot.profile_id), str(claim.message_id), request.channel.value)
        token = self._tokens.issue(*message, template.topic)
        confirmation = self._opt_in_tokens.issue(*message, MARKETING_TOPIC)
        unsubscribe = f"{self._public_url}/unsubscribe/{token}"
        return Links(
            shop_url=self._shop.url,
            cart_url=self._cart_url(claim.snapshot.cart_url),
            unsubscribe_url=unsubscribe,
            preferences_url=f"{self._public_url}/preferences/{token}",
            one_click_url=unsubscribe,
            confirm_url=f"{self._public_url}/opt-in/{confirmation}",
        )


def to_presentable_items(
    items: Sequence[Item],
    snapshot: Snapshot,
    currency: str,
    *,
    with_current_values: bool,
    shop_currency: str | None = None,
) -> tuple[Item, ...]:
    """Return the items as a message may show them.

    An item of a verified event, and one of which the line in the cart is verified, keeps what it states,
    completed by the shop's feed. Of any other item only key, unit and quantity are left; the rest is the
    feed's, or missing. ``with_current_values``: with the cart's quantity and the feed's price. An amount in
    another currency than ``currency`` is left out. ``shop_currency``: that of the feed's prices without one;
    None: ``currency``.
    """
    shop_currency = shop_currency or currency
    shelf = [entry for entry in snapshot.catalog if entry.verified]
    # A price that the feed gives without a currency is in the shop's.
    priced = [entry for entry in shelf if entry.currency or currency == shop_currency]
    cart_rows = {(row.get("product_id"), row.get("sku")): row for row in snapshot.cart or ()}
    shown = []
    for item in items:
        row = cart_rows.get((item.product_id, item.sku), {})
        stated = item if item.content_verified else next(iter(parse_lines([row])), item)
        if not stated.content_verified:
            stated = Item(product_id=item.product_id, sku=item.sku)
        changes: dict[str, Any] = {"quantity": item.quantity}
        if entry := described_item(shelf, item.key, item.sku):
            texts = {name: getattr(entry, name) for name in ("name", "category", "url", "image_url")}
            # A name such as "null" is none, and the feed may have a better one.
            stated_texts = {
                n: value if n.endswith("url") else product_text(value)
                for n in texts
                if (value := getattr(stated, n))
            }
            changes |= {n: text for n, text in texts.items() if text and not stated_texts.get(n)}
            changes["content_verified"] = True
        if with_current_values and "quantity" in row:
            changes["quantity"] = int(row["quantity"])
        if with_current_values or stated.price is None:
            price = current_price(priced, item.key, item.sku, currency)
            # A price in another currency than the message's is not shown, and not added up.
            own = stated.price if (stated.currency or item.currency or currency) == currency else None
            changes["price"] = own if price is None else price
        elif (stated.currency or currency) != currency:
            changes["price"] = None
        shown.append(stated.model_copy(update=changes))
    return tuple(shown)


def _first_name(named: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the first value that holds a name for a greeting."""
    values = (names.get(name) for names in named for name in NAME_TRAITS)
    return next((value for value in values if isinstance(value, str) and greeting_name(value)), None)


def message_currency(
    items: Sequence[Item], snapshot: Snapshot, preferred: str | None, shop_currency: str
) -> str | None:
    """Return the one currency in which the items are priced; of several, or none, the preferred one."""
    rows = {(row.get("product_id"), row.get("sku")): row for row in snapshot.cart or ()}
    stated = [item.currency or rows.get((item.product_id, item.sku), {}).get("currency") for item in items]
    currencies = {each for each in stated if isinstance(each, str)}
    if len(currencies) == 1 and (None not in stated or currencies == {shop_currency}):
        return currencies.pop()
    return preferred


def _first_text(traits: dict[str, Any], *names: str) -> str | None:
    return next((value for name in names if isinstance(value := traits.get(name), str) and value), None)
