"""The catalog, orders, the suppressions that follow a purchase, and suggestions of items."""
