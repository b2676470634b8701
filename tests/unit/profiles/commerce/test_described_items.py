"""What the feed says of an item, whatever ids the shop sends: a row is a feed, an item, and its name."""

import pytest

from profiles.commerce.catalog import CatalogEntry, described_item


def entry(item: str, sku: str = "", name: str | None = None, *, verified: bool = True) -> CatalogEntry:
    return CatalogEntry(item, sku, name=name, verified=verified)


LAMP = entry("7", name="Aria lamp")
BRASS, STEEL = entry("7", "7-b", "Aria lamp – brass"), entry("7", "7-s", "Aria lamp – steel")

ROWS = [
    pytest.param([LAMP], "7", None, "Aria lamp", id="the product"),
    pytest.param([LAMP, BRASS], "7", "7-b", "Aria lamp – brass", id="its unit"),
    pytest.param([LAMP], "7", "7-x", "Aria lamp", id="a unit that the feed does not know"),
    pytest.param([BRASS, STEEL], "7", "7-x", "Aria lamp", id="the same, where only units are in the feed"),
    pytest.param([BRASS, STEEL], "7", None, "Aria lamp", id="a product of which only units are in the feed"),
    pytest.param([BRASS], "7", "7-x", None, id="a unit that the feed does not know, and one other"),
    pytest.param([BRASS], "7", None, "Aria lamp – brass", id="the only unit"),
    pytest.param([BRASS, STEEL], "7-s", None, "Aria lamp – steel", id="a unit sent as the product's id"),
    pytest.param([BRASS, STEEL], "7-s", "7-s", "Aria lamp – steel", id="a unit sent as both"),
    pytest.param([entry("7-s", name="Aria lamp")], "7", "7-s", "Aria lamp", id="a feed by unit alone"),
    pytest.param(
        [entry("7", "a", "Red mug"), entry("7", "b", "Blue mug")], "7", None, None, id="names that differ"
    ),
    pytest.param(
        [entry("7", "a", "The lamp"), entry("7", "b", "The mug")], "7", None, None, id="an article is no name"
    ),
    pytest.param([entry("7", "u", "A"), entry("8", "u", "B")], "u", None, None, id="a unit of two products"),
    pytest.param([entry("7", name="Lamp", verified=False)], "7", None, None, id="a page's word"),
    pytest.param(
        [entry("7", "7-b", "Lamp", verified=False)], "7-b", None, None, id="a page's word of a unit"
    ),
    pytest.param([entry("8", name="Mug")], "7", None, None, id="another product"),
    pytest.param([entry("7")], "7", None, None, id="no name in the feed"),
]


@pytest.mark.parametrize(("feed", "key", "sku", "name"), ROWS)
def test_an_item_has_the_name_that_the_feed_has(
    feed: list[CatalogEntry], key: str, sku: str | None, name: str | None
) -> None:
    found = described_item(feed, key, sku)

    assert (found.name if found else None) == name
