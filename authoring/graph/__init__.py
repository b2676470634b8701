"""Flow charts of a journey, read from its source."""
