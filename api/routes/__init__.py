"""One module per resource: profiles, consents, runs, identity, kill switches, preferences, sandbox, health.

The models of bodies and responses are in the module of their routes.
"""
