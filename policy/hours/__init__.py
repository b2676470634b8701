"""Local time: zones, windows, holidays, jurisdictions, and which places a person may be in."""
