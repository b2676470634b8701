"""What the shop of a test sells: any name is a product; one that matters may be described."""

from typing import Any

from profiles.events import Item

_PRICE = 39.0


class Products:
    """Products by their id, made up as they are named."""

    def __init__(self) -> None:
        self._known: dict[str, Item] = {}

    def describe(self, product: str, **details: Any) -> None:
        """Say more about a product: name, price, sku, category, image_url, url, …"""
        self._known[product] = Item(**{**self.item(product).model_dump(), **details})

    def item(self, product: str | Item) -> Item:
        """The product as a line of a cart."""
        if isinstance(product, Item):
            return product
        made_up = Item(
            product_id=product, name=product.replace("-", " ").replace("_", " ").capitalize(), price=_PRICE
        )
        return self._known.get(product, made_up)

    def properties(self, product: str | Item, **more: Any) -> dict[str, Any]:
        """The product as an event carries it."""
        return {**self.item(product).model_dump(exclude_none=True), **more}
