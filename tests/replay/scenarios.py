"""All tales of the shipped journeys: one for each wait point and each outcome."""
