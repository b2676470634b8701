"""The checks of the send gate, one subject per module.

Each check returns a ``CheckResult``. Their order is in ``policy.gate``.
"""
