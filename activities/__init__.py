"""Temporal activities, the side effects of journeys: reads, decisions, messages, consents, closed runs.

``gate`` decides whether a message may be sent, ``content`` renders it, and ``channels`` calls the providers.
"""
