"""Products, orders, and the suppressions that follow a purchase."""
