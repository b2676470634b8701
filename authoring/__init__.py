"""Tools for authors of journeys: flow charts, replay check, preview, scaffold and test kit."""
