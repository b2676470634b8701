"""Run the sweep for what changed about products in open carts."""

from temporalio import activity

from activities.contracts import Sweep, Swept
from profiles.database import Database
from profiles.ingest import Ingest
from profiles.product_sweep import DEFAULT_NEWS, ProductNews, sweep_products


class ProductSweepActivities:
    """Sweeps that tell people about their carts by writing events."""

    def __init__(self, database: Database, ingest: Ingest, news: ProductNews = DEFAULT_NEWS) -> None:
        self._database = database
        self._ingest = ingest
        self._news = news

    @activity.defn(name="sweep_products")
    async def sweep_products(self, request: Sweep) -> Swept:
        """Until no change is left; idempotent."""
        entered = 0
        while True:
            looked_at, told = await sweep_products(
                self._database, self._ingest, news=self._news, limit=request.batch
            )
            entered += told
            if not looked_at:
                return Swept(entered=entered)
