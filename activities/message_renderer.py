"""Renders the message of a claim, with the profile's values, the allowed items and signed links."""

from collections.abc import Sequence
from typing import Any

from activities.channels.adapter import RenderedMessage
from activities.content.context import Links, RenderContext, ShopDetails
from activities.content.render import render_message
from activities.content.template import Template
from activities.contracts import SendMessage
from activities.gate.send_gate import SendClaim
from activities.settings import ActivitySettings
from profiles.commerce.catalog import current_price
from profiles.consent.declarations import MARKETING_TOPIC
from profiles.events import Item
from profiles.messaging.preference_tokens import OPT_IN_SIGNING_CONTEXT, PreferenceTokens
from profiles.messaging.snapshot import Snapshot


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
        traits = claim.snapshot.traits
        left = frozenset(claim.items)
        currency = _first_text(request.context, "currency") or _first_text(traits, "currency")
        promoted = [item for item in request.promoting or () if item.key in left]
        context = RenderContext(
            shop=self._shop,
            links=self._links(template, request, claim),
            items=_with_current_values(promoted, claim.snapshot, currency or self._shop.currency)
            or request.showing,
            first_name=_first_text(traits, "first_name", "firstName", "name"),
            locale=_first_text(traits, "locale", "language"),
            currency=currency,
            extra=request.context,
        )
        return render_message(template, request.channel, context)

    def _links(self, template: Template, request: SendMessage, claim: SendClaim) -> Links:
        message = (str(claim.snapshot.profile_id), str(claim.message_id), request.channel.value)
        token = self._tokens.issue(*message, template.topic)
        confirmation = self._opt_in_tokens.issue(*message, MARKETING_TOPIC)
        unsubscribe = f"{self._public_url}/unsubscribe/{token}"
        return Links(
            shop_url=self._shop.url,
            cart_url=f"{self._shop.url}/cart",
            unsubscribe_url=unsubscribe,
            preferences_url=f"{self._public_url}/preferences/{token}",
            one_click_url=unsubscribe,
            confirm_url=f"{self._public_url}/opt-in/{confirmation}",
        )


def _with_current_values(items: Sequence[Item], snapshot: Snapshot, currency: str) -> tuple[Item, ...]:
    """Return the items with the current quantity of the cart and the current price of the shop's feed."""
    cart_rows = {(row.get("product_id"), row.get("sku")): row for row in snapshot.cart or ()}
    updated = []
    for item in items:
        changes: dict[str, Any] = {}
        if row := cart_rows.get((item.product_id, item.sku)):
            changes["quantity"] = int(row.get("quantity", 1))
        if (price := current_price(snapshot.catalog, item.key, item.sku, currency)) is not None:
            changes["price"] = price
        updated.append(item.model_copy(update=changes))
    return tuple(updated)


def _first_text(traits: dict[str, Any], *names: str) -> str | None:
    return next((value for name in names if isinstance(value := traits.get(name), str) and value), None)
