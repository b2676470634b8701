"""`waypost ingest`: read events from files in several formats and send them to the API."""
