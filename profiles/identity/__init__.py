"""Identifiers: their normal form, the graph that joins them, quarantine, identity tokens, views.

``profiles.ingest.resolution`` finds the profile of an event.
"""
