"""Journeys with faults. A comment names the fault of its line, or of the next where it stands alone."""
