"""Temporal activities: the effects of journeys. Each reads, decides, calls one provider and records it."""
