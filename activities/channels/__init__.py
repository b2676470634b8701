"""One adapter per provider, and what adapters share: HTTP, circuit breakers, the registry."""
