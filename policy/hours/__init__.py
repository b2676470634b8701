"""Local time: time zones, windows, holidays, jurisdictions, and the places where a profile may be."""
