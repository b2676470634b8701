"""The database itself: connection pool, migrations, table declarations, row locks, SQL fragments.

No business rules.
"""
