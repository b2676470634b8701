"""Static checks of journeys, before any run."""
