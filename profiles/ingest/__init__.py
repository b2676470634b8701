"""One transaction per batch of events: store, resolve identity, apply, route, write outbox rows."""
