"""What the policy file says reaches the doors: how long a purchase suppresses, and its version."""

from pathlib import Path

from policy.config.policy_file import read_policy
from policy.replay import policy_version
from profiles.db.database import Database
from tests.support.environments.api import event, opened

POLICY = 'suppression_window = "2w"\n'


async def test_a_purchase_suppresses_for_as_long_as_the_policy_says(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "shop.toml"
    file.write_text(POLICY, "utf-8")
    order = {"order_id": "o-1", "products": [{"product_id": "lamp"}]}
    async with opened(database_url, waypost_policy=str(file)) as api:
        [answer] = await api.results("/v1/events", event("Order Completed", properties=order))
        windows = await api.rows(
            "SELECT s.until - e.time AS length FROM suppression s JOIN event e USING (event_id)"
        )
        page = (await api.client.get("/metrics")).text

    assert answer["status"] == "accepted"
    assert [row["length"].days for row in windows] == [14]
    assert f'waypost_policy_info{{version="{policy_version(read_policy(POLICY).limits)}"}} 1.0' in page
