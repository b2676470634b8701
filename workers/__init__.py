"""Processes: journey worker, outbox relay with its reconciler, schedules of sweeps, and the API server."""
