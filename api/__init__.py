"""The HTTP API: event ingest, profiles, runs, decisions and preference pages. Imports nothing of workers."""
