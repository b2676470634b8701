"""Tools for authors of journeys: graph, replay check, preview, scaffold, test kit."""
