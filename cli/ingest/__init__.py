"""`waypost ingest`: sends events from files to the API."""
