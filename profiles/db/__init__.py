"""Access to Postgres: connections, migrations, privileges, declared tables, locks, pages. No rules."""
