"""The local stack: embedded Postgres and Temporal, Waypost's processes, time travel, and the demo.

Not used in production.
"""
