"""The cart journey alone: with all of them loaded, each purchase would start a post-purchase run as well."""

from journeys.cart_abandonment.story import CartAbandonment

JOURNEYS = (CartAbandonment,)
