"""In-memory state of a profile while events are applied, and the unit of work that writes it back."""
