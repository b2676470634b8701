"""Database access: connections, settings, migrations, role privileges, table declarations, locks, pages.

No business rules.
"""
