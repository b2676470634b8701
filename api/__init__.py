"""The HTTP API: events in, profiles, runs and decisions out, preference pages. Knows no worker."""
