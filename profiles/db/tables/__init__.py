"""SQLModel declarations of the schema, compared with the migrations in a test. Queries do not use them."""

from profiles.db.tables import commerce, consents, messaging, profiles, runs

__all__ = ["commerce", "consents", "messaging", "profiles", "runs"]
