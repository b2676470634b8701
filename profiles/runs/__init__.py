"""Journey runs: which run an event is routed to, the outbox, run lifecycle, holds."""
