"""One module per resource: profiles, consents, runs, identity, kill switches, preferences, sandbox, health.

Bodies and responses beside their routes.
"""
