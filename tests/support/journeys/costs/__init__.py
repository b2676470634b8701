"""Small journeys, each of which shows what one word costs."""
