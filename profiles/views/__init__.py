"""Read-only queries for the API, journeys and operators. Nothing here writes."""
