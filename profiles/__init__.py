"""The unified profile: events, identity, carts, purchases, consent, messages, runs, outbox.

Owns Postgres: no other room contains SQL. Imports nothing of ours.
"""
