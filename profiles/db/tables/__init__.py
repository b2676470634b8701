"""SQLModel declarations of the schema, compared with the migrations in a test. Queries do not use them."""

__all__ = ["commerce", "consents", "messaging", "profiles", "runs"]
