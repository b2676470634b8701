"""Production processes: journey worker, relay, reconciler, schedules, and the server that runs the API."""
