"""The local stack: embedded Postgres and Temporal, their processes, time travel.

Nothing here runs in production.
"""
