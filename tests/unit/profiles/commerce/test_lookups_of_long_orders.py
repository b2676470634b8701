"""Long orders are looked up in constant time a line, with the same answers as line by line."""

from hypothesis import given
from hypothesis import strategies as st

from profiles.commerce.catalog import CatalogEntry, CatalogIndex, entries_for, product_for_sku
from profiles.commerce.orders import BoughtItems, is_same_item
from profiles.events import Item
from profiles.state.event_records import OrderLine

NAMES = st.sampled_from(("a", "b", "c"))

ITEMS = st.builds(Item, product_id=st.none() | NAMES, sku=st.none() | NAMES)

BOUGHT = st.lists(st.builds(OrderLine, ITEMS, scope=st.sampled_from(("product", "variant"))), max_size=4)

SHELVES = st.lists(st.tuples(NAMES, st.just("") | NAMES), unique=True, max_size=8).map(
    lambda pairs: tuple(CatalogEntry(*pair) for pair in sorted(pairs))
)


@given(bought=BOUGHT, line=ITEMS)
def test_a_line_is_among_what_was_bought_where_it_is_the_same_as_one_of_it(
    bought: list[OrderLine], line: Item
) -> None:
    assert any(is_same_item(each, line) for each in bought) is (line in BoughtItems(bought))


@given(shelf=SHELVES, key=NAMES, sku=st.none() | NAMES)
def test_an_index_of_the_catalog_has_the_entries_of_a_line(
    shelf: tuple[CatalogEntry, ...], key: str, sku: str | None
) -> None:
    index = CatalogIndex(shelf)

    assert entries_for(shelf, key, sku) == index.entries_for(key, sku)
    assert product_for_sku(shelf, sku or "c") == index.product_for_sku(sku or "c")
