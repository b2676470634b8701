"""Journey runs: routing of events to runs, the outbox, the lifecycle of a run, holds, exposures."""
