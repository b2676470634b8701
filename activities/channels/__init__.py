"""One adapter per provider, and their common parts: HTTP, circuit breakers, the registry."""
