"""Identifiers: normal form, the graph that joins them, quarantine, tokens.

Which profile an event belongs to is resolved in `ingest`.
"""
