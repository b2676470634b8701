"""The unified profile: events, identity, carts, purchases, consent, messages, runs, outbox.

Owns Postgres: no other package contains SQL. Imports no other package of Waypost.
"""
