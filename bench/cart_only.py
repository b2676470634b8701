"""Journey module with the cart journey only, so that a purchase does not start a post-purchase run."""

from journeys.cart_abandonment.story import CartAbandonment

JOURNEYS = (CartAbandonment,)
