"""One module per resource: consents, health, identity, identity tokens, kill switches, preferences, profiles,
runs and the sandbox. Those of events are in ``api.events``, and those of ``why`` in ``api.why``.

The models of bodies and responses are in the module of their routes, those of runs in ``run_schemas``.
``run_start`` starts runs on request.
"""
