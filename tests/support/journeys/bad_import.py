"""A journey as careless as its author: it imports the database into the workflow sandbox."""

import sqlmodel

from journeys.vocabulary import Journey, journey
from profiles.events import ProductAdded


@journey(starts_on=ProductAdded, keyed_by="cart_id")
class Careless(Journey):
    """Names a library that does I/O."""

    async def run(self, entry: ProductAdded) -> str:
        return str(sqlmodel.__name__)
